//! Whatever is typed, however the terminal is resized, whatever news comes: nothing panics, and nothing is drawn outside.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use linf::dataset::random::below;
use linf::experiment::{Desired, PNorm, RunId, RunState};
use linf::store::{Bin, Summary};
use linf::tui::known::{Certificates, LogTail, RunData};
use linf::tui::look::{Depth, Look, Plot};
use linf::tui::machine::Machine;
use linf::tui::message::Msg;
use linf::tui::update::update;

use crate::fixture::{BARE, NOW_MS, RICH, configs, data, drawn, model, store};

const MESSAGES: u64 = 20_000;

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

fn news(dice: &mut Dice) -> Msg {
    let mut store = store();
    let index = dice.roll(store.len());
    let (mut row, mut story) = store.swap_remove(index);
    let wild = [f64::NAN, f64::INFINITY, -1.0, 1e300, 0.0][dice.roll(5)];
    match dice.roll(9) {
        0 => {
            row.state = [
                RunState::Completed,
                RunState::Cancelled { checkpoint: None },
                RunState::Paused { checkpoint: None },
                RunState::Starting { identity: None, since_ms: 0, retry: 1 },
            ][dice.roll(4)]
            .clone();
            row.desired = Desired::Run;
            row.summary = Summary {
                epoch: wild,
                certified: Some(wild),
                clean: Some(wild),
                eta_seconds: Some(wild),
                steps_per_second: Some(wild),
                p: PNorm::new(wild),
                certified_history: vec![wild as f32; dice.roll(40)],
                ..row.summary
            };
            Msg::Catalog { rows: vec![row], now_ms: NOW_MS }
        }
        1 => Msg::Removed(vec![row.id]),
        2 => {
            story.epochs = dice.roll(130) as u32;
            Msg::Run(row.id, Arc::new(data(&story)))
        }
        3 => {
            let mut data = data(&story);
            data.epochs.iter_mut().for_each(|epoch| (epoch.loss, epoch.seconds) = (wild, wild));
            data.loss.push(Bin { step: u64::MAX, min: wild, max: wild, mean: wild });
            Msg::Run(row.id, Arc::new(data))
        }
        4 => Msg::Log(row.id, Arc::new(LogTail::from_bytes(&vec![b'\x1b'; dice.roll(300)], true))),
        5 => match story.evals().pop() {
            Some(eval) => {
                let margins = story.margins(&eval);
                Msg::Certificates(row.id, Arc::new(Certificates::new(eval, margins).unwrap()))
            }
            None => Msg::Trouble("gone".into()),
        },
        6 if dice.roll(2) == 0 => Msg::RemovalDue(dice.roll(4) as u64),
        6 => Msg::Machine(Machine { cores: vec![wild as f32; dice.roll(4)], ..Machine::default() }),
        7 => Msg::Configs(configs(), String::new()),
        _ => Msg::Failed("something\nwith two lines".into()),
    }
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
            if number % 4 == 0 {
                drawn(&model);
            }
        }));
        assert!(outcome.is_ok(), "{what}");
        if model.known.rows.len() < 5 {
            let rows = store().into_iter().map(|(row, _)| row).collect();
            update(&mut model, Msg::Catalog { rows, now_ms: NOW_MS });
        }
    }
}

#[test]
fn nothing_panics_on_a_rich_terminal() {
    (0..10).for_each(|seed| storm(seed, MESSAGES / 20, RICH));
}

#[test]
fn nothing_panics_on_a_bare_terminal() {
    let half = Look { plot: Plot::HalfBlock, unicode: true, depth: Depth::Sixteen, light: true };
    (10..15).for_each(|seed| storm(seed, MESSAGES / 20, BARE));
    (15..20).for_each(|seed| storm(seed, MESSAGES / 20, half));
}

#[test]
fn every_screen_fits_every_terminal() {
    for keys in
        ["", "?", ":", "a", "m", "<enter>", "<enter>2", "<enter>3", "<enter>5", "jjjjjjc", "x", "/", "C", "zjjjjjj"]
    {
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
