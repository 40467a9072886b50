//! `linf-tui group`: how many runs of a group may train at once.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use super::{
    Exit, Place,
    place::{json, line},
};
use crate::{
    dispatch::ensure_dispatcher,
    experiment::RunState,
    report::table::{Side, Table},
};

/// List groups (a sweep is one), or limit how many runs of a group may train at once.
#[derive(Debug, Args)]
pub struct GroupArgs {
    /// The group; without it all are listed.
    group: Option<String>,
    /// How many of its runs may train at once.
    #[arg(long, value_name = "N", requires = "group", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// As many as there are slots.
    #[arg(long, requires = "group", conflicts_with = "slots")]
    no_limit: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Default, Serialize)]
struct Group {
    slots: Option<usize>,
    running: usize,
    queued: usize,
    paused: usize,
    ended: usize,
}

pub async fn run(args: GroupArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    if let Some(name) = args.group.as_deref().filter(|_| args.slots.is_some() || args.no_limit) {
        store.catalog().set_group_slots(name, args.slots).await?;
        ensure_dispatcher(place.root())?;
    }
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for row in store.catalog().runs().await? {
        let Some(name) = row.group else { continue };
        let group = groups.entry(name).or_default();
        match row.state {
            state if state.holds_a_slot() => group.running += 1,
            RunState::Queued { .. } => group.queued += 1,
            RunState::Paused { .. } => group.paused += 1,
            _ => group.ended += 1,
        }
    }
    if let Some(name) = args.group.as_deref().filter(|name| args.slots.is_some() && !groups.contains_key(*name)) {
        eprintln!("note: no run is in {name} yet");
    }
    for (name, slots) in store.catalog().group_slots().await? {
        groups.entry(name).or_default().slots = Some(slots);
    }
    if let Some(name) = &args.group {
        groups.retain(|other, _| other == name);
        if groups.is_empty() {
            bail!("there is no group called \"{name}\"; `linf-tui group` lists them");
        }
    }
    if args.json {
        json(&groups)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new([
        ("group", Side::Left),
        ("at once", Side::Right),
        ("running", Side::Right),
        ("queued", Side::Right),
        ("paused", Side::Right),
        ("ended", Side::Right),
    ]);
    for (name, group) in groups {
        let slots = group.slots.map_or_else(|| "no limit".to_owned(), |slots| slots.to_string());
        let counts = [group.running, group.queued, group.paused, group.ended];
        let [running, queued, paused, ended] = counts.map(|count| count.to_string());
        table.row([name, slots, running, queued, paused, ended]);
    }
    line(table.to_string().trim_end())?;
    Ok(Exit::Done)
}
