//! Reads the machine's load, while somebody looks at it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sysinfo::{CpuRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::{process::Command, time::timeout};

use super::machine::{Gpu, Machine};
use crate::dispatch::dispatcher_alive;

/// The instruments.
pub struct Gauges {
    /// Absent where the operating system does not tell.
    system: Option<System>,
    store: PathBuf,
    /// Whether this machine has a tool that knows its CUDA devices.
    devices: bool,
}

impl Gauges {
    /// For the workers of the store in this folder.
    pub fn new(store: &Path) -> Gauges {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_list(CpuRefreshKind::nothing().with_usage());
        }
        Gauges { system, store: store.to_owned(), devices: true }
    }

    /// Reads all of them, and the processes of these workers. Loads are those since the last reading.
    pub async fn read(&mut self, workers: &[i32]) -> Machine {
        let mut machine = Machine {
            devices: self.devices().await,
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

    async fn devices(&mut self) -> Vec<Gpu> {
        if !self.devices {
            return Vec::new();
        }
        let output = Command::new("nvidia-smi")
            .arg("--query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu")
            .arg("--format=csv,noheader,nounits")
            .kill_on_drop(true)
            .output();
        match timeout(Duration::from_secs(2), output).await {
            Ok(Ok(output)) if output.status.success() => {
                String::from_utf8_lossy(&output.stdout).lines().filter_map(Gpu::from_line).collect()
            }
            _ => {
                self.devices = false;
                Vec::new()
            }
        }
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
