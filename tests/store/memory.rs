//! What a checkpoint costs in memory beside the tensors it is made of: a bound, and not a second copy.

use std::{env, fs, path::PathBuf, process::Command};

use linf::store::checkpoint::{self, Tensor, TensorData};

const RUN_DIR: &str = "LINF_TEST_RUN_DIR";

/// Bytes of memory that this process holds, or held at most: `VmRSS`, `VmHWM`.
fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    1024 * line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().unwrap()
}

/// In a process of its own, in which nothing else takes memory.
#[test]
#[ignore = "started by the next test"]
fn a_large_checkpoint() {
    let run_dir = PathBuf::from(env::var_os(RUN_DIR).unwrap());
    // 100 M floats, in a tensor of many pieces and one of few.
    let values: Vec<f32> = (0..50_000_000u32).map(|i| i as f32).collect();
    let tensors =
        ["moment", "weight"].map(|name| Tensor { name, shape: vec![50_000_000], data: TensorData::F32(&values) });
    let before = memory("VmRSS");
    let written = checkpoint::write(&run_dir, 1, "{}", &tensors).unwrap();
    let beside = memory("VmHWM") - before;
    assert!(written.bytes > 400_000_000);
    assert!(beside < 200 << 20, "{} MB beside the tensors", beside >> 20);
    let names: Vec<_> = fs::read_dir(run_dir.join("checkpoints")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["00000001.db"], "no log and no journal grew beside it");
}

#[test]
fn a_checkpoint_takes_no_second_copy_of_its_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "memory::a_large_checkpoint", "--ignored", "--nocapture"])
        .env(RUN_DIR, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
