//! What the store asks of the file system: private files, durable renames, and whether a write-ahead log can work.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use super::StoreError;

/// Creates a folder (and those above it) that only its owner can enter; one that exists is left as it is.
pub(super) fn create_private_dir(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))
}

/// Creates an empty file that only its owner can read, unless it exists. SQLite gives its log and index the same mode.
pub(super) fn create_private_file(path: &Path) -> Result<(), StoreError> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map(drop).map_err(io_error("create", path))
}

/// Whether a folder belongs to the user who runs this program. One who may write in another's store all the same (root)
/// would leave files in it that its owner cannot.
pub(super) fn is_ours(dir: &Path) -> Result<bool, StoreError> {
    let owner = dir.metadata().map_err(io_error("read", dir))?.uid();
    Ok(owner == rustix::process::geteuid().as_raw())
}

/// Whether this user can create files in a folder.
pub(super) fn is_writable(dir: &Path) -> bool {
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Replaces a small file: whoever reads it sees the old or the new one, never a part.
pub(super) fn replace(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    create_private_file(part)?;
    fs::write(part, contents).map_err(io_error("write", part))?;
    fs::rename(part, path).map_err(io_error("rename", part))
}

/// Copies a file; the copy is its owner's alone, whatever the original was.
pub(super) fn copy_private(from: &Path, to: &Path) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(io_error("read", from))?;
    create_private_file(to)?;
    let mut copy = OpenOptions::new().write(true).truncate(true).open(to).map_err(io_error("write", to))?;
    io::copy(&mut source, &mut copy).and_then(|_| copy.sync_all()).map_err(io_error("write", to))
}

/// Makes what is in a file, or the names in a folder, durable.
pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(io_error("sync", path))
}

/// Whether there is no room on the disk, or none left for this user.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Wraps an error of the operating system with what was tried on which file.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| match error.kind() {
        _ if is_full(&error) => StoreError::DiskFull { path },
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied if action != "read" => {
            StoreError::ReadOnly { path }
        }
        _ => StoreError::Io { action, path, error },
    }
}

/// The name of the network file system that `path` lies on, or `None` on a local one.
///
/// A write-ahead log needs memory shared by all who open the file, which no network file system gives; there the store
/// uses SQLite's rollback journal.
pub fn network_file_system(path: &Path) -> Option<&'static str> {
    // Where even statfs fails, whatever comes next will say why.
    let stat = rustix::fs::statfs(path).ok()?;
    network_name(u64::try_from(stat.f_type).ok()? & 0xffff_ffff)
}

/// Magic numbers of `statfs(2)` and of the file systems' own headers.
fn network_name(magic: u64) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b => "SMB",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 => "SMB2",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x00c3_6400 => "CephFS",
        0x1983_0326 => "BeeGFS",
        0x5346_414f => "AFS",
        0x7375_7245 => "Coda",
        0x0102_1997 => "9P",
        0x6573_5546 => "FUSE",
        0x7461_636f => "OCFS2",
        0x0116_1970 => "GFS2",
        0x2003_0528 => "OrangeFS",
        0xaad7_aaea => "PanFS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_created_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        create_private_dir(&inner).unwrap();
        create_private_file(&inner.join("f")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join("f")), 0o600);
    }

    #[test]
    fn what_exists_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "kept").unwrap();
        create_private_file(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    }

    #[test]
    fn the_usual_network_file_systems_are_known() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0x0bd0_0bd0), Some("Lustre"));
        assert_eq!(network_name(0xef53), None, "ext4");
        assert_eq!(network_name(0x0102_1994), None, "tmpfs");
    }
}
