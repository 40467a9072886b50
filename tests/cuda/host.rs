//! Kernels as libraries of the host: compiled by the C++ compiler behind `cuda/host/shim.hpp`, opened, and launched with
//! the arguments a GPU would get.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use libloading::Library;

/// One file of kernels, with POWER where it is compiled for each kind of p.
pub type Module = (&'static str, Option<i32>);

const KERNELS: [(&str, &[&str]); 9] = [
    ("largest.cu", &["largest", "largest_with_tile", "find_index", "join_largest"]),
    ("sums.cu", &["sums", "finish_sums"]),
    ("norms.cu", &["norms", "finish_norms"]),
    ("slopes.cu", &["slopes", "join_sums"]),
    ("scatter.cu", &["scatter"]),
    ("interval.cu", &["bounds"]),
    ("sort.cu", &["sort_largest", "sort_lowest", "sort_highest"]),
    ("adam.cu", &["adam_all", "adam_rows"]),
    ("mean_shift.cu", &["mean_shift", "add_bias"]),
];

/// B, I, O as the kernels read them.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Shape(pub i64, pub i64, pub i64);

/// An argument of a kernel, as it lies in memory.
pub enum Argument {
    Pointer(*const c_void),
    Long(i64),
    Int(i32),
    Float(f32),
    Shape(Shape),
    Floats([f32; 10]),
}

impl Argument {
    fn place(&self) -> *mut c_void {
        match self {
            Argument::Pointer(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Long(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Int(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Float(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Shape(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Argument::Floats(value) => std::ptr::from_ref(value).cast_mut().cast(),
        }
    }
}

pub fn input<T>(values: &[T]) -> Argument {
    Argument::Pointer(values.as_ptr().cast())
}

pub fn output<T>(values: &mut [T]) -> Argument {
    Argument::Pointer(values.as_mut_ptr().cast())
}

pub const NOTHING: Argument = Argument::Pointer(std::ptr::null());

/// Runs a kernel on a grid, in the order of fibers and blocks that `seed` says. Panics where threads wait for each other
/// in vain.
pub fn launch(module: Module, kernel: &str, grid: [usize; 2], threads: u32, seed: u32, arguments: &[Argument]) {
    type Run = unsafe extern "C" fn(*const u32, u32, u32, *mut *mut c_void) -> *const c_char;
    let library = library(module);
    let grid = [u32::try_from(grid[0]).unwrap(), u32::try_from(grid[1]).unwrap(), 1];
    let mut places: Vec<*mut c_void> = arguments.iter().map(Argument::place).collect();
    // SAFETY: the library was made from a file that defines this function with these arguments; those of the kernel are
    // in its order and outlive the call.
    let said = unsafe {
        let run = library.get::<Run>(format!("run_{kernel}").as_bytes()).unwrap();
        run(grid.as_ptr(), threads, seed, places.as_mut_ptr())
    };
    if !said.is_null() {
        // SAFETY: what the library says is a C string of its own.
        panic!("{kernel}: {}", unsafe { CStr::from_ptr(said) }.to_string_lossy());
    }
}

fn source_folder() -> PathBuf {
    std::env::var_os("LINF_CUDA_SOURCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin/linf-train/cuda"), PathBuf::from)
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
fn compile((file, power): Module) -> PathBuf {
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
    for name in [file, "power.cuh", "tile.cuh", "host/shim.hpp", "host/shim.cpp"] {
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
