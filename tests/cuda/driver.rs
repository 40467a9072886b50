//! What is said of a driver that is missing or fails: each case in a process of its own, beside a driver of paper.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

#[path = "../support/paper_driver.rs"]
mod paper_driver;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use linf_cuda::{Array, Cache, Device, DistanceOp, Gpu, GpuError, Shape, modules, shown};

const CHILD: &str = "LINF_TEST_CHILD";

/// What a program does with a device: opens it, and computes one layer. Kernels come from a folder of paper as well, or,
/// `without` one, from nowhere.
fn use_device(index: usize, without: bool) -> Result<(), GpuError> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(if without { "no-cubins" } else { "cubins-of-paper" });
    let gpu: Rc<dyn Gpu> = Device::open(index, Cache::at(&folder))?;
    let (x, w) = (Array::of(&gpu, &[1.0; 6])?, Array::of(&gpu, &[2.0; 6])?);
    let mut y = Array::zeros(&gpu, 4)?;
    let shape = Shape { batch: 2, inputs: 3, outputs: 2 };
    DistanceOp::new(&gpu)?.forward(shape, f64::INFINITY, &x, &w, &mut y, false)?;
    y.to_vec().map(|_| ())
}

/// The half of each case that runs in its own process.
#[test]
fn child() {
    if let Ok(index) = std::env::var(CHILD) {
        let index: usize = index.parse().unwrap();
        match use_device(index % 10, index >= 10) {
            Ok(()) => println!("said: nothing"),
            Err(error) => println!("said: {error}"),
        }
    }
}

/// What a process says that uses device `index` of a driver that fails as `fails` tells; `None` is no driver. An index
/// that is larger by 10 has no kernels.
fn said(fails: Option<&str>, index: usize) -> String {
    said_by("child", fails, index)
}

/// As [`said`], of the child that is this test.
fn said_by(test: &str, fails: Option<&str>, index: usize) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, index.to_string()).env("LINF_NVRTC", "/nowhere");
    command.env_remove("CUDA_PATH").env_remove("CUDA_HOME");
    if let Some(fails) = fails {
        command.env("LD_LIBRARY_PATH", driver(fails)).env("STUB_DRIVER", fails);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("said: "));
    line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).1.to_owned()
}

/// The folder of the driver of paper; where it is for an old CUDA, of an old one.
fn driver(fails: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cuda/driver.c");
    paper_driver::folder(&source, Path::new(env!("CARGO_TARGET_TMPDIR")), fails == "version:11030")
}

#[test]
fn every_failure_is_one_clear_line() {
    let paper = Cache::at(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("cubins-of-paper"));
    let largest = modules().into_iter().find(|module| module.file == "largest.cu").unwrap();
    paper.keep(largest, "sm_90", b"machine code").unwrap();
    for (fails, index, expected) in [
        ("cuInit:100", 0, "the NVIDIA driver shows no device. Is one free, and does CUDA_VISIBLE_DEVICES show it?"),
        (
            "cuInit:803",
            0,
            "the NVIDIA driver says error number 803 (CUDA_ERROR_NUMBER_803). The machine must be restarted after an update \
             of the driver",
        ),
        ("nothing", 3, "cuda:3 does not exist: the NVIDIA driver shows 1 device"),
        ("cuDevicePrimaryCtxRetain:46", 0, "the NVIDIA driver says error number 46 (CUDA_ERROR_NUMBER_46)"),
        ("capability:70", 0, "a device of paper has compute capability 7.0, and the kernels need 7.5"),
        (
            "version:12080",
            0,
            "the NVIDIA driver is made for CUDA 12.8, and the kernels for 13: a driver of the 580 series or newer is needed",
        ),
        (
            "cuMemAlloc_v2:2",
            0,
            "out of memory on a device of paper: 0 MB wanted, 1.5 GB of 80.0 GB free. Take a smaller batch or another device",
        ),
        ("cuMemcpyHtoD_v2:700", 0, "a kernel before a copy failed: error number 700 (CUDA_ERROR_NUMBER_700)"),
        ("cuModuleLoadData:218", 0, "the NVIDIA driver says error number 218 (CUDA_ERROR_NUMBER_218)"),
        ("cuLaunchKernel:701", 0, "largest failed: error number 701 (CUDA_ERROR_NUMBER_701)"),
        ("nothing", 0, "nothing"),
        ("nothing", 10, "NVRTC in /nowhere: LINF_NVRTC names this folder, which has no libnvrtc.so.13"),
    ] {
        assert_eq!(said(Some(fails), index), expected, "{fails}");
    }
}

#[test]
fn a_machine_without_a_driver_is_told_so() {
    // SAFETY: asks whether the library can be opened.
    if unsafe { libloading::Library::new("libcuda.so.1") }.is_ok() {
        println!("this machine has a driver: not tested");
        return;
    }
    let expected = "no NVIDIA driver: libcuda.so.1 cannot be opened. Take resources.device = \"cpu\"";
    assert_eq!(said(None, 0), expected);
}

#[test]
fn what_is_shown_says_why_it_cannot_be_used() {
    if std::env::var_os(CHILD).is_some() {
        let cache = Cache::at(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-cubins"));
        let words = |shown: &linf_cuda::Shown| {
            format!("{} {}: {}", shown.uuid_text("GPU"), shown.name, shown.fault(&cache).unwrap())
        };
        let all = shown().map(|all| all.iter().map(words).collect::<Vec<_>>().join("; "));
        return println!("said: {}", all.unwrap_or_else(|error| error.to_string()));
    }
    let name = "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f a device of paper";
    let said = |fails| said_by("what_is_shown_says_why_it_cannot_be_used", Some(fails), 0);
    let none = "NVRTC in /nowhere: LINF_NVRTC names this folder, which has no libnvrtc.so.13";
    assert_eq!(said("nothing"), format!("{name}: {none}"));
    assert!(said("capability:61").starts_with(&format!("{name}: a device of paper has compute capability 6.1")));
    assert!(said("version:12040").contains("a device of paper: the NVIDIA driver is made for CUDA 12.4"));
    // A driver that lacks functions of newer ones ends nothing.
    assert!(said("version:11030").contains("a device of paper: the NVIDIA driver is made for CUDA 11.3"));
    assert_eq!(said("cuInit:100"), "", "CUDA_VISIBLE_DEVICES hides all of them");
    assert!(said("cuInit:999").starts_with("the NVIDIA driver says error number 999"));
}
