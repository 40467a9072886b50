//! Who trains next: a pure look at the queue. By priority and place, within the slots of each device and group.

use std::collections::BTreeMap;

use super::{gpu::Gpu, machine::LONGEST_BACK_OFF_MS};
use crate::{
    experiment::{Device, Need, RunId, RunState, WaitReason},
    store::RunRow,
};

/// How many runs may train at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Runs on the CPU. A GPU takes one run, or several that all share.
    pub cpu: usize,
}

impl Default for Slots {
    /// One: a run takes all cores, and two at once would each take more than twice as long.
    fn default() -> Self {
        Slots { cpu: 1 }
    }
}

/// What the queue is planned on, beside the runs themselves.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// How many runs may train at once.
    pub slots: Slots,
    /// The GPUs that the driver shows.
    pub gpus: &'a [Gpu],
    /// How many runs of a group may train at once, where that is limited.
    pub groups: &'a BTreeMap<String, usize>,
    /// The runs that neither wait nor train. A run that is in neither this nor the queue is gone.
    pub others: &'a BTreeMap<RunId, Other>,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// What a run is that neither waits nor trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// Paused or on hold: it has yet to end.
    Rests,
    /// At its end.
    Completed,
    /// Ended before that.
    Ended,
}

impl Other {
    /// Of a run in this state; `None` where it waits or trains.
    pub fn of(state: &RunState) -> Option<Other> {
        match state {
            RunState::Completed => Some(Other::Completed),
            RunState::Paused { .. } => Some(Other::Rests),
            state => state.is_over().then_some(Other::Ended),
        }
    }
}

/// What becomes of a queued run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gets a worker on this device.
    Start(RunId, Device),
    /// It waits for another reason than the one it shows.
    Wait(RunId, WaitReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Cpu,
    Cuda(usize),
}

/// Who holds what.
struct Holders<'a> {
    units: BTreeMap<Unit, Vec<&'a RunRow>>,
    groups: BTreeMap<&'a str, Vec<RunId>>,
    /// Processes of ours.
    workers: Vec<i32>,
}

impl<'a> Holders<'a> {
    fn add(&mut self, row: &'a RunRow, unit: Unit) {
        self.units.entry(unit).or_default().push(row);
        self.groups.entry(row.group.as_deref().unwrap_or_default()).or_default().push(row.id);
        self.workers.extend(row.state.identity().map(|identity| identity.pid));
    }

    fn on(&self, unit: Unit) -> &[&'a RunRow] {
        self.units.get(&unit).map_or(&[], Vec::as_slice)
    }
}

/// Decides over all runs of a store that wait or train; others may be left out.
pub fn plan<'a>(rows: impl Iterator<Item = &'a RunRow> + Clone, ground: Ground) -> Vec<Decision> {
    let mut holders = Holders { units: BTreeMap::new(), groups: BTreeMap::new(), workers: Vec::new() };
    for row in rows.clone().filter(|row| row.state.holds_a_slot()) {
        holders.add(row, unit_of(row));
    }
    let alive: Vec<RunId> = rows.clone().map(|row| row.id).collect();
    let mut queue: Vec<&RunRow> = rows.filter(|row| matches!(row.state, RunState::Queued { .. })).collect();
    queue.sort_by(|a, b| a.turn.compare(a.id, &b.turn, b.id));
    let mut decisions = Vec::new();
    for row in queue {
        let RunState::Queued { reason } = &row.state else { continue };
        if matches!(reason, WaitReason::Retry { at_ms, .. } if still_ahead(*at_ms, ground.now_ms)) {
            continue;
        }
        match decide(row, &holders, &alive, ground) {
            Ok(unit) => {
                holders.add(row, unit);
                decisions.push(Decision::Start(row.id, device(row.config.resources.device, unit)));
            }
            // A retry keeps its reason while it waits: it says more, and it carries the count.
            Err(_) if matches!(reason, WaitReason::Retry { .. }) => {}
            Err(wait) if wait == *reason => {}
            Err(wait) => decisions.push(Decision::Wait(row.id, wait)),
        }
    }
    decisions
}

fn decide(row: &RunRow, holders: &Holders, alive: &[RunId], ground: Ground) -> Result<Unit, WaitReason> {
    if let Some(at_ms) = row.turn.start_at_ms.filter(|at_ms| *at_ms > ground.now_ms) {
        return Err(WaitReason::StartAt { at_ms });
    }
    after(row, alive, ground.others)?;
    if let Some((name, &slots)) = row.group.as_ref().and_then(|name| ground.groups.get_key_value(name)) {
        let held_by = holders.groups.get(name.as_str()).cloned().unwrap_or_default();
        if held_by.len() >= slots {
            return Err(WaitReason::Group { name: name.clone(), slots, held_by });
        }
    }
    let mut held_by = Vec::new();
    let mut busy = Vec::new();
    for unit in candidates(row.config.resources.device, ground.gpus) {
        let on_it = holders.on(unit);
        match unit {
            Unit::Cpu if on_it.len() < ground.slots.cpu => return Ok(unit),
            Unit::Cuda(index) => {
                let shares = |row: &RunRow| row.config.resources.share_gpu;
                let gpu = ground.gpus.iter().find(|gpu| gpu.index == index);
                let others = gpu.and_then(|gpu| gpu.used_by_others(&holders.workers, !on_it.is_empty()));
                let room = on_it.is_empty() || shares(row) && on_it.iter().all(|row| shares(row));
                match others {
                    Some(what) if room => busy.push(what),
                    _ if room => return Ok(unit),
                    _ => {}
                }
            }
            Unit::Cpu => {}
        }
        held_by.extend(on_it.iter().map(|row| row.id));
    }
    if busy.is_empty() { Err(WaitReason::Slot { held_by }) } else { Err(WaitReason::Busy { what: busy.join("; ") }) }
}

/// Whether the runs that it waits for have ended as they must.
fn after(row: &RunRow, alive: &[RunId], others: &BTreeMap<RunId, Other>) -> Result<(), WaitReason> {
    let (mut runs, mut in_vain) = (Vec::new(), false);
    for after in &row.turn.after {
        match (others.get(&after.run), after.need) {
            (Some(Other::Completed), _) | (Some(Other::Ended), Need::Any) => {}
            (Some(Other::Rests), _) => runs.push(after.run),
            (None, _) if alive.contains(&after.run) => runs.push(after.run),
            (None, Need::Any) => {}
            (Some(Other::Ended) | None, Need::Ok) => {
                in_vain = true;
                runs.push(after.run);
            }
        }
    }
    if runs.is_empty() { Ok(()) } else { Err(WaitReason::After { runs, in_vain }) }
}

/// What a run that has a worker sits on: what it was given, or what its config names.
fn unit_of(row: &RunRow) -> Unit {
    match row.device.unwrap_or(row.config.resources.device) {
        Device::Cuda(index) => Unit::Cuda(index),
        Device::Auto | Device::Cpu | Device::LibtorchCpu => Unit::Cpu,
    }
}

/// Where a run may train, best first.
fn candidates(device: Device, gpus: &[Gpu]) -> Vec<Unit> {
    match device {
        Device::Cuda(index) => vec![Unit::Cuda(index)],
        Device::Auto if gpus.iter().any(can_train) => {
            gpus.iter().filter(|gpu| can_train(gpu)).map(|gpu| Unit::Cuda(gpu.index)).collect()
        }
        Device::Auto | Device::Cpu | Device::LibtorchCpu => vec![Unit::Cpu],
    }
}

fn can_train(gpu: &Gpu) -> bool {
    gpu.fault.is_none()
}

/// What the worker is told: what it holds, and nothing else.
fn device(asked: Device, unit: Unit) -> Device {
    match (unit, asked) {
        (Unit::Cuda(index), _) => Device::Cuda(index),
        (Unit::Cpu, Device::Auto) => Device::Cpu,
        (Unit::Cpu, asked) => asked,
    }
}

/// A moment further ahead than any back-off means that the clock was set back: then nobody waits for it.
fn still_ahead(at_ms: i64, now_ms: i64) -> bool {
    (1..=LONGEST_BACK_OFF_MS).contains(&(at_ms - now_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        experiment::{After, Desired, LostReason, Progress, Turn, WorkerIdentity, parse},
        store::Summary,
    };

    const NOW: i64 = 5_000_000;
    const CPU: Device = Device::Cpu;

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
            turn: Turn::default(),
            parent: None,
            device: None,
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

    const NO_GROUPS: &BTreeMap<String, usize> = &BTreeMap::new();
    const NO_OTHERS: &BTreeMap<RunId, Other> = &BTreeMap::new();

    fn ground(cpu: usize) -> Ground<'static> {
        Ground { slots: Slots { cpu }, gpus: &[], groups: NO_GROUPS, others: NO_OTHERS, now_ms: NOW }
    }

    fn decide(rows: &[RunRow], cpu: usize) -> Vec<Decision> {
        plan(rows.iter(), ground(cpu))
    }

    fn start(id: i64, device: Device) -> Decision {
        Decision::Start(RunId(id), device)
    }

    fn with(mut row: RunRow, change: impl FnOnce(&mut RunRow)) -> RunRow {
        change(&mut row);
        row
    }

    fn gpus(processes: [&[i32]; 2]) -> Vec<Gpu> {
        let gpu = |(index, pids): (usize, &[i32])| Gpu {
            index,
            name: "a GPU".into(),
            used: 0,
            total: 80 << 30,
            processes: pids.iter().map(|pid| (*pid, None)).collect(),
            ..Gpu::default()
        };
        processes.into_iter().enumerate().map(gpu).collect()
    }

    fn slot(id: i64, held_by: &[i64]) -> Decision {
        Decision::Wait(RunId(id), WaitReason::Slot { held_by: held_by.iter().copied().map(RunId).collect() })
    }

    #[test]
    fn first_come_first_served_and_the_others_are_told_whom_they_wait_for() {
        let rows = [queued(1), queued(2), queued(3)];
        assert_eq!(decide(&rows, 1), [start(1, CPU), slot(2, &[1]), slot(3, &[1])]);
        let starts = [start(1, CPU), start(2, CPU), slot(3, &[1, 2])];
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
        assert_eq!(decide(&rows, 1), [start(2, Device::Cuda(0)), slot(3, &[2]), start(4, Device::Cuda(1))]);
    }

    #[test]
    fn a_run_that_backs_off_lets_others_pass() {
        assert_eq!(decide(&[retry(1, NOW + 1000), queued(2)], 1), [start(2, CPU)]);
        assert_eq!(decide(&[retry(1, NOW), queued(2)], 1), [start(1, CPU), slot(2, &[1])]);
    }

    #[test]
    fn a_retry_that_waits_for_a_slot_keeps_its_count() {
        assert_eq!(decide(&[running(1, Device::Cpu), retry(2, NOW)], 1), []);
    }

    #[test]
    fn a_clock_that_was_set_back_delays_nobody() {
        assert_eq!(decide(&[retry(1, NOW + 86_400_000)], 1), [start(1, CPU)]);
    }

    #[test]
    fn priority_goes_before_place_and_place_before_number() {
        let rows = [
            queued(1),
            with(queued(2), |row| row.turn.place = Some(0.5)),
            with(queued(3), |row| row.turn.priority = 1),
        ];
        assert_eq!(decide(&rows, 1), [start(3, CPU), slot(2, &[3]), slot(1, &[3])]);
        assert_eq!(decide(&rows, 2), [start(3, CPU), start(2, CPU), slot(1, &[3, 2])]);
    }

    #[test]
    fn a_run_that_starts_later_lets_others_pass() {
        let rows = [with(queued(1), |row| row.turn.start_at_ms = Some(NOW + 1)), queued(2)];
        assert_eq!(decide(&rows, 1), [Decision::Wait(RunId(1), WaitReason::StartAt { at_ms: NOW + 1 }), start(2, CPU)]);
        let due = [with(queued(1), |row| row.turn.start_at_ms = Some(NOW)), queued(2)];
        assert_eq!(decide(&due, 1), [start(1, CPU), slot(2, &[1])]);
    }

    #[test]
    fn a_run_starts_after_others_if_they_ended_as_they_must() {
        let waits = |need| with(queued(5), |row| row.turn.after = vec![After { run: RunId(1), need }]);
        let decide = |rows: &[RunRow], others: &[(i64, Other)]| {
            let others = others.iter().map(|(id, other)| (RunId(*id), *other)).collect();
            plan(rows.iter(), Ground { others: &others, ..ground(2) })
        };
        let wait = |in_vain| [Decision::Wait(RunId(5), WaitReason::After { runs: vec![RunId(1)], in_vain })];
        for need in [Need::Ok, Need::Any] {
            assert_eq!(decide(&[running(1, CPU), waits(need)], &[]), wait(false));
            assert_eq!(decide(&[waits(need)], &[(1, Other::Completed)]), [start(5, CPU)]);
            // Whoever resumes it brings it to its end.
            assert_eq!(decide(&[waits(need)], &[(1, Other::Rests)]), wait(false));
        }
        assert_eq!(decide(&[waits(Need::Ok)], &[(1, Other::Ended)]), wait(true));
        assert_eq!(decide(&[waits(Need::Any)], &[(1, Other::Ended)]), [start(5, CPU)]);
        // Removed meanwhile.
        assert_eq!(decide(&[waits(Need::Ok)], &[]), wait(true));
        assert_eq!(decide(&[waits(Need::Any)], &[]), [start(5, CPU)]);
    }

    #[test]
    fn a_group_takes_no_more_than_its_slots() {
        let in_group = |row| with(row, |row: &mut RunRow| row.group = Some("g".into()));
        let rows = [in_group(running(1, CPU)), in_group(queued(2)), queued(3), in_group(queued(4))];
        let groups = BTreeMap::from([("g".to_owned(), 2)]);
        let wait = WaitReason::Group { name: "g".into(), slots: 2, held_by: vec![RunId(1), RunId(2)] };
        assert_eq!(
            plan(rows.iter(), Ground { groups: &groups, ..ground(9) }),
            [start(2, CPU), start(3, CPU), Decision::Wait(RunId(4), wait)]
        );
    }

    #[test]
    fn a_run_that_takes_any_device_gets_a_free_gpu() {
        let auto = |id| row(id, Device::Auto, RunState::Queued { reason: WaitReason::New });
        let on_gpu = with(running(9, Device::Auto), |row| row.device = Some(Device::Cuda(0)));
        let rows = [auto(1), auto(2), on_gpu];
        let free = gpus([&[1], &[]]);
        let decide = |rows: &[RunRow], gpus: &[Gpu]| plan(rows.iter(), Ground { gpus, ..ground(1) });
        assert_eq!(decide(&rows, &free), [start(1, Device::Cuda(1)), slot(2, &[9, 1])]);
        // Process 77 is nobody of ours.
        let busy = |text: &str| WaitReason::Busy { what: text.into() };
        let waits = [1, 2].map(|id| Decision::Wait(RunId(id), busy("cuda:1 by process 77")));
        assert_eq!(decide(&rows, &gpus([&[1], &[77]])), waits);
        // One that the kernels cannot run on is left to those who name it; where there is no other, the CPU is taken.
        let broken = |indices: &[usize]| {
            let mut gpus = gpus([&[], &[]]);
            indices.iter().for_each(|&index| gpus[index].fault = Some("too old".into()));
            gpus
        };
        assert_eq!(decide(&[auto(1)], &broken(&[0])), [start(1, Device::Cuda(1))]);
        assert_eq!(decide(&[auto(1)], &broken(&[0, 1])), [start(1, CPU)]);
        let named = row(1, Device::Cuda(0), RunState::Queued { reason: WaitReason::New });
        assert_eq!(decide(&[named], &broken(&[0, 1])), [start(1, Device::Cuda(0))]);
        // A GPU that the driver does not show is tried: its worker says what is wrong.
        let named = row(1, Device::Cuda(7), RunState::Queued { reason: WaitReason::New });
        assert_eq!(decide(&[named], &free), [start(1, Device::Cuda(7))]);
    }

    #[test]
    fn a_gpu_is_shared_by_those_who_agree() {
        let shares = |row| with(row, |row: &mut RunRow| row.config.resources.share_gpu = true);
        let gpu = Device::Cuda(0);
        let waiting = |id| row(id, gpu, RunState::Queued { reason: WaitReason::New });
        assert_eq!(decide(&[shares(running(1, gpu)), shares(waiting(2))], 1), [start(2, gpu)]);
        assert_eq!(decide(&[shares(running(1, gpu)), waiting(2)], 1), [slot(2, &[1])]);
        assert_eq!(decide(&[running(1, gpu), shares(waiting(2))], 1), [slot(2, &[1])]);
    }
}
