//! A made-up store in memory, and models that show it.

use std::{collections::BTreeMap, sync::Arc};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use linf::experiment::{
    Config, Desired, Device, FailReason, LostReason, PNorm, Progress, RunId, RunState, Turn, WaitReason,
    WorkerIdentity, parse_with, run_name,
};
use linf::store::{Bin, CheckpointKind, CheckpointRow, EventRow, Gauge, RunRow, Summary};
use linf::tui::certificates::Certificates;
use linf::tui::known::{ConfigFile, LogTail, RunData};
use linf::tui::look::{Depth, Look, Plot};
use linf::tui::message::{Effect, Msg};
use linf::tui::model::Model;
use linf::tui::update::update;
use ratatui::{buffer::Buffer, layout::Rect};

use crate::believable::{START_MS, Story};

pub const NOW_MS: i64 = START_MS + 3_600_000;

/// A terminal with everything.
pub const RICH: Look = Look { plot: Plot::Braille, unicode: true, depth: Depth::True, light: false };
/// A terminal with nothing.
pub const BARE: Look = Look { plot: Plot::Ascii, unicode: false, depth: Depth::None, light: false };

/// A recipe as it once was: the screens do not depend on what the shipped one has become.
const MNIST: &str = include_str!("mnist-cpu.toml");
const FASHION: &str = include_str!("../../configs/fashion-cpu.toml");
const CIFAR: &str = include_str!("../../configs/iclr2022-cifar10-eps8-255.toml");

pub fn config(text: &str, overrides: &[&str]) -> Config {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    parse_with(text, "fixture", &overrides).unwrap()
}

fn identity() -> WorkerIdentity {
    WorkerIdentity { pid: 4711, start_ticks: 99, boot_id: "boot".into(), nonce: "nonce".into() }
}

fn story(config: Config, seed: u64, epochs: u32, reaches: f64) -> Story {
    Story { config, seed, epochs, reaches, samples: 500 }
}

fn row(id: i64, state: RunState, story: &Story) -> RunRow {
    RunRow {
        id: RunId(id),
        name: run_name(RunId(id)),
        group: None,
        variant: String::new(),
        tags: story.config.run.tags.clone(),
        note: String::new(),
        desired: Desired::Run,
        config: story.config.clone(),
        added_ms: START_MS + id * 1000,
        started_ms: (story.epochs > 0).then_some(START_MS),
        ended_ms: state.is_over().then_some(START_MS + id * 60_000),
        attempts: 1,
        summary: if story.epochs > 0 { story.summary() } else { Summary::default() },
        revision: id,
        turn: Turn::default(),
        parent: None,
        device: (story.epochs > 0).then_some(Device::Cpu),
        state,
    }
}

fn running(story: &Story) -> RunState {
    let epoch = f64::from(story.epochs);
    let summary = story.summary();
    let progress = Progress { step: summary.step, epoch, p: summary.p.unwrap_or(PNorm::INFINITY) };
    RunState::Running { identity: identity(), progress, retry: 0 }
}

/// Every state once, a sweep, and a note.
pub fn store() -> Vec<(RunRow, Story)> {
    let mut runs = Vec::new();
    let mut push = |id: i64, state: Option<RunState>, story: Story| {
        let state = state.unwrap_or_else(|| running(&story));
        runs.push((row(id, state, &story), story));
    };
    push(1, None, story(config(MNIST, &[]), 1, 74, 0.914));
    push(2, None, story(config(FASHION, &[]), 2, 4, 0.745));
    let wait = WaitReason::Slot { held_by: vec![RunId(1), RunId(2)] };
    push(3, Some(RunState::Queued { reason: wait }), story(config(MNIST, &["model.width=1024"]), 3, 0, 0.9));
    for (index, lambda) in ["0.02", "0.05", "0.1"].into_iter().enumerate() {
        let config = config(MNIST, &[&format!("loss.lambda={lambda}")]);
        push(
            4 + index as i64,
            Some(RunState::Completed),
            story(config, 4 + index as u64, 120, 0.912 - index as f64 * 0.0035),
        );
    }
    let p = PNorm::new(41.2).unwrap();
    let reason = FailReason::NotFinite { step: 3112, p, what: "loss".into() };
    push(7, Some(RunState::Failed { reason }), story(config(MNIST, &["loss.lambda=0.5"]), 7, 13, 0.9));
    push(8, Some(RunState::Paused { checkpoint: Some(8624) }), story(config(CIFAR, &[]), 8, 488, 0.35));
    push(9, Some(RunState::Cancelled { checkpoint: Some(470) }), story(config(MNIST, &[]), 9, 2, 0.9));
    push(10, Some(RunState::Lost { reason: LostReason::Signal { signal: 9 } }), story(config(MNIST, &[]), 10, 30, 0.9));
    for (row, _) in &mut runs[3..7] {
        row.group = Some("mnist-cpu".into());
        row.variant = format!("loss.lambda={}", row.config.loss.lambda);
    }
    runs[4].0.summary.attacked = Some((0.9312, 1000));
    runs[7].0.note = "baseline for the paper".into();
    runs
}

pub fn data(story: &Story) -> RunData {
    let epochs = story.epochs();
    let checkpoints = epochs.iter().filter(|epoch| epoch.epoch % 20 == 14).map(|epoch| CheckpointRow {
        step: epoch.step,
        epoch: f64::from(epoch.epoch + 1),
        p: epoch.p,
        kind: if epoch.epoch == 14 { CheckpointKind::Phase } else { CheckpointKind::Periodic },
        file: format!("{}.db", epoch.step),
        bytes: 18_300_000,
        hash: "b3c1a0f2d4e5968790aabbccddeeff00".into(),
        time_ms: epoch.time_ms,
    });
    let event =
        |time_ms, step, kind: &str, text: &str| EventRow { time_ms, step, kind: kind.into(), text: text.into() };
    let mut events = vec![
        event(START_MS, Some(0), "attempt", "starts: 784-512×4-10 on CPU, avx512, 2 threads, 28200 steps"),
        event(START_MS + 90_000, Some(3384), "phase", "p begins to climb"),
        event(START_MS + 95_000, Some(3525), "checkpoint", "checkpoint 3525.db, 17.5 MiB"),
    ];
    if epochs.len() > 60 {
        let resumed = "resumes from the checkpoint of step 8225: 784-512×4-10 on CPU, avx512, 2 threads, 28200 steps";
        events.push(event(START_MS + 200_000, Some(8225), "attempt", resumed));
        events.push(event(START_MS + 300_000, Some(12_100), "steer", "lr-factor=0.5 from step 12101 on"));
    }
    let mut gauges: BTreeMap<Gauge, Vec<Bin>> = BTreeMap::new();
    for (step, gauge, value) in story.gauges() {
        gauges.entry(gauge).or_default().push(Bin { step, min: value, max: value, mean: value });
    }
    RunData {
        gauges,
        evals: story.evals(),
        attacks: Vec::new(),
        loss: story.loss_bins(400),
        events,
        checkpoints: checkpoints.collect(),
        config_text: String::new(),
        epochs,
        made: Default::default(),
    }
}

/// A model that knows the whole made-up store, at the list of runs.
pub fn model(look: Look, size: (u16, u16)) -> Model {
    let mut model = Model::new(look, jiff::tz::TimeZone::UTC, "mnist-lab".into(), size);
    let store = store();
    let rows = store.iter().map(|(row, _)| row.clone()).collect();
    update(&mut model, Msg::Catalog { rows, now_ms: NOW_MS });
    for (row, story) in &store {
        update(&mut model, Msg::Run(row.id, Arc::new(data(story))));
        let log = b"linf-train 0.1.0\nepoch 1/120  loss 0.61\n\x1b[32mepoch 2/120\x1b[0m  loss 0.44\n";
        update(&mut model, Msg::Log(row.id, Arc::new(LogTail::from_bytes(log, false))));
        if let Some(eval) = story.evals().pop() {
            let margins = story.margins(&eval);
            let certificates = Certificates::new(eval, margins).unwrap();
            update(&mut model, Msg::Certificates(row.id, Arc::new(certificates)));
        }
    }
    model
}

pub fn configs() -> Vec<ConfigFile> {
    let file = |name: &str, text: &str| ConfigFile {
        path: std::path::Path::new("configs").join(name),
        name: name.into(),
        text: text.into(),
        parsed: parse_with(text, name, &[]).map(Box::new).map_err(|error| error.to_string()),
    };
    vec![file("fashion-cpu.toml", FASHION), file("mnist-cpu.toml", MNIST), file("broken.toml", "[run]\ntitel = 1\n")]
}

/// Types keys: letters as they are, `<enter>` and the like by name.
pub fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let (name, length) = match rest.strip_prefix('<').and_then(|inner| inner.split_once('>')) {
            Some((name, _)) => (name, name.len() + 2),
            None => (&rest[..first.len_utf8()], first.len_utf8()),
        };
        let (code, modifiers) = match name {
            "enter" => (KeyCode::Enter, KeyModifiers::NONE),
            "esc" => (KeyCode::Esc, KeyModifiers::NONE),
            "tab" => (KeyCode::Tab, KeyModifiers::NONE),
            "up" => (KeyCode::Up, KeyModifiers::NONE),
            "down" => (KeyCode::Down, KeyModifiers::NONE),
            "left" => (KeyCode::Left, KeyModifiers::NONE),
            "right" => (KeyCode::Right, KeyModifiers::NONE),
            "back" => (KeyCode::Backspace, KeyModifiers::NONE),
            _ if name.starts_with('^') && name.len() > 1 => {
                (KeyCode::Char(name.chars().nth(1).unwrap()), KeyModifiers::CONTROL)
            }
            _ => (KeyCode::Char(first), KeyModifiers::NONE),
        };
        let asked = update(model, Msg::Key(KeyEvent::new(code, modifiers)));
        if asked.iter().any(|effect| matches!(effect, Effect::LoadConfigs)) {
            update(model, Msg::Configs(configs(), "configs".into()));
        }
        effects.extend(asked);
        rest = &rest[length..];
    }
    effects
}

/// The screen as text, blanks at line ends left out.
pub fn screen(model: &Model) -> String {
    let buffer = drawn(model);
    let (width, height) = model.size;
    (0..height)
        .map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n")
        .collect()
}

pub fn drawn(model: &Model) -> Buffer {
    let area = Rect::new(0, 0, model.size.0, model.size.1);
    let mut buffer = Buffer::empty(area);
    linf::tui::view::view(model, area, &mut buffer);
    buffer
}

/// A model at the list of runs, on a terminal of the usual size.
pub fn fresh() -> Model {
    model(RICH, (120, 40))
}

/// What is desired of which runs.
pub fn desires(effects: &[Effect]) -> Vec<(Vec<i64>, Desired)> {
    let desire = |effect: &Effect| match effect {
        Effect::Desire(runs, desired) => Some((runs.iter().map(|id| id.0).collect(), *desired)),
        _ => None,
    };
    effects.iter().filter_map(desire).collect()
}
