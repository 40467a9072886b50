//! `linf-tui move`, `priority`, `when`: whose turn comes when.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use clap::Args;

use super::{
    Exit, Place, moment,
    place::{find_those, line},
};
use crate::{
    dispatch::ensure_dispatcher,
    experiment::{After, Need, RunId, RunState, Turn},
    report::figures::time,
    store::{RunRow, Store, now_ms},
};

/// Move a queued run to another place in the queue.
///
/// Among equal priorities, runs start in the order of their places. A run that is moved takes the priority of the run
/// that it is moved to, or of the whole end of the queue that it is moved to.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("to").required(true)))]
pub struct MoveArgs {
    /// The run.
    run: String,
    /// To the very front.
    #[arg(long, group = "to")]
    first: bool,
    /// To the very end.
    #[arg(long, group = "to")]
    last: bool,
    /// Just before this run.
    #[arg(long, group = "to", value_name = "RUN")]
    before: Option<String>,
    /// Just behind this run.
    #[arg(long, group = "to", value_name = "RUN")]
    behind: Option<String>,
}

/// Give runs a priority. Higher ones start first; a run that is added has 0.
#[derive(Debug, Args)]
pub struct PriorityArgs {
    /// The priority.
    #[arg(allow_negative_numbers = true)]
    priority: i32,
    /// The runs; a group's name means those of its runs that wait.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
}

/// Say what queued runs must wait for, beside a free slot.
#[derive(Debug, Args)]
pub struct WhenArgs {
    /// The runs; a group's name means those of its runs that wait.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
    /// Not before this run is completed; RUN:any: not before it has ended in whatever way. May be given again, and
    /// replaces what was said before.
    #[arg(long = "after", value_name = "RUN[:ok|:any]")]
    after: Vec<String>,
    /// Not before this moment: +2h, or 2026-11-26 08:00.
    #[arg(long, value_name = "WHEN")]
    start_at: Option<String>,
    /// As soon as there is a slot: forget both.
    #[arg(long, conflicts_with_all = ["after", "start_at"])]
    now: bool,
}

pub async fn move_run(args: MoveArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let row = store.catalog().find(&args.run).await?;
    if !waits(&row) {
        bail!("{} is {}: only a run that waits has a place in the queue", row.name, row.state.word());
    }
    let mut queue: Vec<RunRow> = store.catalog().runs().await?;
    queue.retain(|other| waits(other) && other.id != row.id);
    queue.sort_by(|a, b| a.turn.compare(a.id, &b.turn, b.id));
    let at = match (&args.before, &args.behind) {
        (Some(word), _) => position(&store, &queue, word).await?,
        (_, Some(word)) => position(&store, &queue, word).await? + 1,
        _ if args.first => 0,
        _ => queue.len(),
    };
    let beside = if args.before.is_some() || args.first { at } else { at.saturating_sub(1) };
    let turns: Vec<(RunId, &Turn)> = queue.iter().map(|other| (other.id, &other.turn)).collect();
    let Some(turn) = row.turn.put(row.id, &turns, at, beside) else {
        line(&format!("#{} {}: no other run waits", row.id, row.name))?;
        return Ok(Exit::Done);
    };
    store.catalog().set_turns(&[(row.id, turn)], "moved in the queue").await?;
    line(&format!("#{} {}: now number {} of {} that wait", row.id, row.name, at + 1, queue.len() + 1))?;
    Ok(Exit::Done)
}

async fn position(store: &Store, queue: &[RunRow], word: &str) -> Result<usize> {
    let other = store.catalog().find(word).await?;
    match queue.iter().position(|row| row.id == other.id) {
        Some(position) => Ok(position),
        None => bail!("{} is {}: it has no place in the queue", other.name, other.state.word()),
    }
}

pub async fn priority(args: PriorityArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let rows = find_those(&store, &args.runs, waits).await?;
    let turns: Vec<(RunId, Turn)> =
        rows.iter().map(|row| (row.id, Turn { priority: args.priority, ..row.turn.clone() })).collect();
    store.catalog().set_turns(&turns, &format!("priority is {}", args.priority)).await?;
    for row in rows {
        line(&format!("#{} {}: priority {}", row.id, row.name, args.priority))?;
    }
    Ok(Exit::Done)
}

pub async fn when(args: WhenArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let rows = find_those(&store, &args.runs, waits).await?;
    let after = after(&store, &args.after).await?;
    let start_at_ms = args.start_at.as_deref().map(|text| moment::moment(text, now_ms())).transpose()?;
    let all = store.catalog().runs().await?;
    let mut turns = Vec::new();
    for row in &rows {
        let mut turn = row.turn.clone();
        if args.now {
            (turn.after, turn.start_at_ms) = (Vec::new(), None);
        }
        if !after.is_empty() {
            turn.after.clone_from(&after);
        }
        turn.start_at_ms = start_at_ms.or(turn.start_at_ms);
        if let Some(other) = waits_for_itself(&all, row.id, &turn.after) {
            let why = if other.id == row.id { String::new() } else { format!(": {} waits for it", other.name) };
            bail!("{} cannot wait for itself{why}", row.name);
        }
        turns.push((row.id, turn));
    }
    let Some((_, turn)) = turns.first() else { return Ok(Exit::Done) };
    let text = terms(turn);
    store.catalog().set_turns(&turns, &text).await?;
    for row in rows {
        line(&format!("#{} {}: {text}", row.id, row.name))?;
    }
    ensure_dispatcher(place.root())?;
    Ok(Exit::Done)
}

/// The run by whose waiting `id` would wait for its own end, if it waited for these.
fn waits_for_itself<'r>(all: &'r [RunRow], id: RunId, after: &[After]) -> Option<&'r RunRow> {
    let of = |id: RunId| all.iter().find(|row| row.id == id);
    if after.iter().any(|after| after.run == id) {
        return of(id);
    }
    let mut seen = BTreeSet::new();
    let mut ahead: Vec<RunId> = after.iter().map(|after| after.run).collect();
    while let Some(next) = ahead.pop() {
        let Some(row) = of(next).filter(|row| waits(row) && seen.insert(next)) else { continue };
        if row.turn.after.iter().any(|after| after.run == id) {
            return Some(row);
        }
        ahead.extend(row.turn.after.iter().map(|after| after.run));
    }
    None
}

/// The runs that words such as `7`, `brisk-otter:any` mean.
pub async fn after(store: &Store, words: &[String]) -> Result<Vec<After>> {
    let mut after = Vec::with_capacity(words.len());
    for word in words {
        let (run, need) = match word.rsplit_once(':') {
            Some((run, need)) => (run, need.parse::<Need>().map_err(anyhow::Error::msg)?),
            None => (word.as_str(), Need::Ok),
        };
        after.push(After { run: store.catalog().find(run).await?.id, need });
    }
    Ok(after)
}

fn terms(turn: &Turn) -> String {
    let mut terms: Vec<String> = Vec::new();
    for After { run, need } in &turn.after {
        let need = if *need == Need::Ok { "is completed" } else { "has ended" };
        terms.push(format!("once #{run} {need}"));
    }
    terms.extend(turn.start_at_ms.map(|at_ms| format!("not before {}", time(at_ms))));
    if terms.is_empty() { "as soon as there is a slot".into() } else { format!("starts {}", terms.join(", ")) }
}

pub fn waits(row: &RunRow) -> bool {
    matches!(row.state, RunState::Queued { .. } | RunState::Paused { .. })
}
