//! A CUDA driver of paper (`tests/cuda/driver.c`), compiled.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The folder that has it, for LD_LIBRARY_PATH; made in `room`. `source` is the driver's; an `old` one is of before R470.
pub fn folder(source: &Path, room: &Path, old: bool) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let folder = room.join(format!("{}driver-{}", if old { "old-" } else { "" }, std::process::id()));
    // Under both names that it is looked for by, so that a machine's own driver is never taken.
    let (library, second, part) = (folder.join("libcuda.so.1"), folder.join("libcuda.so"), folder.join("part.so"));
    if !second.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let mut compiler = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()));
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&part).arg(source);
        let done = if old { compiler.arg("-DOLD") } else { &mut compiler }.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::copy(&part, library).unwrap();
        std::fs::rename(part, second).unwrap();
    }
    folder
}
