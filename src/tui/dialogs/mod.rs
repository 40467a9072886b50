//! What stands in front of a screen and takes the keys: confirm, prompt, help, palette, columns, and adding a run.

pub mod add;
mod columns;
mod confirm;
mod help;
mod palette;
mod prompt;

use crossterm::event::{Event, KeyEvent};
use ratatui::style::Style;
use tui_input::{Input, backend::crossterm::EventHandler};

pub use add::AddDialog;
pub use columns::ColumnsDialog;
pub use confirm::{Answer, Confirm};
pub use help::Help;
pub use palette::Palette;
pub use prompt::{Prompt, Purpose};

use super::{
    keys::{Action, Chord, Place},
    look::{Look, Tone},
    message::Effect,
    model::Model,
    pen::Pen,
};

/// The dialog in front.
#[derive(Clone, Debug)]
pub enum Dialog {
    /// Yes or no.
    Confirm(Confirm),
    /// One line of text.
    Prompt(Prompt),
    /// The keys that hold where it was opened.
    Help(Help),
    /// Find a command by its name.
    Palette(Palette),
    /// Add a run or a sweep.
    Add(AddDialog),
    /// Choose the columns of the runs list.
    Columns(ColumnsDialog),
}

impl Dialog {
    /// Where its keys are looked up, innermost first.
    pub fn places(&self) -> &'static [Place] {
        match self {
            Dialog::Confirm(_) => Place::IN_CONFIRM,
            Dialog::Prompt(_) => Place::IN_PROMPT,
            Dialog::Help(_) | Dialog::Palette(_) => Place::IN_FIND,
            Dialog::Add(add) => add.places(),
            Dialog::Columns(_) => Place::IN_COLUMNS,
        }
    }

    /// Takes in a key. The dialog has been taken out of the model and puts itself back where it stays open.
    pub fn key(self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        let chord = Chord::of(event);
        if let Some(action) = model.keys.action(self.places(), chord) {
            return self.act(model, action);
        }
        let outside = model.keys.action(&[Place::Everywhere], chord);
        // What leaves the program closes a dialog first, and what opened the help closes it; but not where it may be typed.
        let closes = match &self {
            Dialog::Confirm(_) | Dialog::Columns(_) => outside == Some(Action::Quit),
            Dialog::Add(add) => outside == Some(Action::Quit) && !add.takes_text(),
            Dialog::Help(help) => matches!(outside, Some(Action::Quit | Action::Help)) && help.input.value().is_empty(),
            Dialog::Prompt(_) | Dialog::Palette(_) => false,
        };
        if closes { self.act(model, Action::Close) } else { self.typed(model, event) }
    }

    /// Does what a key means in it.
    pub fn act(self, model: &mut Model, action: Action) -> Vec<Effect> {
        if action == Action::Leave {
            return leave(self, model);
        }
        match self {
            Dialog::Confirm(confirm) => confirm.act(model, action),
            Dialog::Prompt(prompt) => prompt.act(model, action),
            Dialog::Help(help) => help.act(model, action),
            Dialog::Palette(palette) => palette.act(model, action),
            Dialog::Add(add) => add.act(model, action),
            Dialog::Columns(columns) => columns.act(model, action),
        }
    }

    /// Takes in a key that means nothing but itself.
    fn typed(mut self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        match &mut self {
            Dialog::Prompt(prompt) => prompt.typed(model, event),
            Dialog::Help(help) => help.typed(event),
            Dialog::Palette(palette) => palette.typed(event),
            Dialog::Add(add) => add.typed(model, event),
            Dialog::Confirm(_) | Dialog::Columns(_) => {}
        }
        model.dialog = Some(self);
        Vec::new()
    }

    /// Takes in pasted text.
    pub fn paste(mut self, model: &mut Model, text: &str) -> Vec<Effect> {
        match &mut self {
            Dialog::Prompt(prompt) => insert(&mut prompt.input, text),
            Dialog::Palette(palette) => insert(&mut palette.input, text),
            Dialog::Help(help) => insert(&mut help.input, text),
            Dialog::Add(add) => add.paste(text, &model.known),
            Dialog::Confirm(_) | Dialog::Columns(_) => {}
        }
        model.dialog = Some(self);
        Vec::new()
    }

    /// Draws it over the screen.
    pub fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        match self {
            Dialog::Confirm(confirm) => confirm.draw(model, pen),
            Dialog::Prompt(prompt) => prompt.draw(model, pen),
            Dialog::Help(help) => help.draw(model, pen),
            Dialog::Palette(palette) => palette.draw(model, pen),
            Dialog::Add(add) => add.draw(model, pen),
            Dialog::Columns(columns) => columns.draw(model, pen),
        }
    }
}

/// Goes back in a dialog until it is closed.
fn leave(dialog: Dialog, model: &mut Model) -> Vec<Effect> {
    let mut effects = dialog.act(model, Action::Close);
    while let Some(dialog) = model.dialog.take() {
        effects.extend(dialog.act(model, Action::Close));
    }
    effects
}

/// What keys do in a dialog, in a line: of each the first keys of its actions, and a word.
fn hints(model: &Model, places: &[Place], lines: &[(&[Action], &str)]) -> String {
    let hint = |(actions, word): &(&[Action], &str)| {
        let keys: Vec<String> = actions.iter().map(|action| model.keys.key_of(places, *action)).collect();
        let keys = keys.join(" ");
        (!keys.trim().is_empty()).then(|| format!("{} {word}", keys.trim()))
    };
    lines.iter().filter_map(hint).collect::<Vec<_>>().join("   ")
}

/// Lets a line of text take in a key.
fn edit(input: &mut Input, event: &KeyEvent) {
    input.handle_event(&Event::Key(*event));
}

/// Puts pasted text at the end of a line; line ends become spaces.
fn insert(input: &mut Input, text: &str) {
    let added: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    *input = Input::new(format!("{}{added}", input.value()));
}

/// A frame in the middle, at most so large; answers its inside.
fn window<'p>(look: &Look, pen: &'p mut Pen<'_>, title: &str, width: u16, height: u16) -> WindowPen<'p> {
    let (width, height) = (width.min(pen.width()), height.min(pen.height()));
    let (x, y) = ((pen.width() - width) / 2, (pen.height() - height) / 3);
    WindowPen {
        outer: pen.part(x, y, width, height),
        title: title.to_owned(),
        frame: look.style(Tone::Faint),
        words: look.style(Tone::Strong),
    }
}

/// A window not yet drawn; [`WindowPen::inside`] draws its frame.
struct WindowPen<'p> {
    outer: Pen<'p>,
    title: String,
    frame: Style,
    words: Style,
}

impl WindowPen<'_> {
    fn inside(&mut self) -> Pen<'_> {
        self.outer.framed(&self.title, self.frame, self.words)
    }
}
