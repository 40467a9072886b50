//! Clients that come and go: many at once, and some whose terminal closes.

use std::process::Stdio;

use linf::experiment::RunId;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::support::{Place, eventually};

#[test]
fn a_closed_terminal_stops_nothing() {
    let place = Place::new();
    let config = place.config("config.toml", 40, "step-ms=10");
    let terminal = native_pty_system().openpty(PtySize::default()).unwrap();
    let plain = place.linf(&["add", config.to_str().unwrap(), "--follow"]);
    let mut command = CommandBuilder::new(plain.get_program());
    command.args(plain.get_args());
    command.cwd(place.dir());
    for (key, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        }
    }
    let mut client = terminal.slave.spawn_command(command).unwrap();
    drop(terminal.slave);
    let (_, worker) = place.until_step(RunId(1), 5);
    // The session's terminal goes: the kernel sends SIGHUP to everybody in it.
    drop(terminal.master);
    eventually("the client ends", || client.try_wait().unwrap());
    let row = place.until_word(RunId(1), "completed");
    assert_eq!(row.attempts, 1, "the worker {worker:?} was disturbed");
}

#[test]
fn many_who_add_at_once_get_one_dispatcher() {
    let place = Place::new();
    let config = place.config("config.toml", 2, "step-ms=2");
    let adders: Vec<_> =
        (0..6).map(|_| place.linf(&["add", config.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut adder in adders {
        assert!(adder.wait().unwrap().success());
    }
    for id in 1..=6 {
        let row = place.until_word(RunId(id), "completed");
        assert_eq!(row.attempts, 1);
    }
    place.until_idle();
    // With one slot, each worker ends before the next begins.
    let mut spans: Vec<(i64, i64)> =
        (1..=6).map(|id| place.row(RunId(id))).map(|row| (row.started_ms.unwrap(), row.ended_ms.unwrap())).collect();
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
}

#[test]
fn two_slots_train_two_runs() {
    let place = Place::new().with_slots(2);
    let config = place.config("config.toml", 100, "step-ms=10");
    for _ in 0..3 {
        place.good(&["add", config.to_str().unwrap()]);
    }
    place.until_step(RunId(1), 1);
    place.until_step(RunId(2), 1);
    assert_eq!(place.row(RunId(3)).state.word(), "queued");
    place.good(&["cancel", "--now", "1", "2", "3"]);
}

#[test]
fn a_second_dispatcher_leaves_at_once() {
    let place = Place::new();
    let id = place.add(200, "step-ms=10");
    place.until_step(id, 1);
    assert!(place.good(&["dispatch"]).contains("another dispatcher works on this store already"));
    place.good(&["cancel", "--now", &id.to_string()]);
}
