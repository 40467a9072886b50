//! The machine's load, as the queue screen shows it.

/// One reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Load of each core, from 0 to 1.
    pub cores: Vec<f32>,
    /// Bytes of memory in use.
    pub memory_used: u64,
    /// Bytes of memory there are.
    pub memory_total: u64,
    /// The CUDA devices.
    pub devices: Vec<Gpu>,
    /// Processes of workers: process id, share of a core, bytes of memory.
    pub workers: Vec<(i32, f32, u64)>,
    /// Whether a dispatcher looks after the queue.
    pub dispatcher: bool,
}

/// One CUDA device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gpu {
    /// Its number.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Load from 0 to 1.
    pub load: f32,
    /// Bytes of memory in use.
    pub memory_used: u64,
    /// Bytes of memory there are.
    pub memory_total: u64,
    /// Degrees Celsius.
    pub celsius: Option<u32>,
}

impl Gpu {
    /// Reads a line of `nvidia-smi --query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu
    /// --format=csv,noheader,nounits` (memory in MiB).
    pub fn from_line(line: &str) -> Option<Gpu> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let &[index, name, load, used, total, celsius] = fields.as_slice() else { return None };
        let mebibytes = |text: &str| text.parse::<u64>().ok().map(|value| value << 20);
        Some(Gpu {
            index: index.parse().ok()?,
            name: name.to_owned(),
            load: load.parse::<f32>().ok()? / 100.0,
            memory_used: mebibytes(used)?,
            memory_total: mebibytes(total)?,
            celsius: celsius.parse().ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_nvidia_smi_is_read() {
        let gpu = Gpu::from_line("0, NVIDIA H100 80GB HBM3, 97, 40213, 81559, 71").unwrap();
        assert_eq!((gpu.index, gpu.celsius, gpu.memory_total >> 20), (0, Some(71), 81_559));
        assert!((gpu.load - 0.97).abs() < 1e-6);
        assert_eq!(Gpu::from_line("No devices were found"), None);
    }
}
