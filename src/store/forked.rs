//! What a run that begins at a checkpoint of another one takes over from it, and what it may change.

use super::{NewRun, RunRow};
use crate::experiment::{Config, ConfigError, Parent, Turn, parse_with, resolved};

/// Why a run cannot begin so at a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// The changed config is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The checkpoint is of another net, or of data in another order.
    #[error("a fork cannot change {0}: the checkpoint is of another one. Add a new run instead")]
    OtherNet(&'static str),
    /// The config cannot be written down.
    #[error("cannot write the config as TOML: {0}")]
    Toml(#[from] toml::ser::Error),
}

impl NewRun {
    /// A run that begins at the checkpoint of `step` of `parent`, whose config reads `text`, with `key=value` changes to it.
    pub fn forked(parent: &RunRow, step: u64, text: String, overrides: &[String]) -> Result<NewRun, ForkError> {
        let source = format!("the config of {}", parent.name);
        let config = parse_with(&text, &source, overrides)?;
        same_net(&parent.config, &config)?;
        let config_text = if overrides.is_empty() { text } else { resolved(&config, &source, overrides)? };
        Ok(NewRun {
            tags: parent.tags.clone(),
            turn: Turn { priority: parent.turn.priority, ..Turn::default() },
            parent: Some(Parent { run: parent.id, name: parent.name.clone(), step }),
            variant: overrides.join(" "),
            ..NewRun::new(config, config_text)
        })
    }
}

/// Refuses a config whose net or data order is not that of the checkpoint.
fn same_net(old: &Config, new: &Config) -> Result<(), ForkError> {
    let same = [
        ("data.dataset", old.data.dataset == new.data.dataset),
        ("data.crop", old.data.crop == new.data.crop),
        ("data.train_limit", old.data.train_limit == new.data.train_limit),
        // What is held out was never trained on, and its number decides the steps of an epoch.
        ("data.validation", old.data.validation == new.data.validation),
        ("model", old.model == new.model),
        ("train.batch_size", old.train.batch_size == new.train.batch_size),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((key, _)) => Err(ForkError::OtherNet(key)),
        None => Ok(()),
    }
}
