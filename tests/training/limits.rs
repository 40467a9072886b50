//! The real trainer, forked, out of disk, out of time, with a broken run file.

use std::{thread::sleep, time::Duration};

use linf::{
    experiment::{FailReason, RunId, RunState},
    store::{CheckpointKind, RunReader},
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::{
    LONG, add, long, paused_midway, place,
    resume::{result, undisturbed},
    support::Place,
};

#[test]
fn a_fork_of_an_unchanged_config_ends_with_the_bits_of_its_parent() {
    let place = place();
    let id = add(&place, &["resources.milestone_epochs=16"]);
    place.until_word(id, "completed");
    let rows = place.checkpoints(id);
    let of = |kind| rows.iter().filter(|row| row.kind == kind).map(|row| row.step).collect::<Vec<_>>();
    // Phase switches at epochs 12 and 40, milestones at 16 and 32; 48 is the end. 20 steps an epoch.
    assert_eq!((of(CheckpointKind::Phase), of(CheckpointKind::Milestone)), (vec![240, 800], vec![320, 640]));
    let evals = evals(&place, id);
    let best = evals.iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).unwrap();
    assert!(rows.iter().any(|row| row.step == best.0), "the best net is kept: {evals:?}, {rows:?}");

    place.good(&["fork", &id.to_string(), "--step", "320"]);
    let child = RunId(id.0 + 1);
    place.until_word(child, "completed");
    assert_eq!(result(&place, child), result(&place, id));
}

fn evals(place: &Place, id: RunId) -> Vec<(u64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reader = RunReader::open(&place.run_dir(id)).await.unwrap().unwrap();
        reader.evals(0).await.unwrap().iter().map(|eval| (eval.step, eval.certified)).collect()
    })
}

#[test]
fn a_full_disk_stops_no_training_and_nothing_is_lost_when_there_is_room_again() {
    let place = place();
    let id = add(&place, &[]);
    let (_, worker) = place.until_step(id, 100);
    let pid = Pid::from_raw(worker.pid);
    // For this process every file is full from now on.
    let before = prlimit(pid, Resource::Fsize, Rlimit { current: Some(0), maximum: None }).unwrap();
    sleep(Duration::from_millis(2500));
    prlimit(pid, Resource::Fsize, before).unwrap();
    let row = place.until_word(id, "completed");
    assert_eq!(row.attempts, 1, "the same worker trained it to its end");
    let said = place.good(&["show", &id.to_string(), "--events"]);
    assert!(said.contains("nothing could be written; all of it is now"), "{said}");
    assert_eq!(result(&place, id), undisturbed(&["resources.threads=1"]));
}

#[test]
fn a_pause_on_a_full_disk_waits_for_room_and_loses_nothing() {
    let place = place();
    let id = add(&place, &LONG);
    let (_, worker) = place.until_step(id, 100);
    let pid = Pid::from_raw(worker.pid);
    let before = prlimit(pid, Resource::Fsize, Rlimit { current: Some(0), maximum: None }).unwrap();
    place.good(&["pause", "--no-wait", &id.to_string()]);
    place.until_word(id, "pausing");
    sleep(Duration::from_millis(1500));
    assert_eq!(place.row(id).state.identity(), Some(&worker), "it holds what it cannot write");
    prlimit(pid, Resource::Fsize, before).unwrap();
    let row = place.until_word(id, "paused");
    let RunState::Paused { checkpoint: Some(step) } = row.state else { panic!("{row:?}") };
    assert!(step >= 100 && place.checkpoints(id).last().unwrap().step == step, "{step}");
    place.good(&["resume", &id.to_string()]);
    place.until_word(id, "completed");
    assert_eq!(result(&place, id), undisturbed(&long(&["resources.threads=1"])));
}

/// The run file's log, where a reader kept the worker from clearing it away, would hold what the file no longer does.
fn forget_the_log(place: &Place, id: RunId) {
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(place.run_dir(id).join(format!("run.db{suffix}")));
    }
}

#[test]
fn a_garbled_run_file_costs_figures_and_no_training() {
    let place = place();
    let id = paused_midway(&place, &[]);
    let file = place.run_dir(id).join("run.db");
    forget_the_log(&place, id);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100..].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&file, &bytes).unwrap();
    let shown = place.good(&["show", &id.to_string()]);
    assert!(shown.contains("damaged") && shown.contains("sets this file aside"), "{shown}");
    place.good(&["resume", &id.to_string()]);
    place.until_word(id, "completed");
    let said = place.good(&["show", &id.to_string(), "--events"]);
    assert!(said.contains("Figures before this step are lost"), "{said}");
    assert_eq!(place.result(id), undisturbed(&long(&["resources.threads=1"])).0, "the net is the same to the bit");
    let kept: Vec<_> = std::fs::read_dir(place.run_dir(id)).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Beside it may lie what was left of its log.
    let is_file = |path: &std::path::Path| {
        let name = path.to_string_lossy();
        name.contains("run.db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    let kept = kept.iter().find(|path| is_file(path)).unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), bytes, "the broken file is kept");
}

#[test]
fn an_attempt_that_ends_while_it_recovers_costs_no_training() {
    let place = place();
    let id = paused_midway(&place, &[]);
    // It has set the damaged run file aside, and was killed before the new one knew of the checkpoints.
    let file = place.run_dir(id).join("run.db");
    std::fs::rename(&file, file.with_file_name("run.db.damaged-1700000000000")).unwrap();
    forget_the_log(&place, id);
    place.good(&["resume", &id.to_string()]);
    place.until_word(id, "completed");
    let said = place.good(&["show", &id.to_string(), "--events"]);
    assert!(
        said.contains("Figures before this step are lost") && said.contains("resumes from the checkpoint"),
        "{said}"
    );
    assert_eq!(place.result(id), undisturbed(&long(&["resources.threads=1"])).0, "the net is the same to the bit");
}

#[test]
fn a_run_out_of_time_stands_at_a_checkpoint() {
    let place = place();
    let id = add(&place, &["resources.time_limit_seconds=1", "train.epochs=2000"]);
    let row = place.until_word(id, "failed");
    let RunState::Failed { reason: FailReason::TimeLimit { seconds: 1, checkpoint: Some(step) } } = row.state else {
        panic!("{row:?}")
    };
    assert_eq!(place.checkpoints(id).last().unwrap().step, step);
}
