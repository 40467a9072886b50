//! How much room the disk of a store has.

use std::path::Path;

/// The room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user can still write.
    pub free: u64,
    /// Bytes of the whole disk.
    pub total: u64,
}

/// Below this the next checkpoint of an ordinary net may not fit.
const LOW: u64 = 64 << 20;

impl Space {
    /// The room where `path` lies; `None` where the system does not say.
    pub fn at(path: &Path) -> Option<Space> {
        let said = rustix::fs::statvfs(path).ok()?;
        Some(Space {
            free: said.f_bavail.saturating_mul(said.f_frsize),
            total: said.f_blocks.saturating_mul(said.f_frsize),
        })
    }

    /// Whether so little is left that training may soon be unable to write.
    pub fn is_low(self) -> bool {
        self.free < LOW
    }
}
