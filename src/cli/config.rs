//! `linf-tui config`: checks, resolves and explains configs.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::{Exit, add::resolved, place::line};
use crate::experiment::{KeyDoc, explain, keys, parse_with};

/// Check, resolve and explain configs.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check config files; the first fault is named with file, line and key.
    Check {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Override one key before the check.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        overrides: Vec<String>,
    },
    /// Print a config as a run would take it, with overrides and all defaults filled in.
    Show {
        /// The file.
        file: PathBuf,
        /// Override one key.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        overrides: Vec<String>,
    },
    /// List every key with what it may be and what holds where it is absent.
    Keys,
    /// Say what one key means.
    Explain {
        /// The key, such as schedule.ramp_end.
        key: String,
    },
}

pub fn run(args: ConfigArgs) -> Result<Exit> {
    match args.what {
        What::Check { files, overrides } => {
            for file in files {
                parse_with(&read(&file)?, &file.display().to_string(), &overrides)?;
                line(&format!("{}: good", file.display()))?;
            }
        }
        What::Show { file, overrides } => {
            let name = file.display().to_string();
            let config = parse_with(&read(&file)?, &name, &overrides)?;
            line(resolved(&config, &name, &overrides)?.trim_end())?;
        }
        What::Keys => line(&keys().iter().map(paragraph).collect::<Vec<_>>().join("\n\n"))?,
        What::Explain { key } => match explain(&key) {
            Some(doc) => line(&paragraph(doc))?,
            None => bail!("no key is called \"{key}\"; `linf-tui config keys` lists all"),
        },
    }
    Ok(Exit::Done)
}

fn read(file: &PathBuf) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read the config {}", file.display()))
}

fn paragraph(doc: &KeyDoc) -> String {
    let default = doc.default.map_or_else(|| "must be given".to_owned(), |default| format!("default: {default}"));
    format!("{}\n  {} ({default})\n  {}", doc.key, doc.allowed, doc.text)
}
