//! `linf-tui doctor`: looks at everything that has to be right, and says what to do where it is not.

use std::{
    fmt::Write,
    fs,
    num::NonZeroUsize,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;
use clap::Args;
use linf_cuda::{GpuError, Nvrtc};
use serde::Serialize;

use super::{
    Exit, Place,
    place::{json, line},
};
use crate::{
    dispatch::{
        data_root, dispatcher_alive, find_trainer,
        gpu::Gpus,
        logout::{Logout, Way},
    },
    experiment::RunState,
    report::figures::bytes,
    store::{Space, Store, StoreError, network_file_system},
    tui::{graphics::Wish, theme::Theme},
};

/// Check the store, the dispatcher, the trainer and this machine, and say what to do where something is wrong.
///
/// Changes nothing. The exit code is 1 where something is wrong that keeps runs from training.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Good,
    Note,
    Wrong,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    text: String,
}

fn finding(what: &'static str, verdict: Verdict, text: impl Into<String>) -> Finding {
    Finding { what, verdict, text: text.into() }
}

pub async fn run(args: DoctorArgs, place: &Place) -> Result<Exit> {
    let root = place.root();
    let mut findings = vec![finding("program", Verdict::Good, concat!("linf-tui ", env!("LINF_VERSION")))];
    findings.extend(store(place).await);
    findings.extend([file_system(root), space(root), dispatcher(root)]);
    findings.extend(trainer());
    findings.extend([data(), processor(), memory(), graphics()]);
    findings.extend(cuda());
    findings.push(logout());
    findings.extend(variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty())));
    if args.json {
        json(&findings)?;
    } else {
        let mut text = String::new();
        for Finding { what, verdict, text: found } in &findings {
            let mark = match verdict {
                Verdict::Good => "ok",
                Verdict::Note => "note",
                Verdict::Wrong => "WRONG",
            };
            writeln!(text, "{mark:<6} {what:<12} {found}")?;
        }
        line(text.trim_end())?;
    }
    let wrong = findings.iter().any(|finding| finding.verdict == Verdict::Wrong);
    Ok(if wrong { Exit::Failed } else { Exit::Done })
}

async fn store(place: &Place) -> Vec<Finding> {
    let path = place.root().display();
    let store = match place.if_any().await {
        Ok(Some(store)) => store,
        Ok(None) => {
            return vec![finding(
                "store",
                Verdict::Note,
                format!("{path}: none yet; the first `linf-tui add` makes it"),
            )];
        }
        Err(error) => return vec![finding("store", Verdict::Wrong, format!("{error:#}"))],
    };
    let mut findings = vec![finding("store", Verdict::Good, path.to_string())];
    findings.push(match count(&store).await {
        Ok(text) => finding("queue", Verdict::Good, text),
        Err(error) => finding("queue", Verdict::Wrong, error.to_string()),
    });
    findings
}

async fn count(store: &Store) -> Result<String, StoreError> {
    let runs = store.catalog().runs().await?;
    let of = |test: fn(&RunState) -> bool| runs.iter().filter(|row| test(&row.state)).count();
    let queued = of(|state| matches!(state, RunState::Queued { .. }));
    let paused = of(|state| matches!(state, RunState::Paused { .. }));
    let (live, over) = (of(RunState::holds_a_slot), of(RunState::is_over));
    Ok(format!("{live} with a worker, {queued} queued, {paused} paused, {over} ended"))
}

/// Variables of the environment that say what nobody understands: they are taken for unset, or stop a dispatcher.
fn variables(var: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let theme = |value: &str| value.parse::<Theme>().map(|_| ());
    let images = |value: &str| value.parse::<Wish>().map(|_| ());
    let slots = |value: &str| {
        let number = value.parse::<NonZeroUsize>().map(|_| ());
        number.map_err(|_| format!("\"{value}\" is no number of slots: a whole number from 1 on is one"))
    };
    let told = |name: &str, check: &dyn Fn(&str) -> Result<(), String>, verdict| {
        let fault = check(&var(name)?).err()?;
        Some(finding("variable", verdict, format!("{name}: {fault}")))
    };
    let themes = told("LINF_THEME", &theme, Verdict::Note);
    let pictures = told("LINF_IMAGES", &images, Verdict::Note);
    [told("LINF_SLOTS", &slots, Verdict::Wrong), themes, pictures].into_iter().flatten().collect()
}

fn file_system(root: &Path) -> Finding {
    // The store's folder may not be there yet; what is above it decides.
    let there = root.ancestors().find(|path| path.exists()).unwrap_or(root);
    match network_file_system(there) {
        Some(name) => finding(
            "file system",
            Verdict::Note,
            format!("{name}, over the network: locks are slower there. A store on a local disk is faster and safer"),
        ),
        None => finding("file system", Verdict::Good, "local"),
    }
}

fn dispatcher(root: &Path) -> Finding {
    match dispatcher_alive(root) {
        Ok(true) => {
            let pid = fs::read_to_string(root.join("dispatcher.lock")).unwrap_or_default();
            finding("dispatcher", Verdict::Good, format!("alive, process {}", pid.trim()))
        }
        Ok(false) => finding("dispatcher", Verdict::Good, "none, which is right while nothing is queued or training"),
        Err(error) => finding("dispatcher", Verdict::Wrong, format!("cannot look at its lock: {error}")),
    }
}

fn trainer() -> Vec<Finding> {
    let path = match find_trainer() {
        Ok(path) => path,
        Err(error) => return vec![finding("trainer", Verdict::Wrong, error.to_string())],
    };
    let found = finding("trainer", Verdict::Good, path.display().to_string());
    // The loader finds libtorch before the program's first instruction, or the program has none.
    let said = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
    let libtorch = match said {
        Ok(output) if output.status.code() == Some(LOADER_FAILED) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let why = stderr.lines().next().unwrap_or("the trainer does not start");
            finding("libtorch", Verdict::Wrong, format!("{why}; `make libtorch` fetches it, then build again"))
        }
        Ok(output) => {
            let version = String::from_utf8_lossy(&output.stdout);
            finding("libtorch", Verdict::Good, format!("loads {}", version.trim()).trim_end())
        }
        Err(error) => finding("libtorch", Verdict::Wrong, format!("the trainer does not start: {error}")),
    };
    vec![found, libtorch]
}

/// What a program leaves with where the dynamic loader misses a library.
const LOADER_FAILED: i32 = 127;

fn data() -> Finding {
    match data_root() {
        Ok(path) if path.is_dir() => finding("data", Verdict::Good, path.display().to_string()),
        Ok(path) => {
            let advice = "`linf-tui data fetch mnist` makes it, or LINF_DATA names another";
            finding("data", Verdict::Note, format!("{}: no such folder; {advice}", path.display()))
        }
        Err(error) => finding("data", Verdict::Wrong, format!("cannot find the data folder: {error}")),
    }
}

fn processor() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    #[cfg(target_arch = "x86_64")]
    let (verdict, vectors) = if std::arch::is_x86_feature_detected!("avx512f") {
        (Verdict::Good, "AVX-512")
    } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        (Verdict::Good, "AVX2")
    } else {
        (Verdict::Note, "no AVX2: training takes several times as long")
    };
    #[cfg(not(target_arch = "x86_64"))]
    let (verdict, vectors) = (Verdict::Note, "portable kernels: training takes several times as long as with AVX2");
    finding("processor", verdict, format!("{cores} {}, {vectors}", if cores == 1 { "core" } else { "cores" }))
}

fn memory() -> Finding {
    let mut system = match sysinfo::System::new() {
        Ok(system) => system,
        Err(error) => return finding("memory", Verdict::Note, format!("cannot be measured: {error}")),
    };
    system.refresh_memory();
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let text = format!("{:.1} GiB, {:.1} GiB free", gib(system.total_memory()), gib(system.available_memory()));
    finding("memory", Verdict::Good, text)
}

fn graphics() -> Finding {
    let shown = match linf_cuda::shown() {
        Ok(shown) => shown,
        Err(GpuError::NoDriver) => return finding("gpu", Verdict::Good, "no NVIDIA driver: training runs on the CPU"),
        Err(error) => return finding("gpu", Verdict::Note, format!("{error}: training runs on the CPU")),
    };
    if shown.is_empty() {
        return finding("gpu", Verdict::Good, "the NVIDIA driver shows none: training runs on the CPU");
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let mut gpus = Gpus::open();
    let seen = gpus.look();
    let each = seen.iter().map(|gpu| {
        let mut text = format!("cuda:{} {}", gpu.index, gpu.name);
        if gpu.total > 0 {
            let _ = write!(text, ", {:.1} of {:.1} GiB used", gib(gpu.used), gib(gpu.total));
        }
        match gpu.processes.len() {
            0 => {}
            1 => text.push_str(" by 1 process"),
            count => {
                let _ = write!(text, " by {count} processes");
            }
        }
        if let Some(fault) = &gpu.fault {
            let _ = write!(text, ", cannot be used: {fault}");
        }
        text
    });
    let verdict = if seen.iter().any(|gpu| gpu.fault.is_some()) { Verdict::Note } else { Verdict::Good };
    finding("gpu", verdict, each.collect::<Vec<_>>().join("; "))
}

/// What training on a GPU needs beside the GPU; nothing is said of it where there is none.
fn cuda() -> Option<Finding> {
    if linf_cuda::shown().unwrap_or_default().is_empty() {
        return None;
    }
    Some(match Nvrtc::find() {
        Ok(Some(nvrtc)) if nvrtc.folder().as_os_str().is_empty() => {
            finding("cuda", Verdict::Good, "NVRTC compiles the kernels: the system's own")
        }
        Ok(Some(nvrtc)) => {
            finding("cuda", Verdict::Good, format!("NVRTC compiles the kernels: {}", nvrtc.folder().display()))
        }
        Ok(None) => finding(
            "cuda",
            Verdict::Note,
            "NVRTC was not found: only kernels that were compiled before can be used. `make nvrtc` fetches it, or let \
             LINF_NVRTC name the folder of libnvrtc.so.13",
        ),
        Err(error) => finding("cuda", Verdict::Wrong, error.to_string()),
    })
}

fn space(root: &Path) -> Finding {
    let there = root.ancestors().find(|path| path.exists()).unwrap_or(root);
    match Space::at(there) {
        Some(space) if space.is_low() => finding(
            "disk",
            Verdict::Wrong,
            format!("{} left: checkpoints cannot be written until there is room", bytes(space.free)),
        ),
        Some(space) => finding("disk", Verdict::Good, format!("{} of {} free", bytes(space.free), bytes(space.total))),
        None => finding("disk", Verdict::Note, "the system does not say how much room there is"),
    }
}

/// Whether the machine ends what a user has left running at logout; then a session of one's own does not help.
fn logout() -> Finding {
    let found = Logout::ask();
    match found.way() {
        Way::Session if !found.logind => {
            finding("logout", Verdict::Good, "no systemd-logind: runs outlive your session")
        }
        Way::Session => finding("logout", Verdict::Good, "runs outlive your session (KillUserProcesses=no)"),
        Way::UserManager => finding(
            "logout",
            Verdict::Good,
            "systemd ends your processes at logout (KillUserProcesses=yes), but lingering is on: dispatchers are started by \
             `systemd-run --user`, and runs outlive your session",
        ),
        Way::None => finding(
            "logout",
            Verdict::Note,
            "systemd ends your processes at logout (KillUserProcesses=yes), runs among them. Say `loginctl enable-linger` \
             once: from then on dispatchers are started by `systemd-run --user`, and runs outlive your session",
        ),
    }
}
