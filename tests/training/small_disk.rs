//! A store on a disk of its own that fills up: trainer, dispatcher and clients all meet it.

use std::{env, fs, io::Write, process::Command, thread::sleep, time::Duration};

use crate::{
    add, place,
    resume::{result, undisturbed},
};

/// Mounts a disk over the folder for temporary files, in a namespace that ends with the command.
fn on_a_disk_of(megabytes: u32, folder: &std::path::Path) -> Command {
    let mount = format!("mount -t tmpfs -o size={megabytes}m none \"$TMPDIR\" && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &mount, "sh"]).env("TMPDIR", folder);
    command
}

#[test]
#[ignore = "started by the next test, on a disk of its own"]
fn on_a_small_disk() {
    let place = place();
    let id = add(&place, &[]);
    place.until_step(id, 100);
    let warned = |place: &crate::support::Place| {
        let said = place.say(&["ls"]);
        assert!(said.status.success());
        String::from_utf8_lossy(&said.stderr).contains("training goes on and keeps what it cannot write")
    };
    assert!(!warned(&place));
    let filler = place.dir().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    assert!(warned(&place), "a banner says so");
    sleep(Duration::from_millis(2500));
    fs::remove_file(&filler).unwrap();
    drop(file);
    let row = place.until_word(id, "completed");
    assert_eq!(row.attempts, 1, "the same worker trained it to its end");
    assert!(!warned(&place));
    let said = place.good(&["show", &id.to_string(), "--events"]);
    assert!(said.contains("nothing could be written; all of it is now"), "{said}");
    assert_eq!(result(&place, id), undisturbed(&["resources.threads=1"]));
}

#[test]
fn a_store_whose_disk_fills_up_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    if !on_a_disk_of(1, dir.path()).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("not tested: this machine lets nobody mount a disk; limits.rs has the limit on the size of files");
        return;
    }
    let output = on_a_disk_of(160, dir.path())
        .arg(env::current_exe().unwrap())
        .args(["--exact", "small_disk::on_a_small_disk", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
