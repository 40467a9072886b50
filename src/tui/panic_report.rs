//! A panic gives the terminal back first, and leaves a report that can be sent to us.

use std::{backtrace::Backtrace, fs, panic, path::PathBuf};

use super::terminal;
use crate::store::now_ms;

/// From now on a panic gives the terminal back and writes `panic-<time>.txt` into `folder`.
pub fn install(folder: PathBuf) {
    panic::set_hook(Box::new(move |info| {
        terminal::give_back();
        let file = folder.join(format!("panic-{}.txt", now_ms()));
        let report = format!("linf-tui {}\n{info}\n\n{}\n", env!("LINF_VERSION"), Backtrace::force_capture());
        eprintln!("linf-tui: {info}");
        match fs::write(&file, report) {
            Ok(()) => eprintln!("A report lies in {}. Runs and queue are not affected.", file.display()),
            Err(error) => eprintln!("No report could be written to {}: {error}", file.display()),
        }
    }));
}
