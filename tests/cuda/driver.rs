//! What is said of a driver that is missing or fails: each case in a process of its own, beside a driver of paper.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use linf_cuda::{Array, Cache, Device, DistanceOp, Gpu, GpuError, Shape};

const CHILD: &str = "LINF_TEST_CHILD";

/// What a program does with a device: opens it, and computes one layer.
fn use_device(index: usize) -> Result<(), GpuError> {
    let cache = Cache::at(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-cubins"));
    let gpu: Rc<dyn Gpu> = Device::open(index, cache)?;
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
        match use_device(index.parse().unwrap()) {
            Ok(()) => println!("said: nothing"),
            Err(error) => println!("said: {error}"),
        }
    }
}

/// What a process says that uses device `index` of a driver that fails as `fails` tells; `None` is no driver.
fn said(fails: Option<&str>, index: usize) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(CHILD, index.to_string()).env("LINF_NVRTC", "/nowhere");
    command.env_remove("CUDA_PATH").env_remove("CUDA_HOME");
    if let Some(fails) = fails {
        command.env("LD_LIBRARY_PATH", driver().parent().unwrap()).env("STUB_DRIVER", fails);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("said: "));
    line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).1.to_owned()
}

/// The driver of paper, compiled.
fn driver() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("driver-{}", std::process::id()));
    let (library, part) = (folder.join("libcuda.so.1"), folder.join("part.so"));
    if !library.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cuda/driver.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let done =
            Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&part).arg(source).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::rename(part, &library).unwrap();
    }
    library
}

#[test]
fn every_failure_is_one_clear_line() {
    for (fails, index, expected) in [
        (
            "cuInit:100",
            0,
            "the NVIDIA driver says error number 100 (CUDA_ERROR_NUMBER_100). Is one free, and does CUDA_VISIBLE_DEVICES \
             show it?",
        ),
        (
            "cuInit:803",
            0,
            "the NVIDIA driver says error number 803 (CUDA_ERROR_NUMBER_803). The machine must be restarted after an update \
             of the driver",
        ),
        ("nothing", 3, "cuda:3 does not exist: the NVIDIA driver shows 1 device"),
        ("cuDevicePrimaryCtxRetain:46", 0, "the NVIDIA driver says error number 46 (CUDA_ERROR_NUMBER_46)"),
        (
            "cuMemAlloc_v2:2",
            0,
            "out of memory on a device of paper: 0 MB wanted, 1.5 GB of 80.0 GB free. Take a smaller batch or another device",
        ),
        ("cuMemcpyHtoD_v2:700", 0, "a kernel before a copy failed: error number 700 (CUDA_ERROR_NUMBER_700)"),
        ("nothing", 0, "NVRTC in /nowhere: LINF_NVRTC names this folder, which has no libnvrtc.so.13"),
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
