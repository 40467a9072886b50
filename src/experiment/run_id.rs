//! A run's identity and its name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The number of a run in its store, from 1. It also names the run's folder (`runs/<id>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix('#').unwrap_or(text).parse().map(RunId)
    }
}

const ADJECTIVES: [&str; 40] = [
    "bold", "brave", "brisk", "bright", "calm", "clear", "cool", "crisp", "deft", "eager", "fair", "fleet", "fond",
    "frank", "glad", "grand", "hardy", "keen", "kind", "light", "lively", "merry", "mild", "neat", "noble", "pale",
    "plain", "proud", "quick", "quiet", "rapid", "sharp", "shy", "sleek", "sound", "spry", "still", "swift", "warm",
    "wise",
];
const ANIMALS: [&str; 41] = [
    "auk", "badger", "bat", "bear", "beaver", "bison", "crane", "crow", "deer", "dove", "eagle", "egret", "elk",
    "falcon", "ferret", "finch", "fox", "gecko", "grebe", "hare", "hawk", "heron", "ibex", "ibis", "jay", "kite",
    "lark", "lynx", "marten", "mole", "moth", "newt", "otter", "owl", "raven", "seal", "stoat", "swan", "tern", "vole",
    "wren",
];

/// A name that is easy to say and to type, such as `brisk-otter`. The first 1640 runs of a store get different ones
/// (40 and 41 have no common divisor); later ones carry a number.
pub fn run_name(id: RunId) -> String {
    let index = usize::try_from(id.0.max(1)).unwrap_or(1) - 1;
    let (adjectives, animals) = (ADJECTIVES.len(), ANIMALS.len());
    // Strides coprime to the list lengths keep neighbours in the queue unlike each other.
    let name = format!("{}-{}", ADJECTIVES[(index * 27 + 2) % adjectives], ANIMALS[(index * 25 + 32) % animals]);
    match index / (adjectives * animals) {
        0 => name,
        round => format!("{name}-{}", round + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_differ() {
        let names: HashSet<_> = (1..=5000).map(|id| run_name(RunId(id))).collect();
        assert_eq!(names.len(), 5000);
        assert_eq!(run_name(RunId(1)), "brisk-otter");
    }

    #[test]
    fn an_id_reads_with_and_without_the_hash() {
        assert_eq!("17".parse::<RunId>().unwrap(), RunId(17));
        assert_eq!("#17".parse::<RunId>().unwrap(), RunId(17));
        assert!("otter".parse::<RunId>().is_err());
    }
}
