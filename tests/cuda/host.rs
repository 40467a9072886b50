//! Kernels as libraries of the host: compiled by the C++ compiler behind `kernels/host/shim.hpp`, opened, and launched
//! with the arguments a GPU would get.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::{LazyLock, Mutex};

use libloading::Library;
use linf_cuda::{Argument, Gpu, GpuError, Kernel, Module};

const KERNELS: [(&str, &[&str]); 12] = [
    ("largest.cu", &["largest", "largest_with_tile", "find_index", "join_largest"]),
    ("sums.cu", &["sums", "finish_sums"]),
    ("norms.cu", &["norms", "finish_norms"]),
    ("slopes.cu", &["turn_pairs", "slopes", "join_sums"]),
    ("scatter.cu", &["scatter"]),
    ("interval.cu", &["bounds"]),
    ("sort.cu", &["sort_largest", "sort_lowest", "sort_highest"]),
    ("adam.cu", &["adam_all", "adam_rows"]),
    ("mean_shift.cu", &["mean_shift", "add_bias"]),
    (
        "gather.cu",
        &[
            "take_patches",
            "add_patches",
            "take_weights",
            "add_weights",
            "take_outputs",
            "place_outputs",
            "turn",
            "clear",
        ],
    ),
    ("pictures.cu", &["fill_batch"]),
    ("head.cu", &["products", "join_products", "sum_sizes", "add_signs"]),
];

/// The host as a device: memory is its own, and a launch runs every block before it returns.
pub struct Host {
    /// Shuffles threads and blocks; 0 leaves them in order.
    seed: u32,
    /// As many as it says it has; into how many slices sums are cut depends on it.
    multiprocessors: usize,
    /// Bytes that can still be allocated.
    room: Cell<usize>,
    /// By address, with the bytes that were asked for.
    allocated: RefCell<HashMap<u64, (Vec<Unit>, usize)>>,
}

/// What memory is made of, so that it begins on 256 bytes, as a device's does.
#[derive(Clone, Copy)]
#[repr(align(256))]
#[allow(dead_code)] // Seen through its address alone.
struct Unit([u8; 256]);

impl Host {
    pub fn gpu(seed: u32, multiprocessors: usize) -> Rc<dyn Gpu> {
        Host::with_room(seed, multiprocessors, usize::MAX)
    }

    /// One whose memory is full after so many bytes.
    pub fn with_room(seed: u32, multiprocessors: usize, room: usize) -> Rc<dyn Gpu> {
        Rc::new(Host { seed, multiprocessors, room: Cell::new(room), allocated: RefCell::default() })
    }
}

// SAFETY: each allocation is a vector that is kept until it is freed.
unsafe impl Gpu for Host {
    fn name(&self) -> String {
        "the host".into()
    }

    fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    fn allocate(&self, bytes: usize) -> Result<u64, GpuError> {
        let Some(left) = self.room.get().checked_sub(bytes) else {
            let text = |bytes: usize| format!("{bytes} bytes");
            let (wanted, free) = (text(bytes), text(self.room.get()));
            return Err(GpuError::OutOfMemory { device: self.name(), wanted, free, total: "few".into() });
        };
        self.room.set(left);
        let memory = vec![Unit([0; 256]); bytes.div_ceil(256)];
        let address = memory.as_ptr() as u64;
        self.allocated.borrow_mut().insert(address, (memory, bytes));
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        let (_, bytes) = self.allocated.borrow_mut().remove(&address).expect("it was allocated");
        self.room.set(self.room.get().saturating_add(bytes));
    }

    unsafe fn write(&self, to: u64, from: &[u8]) -> Result<(), GpuError> {
        // SAFETY: as promised by the caller.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to as *mut u8, from.len()) };
        Ok(())
    }

    unsafe fn read(&self, from: u64, to: &mut [u8]) -> Result<(), GpuError> {
        // SAFETY: as promised by the caller.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    /// Panics where threads wait for each other in vain.
    unsafe fn launch(&self, kernel: Kernel, grid: [usize; 2], arguments: &[Argument]) -> Result<(), GpuError> {
        type Run = unsafe extern "C" fn(*const u32, u32, u32, *mut *mut c_void) -> *const c_char;
        let library = library(kernel.module);
        let grid = [u32::try_from(grid[0]).unwrap(), u32::try_from(grid[1]).unwrap(), 1];
        let mut places: Vec<*mut c_void> = arguments.iter().map(Argument::place).collect();
        // SAFETY: the library was made from a file that defines this function with these arguments; those of the kernel
        // are as promised by the caller, and outlive the call.
        let said = unsafe {
            let run = library.get::<Run>(format!("run_{}", kernel.name)).unwrap();
            run(grid.as_ptr(), kernel.threads, self.seed, places.as_mut_ptr())
        };
        if !said.is_null() {
            // SAFETY: what the library says is a C string of its own.
            panic!("{}: {}", kernel.name, unsafe { CStr::from_ptr(said) }.to_string_lossy());
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), GpuError> {
        Ok(())
    }
}

/// A device that says it has fewer multiprocessors, so that sums are cut otherwise, or fails for good after some launches.
pub struct Limited {
    device: Rc<dyn Gpu>,
    multiprocessors: usize,
    launches: Cell<usize>,
}

impl Limited {
    pub fn to(device: &Rc<dyn Gpu>, multiprocessors: usize) -> Rc<dyn Gpu> {
        Rc::new(Limited { device: Rc::clone(device), multiprocessors, launches: Cell::new(usize::MAX) })
    }

    /// The host, which fails after so many.
    pub fn after(launches: usize) -> Rc<dyn Gpu> {
        Rc::new(Limited { device: Host::gpu(0, 1), multiprocessors: 1, launches: Cell::new(launches) })
    }
}

// SAFETY: the device's promise is this one's.
unsafe impl Gpu for Limited {
    fn name(&self) -> String {
        self.device.name()
    }

    fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    fn allocate(&self, bytes: usize) -> Result<u64, GpuError> {
        self.device.allocate(bytes)
    }

    unsafe fn free(&self, address: u64) {
        // SAFETY: the caller's promise is the device's.
        unsafe { self.device.free(address) }
    }

    unsafe fn write(&self, to: u64, from: &[u8]) -> Result<(), GpuError> {
        // SAFETY: the caller's promise is the device's.
        unsafe { self.device.write(to, from) }
    }

    unsafe fn read(&self, from: u64, to: &mut [u8]) -> Result<(), GpuError> {
        // SAFETY: the caller's promise is the device's.
        unsafe { self.device.read(from, to) }
    }

    unsafe fn launch(&self, kernel: Kernel, grid: [usize; 2], arguments: &[Argument]) -> Result<(), GpuError> {
        let Some(left) = self.launches.get().checked_sub(1) else {
            return Err(GpuError::Kernel { kernel: kernel.name, what: "the device is lost".into() });
        };
        self.launches.set(left);
        // SAFETY: the caller's promise is the device's.
        unsafe { self.device.launch(kernel, grid, arguments) }
    }

    fn wait(&self) -> Result<(), GpuError> {
        self.device.wait()
    }
}

fn source_folder() -> PathBuf {
    // Of the package of the kernels, or of the one above it.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["kernels", "src/cuda/kernels"].map(|folder| package.join(folder)).into_iter().find(|f| f.is_dir());
    std::env::var_os("LINF_CUDA_SOURCE").map(PathBuf::from).or(found).unwrap()
}

fn library(module: Module) -> &'static Library {
    static OPEN: LazyLock<Mutex<HashMap<Module, &'static Library>>> = LazyLock::new(Mutex::default);
    let mut open = OPEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    open.entry(module).or_insert_with(|| {
        let path = compile(module);
        // SAFETY: its initialisers are those of the C++ library alone. It stays open for ever.
        Box::leak(Box::new(unsafe { Library::new(path) }.unwrap()))
    })
}

/// Compiles a file unless that was done before, by the hash of all that goes into it.
fn compile(Module { file, power }: Module) -> PathBuf {
    let folder = source_folder();
    let kernels = KERNELS.iter().find(|(of, _)| *of == file).unwrap().1;
    let names: Vec<String> = kernels.iter().map(|name| format!("K({name})")).collect();
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut command = Command::new(&compiler);
    command
        .args(["-std=c++20", "-O1", "-g", "-fPIC", "-shared", "-ffp-contract=off", "-U_FORTIFY_SOURCE"])
        .args(["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-I"])
        .arg(&folder)
        .arg(format!("-DLINF_FILE=\"{file}\""))
        .arg(format!("-DLINF_KERNELS={}", names.join(" ")))
        .args(power.map(|power| format!("-DPOWER={power}")))
        .args(std::env::var("LINF_CUDA_FLAGS").unwrap_or_default().split_whitespace());
    let mut hasher = DefaultHasher::new();
    format!("{command:?}").hash(&mut hasher);
    for name in [file, "copy.cuh", "power.cuh", "tile.cuh", "host/shim.hpp", "host/shim.cpp"] {
        std::fs::read(folder.join(name)).unwrap().hash(&mut hasher);
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{file}-{:016x}.so", hasher.finish()));
    if !path.exists() {
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let done = command.arg(folder.join("host/shim.cpp")).arg("-o").arg(&part).output();
        let done = done.unwrap_or_else(|error| panic!("{compiler} cannot be run ({error}): these tests need it"));
        assert!(done.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&done.stderr));
        std::fs::rename(part, &path).unwrap();
    }
    path
}
