//! What can go wrong with a device, in a line each.

use std::path::PathBuf;

/// Why a device cannot do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// The driver's library cannot be opened.
    #[error("no NVIDIA driver: libcuda.so.1 cannot be opened. Take resources.device = \"cpu\"")]
    NoDriver,
    /// The driver is there and shows no device.
    #[error("the NVIDIA driver shows no device. Is one free, and does CUDA_VISIBLE_DEVICES show it?")]
    NoDevice,
    /// The driver is there and does not answer: it was changed under the machine, a device is lost, …
    #[error("the NVIDIA driver says {what}{hint}")]
    Driver {
        /// Its own words and the name of the error: `system has unsupported … (CUDA_ERROR_…)`.
        what: String,
        /// What to do, beginning with a separator; may be empty.
        hint: &'static str,
    },
    /// There are fewer devices.
    #[error("cuda:{index} does not exist: the NVIDIA driver shows {count} device{}", if *count == 1 { "" } else { "s" })]
    NoSuchDevice {
        /// Asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The device has not what the kernels need.
    #[error("{device} has compute capability {capability}, and the kernels need 7.5")]
    OldDevice {
        /// Its name.
        device: String,
        /// `7.0`.
        capability: String,
    },
    /// The driver cannot load what today's compiler makes.
    #[error(
        "the NVIDIA driver is made for CUDA {cuda}, and the kernels for 13: a driver of the 580 series or newer is needed"
    )]
    OldDriver {
        /// `12.8`.
        cuda: String,
    },
    /// An allocation failed.
    #[error(
        "out of memory on {device}: {wanted} wanted, {free} of {total} free. Take a smaller batch or another device"
    )]
    OutOfMemory {
        /// Its name.
        device: String,
        /// In MB or GB.
        wanted: String,
        /// In MB or GB.
        free: String,
        /// In MB or GB.
        total: String,
    },
    /// NVRTC is in none of the places where it is looked for.
    #[error(
        "the kernels for {architecture} are not compiled yet, and NVRTC, which does that, was not found. `make nvrtc` \
         fetches it; or let LINF_NVRTC name the folder of libnvrtc.so"
    )]
    NoNvrtc {
        /// `sm_90`.
        architecture: String,
    },
    /// NVRTC is there and cannot be used.
    #[error("NVRTC in {}: {what}", folder.display())]
    Nvrtc {
        /// Where it is.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A kernel does not compile: an error in the program, or an NVRTC that is too old for the device.
    #[error("{file} does not compile for {architecture}: {log}")]
    Compile {
        /// The kernel's source.
        file: &'static str,
        /// `sm_90`.
        architecture: String,
        /// NVRTC's.
        log: String,
    },
    /// A kernel failed while it ran. The device is lost to this process.
    #[error("{kernel} failed: {what}")]
    Kernel {
        /// Its name.
        kernel: &'static str,
        /// The driver's words.
        what: String,
    },
}

impl GpuError {
    /// Whether the same may succeed a little later, or with less.
    pub fn may_pass(&self) -> bool {
        matches!(self, GpuError::OutOfMemory { .. })
    }
}
