//! `runs/<id>/worker.json`: who holds the run's lock. Written by the worker once it has the lock, read by the
//! dispatcher.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::experiment::WorkerIdentity;

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerFile {
    /// Its process and the nonce of its attempt.
    #[serde(flatten)]
    pub identity: WorkerIdentity,
    /// Milliseconds since the Unix epoch when it took the lock.
    pub began_ms: i64,
}

const NAME: &str = "worker.json";

impl WorkerFile {
    /// What the last worker of the run in `run_dir` said; `None` where none has begun yet.
    pub fn read(run_dir: &Path) -> io::Result<Option<WorkerFile>> {
        match fs::read(run_dir.join(NAME)) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file: a reader sees the old one or the new one, whole, even after a power cut.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let part = run_dir.join("worker.json.part");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&part, run_dir.join(NAME))?;
        File::open(run_dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(WorkerFile::read(dir.path()).unwrap(), None);
        let identity = WorkerIdentity { pid: 7, start_ticks: 8, boot_id: "b".into(), nonce: "n".into() };
        for began_ms in [1, 2] {
            let said = WorkerFile { identity: identity.clone(), began_ms };
            said.write(dir.path()).unwrap();
            assert_eq!(WorkerFile::read(dir.path()).unwrap(), Some(said));
        }
        fs::write(dir.path().join(NAME), "{").unwrap();
        assert!(WorkerFile::read(dir.path()).is_err());
    }
}
