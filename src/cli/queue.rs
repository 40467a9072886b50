//! `linf-tui queue`: who trains, who is next, and why each of the others waits.

use std::collections::HashMap;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::{
    Exit, Place,
    place::{json, line},
};
use crate::{
    dispatch::dispatcher_alive,
    experiment::{RunId, RunState},
    report::{
        standing::standing,
        table::{Side, Table},
    },
    store::{RunRow, now_ms},
};

/// Show the queue in the order in which it will be worked on, with the reason why each run waits.
#[derive(Debug, Args)]
pub struct QueueArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Entry {
    /// From 1; absent where it trains.
    turn: Option<usize>,
    run: RunId,
    name: String,
    group: Option<String>,
    priority: i32,
    device: String,
    standing: String,
}

pub async fn run(args: QueueArgs, place: &Place) -> Result<Exit> {
    let store = place.look().await?;
    place.warn_of_a_full_disk();
    let runs = store.catalog().runs().await?;
    let by_id: HashMap<RunId, &RunRow> = runs.iter().map(|row| (row.id, row)).collect();
    let now = now_ms();
    let entry = |row: &RunRow, turn| Entry {
        turn,
        run: row.id,
        name: row.name.clone(),
        group: row.group.clone(),
        priority: row.turn.priority,
        device: row.device.filter(|_| row.state.holds_a_slot()).unwrap_or(row.config.resources.device).to_string(),
        standing: standing(row, now, |id| by_id.get(&id).copied()),
    };
    let mut queue: Vec<&RunRow> = runs.iter().filter(|row| matches!(row.state, RunState::Queued { .. })).collect();
    queue.sort_by(|a, b| a.turn.compare(a.id, &b.turn, b.id));
    let training = runs.iter().filter(|row| row.state.holds_a_slot()).map(|row| entry(row, None));
    let entries: Vec<Entry> =
        training.chain(queue.iter().enumerate().map(|(index, row)| entry(row, Some(index + 1)))).collect();
    if args.json {
        json(&entries)?;
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        line("nothing trains and nothing waits")?;
    } else {
        line(table(entries).to_string().trim_end())?;
    }
    let rests = |row: &&RunRow| matches!(row.state, RunState::Paused { .. });
    let resting: Vec<&str> = runs.iter().filter(rests).map(|row| row.name.as_str()).collect();
    match resting[..] {
        [] => {}
        [name] => line(&format!("on hold or paused: {name}"))?,
        _ => line(&format!("on hold or paused: {} runs; `linf-tui ls` names them", resting.len()))?,
    }
    if !queue.is_empty() && !dispatcher_alive(place.root())? {
        line("no dispatcher is alive: `linf-tui dispatch --detach` starts one")?;
    }
    Ok(Exit::Done)
}

fn table(entries: Vec<Entry>) -> Table<7> {
    let mut table = Table::new([
        ("turn", Side::Right),
        ("#", Side::Right),
        ("run", Side::Left),
        ("group", Side::Left),
        ("priority", Side::Right),
        ("device", Side::Left),
        ("state", Side::Left),
    ]);
    for entry in entries {
        table.row([
            entry.turn.map_or_else(|| "now".to_owned(), |turn| turn.to_string()),
            entry.run.to_string(),
            entry.name,
            entry.group.unwrap_or_default(),
            entry.priority.to_string(),
            entry.device,
            entry.standing,
        ]);
    }
    table
}
