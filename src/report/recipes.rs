//! The configs at hand, and what each costs.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::experiment::{Config, ConfigError, parse_with};
use crate::net::NetShape;

/// Where configs are looked for: `$LINF_CONFIGS`, or `configs` in the current folder.
pub fn folder() -> PathBuf {
    let named = env::var_os("LINF_CONFIGS").filter(|folder| !folder.is_empty());
    named.map_or_else(|| PathBuf::from("configs"), PathBuf::from)
}

/// A config file.
#[derive(Debug)]
pub struct Recipe {
    /// Its path.
    pub path: PathBuf,
    /// Its text; empty where it cannot be read.
    pub text: String,
    /// What it says, or what is wrong with it.
    pub config: Result<Config, ConfigError>,
}

/// The `*.toml` files of a folder, by name.
///
/// # Errors
/// If the folder cannot be read.
pub fn recipes(folder: &Path) -> io::Result<Vec<Recipe>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.display().to_string();
        let unreadable = |error: io::Error| ConfigError { place: name.clone(), key: None, message: error.to_string() };
        let (text, config) = match fs::read_to_string(&path) {
            Ok(text) => {
                let config = parse_with(&text, &name, &[]);
                (text, config)
            }
            Err(error) => (String::new(), Err(unreadable(error))),
        };
        Recipe { path, text, config }
    };
    Ok(paths.into_iter().map(read).collect())
}

/// The images of one epoch: what is held out, left out or added from elsewhere does not count.
fn images_an_epoch(config: &Config) -> usize {
    let images = config.data.dataset.train_images().saturating_sub(config.data.validation);
    config.data.train_limit.map_or(images, |limit| limit.min(images))
}

/// The steps that a run takes.
pub fn steps(config: &Config) -> u64 {
    u64::from(config.train.epochs) * images_an_epoch(config).div_ceil(config.train.batch_size.max(1)) as u64
}

/// Pairs |x − w| of one epoch's forward passes: what training costs, whatever the machine.
pub fn pairs_an_epoch(config: &Config) -> f64 {
    images_an_epoch(config) as f64 * NetShape::new(config).pairs() as f64
}
