//! Which orders to a run under way take force now: new ones, and those that did before its worker was killed. Pure.

use std::collections::HashSet;

use crate::experiment::{Order, Steered};

/// The orders of one run, as its worker keeps them.
#[derive(Debug, Default)]
pub struct Helm {
    /// In force, oldest first.
    steered: Vec<Steered>,
    /// Took force at later steps, before training went back to a checkpoint: they will again, at the same steps.
    again: Vec<Steered>,
    /// Not yet due.
    waiting: Vec<Order>,
    /// Keys of all of these.
    known: HashSet<String>,
}

/// What takes force between two steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Due {
    /// Stands in the run file already.
    pub again: Vec<Steered>,
    /// To be written into the run file first.
    pub new: Vec<Steered>,
}

impl Helm {
    /// `recorded` is what the run file says took force, in order; `step` is where training resumes.
    pub fn new(recorded: Vec<Steered>, step: u64) -> Helm {
        let known = recorded.iter().map(|steered| steered.key.clone()).collect();
        // What took force after the checkpoint does so again, at the same step.
        let (steered, again) = recorded.into_iter().partition(|steered| steered.step <= step);
        Helm { steered, again, waiting: Vec::new(), known }
    }

    /// Takes in orders; those that are known already are ignored.
    pub fn hear(&mut self, orders: Vec<Order>) {
        for order in orders {
            if self.known.insert(order.key.clone()) {
                self.waiting.push(order);
            }
        }
    }

    /// What is due after so many steps. Nothing has force yet: see [`Helm::obey`].
    pub fn due(&self, step: u64, epoch: f64) -> Due {
        let new = self.waiting.iter().filter(|order| order.at_step.is_none_or(|at| at <= step));
        Due {
            again: self.again.iter().filter(|steered| steered.step <= step).cloned().collect(),
            new: new.map(|Order { key, what, .. }| Steered { key: key.clone(), step, epoch, what: *what }).collect(),
        }
    }

    /// What was due has force from now on. Gives all that has, oldest first.
    pub fn obey(&mut self, due: Due) -> &[Steered] {
        let obeyed: HashSet<&str> = due.again.iter().chain(&due.new).map(|steered| steered.key.as_str()).collect();
        self.again.retain(|steered| !obeyed.contains(steered.key.as_str()));
        self.waiting.retain(|order| !obeyed.contains(order.key.as_str()));
        self.steered.extend(due.again.into_iter().chain(due.new));
        &self.steered
    }

    /// All that has force, oldest first.
    pub fn in_force(&self) -> &[Steered] {
        &self.steered
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::experiment::Steering;

    fn order(key: usize, at_step: Option<u64>) -> Order {
        Order { key: key.to_string(), at_step, what: Steering::LrFactor(key as f64 + 1.0) }
    }

    /// A worker that trains from `from` to before `to`, hearing orders at the steps given. Each step leaves what was in
    /// force in it. Gives the file's record at the end.
    fn train(file: &mut Vec<Steered>, steps: &mut [Vec<f64>], from: u64, to: u64, heard: &[(u64, Order)]) {
        let mut recorded = file.clone();
        recorded.sort_by_key(|steered| steered.step);
        let mut helm = Helm::new(recorded, from);
        for step in from..to {
            // The catalog tells all orders ever given, again and again.
            helm.hear(heard.iter().filter(|(at, _)| *at <= step).map(|(_, order)| order.clone()).collect());
            let due = helm.due(step, step as f64);
            file.extend(due.new.clone());
            let factor = |steered: &Steered| if let Steering::LrFactor(factor) = steered.what { factor } else { 0.0 };
            steps[step as usize] = helm.obey(due).iter().map(factor).collect();
        }
    }

    proptest! {
        /// Whatever is ordered when, and wherever the worker is killed and resumed: the run file's record, replayed
        /// undisturbed, puts the same in force in every step.
        #[test]
        fn a_record_replayed_gives_the_same_steps(
            orders in prop::collection::vec((0u64..60, prop::option::of(0u64..60)), 0..6),
            kills in prop::collection::vec((1u64..60, 0u64..60), 0..4),
        ) {
            let heard: Vec<(u64, Order)> =
                orders.iter().enumerate().map(|(key, &(at, at_step))| (at, order(key, at_step))).collect();
            let (mut file, mut steps) = (Vec::new(), vec![Vec::new(); 60]);
            let mut from = 0;
            for (killed_at, checkpoint) in kills {
                let killed_at = killed_at.max(from);
                train(&mut file, &mut steps, from, killed_at, &heard);
                from = checkpoint.min(killed_at);
            }
            train(&mut file, &mut steps, from, 60, &heard);

            let (mut again, mut replayed) = (file.clone(), vec![Vec::new(); 60]);
            train(&mut again, &mut replayed, 0, 60, &[]);
            prop_assert_eq!(&replayed, &steps);
            prop_assert_eq!(again, file, "nothing is recorded twice");
        }
    }

    #[test]
    fn an_order_for_a_later_step_waits_and_none_is_obeyed_twice() {
        let mut helm = Helm::default();
        helm.hear(vec![order(0, None), order(1, Some(7))]);
        helm.hear(vec![order(0, None)]);
        let due = helm.due(3, 0.3);
        assert_eq!(due.new.iter().map(|steered| (steered.key.as_str(), steered.step)).collect::<Vec<_>>(), [("0", 3)]);
        helm.obey(due);
        assert_eq!(helm.due(6, 0.6), Due::default());
        let due = helm.due(9, 0.9);
        assert_eq!((due.new.len(), due.new[0].step), (1, 9));
        assert_eq!(helm.obey(due).len(), 2);
    }
}
