//! The real program in terminals that can little, are slow, or never hold still.

use std::{thread::sleep, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::store;
use crate::terminal::{Terminal, linf_tui};

#[test]
fn a_terminal_of_plain_letters_without_colour_is_enough() {
    let store = store();
    let mut command = linf_tui(store.path());
    command.env("LANG", "C");
    command.env("NO_COLOR", "1");
    command.env_remove("TERM");
    let mut terminal = Terminal::start(command, 24, 80);
    terminal.wait_for_text("brisk-otter");
    terminal.type_keys("q");
    let bytes = terminal.bytes.clone();
    assert_eq!(terminal.end(), 0);
    let bytes = bytes.lock().unwrap();
    assert!(bytes.is_ascii());
    let text = String::from_utf8_lossy(&bytes);
    let colours = (30..=37).chain(40..=47).chain(90..=97).chain(100..=107).map(|code| code.to_string());
    for code in colours.chain(["38".into(), "48".into()]) {
        assert!(!text.contains(&format!("\x1b[{code}m")) && !text.contains(&format!("\x1b[{code};")), "colour {code}");
    }
}

#[test]
fn a_line_of_a_thousand_bytes_a_second_is_slow_and_no_more() {
    let store = store();
    let mut terminal = Terminal::start_with(linf_tui(store.path()), 12, 50, |reader, buffer| {
        sleep(Duration::from_millis(50));
        reader.read(&mut buffer[..50])
    });
    terminal.wait_for_text("brisk-otter");
    // More than the line can show in time; what is typed counts all the same. ^c closes the help: an escape whose next
    // key comes in the same read would be Alt and that key.
    for _ in 0..10 {
        terminal.type_keys("?\x03");
    }
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_storm_of_sizes_and_stops_is_survived() {
    let store = store();
    let mut terminal = Terminal::start(linf_tui(store.path()), 24, 80);
    terminal.wait_for_text("brisk-otter");
    let pid = terminal.child.process_id().unwrap();
    for round in 0..5u16 {
        for index in 1..=20 {
            terminal.resize(1 + (index * 37 + round) % 200, 1 + (index * 131 + 7 * round) % 500);
        }
        send(pid, Signal::TSTP);
        terminal.wait_for("stop", |_| letter(pid) == Some('T'));
        terminal.wait_for("terminal as it was before", |_| terminal.is_given_back());
        terminal.resize(24, 80);
        send(pid, Signal::CONT);
        terminal.wait_for("screen again", |screen| !terminal.is_given_back() && screen.contains("brisk-otter"));
    }
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// What the process does: `T` while it is stopped.
fn letter(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat[stat.rfind(')')? + 1..].trim_start().chars().next()
}
