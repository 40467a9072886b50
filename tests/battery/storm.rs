//! `kill -9` at random moments: worker, dispatcher, client, pairs of them, all of them. After each, every file is sound,
//! every state is true, nothing that was flushed is gone; and in the end every run has the bits of an undisturbed one.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Stdio},
    thread::sleep,
    time::Duration,
};

use linf::{
    dispatch::{identity, lock},
    experiment::{RunId, RunState, WorkerIdentity},
    store::{RunReader, RunRow},
};
use rustix::process::Signal;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::{
    dice::Dice,
    full,
    support::{PATIENCE, Place, eventually},
};

const EPOCHS: u32 = 30;
const SCRIPT: &str = "step-ms=4 checkpoint-every=7";

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Target {
    Worker,
    Dispatcher,
    Client,
    WorkerAndDispatcher,
    ClientAndDispatcher,
    All,
}

const TARGETS: [Target; 6] = [
    Target::Worker,
    Target::Dispatcher,
    Target::Client,
    Target::WorkerAndDispatcher,
    Target::ClientAndDispatcher,
    Target::All,
];

/// What came of it.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    survived: u32,
    resumes: u32,
    bit_equal: u32,
    lost: u32,
    busy: u32,
}

#[test]
fn nothing_is_lost_whoever_is_killed_whenever() {
    let moments = if full() { 210 } else { 20 };
    let mut storm =
        Storm { place: Place::new(), dice: Dice::new("storm"), tally: Tally::default(), seen: BTreeMap::new() };
    let expected = undisturbed();
    while storm.tally.kills < moments {
        storm.keep_busy();
        storm.moment();
    }
    storm.all_complete(&expected);
    let Tally { kills, survived, resumes, bit_equal, lost, busy } = storm.tally;
    println!(
        "battery: kills {kills} survived {survived}, resumes {resumes} bit-equal {bit_equal}, lost {lost}, busy {busy}"
    );
    assert_eq!((kills, resumes, lost, busy), (survived, bit_equal, 0, 0));
    assert!(resumes > 0);
}

/// The hash that a run comes to when nobody disturbs it.
fn undisturbed() -> String {
    let place = Place::new();
    let id = place.add(EPOCHS, "checkpoint-every=7");
    place.until_word(id, "completed");
    place.result(id)
}

struct Storm {
    place: Place,
    dice: Dice,
    tally: Tally,
    /// The step of the newest checkpoint that was ever seen of each run: what was flushed by then must stay.
    seen: BTreeMap<RunId, u64>,
}

impl Storm {
    fn rows(&self) -> Vec<RunRow> {
        self.place.with_store(async |store| store.catalog().runs().await.unwrap())
    }

    /// Keeps three runs in the queue, of which two train at once, and a dispatcher alive.
    fn keep_busy(&mut self) {
        let live = self.rows().iter().filter(|row| !row.state.is_over()).count();
        for _ in live..3 {
            self.place.add_with(EPOCHS, SCRIPT, &["--set", "resources.retries=1000"]);
        }
        self.place.good(&["dispatch", "--detach", "--slots", "2"]);
    }

    /// One kill, and what must hold after it.
    fn moment(&mut self) {
        let target = *self.dice.pick(&TARGETS).unwrap();
        let mut client = match target {
            Target::Client | Target::ClientAndDispatcher | Target::All => Some(self.client()),
            _ => None,
        };
        sleep(Duration::from_millis(if client.is_some() { self.dice.below(40) } else { self.dice.below(250) }));
        let mut hits = 0;
        if matches!(target, Target::Worker | Target::WorkerAndDispatcher | Target::All) {
            let workers: Vec<WorkerIdentity> =
                self.rows().iter().filter_map(|row| row.state.identity().cloned()).collect();
            let chosen: Vec<WorkerIdentity> = match target {
                Target::All => workers,
                _ => self.dice.pick(&workers).cloned().into_iter().collect(),
            };
            hits += chosen.iter().filter(|worker| identity::signal(worker, Signal::KILL).unwrap()).count();
        }
        if !matches!(target, Target::Worker | Target::Client)
            && let Some(dispatcher) = self.place.living_dispatcher()
        {
            hits += usize::from(identity::signal(&dispatcher, Signal::KILL).unwrap());
        }
        if let Some(client) = &mut client {
            hits += usize::from(client.try_wait().unwrap().is_none() && client.kill().is_ok());
            self.hear_out(client);
        }
        // A client that had ended before it could be killed is no kill.
        if hits > 0 {
            self.tally.kills += 1;
            self.check(target);
            self.tally.survived += 1;
        }
    }

    /// A client in the middle of something.
    fn client(&mut self) -> Child {
        let config = self.place.config("config.toml", EPOCHS, SCRIPT);
        let config = config.to_str().unwrap().to_owned();
        let runs = self.rows();
        let run = self.dice.pick(&runs).map_or_else(|| "1".into(), |row| row.id.to_string());
        let choices: [Vec<&str>; 5] = [
            vec!["add", &config, "--set", "resources.retries=1000"],
            vec!["ls", "--all"],
            vec!["pause", "--no-wait", &run],
            vec!["steer", &run, "checkpoint"],
            vec!["wait", &run],
        ];
        let args = &choices[self.dice.below(5) as usize];
        let mut command = self.place.linf(args);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What a client said before it was killed: never that the database is locked.
    fn hear_out(&mut self, client: &mut Child) {
        let mut said = String::new();
        if let Some(mut stderr) = client.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        }
        client.wait().unwrap();
        self.tally.busy += u32::from(said.contains("locked"));
    }

    fn check(&mut self, target: Target) {
        // Whoever was killed, the files are sound at once.
        assert_sound(&self.place.root().join("linf.db"));
        let rows = self.rows();
        for row in &rows {
            let dir = self.place.run_dir(row.id);
            assert!(dir.join("config.toml").is_file(), "{target:?}: #{} has no folder", row.id);
            let file = dir.join("run.db");
            if !file.is_file() || row.state.is_over() {
                continue;
            }
            assert_sound(&file);
            let (steps, newest) = self.steps(row.id);
            // Each step once, and no gap.
            assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>(), "{target:?}: #{}", row.id);
            let before = self.seen.get(&row.id).copied().unwrap_or(0);
            if newest < before || (steps.len() as u64) < newest {
                eprintln!("{target:?}: #{}: {} steps, checkpoint {newest}, before {before}", row.id, steps.len());
                self.tally.lost += 1;
            }
            self.seen.insert(row.id, newest);
        }
        // A paused run goes on.
        for row in &rows {
            if matches!(row.state, RunState::Pausing { .. } | RunState::Paused { .. }) {
                self.place.good(&["resume", &row.id.to_string()]);
            }
        }
        self.place.good(&["dispatch", "--detach", "--slots", "2"]);
        eventually("every state is true", || {
            let all = self.rows().iter().all(|row| is_true(&self.place, row));
            if !all {
                // A dispatcher that was killed in the middle of a sync holds its lock until the disk is done.
                self.place.good(&["dispatch", "--detach", "--slots", "2"]);
            }
            all.then_some(())
        });
    }

    /// All logged steps of a run, and the step of its newest checkpoint. The worker may be at work.
    fn steps(&self, id: RunId) -> (Vec<u64>, u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Some(reader) = RunReader::open(&self.place.run_dir(id)).await.unwrap() else { return (vec![], 0) };
            let newest = reader.checkpoints().await.unwrap().last().map_or(0, |row| row.step);
            let bins = reader.series("loss", 0, u64::MAX, 10_000_000).await.unwrap();
            (bins.into_iter().map(|bin| bin.step).collect(), newest)
        })
    }

    fn all_complete(&mut self, expected: &str) {
        let rows = eventually_complete(&self.place);
        for row in rows {
            let logged: Vec<u32> = self.place.epochs(row.id).iter().map(|row| row.epoch).collect();
            assert_eq!(logged, (0..EPOCHS).collect::<Vec<_>>(), "#{}: each epoch is logged once", row.id);
            let resumes = row.attempts.saturating_sub(1);
            self.tally.resumes += resumes;
            if self.place.result(row.id) == expected {
                self.tally.bit_equal += resumes;
            }
        }
    }
}

/// Lets every run train to its end.
fn eventually_complete(place: &Place) -> Vec<RunRow> {
    let deadline = std::time::Instant::now() + 3 * PATIENCE;
    loop {
        let rows = place.with_store(async |store| store.catalog().runs().await.unwrap());
        for row in rows.iter().filter(|row| matches!(row.state, RunState::Paused { .. })) {
            place.good(&["resume", &row.id.to_string()]);
        }
        if rows.iter().all(|row| row.state == RunState::Completed) {
            return rows;
        }
        assert!(std::time::Instant::now() < deadline, "not all complete: {rows:#?}");
        place.good(&["dispatch", "--detach", "--slots", "2"]);
        sleep(Duration::from_millis(200));
    }
}

/// Whether the catalog says of a run what is the case: a worker that it names lives and no other one does.
fn is_true(place: &Place, row: &RunRow) -> bool {
    let held = lock::held(&lock::of_worker(&place.run_dir(row.id))).unwrap();
    match row.state.identity() {
        Some(identity) => identity::alive(identity).unwrap(),
        None => !held || matches!(row.state, RunState::Starting { .. }),
    }
}

/// SQLite's own look at every page of a file, after whatever a killed process left half done is rolled back, which needs
/// leave to write.
fn assert_sound(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found: String = runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
        let mut connection = options.connect().await.unwrap();
        let found = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        found
    });
    assert_eq!(found, "ok", "{}", path.display());
}
