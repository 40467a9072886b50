//! The wall clock, as the store writes it down.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch. Shown to people and compared with other rows' times; never used to order them.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)).saturating_add(set_forward_ms())
}

/// How far tests have set the clock of this store's processes forward (or back), while they run. The clock of the machine is
/// not theirs to set.
#[cfg(debug_assertions)]
fn set_forward_ms() -> i64 {
    static FILE: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("LINF_TEST_CLOCK").map(Into::into)).as_deref();
    file.and_then(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(not(debug_assertions))]
const fn set_forward_ms() -> i64 {
    0
}
