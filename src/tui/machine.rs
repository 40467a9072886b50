//! The machine's load, as the queue screen shows it.

use std::collections::VecDeque;

use crate::dispatch::gpu::Gpu;

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

impl Machine {
    /// The share of all cores that is busy.
    pub fn load(&self) -> f64 {
        f64::from(self.cores.iter().sum::<f32>()) / self.cores.len().max(1) as f64
    }

    /// The share of its memory that is in use.
    pub fn memory(&self) -> f64 {
        self.memory_used as f64 / self.memory_total.max(1) as f64
    }
}

/// What the machine did while somebody looked, oldest first: shares from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Of all cores.
    pub load: VecDeque<f64>,
    /// Of its memory.
    pub memory: VecDeque<f64>,
    /// Of each CUDA device, in the order of [`Machine::devices`]; 0 where a device does not tell.
    pub devices: Vec<VecDeque<f64>>,
}

impl Past {
    /// Readings that are kept: two minutes of them.
    pub const MOST: usize = 240;

    /// Takes a reading in.
    pub fn add(&mut self, machine: &Machine) {
        add(&mut self.load, machine.load());
        add(&mut self.memory, machine.memory());
        self.devices.resize_with(machine.devices.len(), VecDeque::new);
        for (past, device) in self.devices.iter_mut().zip(&machine.devices) {
            add(past, device.load.unwrap_or_default());
        }
    }
}

fn add(past: &mut VecDeque<f64>, value: f64) {
    if past.len() == Past::MOST {
        past.pop_front();
    }
    past.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_as_long_as_it_may_be_and_ends_with_the_present() {
        let mut past = Past::default();
        for cores in 0..Past::MOST + 5 {
            let load = cores as f32 / 1000.0;
            let gpu = Gpu { load: Some(0.5), ..Gpu::default() };
            past.add(&Machine {
                cores: vec![load, 0.0],
                memory_total: 4,
                memory_used: 1,
                devices: vec![gpu],
                ..Machine::default()
            });
        }
        assert_eq!((past.load.len(), past.devices[0].len()), (Past::MOST, Past::MOST));
        assert!((past.load[Past::MOST - 1] - 0.122).abs() < 1e-6 && past.memory[0] == 0.25);
        past.add(&Machine::default());
        assert_eq!((past.devices.len(), past.load.back()), (0, Some(&0.0)));
    }
}
