//! Runs the terminal UI: turns keys and news from the store into messages, runs the effects, draws.
//!
//! One event is awaited, whatever else has come is taken in with it, and then the screen is drawn, at most once in
//! [`FRAME`]. A screen that is the same as before costs no byte.

use std::{
    io::{self, IsTerminal},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        watch,
    },
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    editor,
    graphics::Wish,
    history,
    look::Look,
    measuring,
    message::{Effect, Msg},
    model::Model,
    orders, panic_report, settings,
    settings::Settings,
    terminal::{self, Canvas},
    update,
    view::view,
    watcher::{self, Orders},
};
use crate::{experiment::RunId, store::Store};

/// Where the screen opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the list of runs.
    Runs,
    /// At a run.
    Run(RunId),
}

/// The shortest time from one frame to the next: ten a second are as many as one can read, and spare a slow line. A key after
/// a pause is answered at once.
const FRAME: Duration = Duration::from_millis(100);
/// Frames that need not wait for that: the list, and what is read of the run under the cursor next.
const OPENING: u32 = 2;
/// Where the terminal takes its time to take a frame in, it gets that many times as long before the next one.
const RESPITE: u32 = 4;
/// How long a notice is shown.
const NOTICE: Duration = Duration::from_secs(5);
/// How long a removal can be taken back; the dialog that asks says so.
const SECOND_THOUGHTS: Duration = Duration::from_secs(15);
/// How long the first frame waits for the store, so that it need not be drawn twice.
const PATIENCE: Duration = Duration::from_millis(200);

/// Opens the full-screen view on the store at `root` and returns when the user leaves it.
pub fn run(root: &Path, start: Start) -> Result<()> {
    // First of all: a fault in them is said before anything is opened.
    let settings = settings::read()?.settings;
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        bail!("the full-screen view needs a terminal: `linf-tui ls` and `linf-tui watch` do not");
    }
    // One thread draws and thinks; the store's connections have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(drive(root, start, settings));
    // A dispatcher that is being started, or images that are being read, need not hold us up.
    runtime.shutdown_background();
    result
}

async fn drive(root: &Path, start: Start, settings: Settings) -> Result<()> {
    let store = Store::open(root).await?;
    let (messages, inbox) = mpsc::unbounded_channel();
    let (orders, told) = watch::channel(Orders { focused: true, ..Orders::default() });
    tokio::spawn(watcher::watch_store(store.clone(), told, messages.clone()));
    panic_report::install(root.to_owned());
    let canvas = Canvas::take(settings.mouse).context("cannot take over the terminal")?;
    let size = canvas.size().context("cannot read the terminal's size")?;
    let name = root.file_name().map_or_else(|| root.display().to_string(), |name| name.to_string_lossy().into_owned());
    let parent = root.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    // Nearly every store is called runs; the folder it lies in says more.
    let name = if name == "runs" { parent.unwrap_or(name) } else { name };
    let mut model =
        Model::new(Look::from_env(settings.theme).with_dots(settings.dots), jiff::tz::TimeZone::system(), name, size);
    model.graphics = canvas.graphics(settings.images);
    model.keys = Arc::new(settings.keys);
    model.alert = settings.alert;
    model.list.columns = settings.columns;
    model.filters = history::read();
    let driver = Driver {
        store,
        messages,
        orders,
        canvas,
        model,
        start: Some(start),
        images: settings.images,
        tasks: JoinSet::new(),
        to_edit: None,
        leaving: false,
    };
    driver.run(inbox).await
}

struct Driver {
    store: Store,
    messages: UnboundedSender<Msg>,
    orders: watch::Sender<Orders>,
    canvas: Canvas,
    model: Model,
    /// Where to go once the runs are known.
    start: Option<Start>,
    /// How the settings want images.
    images: Wish,
    /// What was asked of the store and is not done yet.
    tasks: JoinSet<()>,
    /// The file that the user wants to change in an editor.
    to_edit: Option<PathBuf>,
    leaving: bool,
}

/// The signals that are answered.
struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        use rustix::process::Signal as Number;
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(Number::TSTP.as_raw()))?,
            go_on: signal(SignalKind::from_raw(Number::CONT.as_raw()))?,
        })
    }
}

impl Driver {
    async fn run(mut self, mut inbox: UnboundedReceiver<Msg>) -> Result<()> {
        let mut events = EventStream::new();
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let mut draw_at = Some(Instant::now() + PATIENCE);
        let mut not_before = Instant::now();
        let mut frames = 0;
        while !self.leaving {
            let due = draw_at.unwrap_or_else(Instant::now);
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.take_event(event)?,
                    // The terminal is gone: there is nobody left to show anything to.
                    Some(Err(_)) | None => return Ok(()),
                },
                Some(message) = inbox.recv() => self.take(message)?,
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.hang_up.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                _ = signals.stop.recv() => self.suspend()?,
                _ = signals.go_on.recv() => self.canvas.forget(),
                () = sleep_until(due), if draw_at.is_some() => {
                    let (model, began) = (&self.model, Instant::now());
                    let draw = |area, buffer: &mut _| view(model, area, buffer);
                    self.canvas.draw(model.size, model.graphics, draw).context("cannot draw")?;
                    draw_at = None;
                    frames = OPENING.min(frames + 1);
                    let frame = if frames < OPENING { Duration::ZERO } else { FRAME };
                    not_before = began + frame.max(began.elapsed() * RESPITE);
                    continue;
                }
            }
            while let Ok(message) = inbox.try_recv() {
                self.take(message)?;
            }
            if let Some(path) = self.to_edit.take() {
                // Two readers of one terminal would share out what is typed.
                drop(events);
                if self.edit(&path, &mut signals).await?.is_break() {
                    return Ok(());
                }
                events = EventStream::new();
            }
            if self.model.known.loaded || draw_at.is_none() {
                draw_at = Some(Instant::now().max(not_before));
            }
        }
        self.finish(inbox).await;
        Ok(())
    }

    /// Gives the terminal back, and waits for what was asked of the store: a keystroke before leaving counts.
    async fn finish(self, mut inbox: UnboundedReceiver<Msg>) {
        drop(self.canvas);
        self.tasks.join_all().await;
        while let Ok(message) = inbox.try_recv() {
            if let Msg::NotRemoved(_, why) | Msg::Failed(why) = message {
                eprintln!("linf-tui: {why}");
            }
        }
    }

    fn take_event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.take(Msg::Key(key)),
            Event::Mouse(mouse) => self.take(Msg::Mouse(mouse)),
            Event::Paste(text) => self.take(Msg::Paste(text)),
            Event::Resize(..) => {
                // Of a storm of resizes only the last size is true. Should it be the one before the storm, the terminal may
                // still have cut off what it showed.
                self.canvas.forget();
                let (columns, rows) = self.canvas.size().context("cannot read the terminal's size")?;
                // Larger letters are larger cells.
                self.model.graphics = self.canvas.graphics(self.images);
                self.take(Msg::Resize(columns, rows))
            }
            Event::FocusGained | Event::FocusLost => {
                let focused = event == Event::FocusGained;
                self.orders.send_if_modified(|orders| {
                    let changed = orders.focused != focused;
                    orders.focused = focused;
                    changed
                });
                Ok(())
            }
            Event::Key(_) => Ok(()),
        }
    }

    fn take(&mut self, message: Msg) -> Result<()> {
        let effects = update::update(&mut self.model, message);
        for effect in effects {
            self.effect(effect)?;
        }
        if let Some(Start::Run(id)) = self.start
            && self.model.known.rows.contains_key(&id)
        {
            self.start = None;
            update::open(&mut self.model, id);
            self.model.list.select(id);
            // Following the run is an effect of the next message; there need not be another one soon.
            let (columns, rows) = self.model.size;
            return self.take(Msg::Resize(columns, rows));
        }
        Ok(())
    }

    fn effect(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Quit => self.leaving = true,
            Effect::Suspend => self.suspend()?,
            Effect::Redraw => self.canvas.forget(),
            Effect::Follow(interest) => self.orders.send_modify(|orders| orders.interest = interest),
            Effect::Edit(path) => self.to_edit = Some(path),
            Effect::Alert(text) => {
                let sequence = self.model.alert.sequence(&text);
                self.canvas.send(&sequence).context("cannot write to the terminal")?;
            }
            Effect::Copy(text) => self.canvas.copy(&text).context("cannot write to the terminal")?,
            Effect::ExpireNotice(number) => {
                let messages = self.messages.clone();
                tokio::spawn(async move {
                    sleep(NOTICE).await;
                    // Nobody listens once the program is about to leave.
                    let _ = messages.send(Msg::NoticeOver(number));
                });
            }
            Effect::Measure(run, step, what) => {
                let (root, messages) = (self.store.root().to_owned(), self.messages.clone());
                // Not among the tasks, which are waited for in the end: it takes minutes.
                tokio::spawn(async move {
                    // As above.
                    let _ = messages.send(measuring::carry_out(&root, run, step, what).await);
                });
            }
            Effect::RemindOfRemoval(number) => {
                let messages = self.messages.clone();
                tokio::spawn(async move {
                    sleep(SECOND_THOUGHTS).await;
                    // As above.
                    let _ = messages.send(Msg::RemovalDue(number));
                });
            }
            Effect::Desire(..)
            | Effect::SetTurn(..)
            | Effect::Add(_)
            | Effect::Fork { .. }
            | Effect::SetTags(..)
            | Effect::SetNote(..)
            | Effect::Remove(_)
            | Effect::KeepColumns(_)
            | Effect::KeepFilter(_)
            | Effect::LoadConfigs
            | Effect::MeasurePace => {
                let (store, messages) = (self.store.clone(), self.messages.clone());
                self.tasks.spawn(async move {
                    for message in orders::carry_out(&store, effect).await {
                        // As above.
                        let _ = messages.send(message);
                    }
                });
            }
        }
        Ok(())
    }

    /// Lends the terminal to the user's editor until it ends, and reads the config files again. Breaks off where the program
    /// is told to end meanwhile.
    async fn edit(&mut self, path: &Path, signals: &mut Signals) -> Result<ControlFlow<()>> {
        terminal::give_back();
        let ended = match editor::command(path).spawn() {
            Ok(mut child) => loop {
                tokio::select! {
                    ended = child.wait() => break ended,
                    // `^c` in an editor is for the editor, though the terminal sends it to its whole job.
                    _ = signals.interrupt.recv() => {}
                    // An editor stops itself and its job, and so must we, or the shell waits for us.
                    _ = signals.stop.recv() => stop_job(),
                    _ = signals.terminate.recv() => return Ok(ControlFlow::Break(())),
                    _ = signals.hang_up.recv() => return Ok(ControlFlow::Break(())),
                }
            },
            Err(error) => Err(error),
        };
        self.canvas.take_again().context("cannot take the terminal again")?;
        let trouble = match ended {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("the editor ended with {status}; VISUAL or EDITOR names another one")),
            Err(error) => Some(format!("no editor could be started: {error}; VISUAL or EDITOR names one")),
        };
        if let Some(trouble) = trouble {
            self.take(Msg::Failed(trouble))?;
        }
        self.effect(Effect::LoadConfigs)?;
        let (columns, rows) = self.canvas.size().context("cannot read the terminal's size")?;
        self.take(Msg::Resize(columns, rows))?;
        Ok(ControlFlow::Continue(()))
    }

    /// Stops the whole job, as `^Z` does, and takes the terminal again when the shell lets it go on.
    fn suspend(&mut self) -> Result<()> {
        let stopped = self.canvas.lend(stop_job);
        stopped.context("cannot take the terminal again")?;
        let (columns, rows) = self.canvas.size().context("cannot read the terminal's size")?;
        self.take(Msg::Resize(columns, rows))
    }
}

fn stop_job() {
    // The group, not this process alone: a `make` that started us must stop with us, or its shell hangs.
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::STOP);
}
