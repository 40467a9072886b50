//! A worker killed by `kill -9` at any moment, for real: what it flushed is there, nothing stands twice.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use linf::store::{CheckpointKind, checkpoint};

use crate::example::{self, point, reader, writer};

const RUN_DIR: &str = "LINF_TEST_RUN_DIR";

/// The worker: logs without end, says aloud what it has flushed. Killed by the test below.
#[test]
#[ignore = "started by the next test"]
fn worker() {
    let run_dir = PathBuf::from(env::var_os(RUN_DIR).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let nonce = std::process::id().to_string();
    let pen = writer(&run_dir, &nonce);
    let rows = runtime.block_on(async { reader(&run_dir).await.checkpoints().await.unwrap() });
    let (good, skipped) = checkpoint::newest_good(&run_dir, &rows);
    assert_eq!(skipped, [], "a row is written after its file is whole");
    let start = good.map_or(0, |good| good.row.step);
    pen.truncate_after(start).unwrap();
    for step in start + 1.. {
        pen.steps(point(step));
        if step % 50 == 0 {
            pen.checkpoint(example::checkpoint(&run_dir, step, CheckpointKind::Periodic));
        }
        if step % 20 == 0 {
            pen.flush().unwrap();
            println!("flushed {step}");
        }
    }
}

#[test]
fn nothing_flushed_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut resumed = 0;
    for kill in 0..8u64 {
        let mut worker = Command::new(env::current_exe().unwrap())
            .args(["--exact", "killed::worker", "--ignored", "--nocapture"])
            .env(RUN_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines().map_while(Result::ok);
        // It works (the first flush is heard), and then dies at some moment.
        let number = |line: &String| line.strip_prefix("flushed ").and_then(|step| step.parse::<u64>().ok());
        let first = lines.by_ref().find_map(|line| number(&line)).unwrap();
        thread::sleep(Duration::from_millis(7 * kill));
        worker.kill().unwrap();
        worker.wait().unwrap();
        let flushed = lines.filter_map(|line| number(&line)).last().unwrap_or(first);

        let (steps, rows) = runtime.block_on(async {
            let reader = reader(dir.path()).await;
            let bins = reader.series("loss", 0, u64::MAX, 10_000_000).await.unwrap();
            (bins.into_iter().map(|bin| bin.step).collect::<Vec<_>>(), reader.checkpoints().await.unwrap())
        });
        let last = *steps.last().unwrap();
        assert!(last >= flushed, "kill {kill}: step {flushed} was flushed, and {last} is the last in the file");
        assert_eq!(steps, (1..=last).collect::<Vec<_>>(), "kill {kill}");
        assert!(rows.len() <= 2, "the config keeps two");
        let (good, skipped) = checkpoint::newest_good(dir.path(), &rows);
        assert_eq!(skipped, [], "kill {kill}");
        let newest = good.map_or(0, |good| good.row.step);
        assert!(newest >= resumed, "kill {kill}: no checkpoint is lost");
        resumed = newest;
    }
}
