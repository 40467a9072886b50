//! What the worker printed.

use std::ops::Range;

use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{
    store::RunRow,
    tui::{ansi::Line, keys::Action, look::Tone, model::Model, pen::Pen, screens::run::draw_waiting},
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
    pub fn find(&mut self, lines: &[Line], page: usize, backwards: bool) -> bool {
        let words = self.search.to_lowercase();
        let matches: Vec<usize> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.text.to_lowercase().contains(&words))
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
        let found = !words.is_empty() && line.text.to_lowercase().contains(&words);
        let ground = if found { look.selection() } else { Style::new() };
        let room = usize::from(width.saturating_sub(2)).max(1);
        let (parts, cut) = parts(&line.text, room, tab.wrap);
        for part in parts {
            let pieces = line.pieces(part).map(|(text, paint)| (text, paint.style(look).patch(ground)));
            let x = pen.spans(1, y, pieces);
            if cut {
                pen.text(x, y, "…", ground);
            }
            y += 1;
        }
    }
}

/// The parts of a text that stand on a line each, and whether more of it is left out.
fn parts(text: &str, room: usize, wrap: bool) -> (Vec<Range<usize>>, bool) {
    if text.width() <= room {
        return (std::iter::once(0..text.len()).collect(), false);
    }
    // The last column of a line that is cut is for the ellipsis.
    let room = if wrap { room } else { room.saturating_sub(1) };
    let (mut parts, mut begin, mut used) = (Vec::new(), 0, 0);
    for (at, character) in text.char_indices() {
        let width = character.width().unwrap_or(0);
        // A wide character in a single column stands there cut, rather than nowhere for ever.
        if used + width > room && at > begin {
            parts.push(begin..at);
            if !wrap {
                return (parts, true);
            }
            (begin, used) = (at, 0);
        }
        used += width;
    }
    parts.push(begin..text.len());
    (parts, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_or_wrapped_by_what_the_terminal_shows() {
        let told = |text: &str, room, wrap| {
            let (parts, cut) = parts(text, room, wrap);
            (parts.into_iter().map(|part| text[part].to_owned()).collect::<Vec<_>>(), cut)
        };
        assert_eq!(told("abcdef", 6, false), (vec!["abcdef".into()], false));
        assert_eq!(told("abcdefg", 6, false), (vec!["abcde".into()], true));
        assert_eq!(told("abcdefg", 3, true), (vec!["abc".into(), "def".into(), "g".into()], false));
        assert_eq!(told("好好好", 4, true), (vec!["好好".into(), "好".into()], false));
        assert_eq!(told("好好", 1, true), (vec!["好".into(), "好".into()], false));
        assert_eq!(told("", 1, true), (vec![String::new()], false));
    }
}
