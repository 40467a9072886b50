//! `linf-tui completions`: completions for the shell.

use std::io;

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit};

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  linf-tui completions bash > ~/.local/share/bash-completion/completions/linf-tui
  linf-tui completions zsh > ~/.zfunc/_linf-tui
  linf-tui completions fish > ~/.config/fish/completions/linf-tui.fish")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub fn run(args: CompletionsArgs) -> Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "linf-tui", &mut text);
    io::copy(&mut text.as_slice(), &mut io::stdout().lock())?;
    Ok(Exit::Done)
}
