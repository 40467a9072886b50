//! What the worker printed.

use crate::{
    store::RunRow,
    tui::{keys::Action, look::Tone, model::Model, pen::Pen, screens::run::draw_waiting},
};

/// What the tab remembers.
#[derive(Clone, Debug)]
pub struct LogTab {
    /// The first line shown, while the end is not followed.
    top: usize,
    follow: bool,
    wrap: bool,
    /// The words looked for.
    pub search: String,
}

impl Default for LogTab {
    fn default() -> Self {
        LogTab { top: 0, follow: true, wrap: false, search: String::new() }
    }
}

impl LogTab {
    /// What a key does in a log of so many lines.
    pub fn act(&mut self, action: Action, lines: usize, page: usize) {
        let last = lines.saturating_sub(page);
        let top = self.top(lines, page);
        let to = match action {
            Action::Follow => {
                self.follow = !self.follow;
                self.top = top;
                return;
            }
            Action::Wrap => {
                self.wrap = !self.wrap;
                return;
            }
            Action::Down => top + 1,
            Action::Up => top.saturating_sub(1),
            Action::PageDown => top + page / 2,
            Action::PageUp => top.saturating_sub(page / 2),
            Action::Top => 0,
            Action::Bottom => last,
            // The matches are looked for where the lines are at hand: in `find`.
            _ => return,
        };
        self.top = to.min(last);
        self.follow = to >= last;
    }

    fn top(&self, lines: usize, page: usize) -> usize {
        let last = lines.saturating_sub(page);
        if self.follow { last } else { self.top.min(last) }
    }

    /// Goes to the nearest line that matches, backwards or forwards, round the end; false where none does.
    pub fn find(&mut self, lines: &[String], page: usize, backwards: bool) -> bool {
        let words = self.search.to_lowercase();
        let matches: Vec<usize> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.to_lowercase().contains(&words))
            .map(|(index, _)| index)
            .collect();
        let top = self.top(lines.len(), page);
        let found = if backwards {
            matches.iter().rev().find(|index| **index < top).or(matches.last())
        } else {
            matches.iter().find(|index| **index > top).or(matches.first())
        };
        if let Some(index) = found {
            (self.top, self.follow) = (*index, false);
        }
        found.is_some()
    }
}

/// Draws the tab.
pub fn draw(model: &Model, row: &RunRow, tab: &LogTab, pen: &mut Pen<'_>) {
    let look = &model.look;
    let Some(log) = model.known.logs.get(&row.id).filter(|log| !log.lines.is_empty()) else {
        draw_waiting(row, "Its worker has printed nothing yet.", look, pen);
        return;
    };
    let (width, height) = (pen.width(), pen.height());
    let faint = look.style(Tone::Faint);
    let page = usize::from(height.saturating_sub(1)).max(1);
    let top = tab.top(log.lines.len(), page);
    let state = match model.key_of(Action::Follow) {
        _ if tab.follow => "following".to_owned(),
        key if key.is_empty() => "stands still".to_owned(),
        key => format!("stands still ({key} follows)"),
    };
    let mut x = pen.text(1, 0, &state, look.style(Tone::Key));
    x = pen.text(x, 0, &format!(" · line {} of {}", top + 1, log.lines.len()), faint);
    if log.cut {
        x = pen.text(x, 0, " · earlier lines are in train.log", faint);
    }
    if !tab.search.is_empty() {
        pen.text(x, 0, &format!(" · /{}", tab.search), look.style(Tone::Key));
    }
    let words = tab.search.to_lowercase();
    let mut y = 1;
    for line in log.lines.iter().skip(top) {
        if y >= height {
            break;
        }
        let found = !words.is_empty() && line.to_lowercase().contains(&words);
        let style = if found { look.selection() } else { look.style(Tone::Text) };
        if tab.wrap {
            let characters: Vec<char> = line.chars().collect();
            for part in characters.chunks(usize::from(width.saturating_sub(2)).max(1)) {
                pen.text(1, y, &part.iter().collect::<String>(), style);
                y += 1;
            }
            y += u16::from(characters.is_empty());
        } else {
            pen.fit(1, y, width.saturating_sub(1), line, style);
            y += 1;
        }
    }
}
