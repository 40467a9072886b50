//! Locks that the kernel drops when their holder ends, however it ends: no stale lock ever needs a human.
//!
//! flock on a file that is never unlinked. Files are opened close-on-exec, so a lock does not leak into a process that
//! the holder starts.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// A lock that is held until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Where the dispatcher of the store at `root` holds its lock.
pub fn of_dispatcher(root: &Path) -> PathBuf {
    root.join("dispatcher.lock")
}

/// Where the worker of the run in `run_dir` holds its lock.
pub fn of_worker(run_dir: &Path) -> PathBuf {
    run_dir.join("worker.lock")
}

/// Whether a dispatcher works on the store at `root`.
pub fn dispatcher_alive(root: &Path) -> io::Result<bool> {
    held(&of_dispatcher(root))
}

impl Lock {
    /// Takes the lock, or gives `None` where another process keeps it for longer than `patience`. Some patience is due:
    /// [`held`] takes the lock for an instant.
    pub fn take(path: &Path, patience: Duration) -> io::Result<Option<Lock>> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        // For people who look: the lock itself is the kernel's, and a full disk costs no lock.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Some(Lock { _file: file }))
    }
}

/// Whether a living process holds the lock.
pub fn held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // Shared, so that two who look at once do not take each other for a holder.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = of_dispatcher(dir.path());
        assert!(!held(&path).unwrap(), "a lock that was never taken is free");
        let lock = Lock::take(&path, Duration::ZERO).unwrap().unwrap();
        assert!(held(&path).unwrap());
        assert!(Lock::take(&path, Duration::ZERO).unwrap().is_none());
        drop(lock);
        assert!(!held(&path).unwrap());
        assert!(Lock::take(&path, Duration::ZERO).unwrap().is_some());
    }

    #[test]
    fn a_process_that_the_holder_starts_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = of_worker(dir.path());
        let lock = Lock::take(&path, Duration::ZERO).unwrap();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        drop(lock);
        let free = !held(&path).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(free);
    }
}
