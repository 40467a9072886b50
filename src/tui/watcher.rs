//! Keeps what is looked at up to date: looks at the store twice a second and says what has changed, and only that.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc::UnboundedSender, watch};

use super::{
    certificates::{Attack, Certificates},
    gauges::Gauges,
    images::Images,
    known::LogTail,
    message::{Interest, Msg},
    read_run::read_run,
};
use crate::{
    dataset,
    experiment::{DatasetId, RunId, RunState, WaitReason},
    store::{AttackRow, EvalRow, RunReader, RunRow, Space, Store, StoreError, now_ms},
};

/// What the watcher is told.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// What is looked at.
    pub interest: Interest,
    /// Whether the terminal is in front.
    pub focused: bool,
}

/// How often the store is looked at while the terminal is in front, and while it is not.
const PERIODS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];
/// Runs of each kind that are shown before all are read.
const FOREMOST: u32 = 200;
/// Bytes of a log that are shown.
const LOG_TAIL: u64 = 256 * 1024;

/// Watches until nobody listens any more.
pub async fn watch_store(store: Store, mut orders: watch::Receiver<Orders>, messages: UnboundedSender<Msg>) {
    let mut watcher = Watcher {
        store,
        messages,
        begun: false,
        revision: 0,
        workers: HashMap::new(),
        rows: HashMap::new(),
        followed: HashMap::new(),
        certificates: HashMap::new(),
        log: None,
        gauges: None,
        images: Vec::new(),
        trouble: false,
        full_disk: false,
    };
    loop {
        let now = orders.borrow_and_update().clone();
        match watcher.look(&now).await {
            Ok(()) => watcher.trouble = false,
            Err(error) => {
                watcher.trouble = true;
                watcher.say(Msg::Trouble(error.to_string()));
            }
        }
        let period = PERIODS[usize::from(!now.focused)];
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(period) => {}
        }
    }
}

struct Watcher {
    store: Store,
    messages: UnboundedSender<Msg>,
    /// Whether anything was said yet.
    begun: bool,
    /// Of the catalog as it was read last; 0 before it was read whole.
    revision: i64,
    /// The process of each run that has one.
    workers: HashMap<RunId, i32>,
    /// Of each run its row's revision, and whether it counts down to a retry.
    rows: HashMap<RunId, (i64, bool)>,
    followed: HashMap<RunId, Followed>,
    /// The evaluation whose margins were sent last, and when the attack on its net ended that was sent with them.
    certificates: HashMap<RunId, (i64, Option<i64>)>,
    log: Option<(RunId, u64)>,
    gauges: Option<Gauges>,
    images: Vec<DatasetId>,
    trouble: bool,
    full_disk: bool,
}

/// A run whose curves are shown.
#[derive(Default)]
struct Followed {
    reader: Option<RunReader>,
    /// The run file's revision, the row's, and the visible steps when its data were sent last.
    sent: Option<Version>,
    evals: Vec<EvalRow>,
}

#[derive(Clone, Copy, PartialEq)]
struct Version {
    file: i64,
    row: i64,
    steps: Option<(u64, u64)>,
}

impl Watcher {
    fn say(&self, message: Msg) {
        // Nobody listens once the program is about to leave.
        let _ = self.messages.send(message);
    }

    async fn look(&mut self, orders: &Orders) -> Result<(), StoreError> {
        let interest = &orders.interest;
        self.look_at_disk();
        if !self.begun {
            return self.begin().await;
        }
        if self.revision > 0 {
            self.look_at_catalog().await?;
            return self.look_at_interest(interest).await;
        }
        // A large store takes a while: what is looked at comes first, and whatever is wrong with it, the rest comes too.
        let looked = self.look_at_interest(interest).await;
        self.look_at_catalog().await?;
        looked
    }

    async fn look_at_interest(&mut self, interest: &Interest) -> Result<(), StoreError> {
        self.followed.retain(|id, _| interest.runs.contains(id));
        for id in &interest.runs {
            if let Err(error) = self.look_at_run(*id, interest.steps).await {
                // Its file is opened anew: a worker may have put another one in the place of a broken one.
                self.followed.remove(id);
                return Err(error);
            }
        }
        if let Some(id) = interest.certificates {
            self.look_at_margins(id).await?;
        }
        match interest.log {
            Some(id) => self.look_at_log(id),
            None => self.log = None,
        }
        if interest.machine {
            let gauges = self.gauges.get_or_insert_with(|| Gauges::new(self.store.root()));
            let workers: Vec<i32> = self.workers.values().copied().collect();
            let machine = gauges.read(&workers);
            self.say(Msg::Machine(machine));
        } else {
            self.gauges = None;
        }
        if let Some(id) = interest.images.filter(|id| !self.images.contains(id)) {
            self.images.push(id);
            self.load_images(id);
        }
        Ok(())
    }

    /// Says what a list begins with. Who is told asks for what else it shows, and then the rest is read.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let rows = self.store.catalog().foremost(FOREMOST).await?;
        self.begun = true;
        if rows.is_empty() {
            return self.look_at_catalog().await;
        }
        self.tell(rows);
        Ok(())
    }

    fn look_at_disk(&mut self) {
        let full = Space::at(self.store.root()).is_some_and(Space::is_low);
        if full != self.full_disk {
            self.full_disk = full;
            self.say(Msg::FullDisk(full));
        }
    }

    async fn look_at_catalog(&mut self) -> Result<(), StoreError> {
        let catalog = self.store.catalog().clone();
        let (removed, revision) = if self.revision == 0 {
            // What changes meanwhile is told again.
            let revision = catalog.revision().await?;
            catalog.runs_in_parts(|rows| self.tell(rows)).await?;
            if self.rows.is_empty() {
                self.tell(Vec::new());
            }
            (catalog.removed_since(0).await?, revision)
        } else {
            let news = catalog.news_since(self.revision).await?;
            let counts_down = self.rows.values().any(|(_, retries)| *retries);
            if self.trouble || counts_down || !news.changed.is_empty() {
                self.tell(news.changed);
            }
            (news.removed, news.revision)
        };
        self.revision = revision;
        for id in &removed {
            self.rows.remove(id);
        }
        if !removed.is_empty() {
            self.say(Msg::Removed(removed));
        }
        Ok(())
    }

    /// Says what has become of these runs.
    fn tell(&mut self, rows: Vec<RunRow>) {
        self.remember(&rows);
        self.say(Msg::Catalog { rows, now_ms: now_ms() });
    }

    fn remember(&mut self, rows: &[RunRow]) {
        for row in rows {
            let retries = matches!(&row.state, RunState::Queued { reason: WaitReason::Retry { .. } });
            self.rows.insert(row.id, (row.revision, retries));
            match row.state.identity() {
                Some(identity) => self.workers.insert(row.id, identity.pid),
                None => self.workers.remove(&row.id),
            };
        }
    }

    async fn look_at_run(&mut self, id: RunId, steps: Option<(u64, u64)>) -> Result<(), StoreError> {
        let row = self.rows.get(&id).map_or(0, |(revision, _)| *revision);
        let followed = self.followed.entry(id).or_default();
        if followed.reader.is_none() {
            followed.reader = RunReader::open(&self.store.run_dir(id)).await?;
        }
        let file = match &followed.reader {
            Some(reader) => reader.revision().await?,
            None => 0,
        };
        let version = Version { file, row, steps };
        if followed.sent == Some(version) {
            return Ok(());
        }
        let data = read_run(&self.store, id, followed.reader.as_ref(), steps.unwrap_or((0, u64::MAX))).await?;
        followed.evals.clone_from(&data.evals);
        followed.sent = Some(version);
        self.say(Msg::Run(id, Arc::new(data)));
        Ok(())
    }

    async fn look_at_margins(&mut self, id: RunId) -> Result<(), StoreError> {
        let Some(followed) = self.followed.get(&id) else { return Ok(()) };
        let (Some(reader), Some(eval)) = (&followed.reader, followed.evals.last()) else { return Ok(()) };
        let attack = reader.attack().await?.filter(|attack| attack.step == eval.step);
        let version = (eval.id, attack.as_ref().map(|attack| attack.time_ms));
        if self.certificates.get(&id) == Some(&version) {
            return Ok(());
        }
        if let Some(margins) = reader.margins(eval.id).await?
            && let Some(mut certificates) = Certificates::new(eval.clone(), margins)
        {
            if let Some(AttackRow { step, eps, .. }) = attack {
                certificates.attack = reader.findings(step).await?.map(|found| Attack { eps, found });
            }
            self.say(Msg::Certificates(id, Arc::new(certificates)));
            self.certificates.insert(id, version);
        }
        Ok(())
    }

    fn look_at_log(&mut self, id: RunId) {
        let path = self.store.run_dir(id).join("train.log");
        // No log yet, or one that cannot be read: the tab says that nothing is there.
        let Ok(size) = path.metadata().map(|meta| meta.len()) else { return };
        if self.log == Some((id, size)) {
            return;
        }
        if let Ok(tail) = read_tail(&path, size) {
            self.log = Some((id, size));
            self.say(Msg::Log(id, Arc::new(tail)));
        }
    }

    fn load_images(&self, id: DatasetId) {
        let messages = self.messages.clone();
        tokio::task::spawn_blocking(move || {
            let images = dataset::load_part(id, &dataset::default_root(), dataset::Part::Test)
                .map(|test| Images {
                    channels: id.channels(),
                    height: id.height(),
                    width: id.width(),
                    pixels: test.images,
                })
                .map_err(|error| error.to_string());
            // As in `say`.
            let _ = messages.send(Msg::Images(id, Arc::new(images)));
        });
    }
}

/// The last lines of a file of this size.
fn read_tail(path: &Path, size: u64) -> io::Result<LogTail> {
    let mut file = File::open(path)?;
    let cut = size > LOG_TAIL;
    file.seek(SeekFrom::Start(size.saturating_sub(LOG_TAIL)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut bytes)?;
    Ok(LogTail::from_bytes(&bytes, cut))
}
