//! Running the tools that download, and watching their files grow.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{Obstacle, Progress, Staging};
use crate::dataset::DataError;

/// How often a running tool is looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// What is being downloaded, for the progress display.
pub(super) struct Download<'a> {
    pub(super) what: &'a str,
    /// About how many bytes it has.
    pub(super) size: u64,
}

/// Whether a program of this name can be started.
pub(super) fn is_installed(program: &str) -> bool {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs).any(|dir| dir.join(program).is_file())
}

/// Runs a tool that writes below the staging folder, in it, until it ends well.
///
/// The tools print no progress without a terminal, so the largest file there, growing, is what is shown.
pub(super) fn run(
    command: &mut Command,
    download: Option<&Download>,
    staging: &Staging,
    progress: &dyn Progress,
) -> Result<(), Obstacle> {
    let program = command.get_program().to_string_lossy().into_owned();
    let complaints = staging.path().join("complaints.txt");
    let file = File::create(&complaints).map_err(disk("create", &complaints))?;
    let started = command.current_dir(staging.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
    let mut child = started.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Obstacle::Source(format!("{program} is not installed")),
        _ => Obstacle::Source(format!("{program} cannot be started: {error}")),
    })?;

    let status = loop {
        if let Some(status) = child.try_wait().map_err(Obstacle::source)? {
            break status;
        }
        if progress.stopped() {
            stop(&mut child);
            return Err(Obstacle::Stopped);
        }
        if let Some(download) = download {
            progress.bytes(download.what, largest_file(staging.path()), download.size);
        }
        std::thread::sleep(GLANCE);
    };
    progress.ended();
    if progress.stopped() {
        // Ctrl-C reaches the tool as well, and its complaint about that is of no interest.
        return Err(Obstacle::Stopped);
    }
    if status.success() { Ok(()) } else { Err(Obstacle::Source(trouble(&program, status, &complaints))) }
}

/// One line about a tool that failed: its first complaint that is not a warning.
fn trouble(program: &str, status: ExitStatus, complaints: &Path) -> String {
    let said = fs::read(complaints).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let is_warning = |line: &str| line.starts_with("W:") || line.to_lowercase().contains("warn");
    match said.lines().map(str::trim).find(|line| !line.is_empty() && !is_warning(line)) {
        Some(line) if line.starts_with(program) => line.to_owned(),
        Some(line) => format!("{program}: {line}"),
        None => format!("{program} failed: {status}"),
    }
}

fn stop(child: &mut Child) {
    // It may have ended by itself just now, which is as good.
    let _ = child.kill();
    let _ = child.wait();
}

fn largest_file(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => largest_file(&entry.path()),
        _ => entry.metadata().map_or(0, |data| data.len()),
    };
    entries.flatten().map(size).max().unwrap_or(0)
}

/// For `map_err` on file operations in the staging folder.
pub(super) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Obstacle {
    let make = DataError::io(action, path);
    move |error| Obstacle::Disk(make(error))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[derive(Default)]
    struct Watcher {
        seen: RefCell<Vec<u64>>,
        stop_at_bytes: Cell<Option<u64>>,
        stop: Cell<bool>,
    }

    impl Progress for Watcher {
        fn note(&self, _: &str) {}
        fn bytes(&self, _: &str, done: u64, _: u64) {
            self.seen.borrow_mut().push(done);
            self.stop.set(self.stop_at_bytes.get().is_some_and(|limit| done >= limit));
        }
        fn ended(&self) {}
        fn stopped(&self) -> bool {
            self.stop.get()
        }
    }

    fn shell(script: &str, watcher: &Watcher) -> Result<(), Obstacle> {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path(), watcher).unwrap();
        let download = Download { what: "it", size: 5 };
        run(Command::new("sh").args(["-c", script]), Some(&download), &staging, watcher)
    }

    #[test]
    fn a_failing_tool_is_quoted_in_one_line() {
        let cases = [
            ("echo 'npm warn old' >&2; echo 'curl: (6) no host' >&2; echo more >&2; exit 6", "sh: curl: (6) no host"),
            ("echo 'sh: bad thing' >&2; exit 1", "sh: bad thing"),
            ("exit 3", "sh failed: exit status: 3"),
        ];
        for (script, expected) in cases {
            match shell(script, &Watcher::default()) {
                Err(Obstacle::Source(trouble)) => assert_eq!(trouble, expected),
                other => panic!("{script}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_tool_finds_what_the_staging_folder_names_even_where_the_data_root_is_relative() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let relative = Path::new(".").join(dir.path().file_name().unwrap());
        let watcher = Watcher::default();
        let staging = Staging::open(&relative, &watcher).unwrap();
        fs::write(staging.path().join("archive"), "whole").unwrap();
        let mut copy = Command::new("cp");
        copy.args([staging.path().join("archive"), staging.path().join("copy")]);
        run(&mut copy, None, &staging, &watcher).unwrap();
        assert_eq!(fs::read(staging.path().join("copy")).unwrap(), b"whole");
    }

    #[test]
    fn a_missing_tool_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = Watcher::default();
        let staging = Staging::open(dir.path(), &watcher).unwrap();
        let result = run(&mut Command::new("no-such-tool-here"), None, &staging, &watcher);
        assert!(matches!(result, Err(Obstacle::Source(trouble)) if trouble == "no-such-tool-here is not installed"));
        assert!(is_installed("sh") && !is_installed("no-such-tool-here"));
    }

    #[test]
    fn growth_is_seen_and_a_stop_ends_the_tool() {
        let watcher = Watcher { stop_at_bytes: Cell::new(Some(5)), ..Watcher::default() };
        // Without the stop this would hang, as the tool never ends by itself.
        let result = shell("mkdir deep; printf 12345 > deep/file; exec sleep 1000000", &watcher);
        assert!(matches!(result, Err(Obstacle::Stopped)));
        assert_eq!(watcher.seen.borrow().last(), Some(&5));
    }
}
