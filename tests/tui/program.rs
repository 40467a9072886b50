//! The real program in a terminal of its own.

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use portable_pty::CommandBuilder;

use crate::terminal::{Terminal, linf_tui};

/// A store with one run that is held back, so that no worker is needed.
pub fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let added = Command::new(env!("CARGO_BIN_EXE_linf-tui"))
        .arg("--store")
        .arg(folder.path())
        .args(["add", "configs/mnist-cpu.toml", "--hold", "--tag", "quiet"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    folder
}

#[test]
fn opens_helps_survives_any_size_and_gives_the_terminal_back() {
    let store = store();
    let mut terminal = Terminal::start(linf_tui(store.path()), 24, 80);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("?");
    terminal.wait_for_text("Add a run or a sweep");
    terminal.type_keys("\x1b");
    terminal.wait_for("the list", |screen| !screen.contains("Add a run or a sweep"));
    for (rows, cols) in [(1, 1), (3, 7), (60, 200), (1, 200), (24, 80)] {
        terminal.resize(rows, cols);
    }
    terminal.wait_for_text("q quit");
    terminal.type_keys("\r");
    terminal.wait_for_text("Certs");
    terminal.type_keys("5");
    terminal.wait_for_text("784-512×4-10");
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn the_settings_decide_on_keys_and_a_fault_in_them_is_said_before_anything_is_opened() {
    let store = store();
    let folder = store.path().join("settings");
    std::fs::create_dir_all(folder.join("linf-tui")).unwrap();
    let file = folder.join("linf-tui/config.toml");
    std::fs::write(&file, "[keys]\nquit = \"ctrl-q\"\nhelp = \"f1\"\n").unwrap();
    let command = || {
        let mut command = linf_tui(store.path());
        command.env("XDG_CONFIG_HOME", &folder);
        command
    };
    let mut terminal = Terminal::start(command(), 24, 80);
    terminal.wait_for_text("^q quit");
    terminal.type_keys("q?\x1bOP");
    terminal.wait_for_text("Add a run or a sweep");
    terminal.type_keys("\x03\x11");
    assert_eq!(terminal.end(), 0);
    std::fs::write(&file, "[keys]\nquit = \"p\"\n").unwrap();
    let terminal = Terminal::start(command(), 24, 200);
    terminal.wait_for_text("config.toml:2: keys.quit");
    assert_eq!(terminal.end(), 1);
}

#[test]
fn the_mouse_is_listened_to_where_the_settings_say_so() {
    let store = store();
    let mut terminal = Terminal::start(linf_tui(store.path()), 24, 120);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("q");
    let bytes = terminal.bytes.clone();
    assert_eq!(terminal.end(), 0);
    assert!(!String::from_utf8_lossy(&bytes.lock().unwrap()).contains("\x1b[?1000"));
    let folder = store.path().join("settings");
    std::fs::create_dir_all(folder.join("linf-tui")).unwrap();
    std::fs::write(folder.join("linf-tui/config.toml"), "mouse = true\nalert = \"bell\"\n").unwrap();
    let mut command = linf_tui(store.path());
    command.env("XDG_CONFIG_HOME", &folder);
    let mut terminal = Terminal::start(command, 24, 120);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("\r");
    terminal.wait_for_text("Config");
    let header = terminal.text().lines().nth(1).unwrap().to_owned();
    let column = header[..header.find("Config").unwrap()].chars().count() + 1;
    // As terminals send it, counted from 1.
    terminal.type_keys(&format!("\x1b[<0;{column};2M\x1b[<0;{column};2m"));
    terminal.wait_for_text("784-512×4-10");
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn the_end_of_a_run_rings_and_notifies_where_the_settings_say_so() {
    let store = store();
    let folder = store.path().join("settings");
    std::fs::create_dir_all(folder.join("linf-tui")).unwrap();
    std::fs::write(folder.join("linf-tui/config.toml"), "alert = \"both\"\n").unwrap();
    let mut command = linf_tui(store.path());
    command.env("XDG_CONFIG_HOME", &folder);
    let mut terminal = Terminal::start(command, 24, 120);
    terminal.wait_for_text("brisk-otter");
    let cancelled = Command::new(env!("CARGO_BIN_EXE_linf-tui"))
        .arg("--store")
        .arg(store.path())
        .args(["cancel", "1"])
        .output()
        .unwrap();
    assert!(cancelled.status.success(), "{}", String::from_utf8_lossy(&cancelled.stderr));
    terminal.wait_for_text("brisk-otter is cancelled");
    let bytes = terminal.bytes.clone();
    let sent =
        || String::from_utf8_lossy(&bytes.lock().unwrap()).matches("\x07\x1b]9;brisk-otter is cancelled\x1b\\").count();
    terminal.wait_for("alert", |_| sent() > 0);
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
    assert_eq!(sent(), 1);
}

#[test]
fn chosen_columns_are_written_into_the_settings_and_hold_the_next_time() {
    let store = store();
    let folder = store.path().join("settings");
    std::fs::create_dir_all(folder.join("linf-tui")).unwrap();
    let file = folder.join("linf-tui/config.toml");
    std::fs::write(&file, "# mine\ntheme = \"dark\"\n").unwrap();
    let command = || {
        let mut command = linf_tui(store.path());
        command.env("XDG_CONFIG_HOME", &folder);
        command
    };
    let mut terminal = Terminal::start(command(), 24, 120);
    terminal.wait_for_text("brisk-otter");
    assert!(terminal.text().contains("data      net"));
    terminal.type_keys("Cj \r");
    terminal.wait_for_text("the columns are kept in");
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.starts_with("# mine\ntheme = \"dark\"\ncolumns = [\"run\", \"net\", "), "{kept}");
    let mut terminal = Terminal::start(command(), 24, 120);
    terminal.wait_for_text("brisk-otter");
    assert!(!terminal.text().contains("data      net") && terminal.text().contains("net"));
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_deleted_run_is_gone_with_its_folder_when_one_leaves_unless_it_was_taken_back() {
    for (keys, left) in [("Dyu", true), ("Dy", false)] {
        let store = store();
        let mut terminal = Terminal::start(linf_tui(store.path()), 24, 120);
        terminal.wait_for_text("brisk-otter");
        terminal.type_keys(keys);
        terminal.wait_for_text(if left {
            "brisk-otter: not deleted"
        } else {
            "1 about to be deleted, u takes it back"
        });
        assert!(store.path().join("1").exists(), "nothing is gone yet");
        terminal.type_keys("q");
        assert_eq!(terminal.end(), 0);
        assert_eq!(store.path().join("1").exists(), left, "{keys}");
    }
}

#[test]
fn a_filter_is_remembered_for_the_next_time() {
    let store = store();
    let mut terminal = Terminal::start(linf_tui(store.path()), 24, 120);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("/tag:qui\t\r");
    terminal.wait_for_text("1 of 1 runs");
    let file = store.path().join("state/linf-tui/filters");
    terminal.wait_for("file", |_| file.exists());
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "tag:quiet\n");
    let mut terminal = Terminal::start(linf_tui(store.path()), 24, 120);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("/\x1b[A");
    terminal.wait_for_text("filter tag:quiet");
    terminal.type_keys("\rq");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_config_is_changed_in_the_users_editor_and_read_again() {
    let store = store();
    let folder = store.path().join("my configs");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("mine.toml");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tui/mnist-cpu.toml"), &file).unwrap();
    let editor = store.path().join("editor");
    // It takes keys of its own, in a terminal as the shell would leave it to it.
    let script =
        "grep ^epochs \"$2\"; read answer; sed -i \"s/^epochs = .*/epochs = $answer/\" \"$2\"; test \"$1\" = -x";
    std::fs::write(&editor, format!("#!/bin/sh\n{script}\n")).unwrap();
    let mut command = linf_tui(store.path());
    command.env("LINF_CONFIGS", &folder);
    command.env("VISUAL", format!("sh '{}' -x", editor.display()));
    let mut terminal = Terminal::start(command, 40, 120);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("a");
    terminal.wait_for_text("120 epochs");
    let rounds =
        [("120", "177", "177 epochs"), ("177", "many", "mine.toml:17: not TOML"), ("many", "130", "130 epochs")];
    for (before, typed, shown) in rounds {
        terminal.type_keys("e");
        terminal.wait_for_text(&format!("epochs = {before}"));
        assert!(terminal.is_given_back());
        terminal.type_keys(&format!("{typed}\r"));
        terminal.wait_for_text(shown);
    }
    terminal.type_keys("\x03q");
    assert_eq!(terminal.end(), 0);
    assert!(std::fs::read_to_string(&file).unwrap().contains("epochs = 130"));
}

#[test]
fn a_note_reaches_the_store() {
    let store = store();
    let mut terminal = Terminal::start(linf_tui(store.path()), 40, 200);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("nstudy this\r");
    terminal.wait_for_text("the note is written");
    terminal.wait_for_text("study this");
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_hang_up_or_a_termination_gives_the_terminal_back() {
    for signal in ["TERM", "HUP", "INT"] {
        let store = store();
        let terminal = Terminal::start(linf_tui(store.path()), 24, 80);
        terminal.wait_for_text("brisk-otter");
        let pid = terminal.child.process_id().unwrap().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        assert_eq!(terminal.end(), 0, "{signal}");
    }
}

#[test]
fn an_idle_screen_sends_nothing() {
    let store = store();
    let mut terminal = Terminal::start(linf_tui(store.path()), 24, 80);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("?");
    terminal.wait_for_text("Add a run or a sweep");
    terminal.wait_for("end of the frame", |_| terminal.bytes.lock().unwrap().ends_with(b"\x1b[?2026l"));
    let before = terminal.bytes.lock().unwrap().len();
    // Three looks at the store, which has nothing new to say.
    thread::sleep(Duration::from_millis(1600));
    assert_eq!(terminal.bytes.lock().unwrap().len(), before);
    terminal.type_keys("?");
    terminal.wait_for("the list", |screen| !screen.contains("Add a run or a sweep"));
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_key_that_is_held_down_is_drawn_ten_times_a_second_at_most() {
    let store = store();
    let mut terminal = Terminal::start(linf_tui(store.path()), 24, 80);
    terminal.wait_for_text("brisk-otter");
    let frames = |terminal: &Terminal| {
        let bytes = terminal.bytes.lock().unwrap();
        bytes.windows(8).filter(|window| window == b"\x1b[?2026h").count()
    };
    let (before, began) = (frames(&terminal), Instant::now());
    for _ in 0..60 {
        // The help comes and goes, so that there is always something to draw.
        terminal.type_keys("?");
        thread::sleep(Duration::from_millis(15));
    }
    terminal.wait_for("the list", |screen| !screen.contains("Add a run or a sweep"));
    let drawn = frames(&terminal) - before;
    // One at once, and one whenever a tenth of a second is over.
    let most = began.elapsed().as_millis() as usize / 100 + 2;
    assert!((2..=most).contains(&drawn), "{drawn} frames, and {most} would be ten a second");
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let store = store();
    let output = Command::new(env!("CARGO_BIN_EXE_linf-tui")).arg("--store").arg(store.path()).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs a terminal"));
}

/// The child of the next test: takes the terminal over and panics.
#[test]
#[ignore = "started by a_panic_gives_the_terminal_back_and_leaves_a_report"]
fn child_that_panics() {
    let folder = std::env::var_os("LINF_TEST_FOLDER").unwrap();
    linf::tui::panic_report::install(folder.into());
    let _canvas = linf::tui::terminal::Canvas::take(true).unwrap();
    panic!("on purpose");
}

#[test]
fn a_panic_gives_the_terminal_back_and_leaves_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--exact", "program::child_that_panics", "--ignored", "--nocapture", "--test-threads", "1"]);
    command.env("LINF_TEST_FOLDER", folder.path());
    let terminal = Terminal::start(command, 24, 200);
    terminal.wait_for_text("A report lies in");
    assert_ne!(terminal.end(), 0);
    let report = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("on purpose") && report.contains("child_that_panics"), "{report}");
}
