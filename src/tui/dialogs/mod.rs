//! What stands in front of a screen and takes the keys: confirm, prompt, help, palette, columns, and adding a run.

pub mod add;
mod columns;
mod confirm;
mod help;
mod palette;
mod prompt;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Style;
use tui_input::{Input, backend::crossterm::EventHandler};

pub use add::AddDialog;
pub use columns::ColumnsDialog;
pub use confirm::{Answer, Confirm};
pub use help::Help;
pub use palette::Palette;
pub use prompt::{Prompt, Purpose};

use super::{
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
    /// Takes in a key; `^c` closes any dialog. It has been taken out of the model and puts itself back where it stays open.
    pub fn key(self, model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
        if event.modifiers.contains(KeyModifiers::CONTROL) && event.code == KeyCode::Char('c') {
            return Vec::new();
        }
        match self {
            Dialog::Confirm(confirm) => confirm.key(model, event),
            Dialog::Prompt(prompt) => prompt.key(model, event),
            Dialog::Help(help) => help.key(model, event),
            Dialog::Palette(palette) => palette.key(model, event),
            Dialog::Add(add) => add.key(model, event),
            Dialog::Columns(columns) => columns.key(model, event),
        }
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
            Dialog::Confirm(confirm) => confirm.draw(&model.look, pen),
            Dialog::Prompt(prompt) => prompt.draw(model, pen),
            Dialog::Help(help) => help.draw(model, pen),
            Dialog::Palette(palette) => palette.draw(model, pen),
            Dialog::Add(add) => add.draw(model, pen),
            Dialog::Columns(columns) => columns.draw(model, pen),
        }
    }
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
