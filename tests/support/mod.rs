//! A store of its own for each test, the real `linf-tui`, and the scripted worker in the place of the trainer.
#![allow(dead_code, reason = "each test program uses its part")]

pub mod half_written;
pub mod paper_driver;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use linf::{
    dispatch::{dispatcher_alive, identity, lock},
    experiment::{RunId, RunState, WorkerIdentity},
    store::{CheckpointRow, EpochRow, EventRow, RunReader, RunRow, Store},
};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The Python that the tests use, Python 3 with its standard library: `PYTHON` where that is set.
pub fn python() -> Command {
    Command::new(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()))
}

/// Looks again and again until `look` finds something.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder with a store, a config, and whatever processes work on it; all of it goes at the end.
pub struct Place {
    dir: TempDir,
    runtime: Runtime,
    worker: PathBuf,
    slots: u32,
}

impl Place {
    /// Runs are trained by the scripted worker, which does as its config's title says.
    pub fn new() -> Place {
        let worker = Path::new(env!("CARGO_BIN_EXE_linf-tui")).with_file_name("examples").join("scripted_worker");
        assert!(worker.is_file(), "build the scripted worker first: cargo build --example scripted_worker");
        Place::trained_by(worker)
    }

    /// Runs are trained by this program.
    pub fn trained_by(worker: impl Into<PathBuf>) -> Place {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Place { dir: tempfile::tempdir().unwrap(), runtime, worker: worker.into(), slots: 1 }
    }

    /// Every dispatcher trains so many runs at once, whichever command starts it.
    pub fn with_slots(mut self, slots: u32) -> Place {
        self.slots = slots;
        self
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The program that trains.
    pub fn trainer(&self) -> &Path {
        &self.worker
    }

    pub fn root(&self) -> PathBuf {
        self.dir().join("runs")
    }

    pub fn run_dir(&self, id: RunId) -> PathBuf {
        self.root().join(id.to_string())
    }

    /// `linf-tui` on this store.
    pub fn linf(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linf-tui"));
        command
            .args(args)
            .current_dir(self.dir())
            .env("LINF_STORE", "runs")
            .env("LINF_TRAIN", &self.worker)
            .env("LINF_TEST_CLOCK", self.clock())
            .env("XDG_CONFIG_HOME", self.dir().join("home"))
            .env("LINF_SLOTS", self.slots.to_string())
            .env_remove("LINF_DATA")
            .stdin(Stdio::null());
        command
    }

    /// Writes the settings of whoever runs `linf-tui` here.
    pub fn settings(&self, text: &str) -> PathBuf {
        let folder = self.dir().join("home").join("linf-tui");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("config.toml");
        fs::write(&path, text).unwrap();
        path
    }

    fn clock(&self) -> PathBuf {
        self.dir().join("clock")
    }

    /// Sets the clock of all processes of this store, those that run included: so many milliseconds after the machine's.
    pub fn set_clock(&self, ahead_ms: i64) {
        let part = self.dir().join("clock.part");
        fs::write(&part, ahead_ms.to_string()).unwrap();
        fs::rename(part, self.clock()).unwrap();
    }

    /// Runs `linf-tui` and gives what it said.
    pub fn say(&self, args: &[&str]) -> Output {
        self.linf(args).output().unwrap()
    }

    /// Runs `linf-tui`, which must succeed, and gives its stdout.
    pub fn good(&self, args: &[&str]) -> String {
        let output = self.say(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "linf-tui {args:?}: {}\n{stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `linf-tui`, which must end with this code, and gives its stderr.
    pub fn bad(&self, code: i32, args: &[&str]) -> String {
        let output = self.say(args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "linf-tui {args:?}\n{stderr}");
        stderr
    }

    /// A config whose worker takes ten steps an epoch and does what the script says.
    pub fn config(&self, name: &str, epochs: u32, script: &str) -> PathBuf {
        let text = format!(
            "run.title = \"{script}\"\n\
             data.dataset = \"synthetic\"\n\
             model = {{ depth = 3, width = 16 }}\n\
             train = {{ epochs = {epochs}, batch_size = 32, lr = 0.02 }}\n\
             schedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.3 }}\n\
             eval = {{ eps = 0.1 }}\n"
        );
        let path = self.dir().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Adds a run with `linf-tui add`.
    pub fn add(&self, epochs: u32, script: &str) -> RunId {
        self.add_with(epochs, script, &[])
    }

    pub fn add_with(&self, epochs: u32, script: &str, more: &[&str]) -> RunId {
        let config = self.config("config.toml", epochs, script);
        let mut args = vec!["add", config.to_str().unwrap(), "--quiet"];
        args.extend(more);
        self.good(&args).trim().parse().unwrap()
    }

    /// The store, seen from this process.
    pub fn with_store<T>(&self, work: impl AsyncFnOnce(&Store) -> T) -> T {
        self.runtime.block_on(async {
            let store = Store::open(self.root()).await.unwrap();
            let answer = work(&store).await;
            store.catalog().close().await;
            answer
        })
    }

    pub fn row(&self, id: RunId) -> RunRow {
        self.find(id).unwrap()
    }

    fn find(&self, id: RunId) -> Option<RunRow> {
        self.with_store(async |store| store.catalog().run(id).await.unwrap())
    }

    /// Waits until the run's row is as it should be.
    pub fn until(&self, id: RunId, what: &str, test: impl Fn(&RunRow) -> bool) -> RunRow {
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.find(id) {
                Some(row) if test(&row) => return row,
                row => last = row,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("not within {PATIENCE:?}: {what}; instead {last:#?}\n{}", self.logs(id));
    }

    pub fn until_word(&self, id: RunId, word: &str) -> RunRow {
        self.until(id, word, |row| row.state.word() == word)
    }

    /// Waits until the run trains and has done so many steps.
    pub fn until_step(&self, id: RunId, step: u64) -> (RunRow, WorkerIdentity) {
        let row = self.until(
            id,
            &format!("running at step {step}"),
            |row| matches!(&row.state, RunState::Running { progress, .. } if progress.step >= step),
        );
        let identity = row.state.identity().cloned().unwrap();
        (row, identity)
    }

    /// Waits until no dispatcher works on the store.
    pub fn until_idle(&self) {
        eventually("the dispatcher leaves", || (!dispatcher_alive(&self.root()).unwrap()).then_some(()));
    }

    /// The dispatcher, once there is one.
    pub fn dispatcher(&self) -> WorkerIdentity {
        eventually("a dispatcher is alive", || self.living_dispatcher())
    }

    pub fn living_dispatcher(&self) -> Option<WorkerIdentity> {
        if !dispatcher_alive(&self.root()).ok()? {
            return None;
        }
        let pid = fs::read_to_string(lock::of_dispatcher(&self.root())).ok()?.trim().parse().ok()?;
        identity::of(pid, "").ok()?
    }

    /// The run's file as a worker leaves it that is killed while it creates it.
    pub fn leave_half_written(&self, id: RunId) {
        self.runtime.block_on(half_written::leave_half_written(&self.run_dir(id).join("run.db")));
    }

    pub fn journal(&self, id: RunId) -> Vec<EventRow> {
        self.with_store(async |store| store.catalog().journal(id).await.unwrap())
    }

    pub fn epochs(&self, id: RunId) -> Vec<EpochRow> {
        self.runtime.block_on(async {
            let reader = RunReader::open(&self.run_dir(id)).await.unwrap().unwrap();
            reader.epochs(0).await.unwrap()
        })
    }

    pub fn checkpoints(&self, id: RunId) -> Vec<CheckpointRow> {
        self.runtime.block_on(async {
            match RunReader::open(&self.run_dir(id)).await.unwrap() {
                Some(reader) => reader.checkpoints().await.unwrap(),
                None => Vec::new(),
            }
        })
    }

    /// The hash of what the run came to.
    pub fn result(&self, id: RunId) -> String {
        self.checkpoints(id).last().unwrap().hash.clone()
    }

    fn logs(&self, id: RunId) -> String {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        let (dispatcher, worker) = (read(self.root().join("dispatcher.log")), read(self.run_dir(id).join("train.log")));
        format!("dispatcher.log:\n{dispatcher}\ntrain.log:\n{worker}")
    }
}

pub fn kill(identity: &WorkerIdentity, signal: Signal) {
    assert!(identity::signal(identity, signal).unwrap(), "{identity:?} is gone already");
}

impl Drop for Place {
    /// Ends what this test started, and nothing else.
    fn drop(&mut self) {
        if let Some(dispatcher) = self.living_dispatcher() {
            let _ = identity::signal(&dispatcher, Signal::KILL);
        }
        for run in fs::read_dir(self.root()).into_iter().flatten().flatten() {
            let said = fs::read(run.path().join("worker.json")).ok();
            let identity = said.and_then(|text| serde_json::from_slice::<WorkerIdentity>(&text).ok());
            if let Some(identity) = identity {
                let _ = identity::signal(&identity, Signal::KILL);
            }
        }
    }
}
