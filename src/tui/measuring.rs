//! What is asked of the net of a checkpoint: its certificate, or a file that proves it. Either takes a CPU for minutes, so the
//! program's own verb does it, as a process of low priority.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use rustix::process::{Pid, setpriority_process};
use serde::Deserialize;
use tokio::process::Command;

use super::message::Msg;
use crate::{
    dispatch::this_program,
    experiment::{Epsilon, RunId},
};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measurement {
    /// What it provably withstands, at the config's ε.
    Certify,
    /// The net and what is proved of it, in this file.
    Export(PathBuf),
}

/// What a certification found.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Figures {
    /// The radius.
    pub eps: Epsilon,
    /// Test images.
    pub samples: u32,
    /// Clean accuracy at p = ∞.
    pub clean: f64,
    /// Certified accuracy at the radius.
    pub certified: f64,
}

/// The lowest priority: whatever trains on the machine goes first.
const NICE: i32 = 19;

/// Does it for the checkpoint of `step` of a run of the store at `root`, and says how it went.
pub async fn carry_out(root: &Path, run: RunId, step: u64, what: Measurement) -> Msg {
    match what {
        Measurement::Certify => {
            let output = verb(root, run, step, "certify", |command| command.args(["--sound", "--json"])).await;
            Msg::Certified(run, step, output.and_then(|text| figures(&text)))
        }
        Measurement::Export(file) => match export(root, run, step, &file).await {
            Ok(said) => Msg::Done(said),
            Err(why) => Msg::Failed(why),
        },
    }
}

async fn export(root: &Path, run: RunId, step: u64, file: &Path) -> Result<String, String> {
    let file = std::path::absolute(file).map_err(|error| error.to_string())?;
    // The verb replaces a file, as commands do; whoever types a name on a screen may not know what lies there.
    if file.symlink_metadata().is_ok() {
        return Err(format!("nothing was exported: {} is there already; name another file", file.display()));
    }
    verb(root, run, step, "export", |command| command.arg("--certificate").arg(&file)).await
}

/// What the verb prints, in one line where it is one, or why it failed.
async fn verb(
    root: &Path,
    run: RunId,
    step: u64,
    name: &str,
    more: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<String, String> {
    let mut command = Command::from(this_program().map_err(|error| error.to_string())?);
    command.arg("--store").arg(root).args([name, &run.to_string(), "--checkpoint", &step.to_string()]);
    more(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A certificate is for the screen that asked for it; a file is written even if the screen closes meanwhile, with its
    // terminal or without.
    command.process_group(0).kill_on_drop(name == "certify");
    let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid {
        // It is the same at any priority, and another process may feel it.
        let _ = setpriority_process(Some(pid), NICE);
    }
    let output = child.wait_with_output().await.map_err(|error| format!("{name}: {error}"))?;
    said(name, &output)
}

fn said(name: &str, output: &Output) -> Result<String, String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    let why = last.map(|line| line.trim().trim_start_matches("linf-tui: ").to_owned());
    Err(format!("{name}: {}", why.unwrap_or_else(|| output.status.to_string())))
}

/// The first of the figures that `certify --json` prints.
fn figures(json: &str) -> Result<Figures, String> {
    let rows: Vec<Figures> = serde_json::from_str(json).map_err(|error| format!("certify: {error}"))?;
    rows.first().copied().ok_or_else(|| "certify: it found nothing".into())
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::*;

    #[test]
    fn the_figures_of_certify_are_read_and_so_is_why_there_are_none() {
        let json = r#"[{"eps": "8/255", "threat": "real", "samples": 500, "clean": 0.5, "certified": 0.25}]"#;
        let found = figures(json).unwrap();
        assert_eq!((found.eps.to_string().as_str(), found.samples, found.certified), ("8/255", 500, 0.25));
        assert!(figures("[]").unwrap_err().contains("nothing") && figures("no JSON").is_err());
        let ended = |raw: i32, stderr: &str| {
            said("certify", &Output { status: ExitStatus::from_raw(raw), stdout: vec![], stderr: stderr.into() })
        };
        assert_eq!(ended(256, "a warning\nlinf-tui: no images\n").unwrap_err(), "certify: no images");
        assert!(ended(9, "").unwrap_err().contains("signal: 9"));
    }

    #[tokio::test]
    async fn what_lies_there_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("net.safetensors");
        std::fs::write(&file, "mine").unwrap();
        let said = carry_out(folder.path(), RunId(1), 5, Measurement::Export(file.clone())).await;
        assert!(matches!(said, Msg::Failed(why) if why.contains("is there already")));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
    }
}
