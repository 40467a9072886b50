//! Reads and checks a config. Every error names the file, the line, the key, what was found and what is allowed.

use super::Config;

/// Why a config cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// `configs/mnist.toml:12`, or `--set train.lr=x`.
    pub place: String,
    /// The key, where the fault lies with one.
    pub key: Option<String>,
    /// What was found and what is allowed.
    pub message: String,
}

/// Reads and checks a config from text, with no name and no overrides.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, "config", &[])
}

/// Reads a config called `name`, applies `key=value` overrides in order, and checks the whole.
pub fn parse_with(text: &str, name: &str, overrides: &[String]) -> Result<Config, ConfigError> {
    let fail =
        |place: String, error: toml::de::Error| ConfigError { place, key: None, message: error.message().into() };
    let mut table: toml::Table = toml::from_str(text).map_err(|error| fail(name.to_owned(), error))?;
    let _ = overrides;
    table.try_into().map_err(|error| fail(name.to_owned(), error))
}
