//! A CUDA device behind its driver.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::rc::Rc;

use cudarc::driver::{DriverError, result, sys};

use crate::shown::{architecture, capability, driver_version, suits};
use crate::{Argument, Cache, Gpu, GpuError, Kernel, Module, Nvrtc};

/// A device: its primary context, which libtorch would use as well, and its default stream.
pub struct Device {
    context: sys::CUcontext,
    name: String,
    architecture: String,
    multiprocessors: usize,
    cache: Cache,
    modules: RefCell<HashMap<Module, sys::CUmodule>>,
    functions: RefCell<HashMap<Kernel, sys::CUfunction>>,
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `NVIDIA H100 80GB HBM3`
    pub name: String,
    /// `sm_90`
    pub architecture: String,
    /// How many.
    pub multiprocessors: usize,
}

/// How many devices the driver shows.
///
/// # Errors
/// There is no driver, or it does not answer.
pub fn devices() -> Result<usize, GpuError> {
    // SAFETY: asks whether the library can be opened; everything else of cudarc may be called only then.
    if !unsafe { sys::is_culib_present() } {
        return Err(GpuError::NoDriver);
    }
    result::init().map_err(said)?;
    let count = result::device::get_count().map_err(said)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

impl Device {
    /// Opens the device `index`; kernels come from `cache`.
    ///
    /// # Errors
    /// There is no driver or no such device, or it cannot be used: it or the driver is too old, or the kernels are not
    /// compiled and cannot be.
    pub fn open(index: usize, cache: Cache) -> Result<Rc<dyn Gpu>, GpuError> {
        Ok(Rc::new(Device::new(index, cache)?))
    }

    /// As [`Device::open`], and what it is.
    ///
    /// # Errors
    /// As there.
    pub fn look(index: usize, cache: Cache) -> Result<(Rc<dyn Gpu>, Found), GpuError> {
        let device = Device::new(index, cache)?;
        let (name, architecture) = (device.name.clone(), device.architecture.clone());
        let found = Found { name, architecture, multiprocessors: device.multiprocessors };
        Ok((Rc::new(device), found))
    }

    fn new(index: usize, cache: Cache) -> Result<Device, GpuError> {
        let count = devices()?;
        if index >= count {
            return Err(GpuError::NoSuchDevice { index, count });
        }
        let device = result::device::get(index as i32).map_err(said)?;
        let name = result::device::get_name(device).map_err(said)?;
        let capability = capability(device)?;
        suits(&name, capability, driver_version()?)?;
        let count = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        // SAFETY: the device is one of the driver's.
        let multiprocessors = unsafe { result::device::get_attribute(device, count) }.map_err(said)?;
        // SAFETY: as above. The context is never given back: it ends with the process.
        let context = unsafe { result::primary_ctx::retain(device) }.map_err(said)?;
        let device = Device {
            context,
            name,
            architecture: architecture(capability),
            multiprocessors: usize::try_from(multiprocessors).unwrap_or(1),
            cache,
            modules: RefCell::default(),
            functions: RefCell::default(),
        };
        device.enter()?;
        // Every net needs it, and who asked for a device shall hear at once that nothing can run there.
        device.module(Module::plain("largest.cu"))?;
        Ok(device)
    }

    /// Makes the context that of the thread.
    fn enter(&self) -> Result<(), GpuError> {
        // SAFETY: the context was retained and lives as long as the process.
        unsafe { result::ctx::set_current(self.context) }.map_err(said)
    }

    fn function(&self, kernel: Kernel) -> Result<sys::CUfunction, GpuError> {
        if let Some(&function) = self.functions.borrow().get(&kernel) {
            return Ok(function);
        }
        let module = self.module(kernel.module)?;
        let name = CString::new(kernel.name).unwrap_or_default();
        // SAFETY: the module is loaded and never unloaded.
        let function = unsafe { result::module::get_function(module, name) }.map_err(said)?;
        self.functions.borrow_mut().insert(kernel, function);
        Ok(function)
    }

    fn module(&self, module: Module) -> Result<sys::CUmodule, GpuError> {
        if let Some(&loaded) = self.modules.borrow().get(&module) {
            return Ok(loaded);
        }
        let ready = self.cache.get(module, &self.architecture, Nvrtc::find)?;
        // SAFETY: a cubin carries its own length.
        let loaded = unsafe { result::module::load_data(ready.code.as_ptr().cast()) }.map_err(said)?;
        self.modules.borrow_mut().insert(module, loaded);
        Ok(loaded)
    }
}

// SAFETY: the driver gives memory of the size that it is asked for.
unsafe impl Gpu for Device {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    fn allocate(&self, bytes: usize) -> Result<u64, GpuError> {
        self.enter()?;
        // SAFETY: a context is current; the memory is new, so that nobody else looks at it.
        unsafe {
            let address = result::malloc_sync(bytes).map_err(|error| self.no_room(error, bytes))?;
            result::memset_d8_async(address, 0, bytes, std::ptr::null_mut()).map_err(said)?;
            Ok(address)
        }
    }

    unsafe fn free(&self, address: u64) {
        // What cannot be given back is lost with the context.
        if self.enter().is_ok() {
            // SAFETY: as promised by the caller. The driver waits for what was launched before.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    unsafe fn write(&self, to: u64, from: &[u8]) -> Result<(), GpuError> {
        self.enter()?;
        // SAFETY: as promised by the caller.
        unsafe { result::memcpy_htod_sync(to, from) }.map_err(|error| failed("a kernel before a copy", error))
    }

    unsafe fn read(&self, from: u64, to: &mut [u8]) -> Result<(), GpuError> {
        self.enter()?;
        // SAFETY: as promised by the caller.
        unsafe { result::memcpy_dtoh_sync(to, from) }.map_err(|error| failed("a kernel before a copy", error))
    }

    unsafe fn launch(&self, kernel: Kernel, grid: [usize; 2], arguments: &[Argument]) -> Result<(), GpuError> {
        if grid.contains(&0) {
            return Ok(());
        }
        self.enter()?;
        let function = self.function(kernel)?;
        let grid = grid.map(u32::try_from);
        let [Ok(x), Ok(y)] = grid else {
            return Err(GpuError::Kernel { kernel: kernel.name, what: "more blocks than a grid can have".into() });
        };
        let mut places: Vec<*mut c_void> = arguments.iter().map(Argument::place).collect();
        let (grid, block) = ((x, y, 1), (kernel.threads, 1, 1));
        // SAFETY: as promised by the caller; the driver copies the arguments before it returns.
        unsafe { result::launch_kernel(function, grid, block, 0, std::ptr::null_mut(), &mut places) }
            .map_err(|error| failed(kernel.name, error))
    }

    fn wait(&self) -> Result<(), GpuError> {
        self.enter()?;
        result::ctx::synchronize().map_err(|error| failed("a kernel", error))
    }
}

impl Device {
    fn no_room(&self, error: DriverError, wanted: usize) -> GpuError {
        if error.0 != sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            return said(error);
        }
        let (free, total) = result::mem_get_info().unwrap_or((0, 0));
        GpuError::OutOfMemory { device: self.name.clone(), wanted: size(wanted), free: size(free), total: size(total) }
    }
}

/// `1.4 GB`, `37 MB`
fn size(bytes: usize) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes >= 1000.0 { format!("{:.1} GB", megabytes / 1000.0) } else { format!("{megabytes:.0} MB") }
}

fn words(error: DriverError) -> String {
    let text = |found: Result<&std::ffi::CStr, DriverError>| {
        found.map_or_else(|_| "an unknown error".into(), |text| text.to_string_lossy().into_owned())
    };
    format!("{} ({})", text(error.error_string()), text(error.error_name()))
}

pub(crate) fn said(error: DriverError) -> GpuError {
    use sys::CUresult;
    let hint = match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => return GpuError::NoDevice,
        CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => ". The machine must be restarted after an update of the driver",
        CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
        | CUresult::CUDA_ERROR_INVALID_IMAGE
        | CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            ". The kernels were compiled for CUDA 13: the driver must be of the 580 series or newer"
        }
        _ => "",
    };
    GpuError::Driver { what: words(error), hint }
}

fn failed(kernel: &'static str, error: DriverError) -> GpuError {
    GpuError::Kernel { kernel, what: words(error) }
}
