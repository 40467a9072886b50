//! The runs behind `docs/results.md`: that this program opens them, and that they gave what the page says.

use std::path::Path;
use std::process::Command;
use std::{fs, iter};

use serde_json::Value;

use crate::support::Place;

#[test]
fn the_runs_behind_the_results_can_be_opened_and_gave_them() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = fs::read_to_string(docs.join("results.md")).unwrap();
    let (place, mut opened) = (Place::new(), 0);
    for archive in fs::read_dir(docs.join("runs")).unwrap().map(|entry| entry.unwrap().path()) {
        if archive.extension().is_none_or(|extension| extension != "xz") {
            continue;
        }
        let to = place.dir().join(archive.file_name().unwrap());
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let unpacked = Command::new(python).args(["-m", "tarfile", "-e"]).args([&archive, &to]).output().unwrap();
        assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
        let folders: Vec<String> =
            fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()).collect();
        place.good(&iter::once("import").chain(folders.iter().map(String::as_str)).collect::<Vec<_>>());
        let runs: Vec<String> = (opened + 1..=opened + folders.len()).map(|run| run.to_string()).collect();
        opened += runs.len();
        for run in &runs {
            assert!(place.good(&["show", run]).contains("completed"), "{archive:?}, run {run}");
            assert!(place.good(&["metrics", run]).lines().count() > 20, "{archive:?}, run {run}");
        }
        let report = place
            .good(&iter::once("report").chain(runs.iter().map(String::as_str)).chain(["--json"]).collect::<Vec<_>>());
        let report: Vec<Value> = serde_json::from_str(&report).unwrap();
        for experiment in &report {
            let percent = |of: &str| {
                let Value::Object(share) = &experiment[of] else { panic!("{archive:?} has no {of}") };
                let sigma = share["sigma"].as_f64().map_or(String::new(), |sigma| format!(" ± {:.2}", 100.0 * sigma));
                format!("{:.2}{sigma}", 100.0 * share["mean"].as_f64().unwrap())
            };
            let (clean, certified) = (percent("clean"), percent("certified"));
            let said = [format!("| {clean} | {certified} |"), format!("| {clean} / {certified} |")];
            let there = said.iter().any(|said| page.contains(said));
            assert!(there, "{archive:?} gave {clean} / {certified}, which docs/results.md does not say");
        }
    }
    assert!(opened >= 20, "{opened} runs are not all that were kept");
}
