//! `import` and `reindex`: the runs' folders are the truth.

use linf::experiment::RunState;
use rustix::process::Signal;

use crate::support::{Place, kill};

#[test]
fn a_run_from_elsewhere_is_taken_in_whole() {
    let (here, there) = (Place::new(), Place::new());
    let id = there.add(3, "");
    there.until_word(id, "completed");
    let said = here.good(&["import", there.run_dir(id).to_str().unwrap()]);
    assert!(said.starts_with("#1 ") && said.contains("completed"), "{said}");
    assert_eq!(here.result(id), there.result(id));
    here.until_idle();
}

#[test]
fn a_net_of_the_papers_programs_becomes_a_run_that_can_be_measured() {
    let place = Place::new();
    let net = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torch_file/v215_whole_mnist_net.pth");
    let config = place.dir().join("net.toml");
    let text = |width: u32| {
        format!(
            "data = {{ dataset = 'synthetic', test_limit = 100 }}\nmodel = {{ depth = 3, width = {width} }}\n\
             train = {{ epochs = 7, batch_size = 50, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.01\n"
        )
    };
    std::fs::write(&config, text(6)).unwrap();
    let config = config.to_str().unwrap();
    let said = place.good(&["import", net, "--config", config, "--name", "theirs"]);
    assert!(said.starts_with("#1 theirs: completed") && said.contains("at ε = 0.01"), "{said}");
    let row = place.row(linf::experiment::RunId(1));
    assert_eq!(row.state, RunState::Completed);
    assert!(row.tags.contains(&"imported".to_owned()), "{:?}", row.tags);
    let certified: serde_json::Value = serde_json::from_str(&place.good(&["certify", "theirs", "--json"])).unwrap();
    assert_eq!(certified[0]["clean"], row.summary.clean.unwrap());
    assert_eq!(certified[0]["certified"], row.summary.certified.unwrap());
    let file = place.dir().join("theirs.certificate");
    place.good(&["export", "theirs", "--certificate", file.to_str().unwrap()]);
    assert!(file.is_file());
    assert!(place.good(&["show", "theirs"]).contains("whole_mnist_net.pth"));

    // What goes wrong leaves nothing behind.
    let wrong = place.bad(1, &["import", net]);
    assert!(wrong.contains("--config FILE.toml"), "{wrong}");
    std::fs::write(config, text(5)).unwrap();
    let wrong = place.bad(1, &["import", net, "--config", config]);
    assert!(wrong.contains("fc_dist.0.weight is [6, 784]") && wrong.contains("784-5×2-10"), "{wrong}");
    let evil = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torch_file/v215_evil_system.pth");
    let wrong = place.bad(1, &["import", evil, "--config", config]);
    assert!(wrong.contains("system") && wrong.contains("refused"), "{wrong}");
    let left = std::fs::read_dir(place.root()).unwrap().filter_map(Result::ok).map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_paused_run_stays_paused_when_it_is_taken_in() {
    let (here, there) = (Place::new(), Place::new());
    let id = there.add(30, "step-ms=10");
    there.until_step(id, 5);
    there.good(&["pause", &id.to_string()]);
    here.good(&["import", there.run_dir(id).to_str().unwrap()]);
    assert!(matches!(here.row(id).state, RunState::Paused { checkpoint: Some(_) }));
    // A dispatcher that looks at it leaves it alone.
    here.good(&["dispatch"]);
    assert_eq!(here.row(id).state.word(), "paused");
    here.good(&["resume", "1"]);
    here.until_word(id, "completed");
}

#[test]
fn a_catalog_in_ruins_is_rebuilt_beside_a_worker_that_trains() {
    let place = Place::new();
    let done = place.add(1, "");
    place.until_word(done, "completed");
    place.until_idle();
    let live = place.add(60, "step-ms=20");
    let (_, worker) = place.until_step(live, 5);
    let said = place.bad(1, &["reindex"]);
    assert!(said.contains("a dispatcher works on this store"), "{said}");
    kill(&place.dispatcher(), Signal::KILL);
    place.until_idle();

    std::fs::write(place.root().join("linf.db"), "no catalog").unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(place.root().join(format!("linf.db{suffix}")));
    }
    let said = place.say(&["ls"]);
    let (listed, warned) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && listed.contains("completed"), "shown from the runs' folders: {listed}");
    assert!(warned.contains("a copy of the catalog lies in"), "{warned}");
    assert!(place.bad(1, &["pause", &live.to_string()]).contains("linf.db is not a catalog"));
    let said = place.good(&["reindex"]);
    assert!(said.contains("could not be read") && said.contains("2 added"), "{said}");
    assert_eq!(place.row(done).state, RunState::Completed);
    let (_, found) = place.until_step(live, 20);
    assert_eq!(found, worker, "the worker is found again");
    place.good(&["pause", &live.to_string()]);
    assert!(matches!(place.row(live).state, RunState::Paused { .. }), "the worker hears the new catalog");
}
