//! The runs behind `docs/results.md`: that this program opens them, that they gave what the page says, and that they took
//! the time that is estimated of such runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use linf::experiment::{Config, Kernels, Schedules};
use serde_json::Value;

use crate::support::{Place, python};

/// A command's first words and the rest.
fn words<'a>(first: &[&'a str], rest: &'a [String]) -> Vec<&'a str> {
    first.iter().copied().chain(rest.iter().map(String::as_str)).collect()
}

/// The pairs (clean, certified) of a page's tables: the columns of those names, and cells "clean / certified".
fn pairs(page: &str) -> BTreeSet<(String, String)> {
    let mut pairs = BTreeSet::new();
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let lines: Vec<&str> = page.lines().collect();
    let tables = lines.chunk_by(|a, b| a.starts_with('|') == b.starts_with('|')).filter(|t| t[0].starts_with('|'));
    for table in tables {
        let heads = cells(table[0]);
        let column = |of: &str| heads.iter().position(|head| head == of);
        for row in table[2..].iter().map(|line| cells(line)) {
            match (column("clean"), column("certified"), column("width")) {
                (Some(clean), Some(certified), _) => drop(pairs.insert((row[clean].clone(), row[certified].clone()))),
                (_, _, Some(_)) => pairs.extend(row.iter().filter_map(|cell| cell.split_once(" / ")).map(owned)),
                _ => {}
            }
        }
    }
    pairs
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn every_result_is_of_a_run_that_can_be_opened_and_gave_it() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let said = pairs(&fs::read_to_string(docs.join("results.md")).unwrap());
    let (place, mut gave, mut opened, mut estimates) = (Place::new(), BTreeSet::new(), 0, Vec::new());
    for archive in fs::read_dir(docs.join("runs")).unwrap().map(|entry| entry.unwrap().path()) {
        if archive.extension().is_none_or(|extension| extension != "xz") {
            continue;
        }
        let to = place.dir().join(archive.file_name().unwrap());
        let unpacked = python().args(["-m", "tarfile", "-e"]).args([&archive, &to]).output().unwrap();
        assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
        let folders: Vec<String> =
            fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()).collect();
        place.good(&words(&["import"], &folders));
        let runs: Vec<String> = (opened + 1..=opened + folders.len()).map(|run| run.to_string()).collect();
        opened += runs.len();
        for run in &runs {
            // One was begun for its first epochs alone.
            let (shown, begun) = (place.good(&["show", run]), archive.ends_with("mnist-full-width.tar.xz"));
            assert!(shown.contains(if begun { "paused" } else { "completed" }), "{archive:?}, run {run}");
            let epochs = place.good(&["metrics", run, "--json"]);
            assert!(epochs.lines().count() >= if begun { 2 } else { 20 }, "{archive:?}, run {run}");
            estimates.extend(estimated(&place.good(&["show", run, "--json"]), &epochs));
        }
        let report: Vec<Value> = serde_json::from_str(&place.good(&words(&["report", "--json"], &runs))).unwrap();
        for experiment in &report {
            let percent = |of: &str| {
                let Value::Object(share) = &experiment[of] else { panic!("{archive:?} has no {of}") };
                let sigma = share["sigma"].as_f64().map_or(String::new(), |sigma| format!(" ± {:.2}", 100.0 * sigma));
                format!("{:.2}{sigma}", 100.0 * share["mean"].as_f64().unwrap())
            };
            gave.insert((percent("clean"), percent("certified")));
        }
    }
    assert!(opened > 0, "no run is kept");
    let without: Vec<_> = said.difference(&gave).collect();
    assert!(without.is_empty(), "docs/results.md says {without:?}, which no run of docs/runs gave");
    let unsaid: Vec<_> = gave.difference(&said).collect();
    assert!(unsaid.is_empty(), "runs of docs/runs gave {unsaid:?}, which docs/results.md does not say");
    estimates.sort_by(f64::total_cmp);
    let at = |share: f64| estimates[(share * estimates.len() as f64) as usize];
    assert!(
        estimates.len() > 80
            && at(0.1) > 0.6
            && at(0.25) > 0.8
            && (0.9..1.1).contains(&at(0.5))
            && at(0.75) < 1.2
            && at(0.9) < 1.4,
        "{} runs, a tenth below {:.2}, a quarter below {:.2}, half below {:.2}, three quarters below {:.2}, nine tenths below {:.2}",
        estimates.len(),
        at(0.1),
        at(0.25),
        at(0.5),
        at(0.75),
        at(0.9)
    );
}

/// What the first phase of a run, at p = 8, says that the whole run takes, over what it took. Other programs ran beside
/// most of them, so that one run tells little. `None` where the run was not trained through all phases.
fn estimated(run: &str, epochs: &str) -> Option<f64> {
    let run: Value = serde_json::from_str(run).unwrap();
    let config: Config = serde_json::from_value(run["config"].clone()).unwrap();
    let schedules = Schedules::new(&config);
    let epochs: Vec<Value> = epochs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // An epoch with evaluations of two kinds has two lines.
    let mut seconds: BTreeMap<u64, f64> = BTreeMap::new();
    for row in &epochs {
        seconds.insert(row["epoch"].as_f64().unwrap() as u64, row["seconds"].as_f64().unwrap());
    }
    let first = config.schedule.ramp_start.floor();
    let of_first: f64 = seconds.iter().filter(|(epoch, _)| **epoch as f64 <= first).map(|(_, seconds)| seconds).sum();
    let device = run["summary"]["device"].as_str().unwrap();
    let cost = |to: f64| schedules.cost(Kernels::of(device), 0.0, to);
    let whole = seconds.len() as f64 == schedules.epochs() && first > 0.0;
    whole.then(|| of_first / cost(first) * cost(schedules.epochs()) / seconds.values().sum::<f64>())
}
