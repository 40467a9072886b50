//! The distance layer on CUDA devices.
//!
//! The kernels in `kernels/` are compiled at run time for the device that is found, by NVRTC, and kept; they are launched
//! through the driver, in the device's primary context, on its default stream. Neither the CUDA toolkit nor libtorch's
//! CUDA half is needed: a driver and NVRTC are, and where the compiled kernels are at hand the driver alone.
//!
//! What computes is written against [`Gpu`], of which there are two: [`Device`], and one of the tests that runs the very
//! same kernels on the CPU.

mod cache;
mod device;
mod distance;
mod error;
mod form;
mod gather;
mod gpu;
mod head;
mod module;
mod nvrtc;
mod pictures;
mod plan;
mod rates;
mod shown;
mod slices;
mod sort;
mod update;

pub use cache::{Cache, Ready};
pub use device::{Device, Found, devices};
pub use distance::{DistanceOp, bounds};
pub use error::GpuError;
pub use form::FormOp;
pub use gather::turn;
pub use gpu::{Argument, Array, Element, Gpu};
pub use head::{add_signs, product, sum_sizes};
pub use linf_dist::{Form, Mask, Shape, SortProfile};
pub use module::{Kernel, Module, modules};
pub use nvrtc::Nvrtc;
pub use pictures::{Cut, PictureSizes, Pictures};
pub use rates::Rates;
pub use shown::{Shown, shown};
pub use sort::{SortDistances, sort_bounds, sort_distances};
pub use update::{AdamStep, Decay, add_bias, mean_shift};
