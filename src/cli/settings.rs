//! `linf-tui settings`: what the settings of the full-screen view say, and where they are.

use anyhow::Result;
use clap::Args;

use super::{Exit, place::line};
use crate::tui::settings::{self, Found};

/// Print the settings of the full-screen view as a settings file, with what each means.
///
/// They are read from $XDG_CONFIG_HOME/linf-tui/config.toml, without that variable from ~/.config/linf-tui/config.toml.
/// What the file leaves out, and all of it where there is no file, is as it is printed here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  linf-tui settings | less
  linf-tui settings > config.toml")]
pub struct SettingsArgs {}

pub fn run(_: SettingsArgs) -> Result<Exit> {
    let found = settings::read()?;
    line(&format!("# {}\n\n{}", place(&found), settings::print(&found.settings).trim_end()))?;
    Ok(Exit::Done)
}

fn place(found: &Found) -> String {
    // A comment ends with its line.
    let path = found.path.as_ref().map(|path| path.display().to_string().replace(char::is_control, "?"));
    match path {
        Some(path) if found.exists => format!("Read from {path}"),
        Some(path) => format!("The defaults, for there is no file {path}"),
        None => "The defaults, for neither XDG_CONFIG_HOME nor HOME names a folder".into(),
    }
}
