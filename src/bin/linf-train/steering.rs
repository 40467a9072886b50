//! Orders that change the training under way: written down first, then in force, from one step to the next.

use linf::experiment::{Schedules, Steered, Steering};

use crate::training::Training;

/// What an order asks for at once, beside its effect on the schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtOnce {
    pub checkpoint: bool,
    pub evaluate: bool,
}

impl Training<'_> {
    /// Lets what is due take force. While it cannot be written down (a full disk) it has to wait.
    pub fn steer(&mut self) -> anyhow::Result<AtOnce> {
        self.helm.hear(self.session.changes());
        let step = self.position.step;
        let due = self.helm.due(step, self.job.epoch(step));
        if due.again.is_empty() && due.new.is_empty() {
            return Ok(AtOnce::default());
        }
        match self.writer.steered(due.new.clone()) {
            Err(error) if error.is_passing() => return Ok(AtOnce::default()),
            written => written?,
        }
        let mut at_once = AtOnce::default();
        for Steered { what, .. } in due.again.iter().chain(&due.new) {
            self.writer.event(Some(step), "steer", format!("{what} from step {} on", step + 1));
            at_once.checkpoint |= *what == Steering::Checkpoint;
            at_once.evaluate |= *what == Steering::Evaluate;
        }
        self.job.schedules = Schedules::new(&self.job.config).steered(self.helm.obey(due));
        Ok(at_once)
    }
}
