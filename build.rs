//! Bakes the place of libtorch into the run path of what is linked, so that binaries and tests start with no
//! LD_LIBRARY_PATH: torch-sys (`links = "tch"`) tells a direct dependent where it found libtorch. And the commit into what
//! a release build says of itself, so that a run tells what it was trained by.

use std::process::Command;

fn main() {
    println!("cargo:rustc-env=LINF_VERSION={}", version());
    println!("cargo:rerun-if-changed=build.rs");
    // `sqlx::migrate!` embeds what lies there; the compiler does not see a file that is added.
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(dir) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // DT_RPATH, not DT_RUNPATH: it also serves the libraries that libtorch itself opens later.
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
        println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib:{dir}:{dir}/../../nvidia/cu13/lib");
    }
}

/// `0.1.0`, and of a release build out of a git checkout its commit: `0.1.0 (1a2b3c4d5e, changed)`. Other builds go without, for
/// every commit would build them anew.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return version;
    }
    // Not the commit of another checkout that this folder lies in.
    let path = |path: String| std::path::PathBuf::from(path).canonicalize().ok();
    let top = git(&["rev-parse", "--show-toplevel"]).and_then(path);
    if top.is_none() || top != path(".".into()) {
        return version;
    }
    // The log of HEAD grows with every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return version };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    format!("{version} ({commit}{})", if changed { ", changed" } else { "" })
}

/// What git says; nothing where there is no git or it finds fault.
fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
