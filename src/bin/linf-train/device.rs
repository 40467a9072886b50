//! Which engine a run gets.

use std::rc::Rc;

use anyhow::{Context, bail};
use linf::dist::{Precision, Simd};
use linf::experiment::{Config, Device};
use linf::net::{CpuEngine, CudaEngine, Engine, Evaluator, NetState};
use linf_cuda::{Cache, Gpu, GpuError};

/// What a run trains on and is measured by.
pub struct Machine {
    /// Has the net.
    pub engine: Box<dyn Engine>,
    /// On the same device.
    pub evaluator: Evaluator,
    /// The number of that device, where it is a CUDA one.
    pub cuda: Option<usize>,
    /// Why it is not one, where "auto" might have been.
    pub passed_over: Option<String>,
}

impl Machine {
    /// For the config's device, with `state` on it. Where that is "auto", `given` is what the dispatcher found; without a
    /// dispatcher, the first device is taken that the kernels run on.
    pub fn new(config: &Config, given: Option<Device>, state: NetState) -> anyhow::Result<Machine> {
        match (config.resources.device, given) {
            (Device::Cpu, _) => cpu(config, state),
            (Device::LibtorchCpu, _) => libtorch(config, state),
            (Device::Cuda(index), _) | (Device::Auto, Some(Device::Cuda(index))) => cuda(index, config, state),
            (Device::Auto, given) => {
                let (found, faults) = look();
                let passed_over = match (found, given) {
                    (Some(index), None | Some(Device::Auto)) => return cuda(index, config, state),
                    (Some(index), _) => {
                        Some(format!("none could be used when the queue was looked at, cuda:{index} can now"))
                    }
                    (None, _) => faults,
                };
                Ok(Machine { passed_over, ..cpu(config, state)? })
            }
        }
    }
}

/// The first device that the kernels run on, and what is wrong with those before it.
fn look() -> (Option<usize>, Option<String>) {
    let shown = match linf_cuda::shown() {
        Ok(shown) => shown,
        Err(GpuError::NoDriver) => return (None, None),
        Err(error) => return (None, Some(error.to_string())),
    };
    let mut faults = Vec::new();
    for device in shown {
        match device.fault(&Cache::usual()) {
            None => return (Some(device.index), None),
            Some(fault) => faults.push(format!("cuda:{}: {fault}", device.index)),
        }
    }
    (None, (!faults.is_empty()).then(|| faults.join("; ")))
}

fn evaluator(config: &Config) -> anyhow::Result<Evaluator> {
    let simd = Simd::detect().context("choosing the kernels")?;
    Ok(Evaluator::new(config.data.view(), config.resources.threads, simd))
}

fn cpu(config: &Config, state: NetState) -> anyhow::Result<Machine> {
    let simd = Simd::detect().context("choosing the kernels")?;
    let engine = CpuEngine::new(state, config.train.adam, config.resources.threads, simd);
    let bits = config.train.bits;
    let precision = Precision::of_bits(bits).with_context(|| format!("there are no kernels of {bits} bits"))?;
    let engine = Box::new(engine.with_precision(precision).with_gradient_share(config.train.gradient_share));
    Ok(Machine { engine, evaluator: evaluator(config)?, cuda: None, passed_over: None })
}

fn cuda(index: usize, config: &Config, state: NetState) -> anyhow::Result<Machine> {
    let opening = || format!("opening cuda:{index}");
    let gpu: Rc<dyn Gpu> = linf_cuda::Device::open(index, Cache::usual()).with_context(opening)?;
    let place = format!("cuda:{index}, {}", gpu.name());
    let engine = CudaEngine::new(&gpu, place, state, config.train.adam, config.resources.threads)
        .context("moving the net to the device")?;
    let evaluator = evaluator(config)?.on_device(&gpu).with_context(opening)?;
    Ok(Machine { engine: Box::new(engine), evaluator, cuda: Some(index), passed_over: None })
}

#[cfg(feature = "torch")]
fn libtorch(config: &Config, state: NetState) -> anyhow::Result<Machine> {
    if let Some(what) = state.beyond_plain() {
        bail!(
            "libtorch trains plain dense distance nets alone, and this one has {what}. Take resources.device = \"cpu\""
        );
    }
    let engine =
        crate::torch_engine::TorchEngine::new(state, config.train.adam).context("moving the net to libtorch")?;
    Ok(Machine { engine: Box::new(engine), evaluator: evaluator(config)?, cuda: None, passed_over: None })
}

#[cfg(not(feature = "torch"))]
fn libtorch(_: &Config, _: NetState) -> anyhow::Result<Machine> {
    bail!("this linf-train was built without libtorch. Take resources.device = \"cpu\"")
}
