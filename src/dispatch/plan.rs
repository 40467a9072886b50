//! Who trains next: a pure look at the queue. First come, first served, within the slots of each device.

use std::collections::BTreeMap;

use super::machine::LONGEST_BACK_OFF_MS;
use crate::{
    experiment::{Device, RunId, RunState, WaitReason},
    store::RunRow,
};

/// How many runs may train at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Runs on the CPU (and those that take the device they find). A CUDA device named in a config takes one run.
    pub cpu: usize,
}

impl Default for Slots {
    /// One: a run takes all cores, and two at once would each take more than twice as long.
    fn default() -> Self {
        Slots { cpu: 1 }
    }
}

/// What becomes of a queued run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gets a worker.
    Start(RunId),
    /// It waits for another reason than the one it shows.
    Wait(RunId, WaitReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pool {
    Cpu,
    Cuda(usize),
}

impl Pool {
    fn of(device: Device) -> Pool {
        match device {
            Device::Auto | Device::Cpu | Device::LibtorchCpu => Pool::Cpu,
            Device::Cuda(index) => Pool::Cuda(index),
        }
    }

    fn size(self, slots: Slots) -> usize {
        match self {
            Pool::Cpu => slots.cpu,
            Pool::Cuda(_) => 1,
        }
    }
}

/// Decides over all runs of a store, given in the order of their ids; runs that neither wait nor train may be left out.
pub fn plan<'a>(rows: impl Iterator<Item = &'a RunRow> + Clone, slots: Slots, now_ms: i64) -> Vec<Decision> {
    let mut holders: BTreeMap<Pool, Vec<RunId>> = BTreeMap::new();
    for row in rows.clone().filter(|row| row.state.holds_a_slot()) {
        holders.entry(Pool::of(row.config.resources.device)).or_default().push(row.id);
    }
    let mut decisions = Vec::new();
    for row in rows {
        let RunState::Queued { reason } = &row.state else { continue };
        let pool = Pool::of(row.config.resources.device);
        let held_by = holders.entry(pool).or_default();
        let backs_off = matches!(reason, WaitReason::Retry { at_ms, .. } if still_ahead(*at_ms, now_ms));
        if backs_off {
            continue;
        }
        if held_by.len() < pool.size(slots) {
            held_by.push(row.id);
            decisions.push(Decision::Start(row.id));
        } else if !matches!(reason, WaitReason::Retry { .. }) {
            // A retry keeps its reason while it waits for a slot: it says more, and it carries the count.
            let wait = WaitReason::Slot { held_by: held_by.clone() };
            if *reason != wait {
                decisions.push(Decision::Wait(row.id, wait));
            }
        }
    }
    decisions
}

/// A moment further ahead than any back-off means that the clock was set back: then nobody waits for it.
fn still_ahead(at_ms: i64, now_ms: i64) -> bool {
    (1..=LONGEST_BACK_OFF_MS).contains(&(at_ms - now_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        experiment::{Desired, LostReason, Progress, WorkerIdentity, parse},
        store::Summary,
    };

    const NOW: i64 = 5_000_000;

    fn row(id: i64, device: Device, state: RunState) -> RunRow {
        let text = r#"
            data.dataset = "mnist"
            model = { depth = 3, width = 16 }
            train = { epochs = 2, batch_size = 32, lr = 0.02 }
            schedule = { ramp_start = 0, ramp_end = 1 }
            loss = { lambda = 0.1, eps_train = 0.3 }
            eval = { eps = 0.1 }
        "#;
        let mut config = parse(text).unwrap();
        config.resources.device = device;
        RunRow {
            id: RunId(id),
            name: format!("run-{id}"),
            group: None,
            variant: String::new(),
            tags: Vec::new(),
            note: String::new(),
            state,
            desired: Desired::Run,
            config,
            added_ms: 0,
            started_ms: None,
            ended_ms: None,
            attempts: 0,
            summary: Summary::default(),
            revision: 0,
        }
    }

    fn queued(id: i64) -> RunRow {
        row(id, Device::Cpu, RunState::Queued { reason: WaitReason::New })
    }

    fn running(id: i64, device: Device) -> RunRow {
        let identity = WorkerIdentity { pid: 1, start_ticks: 1, boot_id: "b".into(), nonce: "n".into() };
        let progress = Progress { step: 0, epoch: 0.0, p: crate::experiment::PNorm::INFINITY };
        row(id, device, RunState::Running { identity, progress, retry: 0 })
    }

    fn retry(id: i64, at_ms: i64) -> RunRow {
        let reason = WaitReason::Retry { attempt: 1, at_ms, lost: LostReason::Vanished };
        row(id, Device::Cpu, RunState::Queued { reason })
    }

    fn decide(rows: &[RunRow], cpu: usize) -> Vec<Decision> {
        plan(rows.iter(), Slots { cpu }, NOW)
    }

    fn slot(id: i64, held_by: &[i64]) -> Decision {
        Decision::Wait(RunId(id), WaitReason::Slot { held_by: held_by.iter().copied().map(RunId).collect() })
    }

    #[test]
    fn first_come_first_served_and_the_others_are_told_whom_they_wait_for() {
        let rows = [queued(1), queued(2), queued(3)];
        assert_eq!(decide(&rows, 1), [Decision::Start(RunId(1)), slot(2, &[1]), slot(3, &[1])]);
        let starts = [Decision::Start(RunId(1)), Decision::Start(RunId(2)), slot(3, &[1, 2])];
        assert_eq!(decide(&rows, 2), starts);
    }

    #[test]
    fn a_reason_that_still_holds_is_not_written_again() {
        let waiting = row(2, Device::Cpu, RunState::Queued { reason: WaitReason::Slot { held_by: vec![RunId(1)] } });
        assert_eq!(decide(&[running(1, Device::Cpu), waiting], 1), []);
    }

    #[test]
    fn a_run_on_the_gpu_does_not_wait_for_one_on_the_cpu() {
        let on_gpu = |id, index| row(id, Device::Cuda(index), RunState::Queued { reason: WaitReason::New });
        let rows = [running(1, Device::Cpu), on_gpu(2, 0), on_gpu(3, 0), on_gpu(4, 1)];
        assert_eq!(decide(&rows, 1), [Decision::Start(RunId(2)), slot(3, &[2]), Decision::Start(RunId(4))]);
    }

    #[test]
    fn a_run_that_backs_off_lets_others_pass() {
        assert_eq!(decide(&[retry(1, NOW + 1000), queued(2)], 1), [Decision::Start(RunId(2))]);
        assert_eq!(decide(&[retry(1, NOW), queued(2)], 1), [Decision::Start(RunId(1)), slot(2, &[1])]);
    }

    #[test]
    fn a_retry_that_waits_for_a_slot_keeps_its_count() {
        assert_eq!(decide(&[running(1, Device::Cpu), retry(2, NOW)], 1), []);
    }

    #[test]
    fn a_clock_that_was_set_back_delays_nobody() {
        assert_eq!(decide(&[retry(1, NOW + 86_400_000)], 1), [Decision::Start(RunId(1))]);
    }
}
