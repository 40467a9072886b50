//! What is measured now and then beside the steps, each a curve of its own.

/// A quantity that a run file keeps at some of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gauge {
    /// Share of a neuron's inputs that its distance is made of ([`crate::net::Sparsity`]).
    Counting,
    /// Share of them that the bounds of a group of samples do not exclude.
    Candidates,
    /// CPU cores that the worker keeps busy.
    Cores,
    /// Bytes of memory of the worker.
    Memory,
    /// How busy its CUDA device is, from 0 to 1, whoever keeps it so.
    DeviceLoad,
    /// Bytes of that device's memory in use.
    DeviceMemory,
    /// Degrees Celsius of that device.
    Celsius,
}

impl Gauge {
    /// All of them.
    pub const ALL: [Gauge; 7] = [
        Gauge::Counting,
        Gauge::Candidates,
        Gauge::Cores,
        Gauge::Memory,
        Gauge::DeviceLoad,
        Gauge::DeviceMemory,
        Gauge::Celsius,
    ];

    /// The name of its curve in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Gauge::Counting => "counting",
            Gauge::Candidates => "candidates",
            Gauge::Cores => "cores",
            Gauge::Memory => "memory",
            Gauge::DeviceLoad => "device_load",
            Gauge::DeviceMemory => "device_memory",
            Gauge::Celsius => "celsius",
        }
    }
}
