//! Reads the machine's load, while somebody looks at it.

use std::path::{Path, PathBuf};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::process::Command;

use super::machine::{Gpu, Machine};

/// The instruments.
pub struct Gauges {
    system: System,
    store: PathBuf,
    /// Whether this machine has a tool that knows its CUDA devices.
    devices: bool,
}

impl Gauges {
    /// For the workers of the store in this folder.
    pub fn new(store: &Path) -> Gauges {
        Gauges { system: System::new(), store: store.to_owned(), devices: true }
    }

    /// Reads all of them. Loads are those since the last reading.
    pub async fn read(&mut self) -> Machine {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let workers = self.workers();
        Machine {
            cores: self.system.cpus().iter().map(|cpu| cpu.cpu_usage() / 100.0).collect(),
            memory_used: self.system.used_memory(),
            memory_total: self.system.total_memory(),
            devices: self.devices().await,
            workers,
            slots: None,
            dispatcher: true,
        }
    }

    /// The processes that wrote `worker.json` into a run's folder.
    fn workers(&mut self) -> Vec<(i32, f32, u64)> {
        let pids: Vec<Pid> = worker_pids(&self.store).into_iter().map(Pid::from_u32).collect();
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
        let reading = |pid: &Pid| {
            let process = self.system.process(*pid)?;
            Some((i32::try_from(pid.as_u32()).ok()?, process.cpu_usage() / 100.0, process.memory()))
        };
        pids.iter().filter_map(reading).collect()
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
        match tokio::time::timeout(std::time::Duration::from_secs(2), output).await {
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
