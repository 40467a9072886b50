//! What one frame costs: `cargo bench --no-default-features --bench frame -- [POINTS]`.
//!
//! Eight curves of POINTS (100 000) points each, 200×60: drawn by our comparison of runs, and by the chart of ratatui 0.30, in turn.
//! A frame of ours is the whole screen, from the rows that were read to the cells that differ from the frame before; the
//! cursor moves, so that every frame is another one. Budget: 99 of 100 within 4 ms.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use linf::{
    experiment::{Desired, RunId, RunState, Turn, parse_with, run_name},
    store::RunRow,
    tui::{
        known::RunData,
        look::{Depth, Look, Plot},
        message::Msg,
        model::Model,
        update::update,
        view::view,
    },
};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    symbols::Marker,
    widgets::{Axis, Chart, Dataset, GraphType, Widget},
};

#[path = "../examples/fill_store/believable.rs"]
#[allow(dead_code, reason = "other parts of it are for stores")]
mod believable;
use believable::{START_MS, Story};

const CURVES: u64 = 8;
const POINTS: u32 = 100_000;
const FRAMES: usize = 300;
const PEER_FRAMES: usize = 20;
const ROUNDS: usize = 3;
const AREA: Rect = Rect::new(0, 0, 200, 60);
const LOOK: Look = Look { plot: Plot::Braille, unicode: true, depth: Depth::True, light: false };

fn main() {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let points = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(POINTS);
    let mut model = model(points);
    let curves = curves(&model);
    for _ in 0..ROUNDS {
        ours.extend(our_frames(&mut model));
        theirs.extend(their_frames(&curves, points));
    }
    let (ours, theirs) = (Times::of(ours), Times::of(theirs));
    println!("{CURVES} curves of {points} points, {}x{}", AREA.width, AREA.height);
    println!("{:<24} {:>9} {:>9}", "frame", "median", "p99");
    for (name, times) in [("linf-tui, whole screen", &ours), ("ratatui's chart", &theirs)] {
        println!("{name:<24} {:>6.2} ms {:>6.2} ms", times.milliseconds(0.5), times.milliseconds(0.99));
    }
    println!("ratio of the medians {:.1}", theirs.milliseconds(0.5) / ours.milliseconds(0.5));
}

struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Times {
        times.sort();
        Times(times)
    }

    fn milliseconds(&self, share: f64) -> f64 {
        let at = (share * (self.0.len() - 1) as f64).round() as usize;
        self.0.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

fn press(model: &mut Model, code: KeyCode) {
    update(model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
}

/// Eight runs of so many epochs, compared.
fn model(points: u32) -> Model {
    let sets = [
        format!("train.epochs={points}"),
        format!("schedule.ramp_start={}", f64::from(points) * 0.12),
        format!("schedule.ramp_end={}", f64::from(points) * 0.89),
        "eval.every=1".into(),
    ];
    let config =
        parse_with(include_str!("../configs/mnist-cpu.toml"), "bench", &sets).expect("the config of the bench");
    let mut model = Model::new(LOOK, jiff::tz::TimeZone::UTC, "bench".into(), (AREA.width, AREA.height));
    let stories =
        (1..=CURVES).map(|seed| Story { config: config.clone(), seed, epochs: points, reaches: 0.9, samples: 10 });
    for story in stories {
        let id = RunId(story.seed.cast_signed());
        let row = RunRow {
            id,
            name: run_name(id),
            group: None,
            variant: String::new(),
            tags: Vec::new(),
            note: String::new(),
            desired: Desired::Run,
            config: story.config.clone(),
            added_ms: START_MS,
            started_ms: Some(START_MS),
            ended_ms: None,
            attempts: 1,
            summary: story.summary(),
            revision: 1,
            turn: Turn::default(),
            parent: None,
            device: None,
            state: RunState::Completed,
        };
        update(&mut model, Msg::Catalog { rows: vec![row], now_ms: START_MS });
        let data = RunData { epochs: story.epochs(), evals: story.evals(), ..RunData::default() };
        update(&mut model, Msg::Run(id, Arc::new(data)));
    }
    press(&mut model, KeyCode::Char('*'));
    press(&mut model, KeyCode::Char('c'));
    model
}

/// The points of the curves, for the peer.
fn curves(model: &Model) -> Vec<Vec<(f64, f64)>> {
    let curve = |data: &Arc<RunData>| data.evals.iter().map(|eval| (eval.epoch, eval.certified)).collect();
    model.known.data.values().map(curve).collect()
}

fn our_frames(model: &mut Model) -> Vec<Duration> {
    let mut before = Buffer::empty(AREA);
    (0..FRAMES)
        .map(|_| {
            press(model, KeyCode::Left);
            let started = Instant::now();
            let mut buffer = Buffer::empty(AREA);
            view(model, AREA, &mut buffer);
            black_box(before.diff(&buffer).len());
            before = buffer;
            started.elapsed()
        })
        .collect()
}

fn their_frames(curves: &[Vec<(f64, f64)>], points: u32) -> Vec<Duration> {
    let mut before = Buffer::empty(AREA);
    (0..PEER_FRAMES)
        .map(|frame| {
            let started = Instant::now();
            let datasets = curves
                .iter()
                .map(|curve| Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).data(curve));
            let most = f64::from(points) + frame as f64;
            let chart = Chart::new(datasets.collect())
                .x_axis(Axis::default().bounds([0.0, most]))
                .y_axis(Axis::default().bounds([0.0, 1.0]));
            let mut buffer = Buffer::empty(AREA);
            chart.render(AREA, &mut buffer);
            black_box(before.diff(&buffer).len());
            before = buffer;
            started.elapsed()
        })
        .collect()
}
