//! When a queued run's turn comes: its place in the queue and what it waits for.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::RunId;

/// What decides when a queued run may start, beside free slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Higher ones go first; 0 unless somebody said otherwise.
    pub priority: i32,
    /// Among equal priorities, lower places go first. `None`: the run's number, so first come, first served.
    pub place: Option<f64>,
    /// Not before this moment. Milliseconds since the Unix epoch.
    pub start_at_ms: Option<i64>,
    /// Not before these runs have ended.
    pub after: Vec<After>,
}

impl Turn {
    /// Which of two runs of a queue goes first.
    pub fn compare(&self, id: RunId, other: &Turn, other_id: RunId) -> Ordering {
        other
            .priority
            .cmp(&self.priority)
            .then(self.place_of(id).total_cmp(&other.place_of(other_id)))
            .then(id.cmp(&other_id))
    }

    /// This turn, put at place `at` of a queue in order that its run is not in: with the priority of `queue[beside]`, and
    /// between its neighbours of that priority. `None` where there is nobody beside.
    pub fn put(&self, id: RunId, queue: &[(RunId, &Turn)], at: usize, beside: usize) -> Option<Turn> {
        let (_, Turn { priority, .. }) = *queue.get(beside)?;
        let neighbour = |index: Option<usize>| {
            let (id, turn) = queue.get(index?).filter(|(_, turn)| turn.priority == *priority)?;
            Some(turn.place_of(*id))
        };
        let between = match (neighbour(at.checked_sub(1)), neighbour(Some(at))) {
            (Some(above), Some(below)) => (above + below) / 2.0,
            (Some(above), None) => above + 1.0,
            (None, Some(below)) => below - 1.0,
            (None, None) => id.0 as f64,
        };
        Some(Turn { priority: *priority, place: Some(between), ..self.clone() })
    }

    /// The place in force.
    pub fn place_of(&self, id: RunId) -> f64 {
        self.place.unwrap_or(id.0 as f64)
    }
}

/// A run to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// Which.
    pub run: RunId,
    /// What must have become of it.
    pub need: Need,
}

/// What must have become of a run before another one starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// It is completed.
    #[default]
    Ok,
    /// It has ended, in whatever way: completed, failed, cancelled, lost or removed.
    Any,
}

impl FromStr for Need {
    type Err = String;
    fn from_str(text: &str) -> Result<Need, String> {
        match text {
            "ok" => Ok(Need::Ok),
            "any" => Ok(Need::Any),
            _ => Err(format!("\"{text}\" is no way to end: allowed are ok (completed) and any")),
        }
    }
}

/// The checkpoint that a forked run began from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The run it was forked from, in the same store.
    pub run: RunId,
    /// Its name at that moment.
    pub name: String,
    /// The checkpoint's step.
    pub step: u64,
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} at step {}", self.run, self.name, self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_then_place_then_number() {
        let turn = |priority, place| Turn { priority, place, ..Turn::default() };
        let mut queue =
            [(1, turn(0, None)), (2, turn(5, None)), (3, turn(0, Some(0.5))), (4, turn(5, None)), (5, turn(-1, None))];
        queue.sort_by(|(a, left), (b, right)| left.compare(RunId(*a), right, RunId(*b)));
        assert_eq!(queue.map(|(id, _)| id), [2, 4, 3, 1, 5]);
    }

    #[test]
    fn a_run_that_is_put_somewhere_goes_there() {
        let turn = |priority| Turn { priority, ..Turn::default() };
        let others: Vec<(RunId, Turn)> = [(1, 5), (2, 5), (3, 0), (4, 0)].map(|(id, p)| (RunId(id), turn(p))).into();
        let queue: Vec<(RunId, &Turn)> = others.iter().map(|(id, turn)| (*id, turn)).collect();
        let moved = (RunId(9), turn(-2));
        for (at, beside) in [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (4, 3)] {
            let put = moved.1.put(moved.0, &queue, at, beside).unwrap();
            assert_eq!(put.priority, queue[beside].1.priority);
            let mut all: Vec<(RunId, &Turn)> = queue.iter().copied().chain([(moved.0, &put)]).collect();
            all.sort_by(|(a, left), (b, right)| left.compare(*a, right, *b));
            assert_eq!(all.iter().position(|(id, _)| *id == moved.0), Some(at), "at {at} beside {beside}");
        }
        assert_eq!(moved.1.put(moved.0, &[], 0, 0), None);
    }
}
