//! The store against its budgets and its peers: `cargo bench --no-default-features --bench store`.
//!
//! Peers were measured on 2 cores of the same kind with an ext4 disk: MLflow 3.17 (sqlite, `log_batch`) 5 600 points/s,
//! wandb 0.31 (offline, 20 keys) 46 000, Trackio 0.43 131 000; pueue 4.0.4 `add` 7.6 ms, and 25.6 ms at 1 500 tasks.

use std::{
    error::Error,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use linf::{
    experiment::{Config, RunId, WorkerIdentity, parse},
    net::{NetShape, NetState},
    store::{
        Attempt, NewRun, RunReader, RunWriter, StepPoint, Store, Summary,
        checkpoint::{self, Tensor, TensorData},
    },
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CONFIG: &str = r#"
data.dataset = "mnist"
model = { depth = 5, width = 512 }
train = { epochs = 30, batch_size = 256, lr = 0.03 }
schedule = { ramp_start = 2, ramp_end = 28 }
loss = { lambda = 0.1, eps_train = 0.4 }
eval = { eps = 0.3 }
"#;

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = parse(CONFIG)?;
    println!("{:<44} {:>14}   against", "what", "measured");
    logging(dir.path(), &config)?;
    charts(dir.path()).await?;
    checkpoints(dir.path())?;
    stall(&config)?;
    paper_size(dir.path(), &config)?;
    queue(dir.path(), &config).await
}

fn line(what: &str, measured: String, against: String) {
    println!("{what:<44} {measured:>14}   {against}");
}

const STEPS: u64 = 1_000_000 / 7;

/// A million points, as fast as the training thread can say them.
fn logging(dir: &Path, config: &Config) -> Result<()> {
    let identity = WorkerIdentity { pid: 1, start_ticks: 1, boot_id: "b".into(), nonce: "n".into() };
    let attempt = Attempt {
        nonce: "n".into(),
        identity,
        device: "cpu".into(),
        threads: 1,
        program: "bench".into(),
        steps_per_epoch: 235,
    };
    let writer = RunWriter::open(dir, config, attempt)?;
    let point = |step| StepPoint {
        step,
        epoch: step as f64 / 235.0,
        p: linf::experiment::PNorm::INFINITY,
        lr: 0.03,
        lambda: 0.1,
        loss: (step as f64).sin(),
        accuracy: 0.9,
        seconds: 0.01,
    };
    // In bursts below the queue's capacity, with time to drain between them: what a call costs a training thread.
    let mut spent = Duration::ZERO;
    for burst in 0..10 {
        let started = Instant::now();
        (1..=1000).for_each(|i| writer.steps(point(burst * 1000 + i)));
        spent += started.elapsed();
        writer.flush()?;
    }
    let nanoseconds = spent.as_nanos() as f64 / 10_000.0;
    line(
        "log a step (7 points), training thread",
        format!("{nanoseconds:.0} ns"),
        format!("{:.2} of the budget of 1 µs a point", nanoseconds / 7e3),
    );
    let started = Instant::now();
    (10_001..=10_000 + STEPS).for_each(|step| writer.steps(point(step)));
    writer.flush()?;
    let rate = (7 * STEPS) as f64 / started.elapsed().as_secs_f64();
    line(
        "log 1 M points, on the disk",
        format!("{:.0} k/s", rate / 1e3),
        format!(
            "{:.1} × the budget of 100 k/s, {:.1} × Trackio, {:.0} × wandb, {:.0} × MLflow",
            rate / 1e5,
            rate / 131e3,
            rate / 46e3,
            rate / 5600.0
        ),
    );
    drop(writer);
    let bytes = dir.join("run.db").metadata()?.len() as f64;
    line("bytes a point", format!("{:.1}", bytes / (7 * (STEPS + 10_000)) as f64), "wandb 70, Trackio 114".into());
    Ok(())
}

async fn charts(dir: &Path) -> Result<()> {
    let reader = RunReader::open(dir).await?.ok_or("no run file")?;
    for (what, from) in [("chart of the whole curve, 1000 bins", 0), ("chart of its last 20 000 steps", STEPS - 10_000)]
    {
        let time = median(9, async || reader.series("loss", from, u64::MAX, 1000).await.map(drop)).await?;
        line(what, milliseconds(time), format!("{:.2} of a frame of 10 ms", time.as_secs_f64() / 0.01));
    }
    Ok(())
}

/// 20 M parameters with their two moments: 240 MB.
fn checkpoints(dir: &Path) -> Result<()> {
    let values: Vec<f32> = (0..20_000_000u32).map(|i| i as f32).collect();
    let tensors = ["weight", "moment1", "moment2"].map(|name| Tensor {
        name,
        shape: vec![20_000_000],
        data: TensorData::F32(&values),
    });
    let started = Instant::now();
    let written = checkpoint::write(dir, 1, "{}", &tensors)?;
    let seconds = started.elapsed().as_secs_f64();
    line("write a checkpoint of 240 MB, synced", format!("{seconds:.2} s"), format!("{:.0} MB/s", 240.0 / seconds));
    let started = Instant::now();
    checkpoint::read(&checkpoint::file(dir, &written.file))?;
    let seconds = started.elapsed().as_secs_f64();
    line("read and check it", format!("{seconds:.2} s"), format!("{:.0} MB/s", 240.0 / seconds));
    Ok(())
}

/// What the training thread of an 80 M-parameter net waits for at a checkpoint: the copy that another thread then writes.
fn stall(config: &Config) -> Result<()> {
    let mut config = config.clone();
    (config.model.depth, config.model.width) = (5, 5120);
    let state = NetState::init(&NetShape::new(&config), 0, None);
    let bytes: usize = state.tensors().iter().map(|(_, _, data)| 4 * data.len()).sum();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        drop(black_box(state.clone()));
        best = best.min(started.elapsed());
    }
    let (gigabytes, seconds) = (bytes as f64 / 1e9, best.as_secs_f64());
    line(
        "checkpoint stall, 83 M parameters, Adam",
        format!("{:.0} ms", seconds * 1e3),
        format!("one copy of {gigabytes:.2} GB at {:.1} GB/s, freed again", gigabytes / seconds),
    );
    Ok(())
}

/// A checkpoint of 109 M parameters, as the papers' nets have: what it takes beside the net, and whether it finds its end.
fn paper_size(dir: &Path, config: &Config) -> Result<()> {
    let mut config = config.clone();
    (config.model.depth, config.model.width) = (6, 5120);
    let state = NetState::init(&NetShape::new(&config), 0, None);
    let bytes: usize = state.tensors().iter().map(|(_, _, data)| 4 * data.len()).sum();
    let before = memory("VmRSS")?;
    // Counts the most memory from here on: proc(5).
    std::fs::write("/proc/self/clear_refs", "5")?;
    let started = Instant::now();
    let copy = state.clone();
    let copied = started.elapsed();
    let folder = dir.to_owned();
    let writer = std::thread::spawn(move || {
        let named = copy.tensors();
        let tensors: Vec<Tensor<'_>> = named
            .iter()
            .map(|(name, shape, data)| Tensor { name, shape: shape.clone(), data: TensorData::F32(data) })
            .collect();
        checkpoint::write(&folder, 2, "{}", &tensors)
    });
    writer.join().map_err(|_| "the writer broke down")??;
    let (seconds, gigabytes) = (started.elapsed().as_secs_f64(), bytes as f64 / 1e9);
    let beside = (memory("VmHWM")?.saturating_sub(before)) as f64;
    line(
        &format!("checkpoint of {gigabytes:.2} GB, memory beside the net"),
        format!("{:.2} GB", beside / 1e9),
        format!(
            "{:.2} × one copy; training waits {:.0} ms, the file is safe after {seconds:.1} s",
            beside / bytes as f64,
            copied.as_secs_f64() * 1e3
        ),
    );
    black_box(&state);
    Ok(())
}

/// Bytes of memory that this process holds (`VmRSS`) or held at most (`VmHWM`).
fn memory(key: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).ok_or("no such line in /proc/self/status")?;
    Ok(1024 * line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>()?)
}

async fn queue(dir: &Path, config: &Config) -> Result<()> {
    let root = dir.join("runs");
    let mut runs = 0;
    for target in [0, 1000, 10_000usize] {
        let store = Store::open(&root).await?;
        let new = |_| NewRun::new(config.clone(), CONFIG);
        store.catalog().add_many((runs..target).map(new).collect()).await?;
        let mut times = Vec::new();
        for _ in 0..60 {
            let started = Instant::now();
            let store = Store::open(&root).await?;
            store.catalog().add(NewRun::new(config.clone(), CONFIG)).await?;
            times.push(started.elapsed());
        }
        runs = target.max(runs) + 60;
        times.sort();
        let p50 = times[times.len() / 2];
        line(
            &format!("open the store and add, at {target} runs: p50"),
            milliseconds(p50),
            format!(
                "{:.2} of the budget of 5 ms, {:.2} of pueue (p99 {})",
                p50.as_secs_f64() / 5e-3,
                p50.as_secs_f64() / 7.6e-3,
                milliseconds(times[times.len() - 1])
            ),
        );
    }
    let store = Store::open(&root).await?;
    let summary =
        Summary { certified_history: vec![0.5; 32], device: "CPU, avx512, 2 threads".into(), ..Summary::default() };
    for id in (1..=10_000).step_by(2) {
        store.catalog().set_summary(RunId(id), &summary).await?;
    }
    let time = median(9, async || store.catalog().runs().await.map(drop)).await?;
    line("list 10 000 runs", milliseconds(time), format!("{:.2} of the budget of 30 ms", time.as_secs_f64() / 30e-3));
    let revision = store.catalog().changed_since(0).await?.1;
    let time = median(99, async || store.catalog().changed_since(revision).await.map(drop)).await?;
    line("ask what changed, when nothing did", format!("{:.0} µs", time.as_secs_f64() * 1e6), String::new());
    Ok(())
}

async fn median<E>(
    times: usize,
    mut work: impl AsyncFnMut() -> std::result::Result<(), E>,
) -> std::result::Result<Duration, E> {
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let started = Instant::now();
        work().await?;
        all.push(started.elapsed());
    }
    all.sort();
    Ok(all[times / 2])
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
