//! What NVML, the driver's own library, says about the GPUs. Opened at run time: a machine without it has no GPUs.

use std::time::{Duration, Instant};

use nvml_wrapper::{Nvml, enum_wrappers::device::TemperatureSensor, enums::device::UsedGpuMemory};

/// One GPU as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gpu {
    /// The number in `cuda:N`.
    pub index: usize,
    /// The model: `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Bytes of its memory in use, by anybody.
    pub used: u64,
    /// Bytes of its memory.
    pub total: u64,
    /// How busy it is, from 0 to 1.
    pub load: Option<f64>,
    /// Degrees Celsius.
    pub celsius: Option<u32>,
    /// The processes that compute on it, with the bytes each holds where that is known.
    pub processes: Vec<(i32, Option<u64>)>,
}

/// So much in use without a process to be seen means one in another container; the driver itself takes less.
const UNSEEN: u64 = 1 << 30;

impl Gpu {
    /// Who uses it beside the processes `ours`, as words; `None` where nobody does. `held`: one of our runs is on it, so
    /// that memory without a visible owner may be that run's.
    pub fn used_by_others(&self, ours: &[i32], held: bool) -> Option<String> {
        let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
        let other = self.processes.iter().find(|(pid, _)| !ours.contains(pid));
        match other {
            Some((pid, Some(bytes))) => Some(format!("cuda:{} by process {pid}, {}", self.index, gib(*bytes))),
            Some((pid, None)) => Some(format!("cuda:{} by process {pid}", self.index)),
            None if !held && self.processes.is_empty() && self.used > UNSEEN => {
                Some(format!("cuda:{} by a process that cannot be seen, {}", self.index, gib(self.used)))
            }
            None => None,
        }
    }
}

/// The GPUs of this machine, looked at no more than once a second.
#[derive(Debug, Default)]
pub struct Gpus {
    nvml: Option<Nvml>,
    seen: Vec<Gpu>,
    looked: Option<Instant>,
}

const LOOK: Duration = Duration::from_secs(1);

impl Gpus {
    /// Opens NVML where it is.
    pub fn open() -> Gpus {
        Gpus { nvml: Nvml::init().ok(), ..Gpus::default() }
    }

    /// The GPUs as they are now. One that does not answer is left out.
    pub fn look(&mut self) -> &[Gpu] {
        if let Some(nvml) = &self.nvml
            && self.looked.is_none_or(|looked| looked.elapsed() >= LOOK)
        {
            self.seen = (0..nvml.device_count().unwrap_or(0)).filter_map(|index| gpu(nvml, index)).collect();
            self.looked = Some(Instant::now());
        }
        &self.seen
    }
}

fn gpu(nvml: &Nvml, index: u32) -> Option<Gpu> {
    let device = nvml.device_by_index(index).ok()?;
    let memory = device.memory_info().ok()?;
    let processes = device.running_compute_processes().unwrap_or_default();
    let bytes = |memory| match memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    Some(Gpu {
        index: index as usize,
        name: device.name().unwrap_or_else(|_| "NVIDIA GPU".into()),
        used: memory.used,
        total: memory.total,
        load: device.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0),
        celsius: device.temperature(TemperatureSensor::Gpu).ok(),
        processes: processes
            .iter()
            .filter_map(|process| Some((i32::try_from(process.pid).ok()?, bytes(process.used_gpu_memory.clone()))))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_busy_where_somebody_else_computes_on_it() {
        let gpu =
            |used, processes| Gpu { index: 1, name: "H100".into(), used, total: 80 << 30, processes, ..Gpu::default() };
        assert_eq!(gpu(600 << 20, vec![]).used_by_others(&[], false), None);
        assert_eq!(gpu(9 << 30, vec![(7, Some(9 << 30))]).used_by_others(&[7], false), None);
        let said = gpu(9 << 30, vec![(7, None), (8, Some(3 << 29))]).used_by_others(&[7], true);
        assert_eq!(said.as_deref(), Some("cuda:1 by process 8, 1.5 GiB"));
        let unseen = gpu(9 << 30, vec![]);
        assert!(unseen.used_by_others(&[7], false).unwrap().contains("cannot be seen, 9.0 GiB"));
        assert_eq!(unseen.used_by_others(&[7], true), None, "our own run, seen from inside a container");
    }
}
