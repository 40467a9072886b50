//! The official mirrors, by curl or wget.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;

use super::command::{self, Download, disk};
use super::{Obstacle, Pin, Progress, Source, Staging};
use crate::dataset::idx;

/// A place on the web that its makers named.
pub(super) enum Mirror {
    /// A folder of gzipped IDX files, with their sizes in the order of [`idx::TRAIN`], [`idx::TEST`].
    Folder { url: &'static str, sizes: [u64; 4] },
    /// A `.tar.gz` of all files.
    Archive { url: &'static str, size: u64 },
}

impl Mirror {
    fn url(&self) -> &'static str {
        match self {
            Self::Folder { url, .. } | Self::Archive { url, .. } => url,
        }
    }
}

impl Source for Mirror {
    fn name(&self) -> String {
        let host = self.url().split('/').nth(2);
        format!("mirror {}", host.unwrap_or(self.url()))
    }

    fn get(&self, wanted: &[&'static Pin], staging: &Staging, progress: &dyn Progress) -> Result<(), Obstacle> {
        let target = staging.path().join("download");
        match self {
            Self::Archive { url, size } => {
                let what = url.rsplit('/').next().unwrap_or(url);
                download(url, &target, &Download { what, size: *size }, staging, progress)?;
                install_members(&target, wanted, staging)
            }
            Self::Folder { url, sizes } => {
                let names = idx::TRAIN.iter().chain(&idx::TEST);
                for (name, &size) in names.zip(sizes) {
                    let Some(pin) = wanted.iter().find(|pin| pin.name == *name) else { continue };
                    let url = format!("{url}/{name}.gz");
                    download(&url, &target, &Download { what: name, size }, staging, progress)?;
                    let file = File::open(&target).map_err(disk("open", &target))?;
                    let content = idx::unpack(file).map_err(|fault| Obstacle::Source(format!("{name}: {fault}")))?;
                    staging.install(pin, &content)?;
                }
                Ok(())
            }
        }
    }
}

fn download(
    url: &str,
    target: &Path,
    download: &Download,
    staging: &Staging,
    progress: &dyn Progress,
) -> Result<(), Obstacle> {
    // So that the size of the file before is not taken for this one's.
    staging.clear()?;
    let mut tool = if command::is_installed("curl") {
        let mut curl = Command::new("curl");
        curl.args(["-fsSL", "--connect-timeout", "6", "--speed-limit", "1000", "--speed-time", "20", "-o"]);
        curl
    } else if command::is_installed("wget") {
        let mut wget = Command::new("wget");
        wget.args(["-nv", "--tries=1", "--timeout=10", "-O"]);
        wget
    } else {
        return Err(Obstacle::source("neither curl nor wget is installed"));
    };
    command::run(tool.arg(target).arg(url), Some(download), staging, progress)
}

/// Installs the wanted files of a `.tar.gz`, in whatever folder they are in it.
fn install_members(archive: &Path, wanted: &[&'static Pin], staging: &Staging) -> Result<(), Obstacle> {
    let file = File::open(archive).map_err(disk("open", archive))?;
    let broken = |error| Obstacle::Source(format!("the archive cannot be unpacked ({error})"));
    for member in tar::Archive::new(GzDecoder::new(file)).entries().map_err(broken)? {
        let mut member = member.map_err(broken)?;
        let name = member.path().map_err(broken)?.file_name().map(|name| name.to_owned());
        let Some(pin) = wanted.iter().find(|pin| name.as_deref() == Some(pin.name.as_ref())) else { continue };
        let mut content = Vec::new();
        member.by_ref().take(pin.bytes + 1).read_to_end(&mut content).map_err(broken)?;
        staging.install(pin, &content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::tests::{Notes, PINS, names};
    use super::*;

    #[test]
    fn wanted_members_of_an_archive_are_installed_from_any_folder() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path(), &Notes::default()).unwrap();
        let archive = staging.path().join("all.tar.gz");
        let mut tar = tar::Builder::new(GzEncoder::new(File::create(&archive).unwrap(), Compression::fast()));
        for (path, content) in [("readme", "hello"), ("batches/b", "two"), ("batches/a", "one")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();

        install_members(&archive, &[&PINS[0]], &staging).unwrap();
        assert_eq!(names(dir.path()), [".part", "a"]);

        let whole = std::fs::read(&archive).unwrap();
        std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(install_members(&archive, &[&PINS[1]], &staging), Err(Obstacle::Source(_))));
    }
}
