//! `linf-tui config`: checks, resolves and explains configs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::{
    Exit, Place,
    place::{json, line},
};
use crate::{
    experiment::{KeyDoc, explain, keys, parse_with, resolved},
    net::NetShape,
    report::{
        figures::{accuracy, duration},
        layers::layers,
        pace::{Pace, pace_of, paces},
        recipes::{self, Recipe, pairs_an_epoch},
        table::{Side, Table},
        trial::trial,
    },
};

/// Check, resolve and explain configs.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the configs at hand with their net, their published row and what they cost.
    ///
    /// The time is estimated from the pace of this store's runs on the device that most of them trained on, or, where none
    /// has trained yet, from a few steps on the CPU, and from what each p of the schedule costs. It holds for a machine that
    /// does nothing else.
    #[command(alias = "ls")]
    List {
        /// The folder; LINF_CONFIGS names another default.
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check config files; the first fault is named with file, line and key.
    Check {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Override one key before the check.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        overrides: Vec<String>,
    },
    /// Print a config as a run would take it, with overrides and defaults filled in, but for what follows from other keys.
    Show {
        /// The file.
        file: PathBuf,
        /// Override one key.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        overrides: Vec<String>,
        /// Print the net's layers instead, with shapes and parameter counts.
        #[arg(long)]
        model: bool,
    },
    /// List every key with what it may be and what holds where it is absent.
    Keys,
    /// Say what one key means.
    Explain {
        /// The key, such as schedule.ramp_end.
        key: String,
    },
}

pub async fn run(args: ConfigArgs, place: &Place) -> Result<Exit> {
    match args.what {
        What::List { folder, json } => {
            // Configs can be listed where there is no store yet.
            let mut paces = match place.if_any().await? {
                None => Vec::new(),
                Some(store) => paces(&store.catalog().runs().await?),
            };
            if paces.is_empty() {
                paces.extend(trial());
            }
            list(&folder.unwrap_or_else(recipes::folder), &paces, json)?
        }
        What::Check { files, overrides } => {
            for file in files {
                parse_with(&read(&file)?, &file.display().to_string(), &overrides)?;
                line(&format!("{}: good", file.display()))?;
            }
        }
        What::Show { file, overrides, model } => {
            let name = file.display().to_string();
            let config = parse_with(&read(&file)?, &name, &overrides)?;
            let text = if model { layers(&config) } else { resolved(&config, &name, &overrides)? };
            line(text.trim_end())?;
        }
        What::Keys => line(&keys().iter().map(paragraph).collect::<Vec<_>>().join("\n\n"))?,
        What::Explain { key } => match explain(&key) {
            Some(doc) => line(&paragraph(doc))?,
            None => bail!("no key is called \"{key}\"; `linf-tui config keys` lists all"),
        },
    }
    Ok(Exit::Done)
}

fn list(folder: &Path, paces: &[Pace], as_json: bool) -> Result<()> {
    let recipes = recipes::recipes(folder)
        .with_context(|| format!("cannot read the configs in {}; name their folder", folder.display()))?;
    if as_json {
        let row = |recipe: &Recipe| match &recipe.config {
            Ok(config) => serde_json::json!({
                "file": recipe.path,
                "config": config,
                "parameters": NetShape::new(config).parameters(config.loss.kind),
                "pairs_per_epoch": pairs_an_epoch(config),
                "estimates": paces.iter().map(|pace| serde_json::json!({ "pace": pace, "seconds": pace.seconds(config) })).collect::<Vec<_>>(),
            }),
            Err(error) => serde_json::json!({ "file": recipe.path, "error": error.to_string() }),
        };
        return json(&recipes.iter().map(row).collect::<Vec<_>>());
    }
    let mut table = Table::new([
        ("config", Side::Left),
        ("data", Side::Left),
        ("ε", Side::Right),
        ("net", Side::Left),
        ("parameters", Side::Right),
        ("epochs", Side::Right),
        ("pairs/epoch", Side::Right),
        ("time", Side::Right),
        ("published clean", Side::Right),
        ("under PGD", Side::Right),
        ("certified", Side::Right),
    ]);
    let (mut faults, mut used) = (Vec::new(), Vec::<&Pace>::new());
    for recipe in &recipes {
        let config = match &recipe.config {
            Ok(config) => config,
            Err(error) => {
                faults.push(error.to_string());
                continue;
            }
        };
        let (shape, pace) = (NetShape::new(config), pace_of(config, paces));
        used.extend(pace.filter(|pace| !used.contains(pace)));
        let published = config.run.published.as_ref();
        table.row([
            recipe.path.display().to_string(),
            config.data.dataset.to_string(),
            config.eval.eps.to_string(),
            shape.to_string(),
            shape.parameters(config.loss.kind).to_string(),
            config.train.epochs.to_string(),
            format!("{:.1e}", pairs_an_epoch(config)),
            pace.map_or_else(|| "–".into(), |pace| duration(pace.seconds(config))),
            accuracy(published.and_then(|row| row.clean)),
            accuracy(published.and_then(|row| row.attacked)),
            accuracy(published.map(|row| row.certified)),
        ]);
    }
    line(table.to_string().trim_end())?;
    if !used.is_empty() {
        let sources: Vec<String> = used.iter().map(|pace| pace.source()).collect();
        line(&format!("time: at the pace of {}", sources.join("; ")))?;
    }
    for fault in faults {
        line(&fault)?;
    }
    Ok(())
}

/// The text of a config file.
pub(super) fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read the config {}", file.display()))
}

fn paragraph(doc: &KeyDoc) -> String {
    let default = doc.default.map_or_else(|| "must be given".to_owned(), |default| format!("default: {default}"));
    format!("{}\n  {} ({default})\n  {}", doc.key, doc.allowed, doc.text)
}
