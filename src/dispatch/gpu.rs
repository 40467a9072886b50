//! The GPUs: those that the CUDA driver shows, under its numbers, and what NVML says of each. Both libraries are opened
//! at run time: a machine without the driver has no GPUs, one without NVML does not tell what they do.

use std::time::{Duration, Instant};

use linf_cuda::{Cache, Shown};
use nvml_wrapper::{
    Device, Nvml, enum_wrappers::device::TemperatureSensor, enums::device::UsedGpuMemory, error::NvmlError,
};

/// One GPU as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gpu {
    /// The number in `cuda:N`.
    pub index: usize,
    /// The model: `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Why nothing can be trained on it.
    pub fault: Option<String>,
    /// Bytes of its memory in use, by anybody.
    pub used: u64,
    /// Bytes of its memory; 0 where NVML does not tell.
    pub total: u64,
    /// How busy it is, from 0 to 1.
    pub load: Option<f64>,
    /// Degrees Celsius.
    pub celsius: Option<u32>,
    /// The processes that compute on it, with the bytes each holds where that is known.
    pub processes: Vec<(i32, Option<u64>)>,
    /// Whether it draws somebody's screen, which takes memory without computing.
    pub draws: bool,
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
            None if !held && !self.draws && self.processes.is_empty() && self.used > UNSEEN => {
                Some(format!("cuda:{} by a process that cannot be seen, {}", self.index, gib(self.used)))
            }
            None => None,
        }
    }
}

/// The GPUs that this process may use, looked at no more than once a second.
#[derive(Debug, Default)]
pub struct Gpus {
    nvml: Option<Nvml>,
    /// As the driver shows them, the same as long as the process lives; and what is wrong with each.
    shown: Vec<(Shown, Option<String>)>,
    seen: Vec<Gpu>,
    looked: Option<Instant>,
}

const LOOK: Duration = Duration::from_secs(1);

impl Gpus {
    /// Asks the driver, and opens NVML where it is.
    pub fn open() -> Gpus {
        let found = linf_cuda::shown().unwrap_or_default();
        let mut shown: Vec<_> = found.into_iter().map(|shown| (shown, None)).collect();
        shown.iter_mut().for_each(ask);
        let nvml = if shown.is_empty() { None } else { Nvml::init().ok() };
        Gpus { nvml, shown, ..Gpus::default() }
    }

    /// The GPUs as they are now.
    pub fn look(&mut self) -> &[Gpu] {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            // What was missing may have been installed.
            self.shown.iter_mut().filter(|(_, fault)| fault.is_some()).for_each(ask);
            let now = |(shown, fault): &(Shown, Option<String>)| {
                let gpu = Gpu { index: shown.index, name: shown.name.clone(), fault: fault.clone(), ..Gpu::default() };
                match &self.nvml {
                    Some(nvml) => with_details(nvml, shown, gpu),
                    None => gpu,
                }
            };
            self.seen = self.shown.iter().map(now).collect();
            self.looked = Some(Instant::now());
        }
        &self.seen
    }
}

fn ask((shown, fault): &mut (Shown, Option<String>)) {
    *fault = shown.fault(&Cache::usual()).map(|fault| fault.to_string());
}

/// With what NVML tells of it. CUDA numbers devices in another order than NVML, and hides some: the UUID is common to both.
fn with_details(nvml: &Nvml, shown: &Shown, mut gpu: Gpu) -> Gpu {
    let found = match nvml.device_by_uuid(shown.uuid_text("GPU")) {
        Err(NvmlError::NotFound | NvmlError::InvalidArg) => nvml.device_by_uuid(shown.uuid_text("MIG")),
        found => found,
    };
    let told = found.and_then(|device| details(&device, &mut gpu));
    if let Err(NvmlError::GpuLost | NvmlError::Unknown | NvmlError::IrqIssue | NvmlError::InsufficientPower) = told {
        gpu.fault.get_or_insert_with(|| "NVML says that it does not answer: nvidia-smi may say more".into());
    }
    gpu
}

fn details(device: &Device<'_>, gpu: &mut Gpu) -> Result<(), NvmlError> {
    match device.memory_info() {
        Ok(memory) => (gpu.used, gpu.total) = (memory.used, memory.total),
        Err(NvmlError::NotSupported) => {}
        Err(error) => return Err(error),
    }
    let bytes = |memory| match memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    gpu.load = device.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0);
    gpu.celsius = device.temperature(TemperatureSensor::Gpu).ok();
    gpu.draws = device.running_graphics_processes().is_ok_and(|processes| !processes.is_empty());
    let processes = device.running_compute_processes().unwrap_or_default();
    let known = |process: &nvml_wrapper::struct_wrappers::device::ProcessInfo| {
        Some((i32::try_from(process.pid).ok()?, bytes(process.used_gpu_memory.clone())))
    };
    gpu.processes = processes.iter().filter_map(known).collect();
    Ok(())
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
        let desk = Gpu { draws: true, ..gpu(3 << 30, vec![]) };
        assert_eq!(desk.used_by_others(&[], false), None, "windows on a screen");
    }
}
