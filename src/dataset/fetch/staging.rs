//! Where files grow until they are whole.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Obstacle, Pin, Progress};
use crate::dataset::DataError;

/// The folder `.part` inside a data set's folder. It is on the same file system, so that a finished file gets its
/// final name by one rename; it is emptied when opened and removed when dropped.
///
/// One process at a time holds it, by a lock on the data set's folder, which the system releases whatever becomes of
/// the process.
pub(super) struct Staging {
    folder: PathBuf,
    part: PathBuf,
    installed: RefCell<Vec<&'static str>>,
    /// The data set's folder, locked and opened, also for `fsync`.
    handle: File,
}

impl Staging {
    /// Makes the data set's folder where there is none, and waits while another process fetches into it.
    pub(super) fn open(folder: &Path, progress: &dyn Progress) -> Result<Self, DataError> {
        fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
        let handle = File::open(folder).map_err(DataError::io("open", folder))?;
        lock(&handle, folder, progress)?;
        // Tools run within the folder, where a path relative to ours means another file.
        let folder = std::path::absolute(folder).map_err(DataError::io("find", folder))?;
        let part = folder.join(".part");
        remove(&part)?;
        fs::create_dir(&part).map_err(DataError::io("create", &part))?;
        Ok(Self { folder, part, installed: RefCell::default(), handle })
    }

    /// The folder for half-finished things.
    pub(super) fn path(&self) -> &Path {
        &self.part
    }

    /// Empties the folder, between one attempt and the next.
    pub(super) fn clear(&self) -> Result<(), Obstacle> {
        remove(&self.part).map_err(Obstacle::Disk)?;
        fs::create_dir(&self.part).map_err(DataError::io("create", &self.part)).map_err(Obstacle::Disk)
    }

    /// Checks `content` against its pin and puts it under its final name, durably: all of it or nothing.
    pub(super) fn install(&self, pin: &Pin, content: &[u8]) -> Result<(), Obstacle> {
        pin.verify(content)
            .map_err(|found| Obstacle::Source(format!("{} has SHA-256 {found} instead of {}", pin.name, pin.sha256)))?;
        let (part, path) = (self.part.join(pin.name), self.folder.join(pin.name));
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            self.handle.sync_all()
        };
        write().map_err(DataError::io("write", &path)).map_err(Obstacle::Disk)?;
        self.installed.borrow_mut().push(pin.name);
        Ok(())
    }

    /// Whether [`Self::install`] has put this file in place.
    pub(super) fn has_installed(&self, pin: &Pin) -> bool {
        self.installed.borrow().contains(&pin.name)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next fetch.
        let _ = fs::remove_dir_all(&self.part);
    }
}

fn remove(part: &Path) -> Result<(), DataError> {
    match fs::remove_dir_all(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DataError::io("remove", part)(error)),
        _ => Ok(()),
    }
}

/// Takes the lock, or goes on without where the file system has none (some network ones).
fn lock(handle: &File, folder: &Path, progress: &dyn Progress) -> Result<(), DataError> {
    let mut told = false;
    while flock(handle, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        if progress.stopped() {
            return Err(DataError::Stopped);
        }
        if !told {
            progress.note(&format!("waiting for another fetch into {}", folder.display()));
            told = true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
