//! What "auto" makes of GPUs that nothing can be trained on: a driver of paper shows them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Place, paper_driver};
use crate::{add_by, place};

/// `linf-tui` beside a driver of paper, of which `fails` says what is wrong.
fn beside_paper(place: &Place, args: &[&str], fails: &str) -> Command {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cuda/driver.c");
    let known = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        [paper_driver::folder(&source, place.dir(), false)].into_iter().chain(std::env::split_paths(&known)).collect();
    let path: OsString = std::env::join_paths(folders).unwrap();
    let mut command = place.linf(args);
    command.env("LD_LIBRARY_PATH", path).env("STUB_DRIVER", fails).env("XDG_CACHE_HOME", place.dir().join("cache"));
    command.env("LINF_NVRTC", "/nowhere");
    command
}

const SMALL: [&str; 4] = ["resources.device=auto", "train.epochs=3", "schedule.ramp_start=1", "schedule.ramp_end=2"];

#[test]
fn auto_leaves_a_gpu_that_cannot_be_used_and_says_why() {
    let place = place();
    let id = add_by(&place, &SMALL, |args| beside_paper(&place, args, "capability:70"));
    place.until_word(id, "completed");
    let history = place.good(&["show", &id.to_string(), "--events"]);
    let expected = "no GPU is used: cuda:0: a device of paper has compute capability 7.0, and the kernels need 7.5";
    assert!(history.lines().any(|line| line.contains("alarm") && line.ends_with(expected)), "{history}");
    assert!(history.lines().any(|line| line.contains("attempt") && line.contains(" on CPU, ")), "{history}");
}

#[test]
fn a_gpu_that_is_named_and_cannot_be_used_fails_the_run_at_its_start() {
    let place = place();
    let overrides = ["resources.device=cuda:0"];
    let id = add_by(&place, &overrides, |args| beside_paper(&place, args, "nothing"));
    let row = place.until_word(id, "failed");
    let said = format!("{:?}", row.state);
    assert!(said.contains("opening cuda:0") && said.contains("NVRTC in /nowhere"), "{said}");
    assert_eq!(row.summary.step, 0);
}

#[test]
fn doctor_says_which_gpus_cannot_be_used() {
    let place = place();
    let doctor = |fails: &str| {
        let output = beside_paper(&place, &["doctor"], fails).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let line =
        |said: &str| said.lines().find(|line| line.contains(" gpu ")).unwrap_or_else(|| panic!("{said}")).to_owned();
    let old = line(&doctor("version:12080"));
    assert!(old.contains("note") && old.contains("cuda:0 a device of paper, cannot be used"), "{old}");
    let none = line(&doctor("cuInit:100"));
    assert!(none.contains("the NVIDIA driver shows none"), "{none}");
    let broken = line(&doctor("cuInit:803"));
    assert!(broken.contains("The machine must be restarted"), "{broken}");
}
