//! A machine that ends what a user has left running at logout, made up of three scripts in the place of systemd's tools.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use linf::experiment::RunId;

use crate::support::Place;

/// A folder for the PATH, in which systemd's tools answer so.
fn tools(place: &Place, kills: &str, lingers: &str) -> PathBuf {
    let dir = place.dir().join("tools");
    fs::create_dir(&dir).unwrap();
    let script = |name: &str, body: &str| {
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    };
    script("busctl", &format!("echo 'b {kills}'"));
    script("loginctl", &format!("echo {lingers}"));
    // As the real one: keeps its own options, starts what follows apart from this session, and returns.
    let run = "echo \"$@\" > \"${0%/*}/said\"\n\
               while [ \"${1#--}\" != \"$1\" ]; do\n\
                 case $1 in --setenv=*) export \"${1#--setenv=}\";; esac\n\
                 shift\n\
               done\n\
               setsid \"$@\" </dev/null >/dev/null 2>&1 &";
    script("systemd-run", run);
    dir
}

fn add(place: &Place, tools: &std::path::Path) {
    let config = place.config("config.toml", 2, "");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let said = place.linf(&["add", config.to_str().unwrap()]).env("PATH", &path).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn the_users_own_systemd_starts_the_dispatcher_where_sessions_are_killed() {
    let place = Place::new();
    let tools = tools(&place, "true", "yes");
    add(&place, &tools);
    place.until_word(RunId(1), "completed");
    let said = fs::read_to_string(tools.join("said")).unwrap();
    // Without KillMode=process, workers would be killed as soon as the dispatcher leaves.
    assert!(said.contains("--user") && said.contains("KillMode=process") && said.contains("LINF_TRAIN="), "{said}");
}

#[test]
fn elsewhere_a_session_of_its_own_is_enough() {
    for (kills, lingers) in [("false", "no"), ("true", "no")] {
        let place = Place::new();
        let tools = tools(&place, kills, lingers);
        add(&place, &tools);
        place.until_word(RunId(1), "completed");
        assert!(!tools.join("said").exists());
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let said = place.linf(&["doctor"]).env("PATH", path).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(said.contains("loginctl enable-linger"), kills == "true", "{said}");
    }
}
