//! `linf-tui man`: the manual pages.

use std::{fs, io, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};

use super::{Cli, Exit};

/// Print the manual page, or write one page a verb into a folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  linf-tui man | man -l -
  linf-tui man --folder ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write linf-tui.1, linf-tui-add.1 and so on into this folder, which must exist.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub fn run(args: ManArgs) -> Result<Exit> {
    match args.folder {
        Some(folder) => {
            fs::metadata(&folder).with_context(|| format!("no folder {}", folder.display()))?;
            clap_mangen::generate_to(Cli::command(), &folder)
                .with_context(|| format!("cannot write the pages into {}", folder.display()))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            io::copy(&mut page.as_slice(), &mut io::stdout().lock())?;
        }
    }
    Ok(Exit::Done)
}
