//! A small run, its rows and a folder to keep it in.

use std::path::Path;

use linf::{
    experiment::{Config, Epsilon, PNorm, Schedules, WorkerIdentity, parse},
    store::{
        Attempt, CheckpointKind, CheckpointRow, EpochRow, EvalRow, EvalSplit, Margins, NewRun, RunReader, RunWriter,
        StepPoint, Store, checkpoint,
    },
};

pub const CONFIG: &str = r#"
run = { title = "an example", tags = ["example"] }
data.dataset = "synthetic"
model = { depth = 2, width = 8 }
train = { epochs = 10, batch_size = 8, lr = 0.03 }
schedule = { ramp_start = 2, ramp_end = 8 }
loss = { lambda = 0.1, eps_train = 0.4 }
eval = { eps = "8/255" }
"#;

pub const STEPS_PER_EPOCH: u64 = 10;

pub fn config() -> Config {
    parse(CONFIG).unwrap()
}

pub fn schedules() -> Schedules {
    Schedules::new(&config())
}

pub fn new_run() -> NewRun {
    NewRun::new(config(), CONFIG)
}

pub fn named(name: &str) -> NewRun {
    NewRun { name: Some(name.into()), ..new_run() }
}

pub async fn store(root: &Path) -> Store {
    Store::open(root).await.unwrap()
}

pub fn attempt(nonce: &str) -> Attempt {
    let identity = WorkerIdentity { pid: 17, start_ticks: 3, boot_id: "boot".into(), nonce: nonce.into() };
    Attempt {
        nonce: nonce.into(),
        identity,
        device: "CPU, libtorch".into(),
        threads: 1,
        program: "linf-train 0.1.0".into(),
        steps_per_epoch: STEPS_PER_EPOCH,
    }
}

pub fn writer(run_dir: &Path, nonce: &str) -> RunWriter {
    RunWriter::open(run_dir, &config(), attempt(nonce)).unwrap()
}

/// As [`writer`], of a worker on this device.
pub fn writer_on(run_dir: &Path, nonce: &str, device: &str) -> RunWriter {
    RunWriter::open(run_dir, &config(), Attempt { device: device.into(), ..attempt(nonce) }).unwrap()
}

pub async fn reader(run_dir: &Path) -> RunReader {
    RunReader::open(run_dir).await.unwrap().unwrap()
}

/// The step's figures follow from its number, so that what is read can be checked.
pub fn point(step: u64) -> StepPoint {
    let epoch = step as f64 / STEPS_PER_EPOCH as f64;
    let point = schedules().at(epoch);
    StepPoint {
        step,
        epoch,
        p: point.p,
        lr: point.lr,
        lambda: point.lambda,
        loss: loss(step),
        accuracy: 0.5,
        seconds: 0.25,
    }
}

pub fn loss(step: u64) -> f64 {
    1.0 / step as f64 + (step % 7) as f64
}

pub fn epoch(epoch: u32) -> EpochRow {
    EpochRow {
        epoch,
        step: (u64::from(epoch) + 1) * STEPS_PER_EPOCH,
        p: schedules().at(f64::from(epoch) + 1.0).p,
        lr: 0.02,
        lambda: 0.1,
        loss: 0.5,
        accuracy: 0.9,
        surrogate: 0.4,
        scalar: 1.5,
        seconds: 2.5,
        time_ms: 1_700_000_000_000 + i64::from(epoch),
    }
}

pub fn eval(step: u64, certified: f64) -> (EvalRow, Margins) {
    let row = EvalRow {
        id: 0,
        epoch: step as f64 / STEPS_PER_EPOCH as f64,
        step,
        train_p: PNorm::INFINITY,
        eps: Epsilon::new(8, 255).unwrap(),
        split: EvalSplit::Test,
        samples: 3,
        clean: 0.95,
        certified,
        certified_margin: 0.6,
        surrogate_clean: Some(0.97),
        surrogate_certified: None,
        seconds: 0.5,
        time_ms: 1_700_000_000_000,
    };
    let margins = Margins {
        margin: vec![0.5, -0.25, 0.125],
        label: vec![3, 1, 4],
        prediction: vec![3, 5, 4],
        certified: vec![true, false, true],
        radius: Vec::new(),
    };
    (row, margins)
}

/// Writes a checkpoint of two small tensors and gives the row for the run file.
pub fn checkpoint(run_dir: &Path, step: u64, kind: CheckpointKind) -> CheckpointRow {
    let weights: Vec<f32> = (0..64).map(|i| (step as f32).sin() + i as f32).collect();
    let tensors = [
        checkpoint::Tensor { name: "weight", shape: vec![8, 8], data: checkpoint::TensorData::F32(&weights) },
        checkpoint::Tensor { name: "step", shape: vec![], data: checkpoint::TensorData::U64(&[step]) },
    ];
    let written = checkpoint::write(run_dir, step, "{}", &tensors).unwrap();
    CheckpointRow {
        step,
        epoch: step as f64 / STEPS_PER_EPOCH as f64,
        p: PNorm::INFINITY,
        kind,
        file: written.file,
        bytes: written.bytes,
        hash: written.hash,
        time_ms: 1_700_000_000_000,
    }
}
