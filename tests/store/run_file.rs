//! A run file: what is written is read, whatever happens to the writer.

use std::{fs, path::Path};

use linf::{
    experiment::Phase,
    store::{CheckpointKind, Gauge, Outcome, RunReader, StepPoint},
};
use proptest::prelude::*;

use crate::example::{self, attempt, config, epoch, eval, loss, point, reader, schedules, writer};

#[tokio::test]
async fn what_is_logged_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "a");
    (1..=25).for_each(|step| writer.steps(point(step)));
    (0..2).for_each(|number| writer.epoch(epoch(number)));
    let (row, margins) = eval(20, 0.7);
    writer.eval(row.clone(), margins.clone());
    writer.event(Some(20), "eval", "certified 70 %");
    writer.event(None, "attempt", "began");
    let checkpoint = example::checkpoint(dir.path(), 20, CheckpointKind::Phase);
    writer.checkpoint(checkpoint.clone());
    writer.flush().unwrap();

    let reader = reader(dir.path()).await;
    assert_eq!(reader.config().await.unwrap(), config());
    assert_eq!(reader.epochs(0).await.unwrap(), [epoch(0), epoch(1)]);
    assert_eq!(reader.epochs(1).await.unwrap(), [epoch(1)]);
    let evals = reader.evals(0).await.unwrap();
    assert_eq!(evals, [linf::store::EvalRow { id: 1, ..row }]);
    assert!(reader.evals(2).await.unwrap().is_empty());
    assert_eq!(reader.margins(1).await.unwrap(), Some(margins));
    assert_eq!(reader.margins(2).await.unwrap(), None);
    assert_eq!(reader.checkpoints().await.unwrap(), [checkpoint]);
    let (events, next) = reader.events(0).await.unwrap();
    assert_eq!(
        events.iter().map(|event| (event.step, event.kind.as_str())).collect::<Vec<_>>(),
        [(Some(20), "eval"), (None, "attempt")]
    );
    assert_eq!(reader.events(next).await.unwrap(), (vec![], next));
    let names = reader.series_names().await.unwrap();
    assert_eq!(names, ["loss", "accuracy", "p", "lr", "lambda", "epoch", "seconds"]);
    let losses = reader.series("loss", 0, u64::MAX, 1000).await.unwrap();
    assert_eq!(
        losses.iter().map(|bin| (bin.step, bin.mean)).collect::<Vec<_>>(),
        (1..=25).map(|step| (step, loss(step))).collect::<Vec<_>>()
    );
    assert!(reader.series("nonsense", 0, u64::MAX, 1000).await.unwrap().is_empty());
    assert!(reader.series("loss", 26, u64::MAX, 1000).await.unwrap().is_empty());
    assert_eq!(reader.outcome("a").await.unwrap(), None);
    assert_eq!(writer.status(), Default::default());

    let revision = reader.revision().await.unwrap();
    assert_eq!(reader.revision().await.unwrap(), revision);
    writer.finish(Outcome::Stopped { checkpoint: Some(20) }).unwrap();
    assert_ne!(reader.revision().await.unwrap(), revision);
    assert_eq!(reader.outcome("a").await.unwrap(), Some(Outcome::Stopped { checkpoint: Some(20) }));
    assert_eq!(reader.outcome("b").await.unwrap(), None);
}

#[tokio::test]
async fn a_checkpoint_is_of_the_attempt_that_wrote_it() {
    let dir = tempfile::tempdir().unwrap();
    for (nonce, step) in [("a", Some(20)), ("b", None), ("c", Some(40))] {
        let writer = writer(dir.path(), nonce);
        if let Some(step) = step {
            writer.checkpoint(example::checkpoint(dir.path(), step, CheckpointKind::Phase));
        }
        writer.flush().unwrap();
        let reader = reader(dir.path()).await;
        assert_eq!(reader.wrote_a_checkpoint(nonce).await.unwrap(), step.is_some(), "{nonce}");
        assert!(!reader.wrote_a_checkpoint("another").await.unwrap());
    }
    // To write the same checkpoint again is no progress.
    let again = writer(dir.path(), "d");
    again.checkpoint(example::checkpoint(dir.path(), 20, CheckpointKind::Phase));
    again.flush().unwrap();
    let reader = reader(dir.path()).await;
    let found = [reader.wrote_a_checkpoint("a").await.unwrap(), reader.wrote_a_checkpoint("d").await.unwrap()];
    assert_eq!(found, [true, false]);
}

#[tokio::test]
async fn radii_are_kept_where_they_were_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "a");
    let (row, margins) = eval(20, 0.75);
    writer.eval(row.clone(), margins);
    let with = linf::store::Margins { radius: vec![0.25, -1.0, 0.0625], ..eval(30, 0.75).1 };
    writer.eval(linf::store::EvalRow { step: 30, ..row }, with.clone());
    writer.flush().unwrap();
    let reader = reader(dir.path()).await;
    assert!(reader.margins(1).await.unwrap().unwrap().radius.is_empty());
    assert_eq!(reader.margins(2).await.unwrap().unwrap(), with);
}

#[tokio::test]
async fn a_run_without_a_file_is_none() {
    let dir = tempfile::tempdir().unwrap();
    assert!(RunReader::open(dir.path()).await.unwrap().is_none());
    fs::write(dir.path().join("run.db"), "").unwrap();
    assert!(RunReader::open(dir.path()).await.unwrap().is_none(), "its worker is about to create it");
}

#[tokio::test]
async fn infinite_p_and_a_loss_that_is_no_number_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "a");
    writer.steps(StepPoint { loss: f64::NAN, ..point(95) });
    writer.steps(StepPoint { loss: f64::NEG_INFINITY, ..point(96) });
    writer.flush().unwrap();
    writer.steps(StepPoint { loss: f64::INFINITY, ..point(97) });
    writer.epoch(linf::store::EpochRow { loss: f64::NAN, ..epoch(9) });
    writer.flush().unwrap();
    let reader = reader(dir.path()).await;
    assert_eq!(reader.series("p", 0, u64::MAX, 10).await.unwrap()[0].mean, f64::INFINITY);
    assert_eq!(reader.series("loss", 0, u64::MAX, 10).await.unwrap()[0].max, f64::INFINITY);
    assert_eq!(reader.epochs(0).await.unwrap()[0].loss, f64::INFINITY);
}

#[tokio::test]
async fn a_long_curve_is_cut_into_bins_that_keep_its_extremes() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "a");
    let steps = 30_000u64;
    (1..=steps)
        .for_each(|step| writer.steps(StepPoint { loss: if step == 12_345 { 99.0 } else { 1.0 }, ..point(step) }));
    writer.flush().unwrap();
    let reader = reader(dir.path()).await;
    for max_bins in [1, 7, 100, 300, 1000, 5000] {
        let bins = reader.series("loss", 0, u64::MAX, max_bins).await.unwrap();
        assert!(bins.len() <= max_bins && bins.len() >= max_bins / 4, "{} of {max_bins}", bins.len());
        let peak = bins.iter().position(|bin| bin.max == 99.0).unwrap();
        assert!(bins[peak].step <= 12_345 && bins.get(peak + 1).is_none_or(|next| next.step > 12_345));
        assert!(bins.iter().all(|bin| bin.min == 1.0 || bin.step == 12_345));
        let mean = bins.iter().enumerate().filter(|(i, _)| *i != peak).all(|(_, bin)| bin.mean == 1.0);
        assert!(mean && bins[peak].mean > 1.0);
    }
    let window = reader.series("loss", 500, 520, 1000).await.unwrap();
    assert_eq!((window.len(), window[0].step), (21, 500));
}

#[tokio::test]
async fn truncating_leaves_no_step_twice_and_the_rollups_right() {
    let dir = tempfile::tempdir().unwrap();
    let first = writer(dir.path(), "a");
    (1..=1234).for_each(|step| first.steps(StepPoint { loss: 5.0, ..point(step) }));
    (0..12).for_each(|number| first.epoch(epoch(number)));
    let kept = example::checkpoint(dir.path(), 550, CheckpointKind::Phase);
    first.checkpoint(kept.clone());
    first.checkpoint(example::checkpoint(dir.path(), 1200, CheckpointKind::Phase));
    for step in [50, 80] {
        let (row, margins) = eval(step, 0.5);
        first.eval(row, margins);
        first.event(Some(step), "eval", "done");
    }
    first.event(None, "attempt", "not tied to a step");
    drop(first);

    let second = writer(dir.path(), "b");
    second.truncate_after(75).unwrap();
    second.truncate_after(75).unwrap();
    {
        let reader = reader(dir.path()).await;
        assert_eq!(reader.epochs(0).await.unwrap().len(), 7);
        assert_eq!(reader.evals(0).await.unwrap().len(), 1);
        assert!(reader.margins(2).await.unwrap().is_none());
        assert!(reader.checkpoints().await.unwrap().is_empty());
        assert_eq!(reader.events(0).await.unwrap().0.len(), 2);
        assert_eq!(reader.series("loss", 0, u64::MAX, 10_000).await.unwrap().len(), 75);
    }
    (70..=1234).for_each(|step| second.steps(StepPoint { loss: 2.0, ..point(step) }));
    second.flush().unwrap();
    assert_eq!(second.status().ignored_steps, 6, "steps 70 to 75 stand already");
    let reader = reader(dir.path()).await;
    let steps: Vec<u64> =
        reader.series("loss", 0, u64::MAX, 100_000).await.unwrap().into_iter().map(|bin| bin.step).collect();
    assert_eq!(steps, (1..=1234).collect::<Vec<_>>());
    // 13 bins of 100 steps: the roll-ups. The first holds steps 1 to 75 of the first attempt, 76 to 99 of the second.
    let rollups = reader.series("loss", 0, u64::MAX, 13).await.unwrap();
    assert_eq!((rollups[0].min, rollups[0].max), (2.0, 5.0));
    assert!((rollups[0].mean - (75.0 * 5.0 + 24.0 * 2.0) / 99.0).abs() < 1e-12);
    assert!(rollups[1..].iter().all(|bin| (bin.min, bin.max, bin.mean) == (2.0, 2.0, 2.0)), "{rollups:?}");
}

#[tokio::test]
async fn gauges_say_one_thing_a_step_and_go_back_with_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "a");
    for step in 1..=300 {
        writer.steps(point(step));
        if step % 50 == 0 {
            writer.gauge(step, Gauge::Cores, step as f64);
            writer.gauge(step, Gauge::Cores, 1e9);
        }
    }
    writer.gauge(300, Gauge::Counting, 0.25);
    writer.flush().unwrap();
    let read = async |name: &str, bins| {
        let read = reader(dir.path()).await.series(name, 0, u64::MAX, bins).await.unwrap();
        read.into_iter().map(|bin| (bin.step, bin.mean)).collect::<Vec<_>>()
    };
    let all: Vec<_> = (1..=6).map(|n| (n * 50, (n * 50) as f64)).collect();
    assert_eq!(read("cores", 1000).await, all);
    // From the roll-ups: hundreds of steps.
    assert_eq!(read("cores", 4).await, [(0, 50.0), (100, 125.0), (200, 225.0), (300, 300.0)]);
    assert_eq!(read("counting", 1000).await, [(300, 0.25)]);
    writer.truncate_after(120).unwrap();
    assert_eq!(read("cores", 1000).await, all[..2]);
    assert!(read("counting", 1000).await.is_empty());
    writer.gauge(150, Gauge::Cores, 7.0);
    writer.flush().unwrap();
    assert_eq!(read("cores", 1000).await, [(50, 50.0), (100, 100.0), (150, 7.0)]);
}

#[tokio::test]
async fn old_checkpoints_give_way_to_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "a");
    let kinds = [CheckpointKind::Periodic, CheckpointKind::Phase, CheckpointKind::Periodic, CheckpointKind::Stop];
    for (step, kind) in (1..).zip(kinds) {
        writer.checkpoint(example::checkpoint(dir.path(), step, kind));
    }
    writer.flush().unwrap();
    // The config keeps two under way; the one at the phase switch stays as well.
    let rows = reader(dir.path()).await.checkpoints().await.unwrap();
    assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), [2, 3, 4]);
    let mut files: Vec<_> =
        fs::read_dir(dir.path().join("checkpoints")).unwrap().map(|e| e.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, rows.iter().map(|row| row.file.as_str()).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_summary_follows_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), "a");
    writer.flush().unwrap();
    let reader = reader(dir.path()).await;
    let summary = reader.summary(&schedules()).await.unwrap();
    assert_eq!((summary.step, summary.steps, summary.eta_seconds), (0, 100, None));
    assert_eq!(summary.device, "CPU, libtorch");
    (1..=35).for_each(|step| writer.steps(point(step)));
    (0..3).for_each(|number| writer.epoch(epoch(number)));
    let (row, margins) = eval(30, 0.75);
    writer.eval(row, margins);
    writer.flush().unwrap();
    let summary = reader.summary(&schedules()).await.unwrap();
    assert_eq!((summary.step, summary.epoch, summary.phase), (35, 3.5, Some(Phase::Ramp)));
    assert_eq!((summary.loss, summary.certified, summary.best_certified), (Some(0.5), Some(0.75), Some((0.75, 3.0))));
    assert_eq!((summary.steps_per_second, summary.train_seconds), (Some(4.0), 3.0 * 2.5 + 5.0 * 0.25));
    assert!((summary.eta_seconds.unwrap() - 65.0 * 0.25).abs() < 1e-9);
    assert!(summary.heartbeat_ms.unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn a_nonce_is_used_once() {
    let dir = tempfile::tempdir().unwrap();
    drop(writer(dir.path(), "a"));
    assert!(linf::store::RunWriter::open(dir.path(), &config(), attempt("a")).is_err());
}

/// Copies a run file as it lies on the disk while its writer is at work: what a `kill -9` would leave.
fn copy_as_killed(from: &Path, to: &Path) {
    for name in ["run.db", "run.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[derive(Clone, Debug)]
enum Action {
    Steps(u64),
    Epoch,
    Flush,
    /// The process dies and the next attempt resumes from the last flushed step or an earlier one.
    Kill {
        back: u64,
    },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1u64..150).prop_map(Action::Steps),
        1 => Just(Action::Epoch),
        2 => Just(Action::Flush),
        1 => (0u64..120).prop_map(|back| Action::Kill { back }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever the interleaving: no flushed step is missing, none stands twice, and the roll-ups agree with the points.
    #[test]
    fn no_flushed_step_is_lost_and_none_stands_twice(actions in prop::collection::vec(action(), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut dir = tempfile::tempdir().unwrap();
        let (mut step, mut flushed, mut attempts) = (0u64, 0u64, 0u32);
        let mut writer = Some(example::writer(dir.path(), "0"));
        for action in actions {
            let pen = writer.as_ref().unwrap();
            match action {
                Action::Steps(n) => {
                    (step + 1..=step + n).for_each(|step| pen.steps(point(step)));
                    step += n;
                }
                Action::Epoch => pen.epoch(linf::store::EpochRow { step, ..epoch(1) }),
                Action::Flush => {
                    pen.flush().unwrap();
                    flushed = step;
                }
                Action::Kill { back } => {
                    let next = tempfile::tempdir().unwrap();
                    copy_as_killed(dir.path(), next.path());
                    drop(writer.take());
                    dir = next;
                    let read = runtime.block_on(async { reader(dir.path()).await.series("loss", 0, u64::MAX, 1_000_000).await.unwrap() });
                    let last = read.last().map_or(0, |bin| bin.step);
                    prop_assert!((flushed..=step).contains(&last), "{last} is not from {flushed} to {step}");
                    attempts += 1;
                    step = last.saturating_sub(back);
                    let pen = example::writer(dir.path(), &attempts.to_string());
                    pen.truncate_after(step).unwrap();
                    flushed = step;
                    writer = Some(pen);
                }
            }
        }
        drop(writer.take());
        let (points, rollups) = runtime.block_on(async {
            let reader = reader(dir.path()).await;
            let bins = (step / 100 + 1) as usize;
            (reader.series("loss", 0, u64::MAX, 1_000_000).await.unwrap(), reader.series("loss", 0, u64::MAX, bins).await.unwrap())
        });
        let steps: Vec<u64> = points.iter().map(|bin| bin.step).collect();
        prop_assert_eq!(steps, (1..=step).collect::<Vec<_>>());
        for (bin, points) in rollups.iter().zip(points.chunk_by(|a, b| a.step / 100 == b.step / 100)) {
            let max = points.iter().map(|point| point.max).fold(f64::MIN, f64::max);
            let mean = points.iter().map(|point| point.mean).sum::<f64>() / points.len() as f64;
            prop_assert!(bin.max == max && (bin.mean - mean).abs() < 1e-9, "{bin:?}: {max} {mean}");
        }
    }
}
