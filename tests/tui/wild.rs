//! Whatever is typed, however the terminal is resized, whatever news comes: nothing panics, and nothing is drawn outside.

use std::sync::{Arc, LazyLock};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use linf::dataset::random::below;
use linf::experiment::{Desired, PNorm, RunId, RunState};
use linf::store::{Bin, RunRow, Summary};
use linf::tui::certificates::Certificates;
use linf::tui::known::{ConfigFile, LogTail, RunData};
use linf::tui::look::{Depth, Look, Plot};
use linf::tui::machine::Machine;
use linf::tui::message::Msg;
use linf::tui::update::update;

use crate::believable::Story;
use crate::fixture::{BARE, NOW_MS, RICH, configs, data, drawn, model, store};

const MESSAGES: u64 = 100_000;
const STORMS: u64 = 20;

/// Draws numbers; the same seed gives the same ones.
struct Dice {
    seed: u64,
    count: u64,
}

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.count += 1;
        below(self.seed, 7, self.count, sides as u64) as usize
    }
}

fn key(dice: &mut Dice) -> Msg {
    const NAMED: [KeyCode; 14] = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::PageUp,
        KeyCode::PageDown,
    ];
    // What is bound, and some that is not.
    const LETTERS: &[u8] = b"aprxcCADu/sSJKzmtn*yhl+-=HLfe?:jkgGwNX[]YTb1234567 .,0159<>|%";
    let (code, modifiers) = match dice.roll(10) {
        0..=5 => (KeyCode::Char(char::from(LETTERS[dice.roll(LETTERS.len())])), KeyModifiers::NONE),
        6 => (KeyCode::Char(char::from(b"dulczsaew"[dice.roll(9)])), KeyModifiers::CONTROL),
        7 => (KeyCode::Char(['ε', '好', 'é', '\u{301}', '🦀'][dice.roll(5)]), KeyModifiers::NONE),
        _ => (NAMED[dice.roll(NAMED.len())], KeyModifiers::NONE),
    };
    Msg::Key(KeyEvent::new(code, modifiers))
}

fn mouse(dice: &mut Dice) -> Msg {
    const KINDS: [MouseEventKind; 5] = [
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Right),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
    ];
    let place = |dice: &mut Dice| [dice.roll(8), dice.roll(60), dice.roll(200), 65_535][dice.roll(4)] as u16;
    let (column, row) = (place(dice), place(dice));
    Msg::Mouse(MouseEvent { kind: KINDS[dice.roll(KINDS.len())], column, row, modifiers: KeyModifiers::NONE })
}

/// What news are made of. Making it up is the dear part, so it is done once.
struct Pool {
    store: Vec<(RunRow, Story)>,
    data: Vec<(RunId, Arc<RunData>)>,
    certificates: Vec<(RunId, Arc<Certificates>)>,
    configs: Vec<ConfigFile>,
}

const WILD: [f64; 5] = [f64::NAN, f64::INFINITY, -1.0, 1e300, 0.0];

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let store = store();
    let mut pool = Pool { store: store.clone(), data: Vec::new(), certificates: Vec::new(), configs: configs() };
    for (row, mut story) in store {
        if let Some(eval) = story.evals().pop() {
            let margins = story.margins(&eval);
            pool.certificates.push((row.id, Arc::new(Certificates::new(eval, margins).unwrap())));
        }
        for epochs in [0, 1, 13, 74, 130] {
            story.epochs = epochs;
            pool.data.push((row.id, Arc::new(data(&story))));
        }
        for wild in WILD {
            let mut data = data(&story);
            data.epochs.iter_mut().for_each(|epoch| (epoch.loss, epoch.seconds) = (wild, wild));
            data.loss.push(Bin { step: u64::MAX, min: wild, max: wild, mean: wild });
            pool.data.push((row.id, Arc::new(data)));
        }
    }
    pool
});

fn news(dice: &mut Dice) -> Msg {
    let pool = &*POOL;
    let mut row = pool.store[dice.roll(pool.store.len())].0.clone();
    let wild = WILD[dice.roll(WILD.len())];
    match dice.roll(10) {
        0 => {
            row.state = [
                RunState::Completed,
                RunState::Cancelled { checkpoint: None },
                RunState::Paused { checkpoint: None },
                RunState::Starting { identity: None, since_ms: 0, retry: 1 },
            ][dice.roll(4)]
            .clone();
            row.desired = Desired::Run;
            // Runs of all kinds meet in a comparison.
            row.config.schedule.p_end = [1000.0, 64.0][dice.roll(2)];
            row.config.train.seed = dice.roll(3) as u64;
            row.summary = Summary {
                epoch: wild,
                certified: Some(wild),
                clean: Some(wild),
                attacked: (dice.roll(2) == 0).then_some((wild, 7)),
                eta_seconds: Some(wild),
                steps_per_second: Some(wild),
                p: PNorm::new(wild),
                certified_history: vec![wild as f32; dice.roll(40)],
                ..row.summary
            };
            Msg::Catalog { rows: vec![row], now_ms: NOW_MS }
        }
        1 => Msg::Removed(vec![row.id]),
        2 | 3 => {
            let (run, data) = pool.data[dice.roll(pool.data.len())].clone();
            Msg::Run(run, data)
        }
        4 => Msg::Log(row.id, Arc::new(LogTail::from_bytes(&printed(dice), true))),
        5 => {
            let (run, certificates) = pool.certificates[dice.roll(pool.certificates.len())].clone();
            Msg::Certificates(run, certificates)
        }
        6 if dice.roll(2) == 0 => Msg::RemovalDue(dice.roll(4) as u64),
        6 => Msg::Machine(Machine { cores: vec![wild as f32; dice.roll(4)], ..Machine::default() }),
        7 => Msg::Configs(pool.configs[..dice.roll(pool.configs.len() + 1)].to_vec(), String::new()),
        8 => match dice.roll(3) {
            0 => Msg::Trouble("gone".into()),
            1 => Msg::FullDisk(dice.roll(2) == 0),
            _ => Msg::NoticeOver(dice.roll(50) as u64),
        },
        _ => Msg::Failed("something\nwith two lines".into()),
    }
}

/// What a worker may have printed: text, paint, and what is neither.
fn printed(dice: &mut Dice) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"epoch 1/120  loss 0.61",
        b"\x1b[1;38;5;208m",
        b"\x1b[48;2;255;255;255m",
        b"\x1b[0m",
        b"\x1b]0;title\x07",
        b"\x1b",
        b"\x1b[999;;:m",
        "好é\u{301}🦀\u{9b}31m".as_bytes(),
        b"\xff\xfe\x80",
        b"\r",
        b"\t",
        b"\n",
    ];
    (0..dice.roll(200)).flat_map(|_| PIECES[dice.roll(PIECES.len())]).copied().collect()
}

/// One seed after another, so that a failure names the one that does it.
fn storm(seed: u64, messages: u64, look: Look) {
    let mut dice = Dice { seed, count: 0 };
    let mut model = model(look, (80, 24));
    for number in 0..messages {
        let message = match dice.roll(13) {
            0 => Msg::Resize([1, 2, 7, 40, 80, 200][dice.roll(6)], [1, 2, 3, 5, 13, 24, 60][dice.roll(7)]),
            1 => news(&mut dice),
            3 => mouse(&mut dice),
            2 => Msg::Paste("train.seed=1..3\n\t好".into()),
            _ => key(&mut dice),
        };
        let what = format!("seed {seed}, message {number}: {message:?}");
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            update(&mut model, message);
            // Drawing is the dear part, and much of what changes is seen a few messages later as well.
            if number % 8 == 0 {
                drawn(&model);
            }
        }));
        assert!(outcome.is_ok(), "{what}");
        if model.known.rows.len() < 5 {
            let rows = POOL.store.iter().map(|(row, _)| row.clone()).collect();
            update(&mut model, Msg::Catalog { rows, now_ms: NOW_MS });
        }
    }
}

#[test]
fn nothing_panics_on_a_rich_terminal() {
    (0..STORMS / 2).for_each(|seed| storm(seed, MESSAGES / STORMS, RICH));
}

#[test]
fn nothing_panics_on_a_bare_terminal() {
    let half = Look { plot: Plot::HalfBlock, unicode: true, depth: Depth::Sixteen, light: true };
    (10..15).for_each(|seed| storm(seed, MESSAGES / STORMS, BARE));
    (15..20).for_each(|seed| storm(seed, MESSAGES / STORMS, half));
}

#[test]
fn every_screen_fits_every_terminal() {
    for keys in [
        "",
        "?",
        ":",
        "a",
        "aj<^d>",
        "m",
        "<enter>",
        "<enter>xxxx",
        "<enter>2",
        "<enter>3",
        "<enter>4j",
        "<enter>4f",
        "<enter>5",
        "jjjjjjc",
        "jjjjjjcbb",
        "x",
        "/",
        "C",
        "zjjjjjj",
    ] {
        for width in [1, 2, 5, 16, 30, 44, 50, 66, 79, 103, 500] {
            for height in [1, 2, 3, 4, 6, 9, 15, 23, 200] {
                let mut model = model(RICH, (width, height));
                crate::fixture::press(&mut model, keys);
                assert_eq!(drawn(&model).area.area(), u32::from(width) * u32::from(height));
            }
        }
    }
}

#[test]
fn an_unknown_run_is_not_shown() {
    let mut model = model(RICH, (80, 24));
    update(&mut model, Msg::Run(RunId(99), Arc::new(RunData::default())));
    drawn(&model);
}
