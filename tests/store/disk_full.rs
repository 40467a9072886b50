//! A disk that is full: training goes on, what it logs is kept, and it is written once there is space again.

use std::{
    env,
    path::PathBuf,
    process::Command,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use linf::store::{Outcome, StoreError, checkpoint};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::example::{attempt, config, point, reader, writer};

const RUN_DIR: &str = "LINF_TEST_RUN_DIR";

/// Limits the size of every file this process writes; `None` lifts the limit.
fn limit_files(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

/// In a process of its own, for the limit holds for all its threads.
#[test]
#[ignore = "started by the next test"]
fn a_full_disk() {
    let run_dir = PathBuf::from(env::var_os(RUN_DIR).unwrap());
    // Without a handler the limit kills the process; with one, writing fails as it does on a full disk.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))).unwrap();
    let pen = writer(&run_dir, "a");
    (1..=500).for_each(|step| pen.steps(point(step)));
    pen.flush().unwrap();
    assert_eq!(pen.status().trouble, None);

    limit_files(Some(200_000));
    let started = Instant::now();
    (501..=20_000).for_each(|step| pen.steps(point(step)));
    let trouble = loop {
        if let Some(trouble) = pen.status().trouble {
            break trouble;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "the writer noticed nothing");
        thread::sleep(Duration::from_millis(5));
    };
    assert!(trouble.text.contains("run.db") && trouble.text.contains("Free some space"), "{}", trouble.text);
    assert!(trouble.kept > 10_000, "{} messages are kept", trouble.kept);
    assert!(matches!(pen.flush(), Err(StoreError::DiskFull { .. })));
    assert!(matches!(pen.finish(Outcome::Completed), Err(StoreError::DiskFull { .. })));
    let values = vec![1.0f32; 1 << 20];
    let tensor = checkpoint::Tensor { name: "w", shape: vec![1 << 20], data: checkpoint::TensorData::F32(&values) };
    let error = checkpoint::write(&run_dir, 7, "{}", std::slice::from_ref(&tensor)).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert_eq!(std::fs::read_dir(run_dir.join("checkpoints")).unwrap().count(), 0, "nothing half-written stays");

    limit_files(None);
    pen.steps(point(20_001));
    pen.flush().unwrap();
    assert_eq!(pen.status().trouble, None);
    checkpoint::write(&run_dir, 7, "{}", std::slice::from_ref(&tensor)).unwrap();
    pen.finish(Outcome::Completed).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reader = reader(&run_dir).await;
        let steps: Vec<u64> =
            reader.series("loss", 0, u64::MAX, 10_000_000).await.unwrap().into_iter().map(|bin| bin.step).collect();
        assert_eq!(steps, (1..=20_001).collect::<Vec<_>>());
        assert_eq!(reader.outcome("a").await.unwrap(), Some(Outcome::Completed));
    });
}

#[test]
fn nothing_is_lost_when_space_returns() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "disk_full::a_full_disk", "--ignored", "--nocapture"])
        .env(RUN_DIR, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_run_that_cannot_begin_says_so() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = linf::store::RunWriter::open(&dir.path().join("file"), &config(), attempt("a")).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}
