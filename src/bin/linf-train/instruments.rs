//! What the worker takes of its machine, read every few seconds.

use std::time::{Duration, Instant};

use linf::dispatch::gpu::Gpus;
use linf::store::Gauge;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Between two readings.
const EVERY: Duration = Duration::from_secs(10);
/// Before the first one: a load is that since the last look.
const FIRST: Duration = Duration::from_secs(2);

pub struct Instruments {
    /// Absent where the operating system does not tell.
    process: Option<(System, Pid)>,
    /// NVML, and the number of the device that trains.
    device: Option<(Gpus, usize)>,
    due: Instant,
}

impl Instruments {
    /// Of this process, and of the CUDA device with this number.
    pub fn new(cuda: Option<usize>) -> Instruments {
        let process = System::new().ok().zip(sysinfo::get_current_pid().ok());
        let device = cuda.map(|index| (Gpus::open(), index));
        let mut instruments = Instruments { process, device, due: Instant::now() + FIRST };
        // Loads are counted from here.
        instruments.read();
        instruments
    }

    /// What they say, where it is time to look; else nothing.
    pub fn read_when_due(&mut self) -> Vec<(Gauge, f64)> {
        if Instant::now() < self.due {
            return Vec::new();
        }
        self.due = Instant::now() + EVERY;
        self.read()
    }

    fn read(&mut self) -> Vec<(Gauge, f64)> {
        let mut said = Vec::new();
        if let Some((system, pid)) = &mut self.process {
            let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[*pid]), false, kind);
            if let Some(process) = system.process(*pid) {
                said.push((Gauge::Cores, f64::from(process.cpu_usage()) / 100.0));
                said.push((Gauge::Memory, process.memory() as f64));
            }
        }
        if let Some((gpus, index)) = &mut self.device
            && let Some(gpu) = gpus.look().iter().find(|gpu| gpu.index == *index)
        {
            said.extend(gpu.load.map(|load| (Gauge::DeviceLoad, load)));
            said.extend((gpu.total > 0).then_some((Gauge::DeviceMemory, gpu.used as f64)));
            said.extend(gpu.celsius.map(|celsius| (Gauge::Celsius, f64::from(celsius))));
        }
        said
    }
}
