//! Choosing the columns of the runs list: which, in which order, how wide, and which one it is sorted by.

use super::{Dialog, hints, window};
use crate::tui::{
    columns::{Column, Columns},
    keys::{Action, Place},
    look::Tone,
    message::Effect,
    model::Model,
    pen::Pen,
    run_list::Arrangement,
};

/// The dialog. What it changes is seen behind it at once; escape takes it back.
#[derive(Clone, Debug)]
pub struct ColumnsDialog {
    before: (Columns, Arrangement),
    selected: usize,
}

impl ColumnsDialog {
    /// Of the list as it stands.
    pub fn new(model: &Model) -> ColumnsDialog {
        ColumnsDialog { before: (model.list.columns.clone(), model.list.arrangement.clone()), selected: 0 }
    }

    /// The lines: the name, the columns shown, the others.
    fn lines(columns: &Columns) -> Vec<Option<Column>> {
        let chosen = columns.chosen().iter().map(|chosen| Some(chosen.column));
        std::iter::once(None).chain(chosen).chain(columns.others().into_iter().map(Some)).collect()
    }

    /// Does what a key means.
    pub fn act(mut self, model: &mut Model, action: Action) -> Vec<Effect> {
        let list = &mut model.list;
        let lines = ColumnsDialog::lines(&list.columns);
        let last = lines.len() - 1;
        let column = lines.get(self.selected).copied().flatten();
        match (action, column) {
            (Action::Accept, _) => return vec![Effect::KeepColumns(model.list.columns.clone())],
            (Action::Close, _) => {
                (list.columns, list.arrangement) = self.before;
                list.arrange(&model.known);
                return Vec::new();
            }
            (Action::Mark, Some(column)) => list.columns.toggle(column),
            (Action::Earlier, Some(column)) if list.columns.shift(column, -1) => self.selected -= 1,
            (Action::Later, Some(column)) if list.columns.shift(column, 1) => self.selected += 1,
            (Action::Left, column) => list.columns.resize(column, Some(-1)),
            (Action::Right, column) => list.columns.resize(column, Some(1)),
            (Action::OwnWidth, column) => list.columns.resize(column, None),
            (Action::Defaults, _) => list.columns = Columns::default(),
            (Action::Sort, column) => {
                list.sort_by(column);
                list.arrange(&model.known);
            }
            (Action::Up, _) => self.selected = self.selected.saturating_sub(1),
            (Action::Down, _) => self.selected = (self.selected + 1).min(last),
            (Action::Top, _) => self.selected = 0,
            (Action::Bottom, _) => self.selected = last,
            _ => {}
        }
        model.dialog = Some(Dialog::Columns(self));
        Vec::new()
    }

    pub(super) fn draw(&self, model: &Model, pen: &mut Pen<'_>) {
        let (look, list) = (&model.look, &model.list);
        let lines = ColumnsDialog::lines(&list.columns);
        let mut window = window(look, pen, "Columns", 96, lines.len() as u16 + 4);
        let mut inside = window.inside();
        let bottom = inside.height().saturating_sub(1);
        let hint = hints(
            model,
            Place::IN_COLUMNS,
            &[
                (&[Action::Mark], "show"),
                (&[Action::Later, Action::Earlier], "move"),
                (&[Action::Left, Action::Right], "width"),
                (&[Action::OwnWidth], "auto"),
                (&[Action::Sort], "sort"),
                (&[Action::Defaults], "default"),
                (&[Action::Accept], "keep"),
                (&[Action::Close], "back"),
            ],
        );
        inside.text(0, bottom, &hint, look.style(Tone::Faint));
        let room = usize::from(bottom.saturating_sub(1));
        let skip = (self.selected + 1).saturating_sub(room);
        let places = list.columns.places(model.size.0);
        for (y, (index, column)) in (0..).zip(lines.iter().enumerate().skip(skip).take(room)) {
            let shown = column.is_none_or(|column| list.columns.has(column));
            let (name, meaning) =
                column.map_or(("run", "the run's name"), |column| (column.name(), column.spec().meaning));
            let own = match column {
                None => list.columns.name,
                Some(column) => {
                    list.columns.chosen().iter().find(|chosen| chosen.column == *column).and_then(|c| c.width)
                }
            };
            let place = places.iter().find(|place| place.column == *column);
            let width = match (shown, own, place) {
                (false, ..) => String::new(),
                (true, Some(width), _) => format!("{width} wide"),
                (true, None, Some(place)) => format!("({})", place.width),
                (true, None, None) => "no room".into(),
            };
            let tone = if shown { Tone::Text } else { Tone::Faint };
            inside.text(1, y, if shown { "✓" } else { " " }, look.style(Tone::Good));
            inside.fit(3, y, 10, name, look.style(tone));
            inside.right(22, y, &width, look.style(if own.is_some() { Tone::Key } else { Tone::Faint }));
            if list.is_sorted_by(*column) {
                inside.text(23, y, if list.arrangement.reversed { "▴" } else { "▾" }, look.style(Tone::Key));
            }
            let rest = inside.width().saturating_sub(25);
            inside.fit(25, y, rest, meaning, look.style(Tone::Faint));
            if index == self.selected {
                inside.symbol(0, y, "▸", look.style(Tone::Key));
                inside.row_style(y, look.selection());
            }
        }
    }
}
