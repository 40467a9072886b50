//! Finding the state dict in what a file holds.

use std::collections::HashSet;

use super::error::{Fault, damaged, shown};
use super::heap::{Heap, Id, Value};

/// Where programs put a state dict; the first that is there counts.
const PLACES: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// Data-parallel training wraps the net in a module of this name.
const WRAPPER: &str = "module.";

/// A value that is no tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

pub(super) struct Chosen {
    /// Names and tensors.
    pub tensors: Vec<(String, Id)>,
    pub beside: Vec<(String, Plain)>,
    /// Names of what is left.
    pub others: Vec<String>,
}

pub(super) fn choose(heap: &Heap, root: Id) -> Result<Chosen, Fault> {
    let Value::Dict(entries) = heap.get(root) else {
        return Err(Fault::NoStateDict(kind(heap.get(root)).into()));
    };
    let inner = PLACES.iter().find_map(|&place| {
        let (_, value) = entries.iter().find(|(key, _)| heap.text(*key) == Some(place))?;
        match heap.get(*value) {
            Value::Dict(inner) if has_tensor(heap, inner) => Some((place, inner)),
            _ => None,
        }
    });
    let (place, state) = match inner {
        Some((place, inner)) => (Some(place), inner),
        None if has_tensor(heap, entries) => (None, entries),
        None => {
            let keys: Vec<String> = entries.iter().take(8).filter_map(|&(key, _)| heap.text(key)).map(shown).collect();
            return Err(Fault::NoStateDict(format!("a dict of {} entries ({})", entries.len(), keys.join(", "))));
        }
    };
    let (beside, others) = rest(heap, entries, place);
    Ok(Chosen { tensors: named(heap, state)?, beside, others })
}

fn has_tensor(heap: &Heap, entries: &[(Id, Id)]) -> bool {
    entries.iter().any(|&(_, value)| matches!(heap.get(value), Value::Tensor(_)))
}

fn named(heap: &Heap, state: &[(Id, Id)]) -> Result<Vec<(String, Id)>, Fault> {
    let mut names = Vec::new();
    let mut known = HashSet::new();
    for &(key, value) in state.iter().filter(|(_, value)| matches!(heap.get(*value), Value::Tensor(_))) {
        let Some(name) = heap.text(key) else { return damaged("a tensor's name is no text") };
        if !known.insert(name) {
            return damaged(format!("tensor {} is there twice", shown(name)));
        }
        names.push((name, value));
    }
    // Some names with it and some without is no wrapper, and taking it off could make two names one.
    let wrapped = names.iter().all(|(name, _)| name.starts_with(WRAPPER));
    let bare = |name: &str| if wrapped { name[WRAPPER.len()..].to_owned() } else { name.to_owned() };
    Ok(names.into_iter().map(|(name, value)| (bare(name), value)).collect())
}

/// What lies beside the state dict, which is at `place` or, if that is `None`, all tensors of `entries`.
fn rest(heap: &Heap, entries: &[(Id, Id)], place: Option<&str>) -> (Vec<(String, Plain)>, Vec<String>) {
    let (mut plain, mut others) = (Vec::new(), Vec::new());
    for &(key, value) in entries {
        let Some(name) = heap.text(key).filter(|&name| Some(name) != place).map(str::to_owned) else { continue };
        match heap.get(value) {
            Value::Bool(value) => plain.push((name, Plain::Bool(*value))),
            Value::Int(value) if i64::try_from(*value).is_ok() => plain.push((name, Plain::Int(*value as i64))),
            Value::Float(value) => plain.push((name, Plain::Float(*value))),
            Value::Text(value) => plain.push((name, Plain::Text(value.clone()))),
            Value::Tensor(_) if place.is_none() => {}
            _ => others.push(name),
        }
    }
    (plain, others)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Tensor(_) => "a single tensor",
        Value::List(_) | Value::Tuple(_) => "a list",
        Value::Text(_) => "a text",
        _ => "something else",
    }
}
