//! Configs as dotted keys: to print them, and to see where several differ.

use std::collections::BTreeMap;

use super::Config;

/// A config as dotted keys and their values.
pub fn flat(config: &Config) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    if let Ok(table) = toml::Table::try_from(config) {
        flatten("", &table, &mut flat);
    }
    flat
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&path, inner, into),
            toml::Value::String(text) => {
                into.insert(path, text.clone());
            }
            toml::Value::Float(number) => {
                into.insert(path, number.to_string());
            }
            other => {
                into.insert(path, other.to_string());
            }
        }
    }
}

/// The keys in which the configs are not all the same, with the value of each; a dash where one has no such key.
pub fn differences(configs: &[&Config]) -> Vec<(String, Vec<String>)> {
    let tables: Vec<BTreeMap<String, String>> = configs.iter().map(|config| flat(config)).collect();
    let mut keys: Vec<&String> = tables.iter().flat_map(BTreeMap::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let values =
        |key: &String| tables.iter().map(|table| table.get(key).cloned().unwrap_or_else(|| "–".into())).collect();
    keys.into_iter()
        .map(|key| (key.clone(), values(key)))
        .filter(|(_, values): &(String, Vec<String>)| values.iter().any(|value| *value != values[0]))
        .collect()
}
