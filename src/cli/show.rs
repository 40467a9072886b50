//! `linf-tui show`: everything about one run.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::{
    Exit, Place,
    place::{json, line},
};
use crate::{
    experiment::RunState,
    report::{
        figures::{accuracy, duration, of_held_out, time},
        standing::standing,
    },
    store::{AttemptRow, CheckpointRow, EventRow, RunReader, RunRow, Store, StoreError, now_ms},
};

/// Show a run: where it stands and why, its figures, its files, and what happened to it.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The run.
    run: String,
    /// Print every event: all that the queue and its workers did with it.
    #[arg(long)]
    events: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How many events are printed unless all are asked for.
const EVENTS: usize = 12;

/// All that is known of a run.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: RunRow,
    standing: String,
    folder: String,
    log: String,
    #[serde(flatten)]
    past: Past,
}

/// What the run file holds beside figures.
#[derive(Default, Serialize)]
struct Past {
    /// The workers that took it, oldest first, each with the program that it was.
    workers: Vec<AttemptRow>,
    checkpoints: Vec<CheckpointRow>,
    /// With those of the queue.
    events: Vec<EventRow>,
}

pub async fn run(args: ShowArgs, place: &Place) -> Result<Exit> {
    let store = place.look().await?;
    let shown = gather(&store, &args.run).await?;
    if args.json {
        json(&shown)?;
    } else if args.events {
        line(list(&shown.past.events).trim_end())?;
    } else {
        line(text(&shown).trim_end())?;
    }
    Ok(Exit::Done)
}

async fn gather(store: &Store, word: &str) -> Result<Shown> {
    let row = store.catalog().find(word).await?;
    let mut holders = Vec::new();
    if let RunState::Queued { reason } = &row.state {
        for id in reason.runs() {
            holders.extend(store.catalog().run(*id).await?);
        }
    }
    let dir = store.run_dir(row.id);
    let journal = store.catalog().journal(row.id).await?;
    let mut past = match past(&dir).await {
        Ok(past) => past,
        // What the catalog knows of a run is shown all the same.
        Err(error) if error.is_damage() => {
            let row = EventRow { time_ms: now_ms(), step: None, kind: "alarm".into(), text: error.to_string() };
            Past { events: vec![row], ..Past::default() }
        }
        Err(error) => return Err(error.into()),
    };
    past.events.splice(0..0, journal);
    past.events.sort_by_key(|event| event.time_ms);
    Ok(Shown {
        standing: standing(&row, now_ms(), |id| holders.iter().find(|holder| holder.id == id)),
        folder: dir.display().to_string(),
        log: dir.join("train.log").display().to_string(),
        row,
        past,
    })
}

async fn past(dir: &Path) -> Result<Past, StoreError> {
    let Some(reader) = RunReader::open(dir).await? else { return Ok(Past::default()) };
    Ok(Past {
        workers: reader.attempts().await?,
        checkpoints: reader.checkpoints().await?,
        events: reader.events(0).await?.0,
    })
}

fn list(events: &[EventRow]) -> String {
    events.iter().map(|event| format!("  {}  {:<10} {}\n", time(event.time_ms), event.kind, event.text)).collect()
}

fn text(shown: &Shown) -> String {
    let Shown { row, past, .. } = shown;
    let (summary, config) = (&row.summary, &row.config);
    let mut text = format!("#{} {}: {}\n", row.id, row.name, shown.standing);
    let mut fact = |name: &str, value: String| {
        // Words that somebody else wrote may hold what a terminal obeys.
        let value = value.replace(char::is_control, " ");
        if !value.is_empty() {
            text.push_str(&format!("  {name:<12} {value}\n"));
        }
    };
    fact("title", config.run.title.clone());
    fact("group", row.group.as_ref().map_or_else(String::new, |group| format!("{group} ({})", row.variant)));
    fact("parent", row.parent.as_ref().map_or_else(String::new, ToString::to_string));
    fact("priority", if row.turn.priority == 0 { String::new() } else { row.turn.priority.to_string() });
    fact("tags", row.tags.join(" "));
    fact("note", row.note.clone());
    fact("data", config.data.dataset.name().to_owned());
    let (depth, width, eps, seed) = (config.model.depth, config.model.width, config.eval.eps, config.train.seed);
    fact("net", format!("depth {depth}, width {width}; ε = {eps}, seed {seed}"));
    fact(
        "device",
        if summary.device.is_empty() { config.resources.device.to_string() } else { summary.device.clone() },
    );
    // Resumed by another version, a run may not come to what either would have come to alone.
    let mut programs: Vec<&str> = past.workers.iter().map(|worker| worker.program.as_str()).collect();
    programs.dedup();
    fact("program", programs.join(", then "));
    fact("certified", certified(row));
    fact("clean", summary.clean.map_or_else(String::new, |clean| accuracy(Some(clean))));
    let attacked = |(share, samples)| format!("{} of {samples} test images survive all attacks", accuracy(Some(share)));
    fact("attacked", summary.attacked.map_or_else(String::new, attacked));
    if summary.step > 0 {
        let p = summary.p.map_or_else(String::new, |p| format!(", p = {p}"));
        fact(
            "training",
            format!(
                "step {} of {}, epoch {:.2} of {}{p}",
                summary.step, summary.steps, summary.epoch, config.train.epochs
            ),
        );
        let loss = summary.loss.map_or_else(|| "–".to_owned(), |loss| format!("{loss:.4}"));
        fact("last epoch", format!("loss {loss}, train accuracy {}", accuracy(summary.train_accuracy)));
        let speed = summary.steps_per_second.filter(|_| row.state.holds_a_slot());
        let speed = speed.map_or_else(String::new, |speed| format!(", {speed:.1} steps/s"));
        fact("trained for", format!("{}{speed}", duration(summary.train_seconds)));
    }
    fact("added", time(row.added_ms));
    fact("started", row.started_ms.map_or_else(String::new, time));
    fact("ended", row.ended_ms.map_or_else(String::new, time));
    fact("attempts", if row.attempts == 0 { String::new() } else { row.attempts.to_string() });
    fact("worker", row.state.identity().map_or_else(String::new, |identity| format!("process {}", identity.pid)));
    fact(
        "checkpoints",
        match past.checkpoints.last() {
            Some(last) => format!("{}, the last at step {}", past.checkpoints.len(), last.step),
            None => String::new(),
        },
    );
    fact("folder", shown.folder.clone());
    let skipped = past.events.len().saturating_sub(EVENTS);
    text.push_str(if skipped > 0 { "\nlatest events (--events has all)\n" } else { "\nevents\n" });
    text.push_str(&list(&past.events[skipped..]));
    text
}

fn certified(row: &RunRow) -> String {
    let Some(last) = row.summary.certified else { return String::new() };
    match row.summary.best_certified {
        Some((best, epoch)) => {
            let whose = of_held_out(&row.config);
            let last = accuracy(Some(last));
            format!("{last} at ε = {} (best {best:.4}{whose} at epoch {epoch:.1})", row.config.eval.eps)
        }
        None => format!("{} at ε = {}", accuracy(Some(last)), row.config.eval.eps),
    }
}
