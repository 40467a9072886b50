//! Which engine a run gets.

use anyhow::{Context, bail};
use linf::dist::Simd;
use linf::experiment::{Adam, Device};
use linf::net::{CpuEngine, Engine, NetState};

use crate::torch_engine::TorchEngine;

/// The engine for the config's device, with `state` on it. Where that is "auto", `given` is what the dispatcher found.
pub fn engine(
    device: Device,
    given: Option<Device>,
    threads: usize,
    adam: Adam,
    state: NetState,
) -> anyhow::Result<Box<dyn Engine>> {
    let cpu = |state| -> anyhow::Result<Box<dyn Engine>> {
        let simd = Simd::detect().context("choosing the kernels")?;
        Ok(Box::new(CpuEngine::new(state, adam, threads, simd)))
    };
    match device {
        Device::Cpu => cpu(state),
        Device::Auto => {
            let wanted = if let Some(Device::Cuda(index)) = given { index } else { 0 };
            match cuda_devices() {
                Ok(count) if count > wanted && state.beyond_plain().is_none() => {
                    torch(tch::Device::Cuda(wanted), adam, state)
                }
                _ => cpu(state),
            }
        }
        Device::LibtorchCpu => torch(tch::Device::Cpu, adam, state),
        Device::Cuda(index) => {
            let count = cuda_devices().context("opening CUDA")?;
            if index >= count {
                bail!(
                    "cuda:{index} does not exist: this machine shows {count} CUDA devices. Take resources.device = \"cpu\""
                );
            }
            torch(tch::Device::Cuda(index), adam, state)
        }
    }
}

fn torch(device: tch::Device, adam: Adam, state: NetState) -> anyhow::Result<Box<dyn Engine>> {
    if let Some(what) = state.beyond_plain() {
        bail!(
            "libtorch trains plain dense distance nets alone, and this one has {what}. Take resources.device = \"cpu\""
        );
    }
    let engine = TorchEngine::new(state, adam, device).with_context(|| format!("moving the net to {device:?}"))?;
    Ok(Box::new(engine))
}

/// How many CUDA devices there are. libtorch's CUDA half is opened only when somebody asks: the CPU-only libtorch has
/// none, and on a machine with one it takes most of a second.
fn cuda_devices() -> anyhow::Result<usize> {
    // SAFETY: the name is a C string, and loading libtorch_cuda runs only its own initialisers, which libtorch is made
    // for; the handle is kept for ever, as the library must stay.
    let handle = unsafe { libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        bail!("this libtorch has no CUDA part (libtorch_cuda.so cannot be opened). Take resources.device = \"cpu\"");
    }
    Ok(usize::try_from(tch::Cuda::device_count()).unwrap_or(0))
}
