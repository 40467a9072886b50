//! The wall clock, as the store writes it down.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch. Shown to people and compared with other rows' times; never used to order them.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
