//! `linf-tui add`: puts runs into the queue.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{
    Exit, Place, moment,
    place::{json, line, present},
    turn, wait, watch,
};
use crate::{
    dataset::{self, fetch},
    dispatch::ensure_dispatcher,
    experiment::{After, DatasetId, RunId, Turn, expand, parse_with, resolved},
    report::table::{Side, Table},
    store::{NewRun, Store, check_name, now_ms},
};

/// Put runs into the queue.
///
/// Every config gives one run, or a whole grid with --sweep. They are all added, or none. Prints each run's number and name; training
/// starts as soon as a slot is free, and goes on when this terminal is closed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  linf-tui add configs/mnist-cpu.toml
  linf-tui add configs/mnist-cpu.toml --set train.lr=0.03 --name slow-lr
  linf-tui add configs/mnist-cpu.toml --sweep train.seed=1..5 --sweep loss.lambda=0.05,0.1   (ten runs, one group)
  linf-tui add configs/*.toml --dry-run")]
pub struct AddArgs {
    /// Config files (TOML); `linf-tui config keys` says what they may hold.
    #[arg(required = true, value_name = "CONFIG")]
    configs: Vec<PathBuf>,
    /// Override one key of every config.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// One run for every value, A,B,… or FROM..TO (both ends included); several sweeps give a grid.
    #[arg(long = "sweep", value_name = "KEY=VALUES")]
    sweeps: Vec<String>,
    /// Name of the run (drawn by the program if absent), or of the group with --sweep.
    #[arg(long)]
    name: Option<String>,
    /// A word to filter by; may be given again.
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    /// A line about the run.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// The group of the runs; a sweep makes one by itself. `linf-tui group` limits how many of it train at once.
    #[arg(long)]
    group: Option<String>,
    /// Higher ones start first.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_name = "N")]
    priority: i32,
    /// Not before this run is completed; RUN:any: not before it has ended in whatever way. May be given again.
    #[arg(long = "after", value_name = "RUN[:ok|:any]")]
    after: Vec<String>,
    /// Not before this moment: +2h, or 2026-11-26 08:00.
    #[arg(long, value_name = "WHEN")]
    start_at: Option<String>,
    /// How long a worker may train (90s, 2h, 1d); short for --set resources.time_limit_seconds=N.
    #[arg(long, value_name = "DURATION")]
    time_limit: Option<String>,
    /// Add the runs on hold; `linf-tui release` lets them start.
    #[arg(long)]
    hold: bool,
    /// Check everything and say what would be added, but add nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the numbers only.
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Print the added runs as JSON.
    #[arg(long)]
    json: bool,
    /// Wait until the runs have ended; exit code as of `linf-tui wait`.
    #[arg(long, conflicts_with_all = ["hold", "dry_run"])]
    wait: bool,
    /// Report the training of the run until it has ended, as `linf-tui watch` does.
    #[arg(long, conflicts_with_all = ["hold", "dry_run", "wait", "json"])]
    follow: bool,
}

pub async fn run(args: AddArgs, place: &Place) -> Result<Exit> {
    let grid = expand(&args.sweeps, &args.overrides)?;
    if args.group.as_deref().is_some_and(|group| group.trim().is_empty()) {
        bail!("--group needs a name");
    }
    let mut runs = Vec::new();
    for path in &args.configs {
        let text = super::config::read(path)?;
        for variant in &grid {
            runs.push(new_run(&args, path, &text, variant)?);
        }
    }
    if args.name.is_some() && args.sweeps.is_empty() && runs.len() > 1 {
        bail!(
            "--name can name one run only, and these are {}: leave it out, or name each run in a call of its own",
            runs.len()
        );
    }
    if args.follow && runs.len() > 1 {
        bail!(
            "--follow can follow one run only, and these are {}: use --wait, or `linf-tui watch` afterwards",
            runs.len()
        );
    }
    let start_at_ms = args.start_at.as_deref().map(|text| moment::moment(text, now_ms())).transpose()?;
    note_missing_data(&runs);
    if args.dry_run {
        let mut names = runs.iter().filter_map(|run| run.name.as_deref());
        // Where there is no store it would be made, and no word can mean a run of it.
        let store = if args.after.is_empty() { place.if_any().await? } else { Some(place.existing().await?) };
        match store {
            Some(store) => {
                store.catalog().check_writable()?;
                placing(&store, &args).await?;
                for name in names {
                    store.catalog().check_free(name).await?;
                }
            }
            None => names.try_for_each(check_name)?,
        }
        return dry_run(&runs, &args);
    }
    let store = place.open().await?;
    let (after, group) = placing(&store, &args).await?;
    let turn = Turn { priority: args.priority, place: None, start_at_ms, after };
    for run in &mut runs {
        run.group.clone_from(&group);
        run.turn = turn.clone();
    }
    let ids = store.catalog().add_many(runs).await?;
    // First what was added: whoever reads that it is not trained shall not add it once more.
    print(&store, &ids, &args).await?;
    if !args.hold {
        ensure_dispatcher(place.root()).context("queued, but there is nobody to train it yet")?;
    }
    if args.follow
        && let [id] = ids.as_slice()
    {
        return watch::follow(&store, *id).await;
    }
    if args.wait { wait::until_ended(&store, &ids).await } else { Ok(Exit::Done) }
}

/// Says which data the runs would look for in vain, as it is now: they may be fetched until the runs' turn comes.
fn note_missing_data(runs: &[NewRun]) {
    let root = dataset::default_root();
    let mut ids: Vec<DatasetId> = runs.iter().map(|run| run.config.data.dataset).collect();
    ids.sort_by_key(|id| id.name());
    ids.dedup();
    for id in ids.into_iter().filter(|id| !dataset::is_present(*id, &root)) {
        let (title, root) = (id.title(), root.display());
        let todo = if fetch::by_hand(id) {
            "put it there first".to_owned()
        } else {
            format!("`linf-tui data fetch {id}` fetches it")
        };
        eprintln!("note: {title} is not in {root}, and a run without its images fails: {todo}");
    }
}

/// What the runs wait for, and their group.
async fn placing(store: &Store, args: &AddArgs) -> Result<(Vec<After>, Option<String>)> {
    let after = turn::after(store, &args.after).await?;
    let group = match &args.group {
        None if !args.sweeps.is_empty() => Some(free_group(store, args).await?),
        group => group.clone(),
    };
    Ok((after, group))
}

fn new_run(args: &AddArgs, path: &Path, text: &str, variant: &[String]) -> Result<NewRun> {
    let mut overrides: Vec<String> = args.overrides.iter().chain(variant).cloned().collect();
    if let Some(limit) = &args.time_limit {
        overrides.push(format!("resources.time_limit_seconds={}", moment::seconds(limit)?));
    }
    let name = path.display().to_string();
    let config = parse_with(text, &name, &overrides)?;
    let config_text = match overrides.as_slice() {
        [] => text.to_owned(),
        overrides => resolved(&config, &name, overrides).context("cannot write the config as TOML")?,
    };
    Ok(NewRun {
        name: if args.sweeps.is_empty() { args.name.clone() } else { None },
        variant: variant.join(" "),
        tags: args.tags.clone(),
        note: args.note.clone(),
        held: args.hold,
        ..NewRun::new(config, config_text)
    })
}

fn dry_run(runs: &[NewRun], args: &AddArgs) -> Result<Exit> {
    if args.json {
        json(&runs.iter().map(|run| &run.config).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new([
        ("data", Side::Left),
        ("net", Side::Left),
        ("epochs", Side::Right),
        ("ε", Side::Right),
        ("variant", Side::Left),
    ]);
    for run in runs {
        let config = &run.config;
        table.row([
            config.data.dataset.name().to_owned(),
            config.model.label(),
            config.train.epochs.to_string(),
            config.eval.eps.to_string(),
            run.variant.clone(),
        ]);
    }
    let count = runs.len();
    line(&format!("{table}{count} {} would be added; nothing was", if count == 1 { "run" } else { "runs" }))?;
    Ok(Exit::Done)
}

/// The group's name: as asked for, else after the config, with a number where such a group exists.
async fn free_group(store: &Store, args: &AddArgs) -> Result<String> {
    let stem =
        || args.configs.first().and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    let wanted = args.name.clone().or_else(stem).unwrap_or_else(|| "sweep".to_owned());
    let taken: HashSet<String> = store.catalog().runs().await?.into_iter().filter_map(|row| row.group).collect();
    if !taken.contains(&wanted) {
        return Ok(wanted);
    }
    if args.name.is_some() {
        bail!("a group called \"{wanted}\" exists already: choose another name");
    }
    let numbered = (2..).map(|number| format!("{wanted}-{number}")).find(|name| !taken.contains(name));
    Ok(numbered.unwrap_or(wanted))
}

async fn print(store: &Store, ids: &[RunId], args: &AddArgs) -> Result<()> {
    if args.quiet {
        for id in ids {
            line(&id.to_string())?;
        }
        return Ok(());
    }
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        rows.push(present(store, *id).await?);
    }
    if args.json {
        return json(&rows);
    }
    for row in rows {
        let group = row.group.as_ref().map_or_else(String::new, |group| format!("  {group}: {}", row.variant));
        line(&format!("#{} {}{group}", row.id, row.name))?;
    }
    Ok(())
}
