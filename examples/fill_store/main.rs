//! Fills a store with made-up runs, for demonstrations and benches of the screens:
//! `cargo run --release --no-default-features --example fill_store -- DIR --runs 40 --points 200000`
//!
//! Twelve runs have curves, margins and checkpoint rows; the first has as many steps as `--points` says. All others have a row in
//! the catalog only. Nothing in it was measured.

mod believable;

use std::path::PathBuf;

use anyhow::{Context, Result};
use believable::Story;
use clap::Parser;
use linf::experiment::{
    Device, FailReason, PNorm, Progress, RunId, RunState, WaitReason, WorkerIdentity, expand, parse_with,
};
use linf::store::{Attempt, CheckpointKind, CheckpointRow, NewRun, Outcome, RunWriter, StepPoint, Store};

#[derive(Parser)]
struct Args {
    /// The folder to become a store.
    dir: PathBuf,
    /// How many runs.
    #[arg(long, default_value_t = 40)]
    runs: usize,
    /// Steps of the first run.
    #[arg(long, default_value_t = 28_200)]
    points: u64,
    /// Test images whose margins are stored.
    #[arg(long, default_value_t = 10_000)]
    samples: u32,
}

const MNIST: &str = include_str!("../../configs/mnist-cpu.toml");
const FASHION: &str = include_str!("../../configs/fashion-cpu.toml");
const CIFAR: &str = include_str!("../../configs/iclr2022-cifar10-eps8-255.toml");
/// Runs that have a run file.
const WHOLE: usize = 12;

/// What becomes of a run.
enum End {
    Running,
    Queued,
    Paused,
    Completed,
    Failed,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let store = Store::open(&args.dir).await?;
    let mut plan = plan(&args)?;
    let new = plan.iter().map(|(run, ..)| run.clone()).collect();
    let ids = store.catalog().add_many(new).await?;
    for (index, (id, (_, story, end))) in ids.into_iter().zip(&mut plan).enumerate() {
        if index < WHOLE && story.epochs > 0 {
            write_run_file(&store, id, story)?;
            store.catalog().set_device(id, Device::Cpu).await?;
        }
        settle(&store, id, story, end).await?;
    }
    println!("{} runs in {}", plan.len(), args.dir.display());
    Ok(())
}

/// The runs, their stories, and how each ended.
fn plan(args: &Args) -> Result<Vec<(NewRun, Story, End)>> {
    let story = |config, seed, epochs, reaches| Story { config, seed, epochs, reaches, samples: args.samples };
    let config = |text: &str, sets: &[String]| parse_with(text, "made up", sets).context("a config");
    let epochs = (args.points / 235).max(20);
    let long = [
        format!("train.epochs={epochs}"),
        format!("schedule.ramp_start={}", epochs as f64 * 0.12),
        format!("schedule.ramp_end={}", epochs as f64 * 0.89),
    ];
    let mut plan = Vec::new();
    let first = config(MNIST, &long)?;
    plan.push((NewRun::new(first.clone(), MNIST), story(first, 1, (epochs * 5 / 8) as u32, 0.914), End::Running));
    let fashion = config(FASHION, &[])?;
    plan.push((NewRun::new(fashion.clone(), FASHION), story(fashion, 2, 7, 0.745), End::Running));
    let wide = config(MNIST, &["model.width=1024".into()])?;
    plan.push((NewRun::new(wide.clone(), MNIST), story(wide, 3, 0, 0.9), End::Queued));
    for (index, sets) in expand(&["loss.lambda=0.02,0.05,0.1,0.5".into()], &[])?.into_iter().enumerate() {
        let config = config(MNIST, &sets)?;
        let run =
            NewRun { group: Some("mnist-cpu".into()), variant: sets.join(" "), ..NewRun::new(config.clone(), MNIST) };
        let (epochs, end) = if index == 3 { (21, End::Failed) } else { (120, End::Completed) };
        plan.push((run, story(config, 4 + index as u64, epochs, 0.913 - index as f64 * 0.0035), end));
    }
    let cifar = config(CIFAR, &[])?;
    let run = NewRun { note: "baseline for the paper".into(), ..NewRun::new(cifar.clone(), CIFAR) };
    plan.push((run, story(cifar, 8, 488, 0.40), End::Paused));
    for seed in plan.len() as u64..args.runs as u64 {
        let config = config(MNIST, &[format!("train.seed={seed}")])?;
        let reaches = 0.900 + 0.015 * (seed as f64 * 0.37).sin();
        plan.push((NewRun::new(config.clone(), MNIST), story(config, seed, 120, reaches), End::Completed));
    }
    plan.truncate(args.runs);
    Ok(plan)
}

fn write_run_file(store: &Store, id: RunId, story: &Story) -> Result<()> {
    let attempt = Attempt {
        nonce: "made-up".into(),
        identity: identity(),
        device: "CPU, avx512, 2 threads".into(),
        threads: 2,
        program: "fill_store".into(),
        steps_per_epoch: story.steps_per_epoch(),
    };
    let writer = RunWriter::open(&store.run_dir(id), &story.config, attempt)?;
    let per_epoch = story.steps_per_epoch();
    let mut gauges = story.gauges().into_iter().peekable();
    let mut evals = story.evals().into_iter().peekable();
    for epoch in story.epochs() {
        for step in epoch.step - per_epoch + 1..=epoch.step {
            let at = step as f64 / per_epoch as f64;
            writer.steps(StepPoint {
                step,
                epoch: at,
                p: epoch.p,
                lr: epoch.lr,
                lambda: epoch.lambda,
                loss: story.step_loss(at, step),
                accuracy: epoch.accuracy,
                seconds: epoch.seconds / per_epoch as f64,
            });
        }
        while let Some((step, gauge, value)) = gauges.next_if(|(step, ..)| *step <= epoch.step) {
            writer.gauge(step, gauge, value);
        }
        if epoch.epoch % 20 == 14 {
            writer.checkpoint(CheckpointRow {
                step: epoch.step,
                epoch: f64::from(epoch.epoch + 1),
                p: epoch.p,
                kind: if epoch.epoch == 14 { CheckpointKind::Phase } else { CheckpointKind::Periodic },
                file: format!("{}.db", epoch.step),
                bytes: 18_300_000,
                hash: format!("{:016x}", epoch.step.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
                time_ms: epoch.time_ms,
            });
        }
        let done = f64::from(epoch.epoch + 1);
        writer.epoch(epoch);
        if let Some(eval) = evals.next_if(|eval| eval.epoch <= done) {
            let margins = story.margins(&eval);
            writer.eval(eval, margins);
        }
    }
    writer.event(Some(0), "attempt", "made up by fill_store");
    writer.finish(Outcome::Completed)?;
    Ok(())
}

async fn settle(store: &Store, id: RunId, story: &Story, end: &End) -> Result<()> {
    let catalog = store.catalog();
    let Some(row) = catalog.run(id).await? else { return Ok(()) };
    let summary = story.summary();
    let progress = Progress { step: summary.step, epoch: summary.epoch, p: summary.p.unwrap_or(PNorm::INFINITY) };
    let states = match end {
        End::Queued => vec![RunState::Queued { reason: WaitReason::Slot { held_by: vec![RunId(1), RunId(2)] } }],
        End::Running => vec![starting(), RunState::Running { identity: identity(), progress, retry: 0 }],
        End::Paused => vec![starting(), RunState::Paused { checkpoint: Some(summary.step) }],
        End::Completed => vec![starting(), RunState::Completed],
        End::Failed => {
            let reason = FailReason::NotFinite { step: summary.step, p: progress.p, what: "loss".into() };
            vec![starting(), RunState::Failed { reason }]
        }
    };
    let mut from = row.state;
    for to in states {
        catalog.transition(id, &from, &to, "made up by fill_store").await?;
        from = to;
    }
    catalog.set_summary(id, &summary).await?;
    Ok(())
}

fn starting() -> RunState {
    RunState::Starting { identity: Some(identity()), since_ms: believable::START_MS, retry: 0 }
}

/// No process has this identity.
fn identity() -> WorkerIdentity {
    WorkerIdentity { pid: i32::MAX, start_ticks: 0, boot_id: "none".into(), nonce: "made-up".into() }
}
