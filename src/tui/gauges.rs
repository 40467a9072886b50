//! Reads the machine's load, while somebody looks at it.

use std::path::{Path, PathBuf};

use sysinfo::{CpuRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::machine::Machine;
use crate::dispatch::{dispatcher_alive, gpu::Gpus};

/// The instruments.
pub struct Gauges {
    /// Absent where the operating system does not tell.
    system: Option<System>,
    store: PathBuf,
    devices: Gpus,
}

impl Gauges {
    /// For the workers of the store in this folder.
    pub fn new(store: &Path) -> Gauges {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_list(CpuRefreshKind::nothing().with_usage());
        }
        Gauges { system, store: store.to_owned(), devices: Gpus::open() }
    }

    /// Reads all of them, and the processes of these workers. Loads are those since the last reading.
    pub fn read(&mut self, workers: &[i32]) -> Machine {
        let mut machine = Machine {
            devices: self.devices.look().to_vec(),
            dispatcher: dispatcher_alive(&self.store).unwrap_or(false),
            ..Machine::default()
        };
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
            machine.cores = system.cpus().iter().map(|cpu| cpu.usage() / 100.0).collect();
            (machine.memory_used, machine.memory_total) = (system.used_memory(), system.total_memory());
            machine.workers = processes(system, workers);
        }
        machine
    }
}

/// Of each process that is alive: its id, its share of a core, its bytes of memory.
fn processes(system: &mut System, pids: &[i32]) -> Vec<(i32, f32, u64)> {
    let pids: Vec<Pid> = pids.iter().filter_map(|pid| u32::try_from(*pid).ok()).map(Pid::from_u32).collect();
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
    let reading = |pid: &Pid| {
        let process = system.process(*pid)?;
        Some((i32::try_from(pid.as_u32()).ok()?, process.cpu_usage() / 100.0, process.memory()))
    };
    pids.iter().filter_map(reading).collect()
}
