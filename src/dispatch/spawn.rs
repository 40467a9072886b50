//! Starting processes that outlive whoever starts them: the dispatcher, and the workers.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    fs::OpenOptions,
    io,
    num::NonZeroUsize,
    os::{fd::BorrowedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::io::FdFlags;

use super::{
    lock,
    logout::{Logout, Way},
};
use crate::{
    dataset,
    experiment::{Device, RunId},
    store::is_full,
};

/// The worker's program.
const TRAINER: &str = "linf-train";

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no trainer.
    #[error(
        "{TRAINER} was found neither beside {beside} nor on the PATH: build it with `cargo build --release`, or name \
         it in LINF_TRAIN"
    )]
    NoTrainer {
        /// Where it should be.
        beside: String,
    },
    /// LINF_TRAIN names no file.
    #[error("LINF_TRAIN names {0}, which is no file")]
    BadTrainer(PathBuf),
    /// The operating system refused.
    #[error("cannot {what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        #[source]
        error: io::Error,
    },
}

fn failing(what: impl Into<String>) -> impl FnOnce(io::Error) -> SpawnError {
    let what = what.into();
    move |error| SpawnError::Io { what, error }
}

/// The folder that datasets lie in, as an absolute path: processes that are detached live in `/`.
pub fn data_root() -> io::Result<PathBuf> {
    std::path::absolute(dataset::default_root())
}

/// The trainer: what LINF_TRAIN names, else the one beside this program, else the one on the PATH.
pub fn find_trainer() -> Result<PathBuf, SpawnError> {
    if let Some(named) = env::var_os("LINF_TRAIN").filter(|name| !name.is_empty()) {
        let path = std::path::absolute(&named).map_err(failing("read LINF_TRAIN"))?;
        return if path.is_file() { Ok(path) } else { Err(SpawnError::BadTrainer(path)) };
    }
    let this = env::current_exe().map_err(failing("find this program's own file"))?;
    let beside = this.with_file_name(TRAINER);
    let on_path = env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    [beside]
        .into_iter()
        .chain(on_path.map(|dir| dir.join(TRAINER)))
        .find(|path| path.is_file())
        .ok_or_else(|| SpawnError::NoTrainer { beside: this.display().to_string() })
}

/// Starts a worker for a run of the store at `root`, which must be an absolute path. It is a child of this process, so
/// that its exit can be read, but makes itself a session of its own (`WorkerSession`) and outlives this process.
/// `device` is what the plan gives it, in place of "auto" in its config.
pub fn worker(
    root: &Path,
    run: RunId,
    run_dir: &Path,
    nonce: &str,
    device: Option<Device>,
) -> Result<Child, SpawnError> {
    let program = find_trainer()?;
    let (stdout, stderr) = match log(&run_dir.join("train.log")) {
        // A worker waits for room on a full disk; what it says until then is not kept.
        Err(SpawnError::Io { error, .. }) if is_full(&error) => (Stdio::null(), Stdio::null()),
        opened => opened?,
    };
    let mut command = Command::new(&program);
    if let Some(device) = device {
        command.env("LINF_DEVICE", device.to_string());
    }
    command
        .arg("--store")
        .arg(root)
        .args(["--run", &run.to_string(), "--nonce", nonce])
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .current_dir("/")
        // libgomp's idle threads spin by default, against the threads of our own kernels.
        .env("OMP_WAIT_POLICY", "passive")
        .env("LINF_DATA", data_root().map_err(failing("find the data folder"))?)
        .spawn()
        .map_err(failing(format!("start {}", program.display())))
}

/// Makes sure that a dispatcher works on the store at `root`. Call it after the work is in the catalog: a dispatcher
/// that is about to leave looks once more after it has given up its lock.
pub fn ensure_dispatcher(root: &Path) -> Result<(), SpawnError> {
    start_dispatcher(root, None)
}

/// As [`ensure_dispatcher`]; a dispatcher that has to be started gets so many slots, where a number is given.
pub fn start_dispatcher(root: &Path, slots: Option<NonZeroUsize>) -> Result<(), SpawnError> {
    let root = &std::path::absolute(root).map_err(failing("find the store's folder"))?;
    let path = lock::of_dispatcher(root);
    if lock::held(&path).map_err(failing(format!("look at {}", path.display())))? {
        return Ok(());
    }
    let mut environment = vec![("LINF_DATA", data_root().map_err(failing("find the data folder"))?.into_os_string())];
    if let Some(slots) = slots {
        environment.push(("LINF_SLOTS", slots.to_string().into()));
    }
    if let Some(trainer) = env::var_os("LINF_TRAIN").filter(|name| !name.is_empty()) {
        let trainer = std::path::absolute(trainer).map_err(failing("read LINF_TRAIN"))?;
        environment.push(("LINF_TRAIN", trainer.into_os_string()));
    }
    if Logout::ask().way() == Way::UserManager && by_the_users_systemd(root, &environment)? {
        return Ok(());
    }
    let (stdout, stderr) = log(&root.join("dispatcher.log"))?;
    let status = this_program()?
        .envs(environment)
        .arg("--store")
        .arg(root)
        .args(["dispatch", "--stage"])
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .current_dir("/")
        .status()
        .map_err(failing("start a dispatcher"))?;
    if status.success() {
        return Ok(());
    }
    let log = root.join("dispatcher.log");
    Err(SpawnError::Io {
        what: "start a dispatcher".into(),
        error: io::Error::other(format!("{status}; {} may say more", log.display())),
    })
}

/// Has the user's own systemd start a dispatcher, outside of the session that is killed at logout. `false` where it
/// does not. Workers stay when the dispatcher leaves: only its own process belongs to the unit's end.
fn by_the_users_systemd(root: &Path, environment: &[(&str, OsString)]) -> Result<bool, SpawnError> {
    let log = root.join("dispatcher.log");
    let cuda = ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_PATH", "CUDA_HOME", "LINF_NVRTC", "XDG_CACHE_HOME"];
    let inherited = ["PATH", "LD_LIBRARY_PATH", "LINF_SLOTS"].into_iter().chain(cuda);
    let mut run = Command::new("systemd-run");
    run.args(["--user", "--quiet", "--collect", "--property=KillMode=process", "--working-directory=/"]);
    for stream in ["StandardOutput", "StandardError"] {
        run.arg(format!("--property={stream}=append:{}", log.display()));
    }
    for name in inherited.filter(|name| environment.iter().all(|(set, _)| set != name)) {
        if let Some(value) = env::var_os(name) {
            run.arg(setenv(name, &value));
        }
    }
    for (name, value) in environment {
        run.arg(setenv(name, value));
    }
    let this = this_program()?;
    let status = run
        .arg(this.get_program())
        .arg("--store")
        .arg(root)
        .arg("dispatch")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    Ok(status.is_ok_and(|status| status.success()))
}

fn setenv(name: &str, value: &OsStr) -> OsString {
    let mut text = OsString::from(format!("--setenv={name}="));
    text.push(value);
    text
}

/// The middle of a detached start. A child that its parent did not make a group leader may open a session; the process
/// it starts then is no session leader and can never get a terminal again. When this one ends, init takes the other.
pub fn stage(root: &Path) -> Result<(), SpawnError> {
    rustix::process::setsid().map_err(|error| failing("open a session")(error.into()))?;
    keep_open_files_here()?;
    this_program()?
        .arg("--store")
        .arg(root)
        .arg("dispatch")
        .stdin(Stdio::null())
        .spawn()
        .map(drop)
        .map_err(failing("start a dispatcher"))
}

/// Files that some shell or build tool left open for us are not for those who live on: an `ssh host linf-tui add …`
/// would not end before the queue does.
pub fn keep_open_files_here() -> Result<(), SpawnError> {
    for entry in fs::read_dir("/proc/self/fd").map_err(failing("read /proc/self/fd"))?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if number > 2 {
            // SAFETY: the borrow lives for one call, which only sets a flag: should the number have been closed
            // meanwhile, the call fails, and whatever else may carry it by then is to stay here as well.
            let file = unsafe { BorrowedFd::borrow_raw(number) };
            let _ = rustix::io::fcntl_setfd(file, FdFlags::CLOEXEC);
        }
    }
    Ok(())
}

/// This program, even if its file has been replaced by a newer build since it started.
pub fn this_program() -> Result<Command, SpawnError> {
    let path = env::current_exe().map_err(failing("find this program's own file"))?;
    Ok(Command::new(if path.is_file() { path } else { "/proc/self/exe".into() }))
}

fn log(path: &Path) -> Result<(Stdio, Stdio), SpawnError> {
    let open = || -> io::Result<_> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        Ok((file.try_clone()?.into(), file.into()))
    };
    open().map_err(failing(format!("open {}", path.display())))
}
