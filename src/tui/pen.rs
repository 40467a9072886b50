//! Writing into a part of the screen. Everything is clipped, so a terminal of one cell is as safe as a large one.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};
use unicode_width::UnicodeWidthStr;

use super::graphics::Picture;

/// A part of the screen to write into; its coordinates start at 0, 0.
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    /// Where pictures go that are no cells.
    pictures: Option<&'a mut Vec<Picture>>,
}

impl<'a> Pen<'a> {
    /// The part of the buffer inside `area`.
    pub fn new(buffer: &'a mut Buffer, area: Rect) -> Pen<'a> {
        let area = area.intersection(buffer.area);
        Pen { buffer, area, pictures: None }
    }

    /// The same, for a terminal that shows pictures: they are put into the list.
    pub fn with_pictures(buffer: &'a mut Buffer, area: Rect, pictures: &'a mut Vec<Picture>) -> Pen<'a> {
        Pen { pictures: Some(pictures), ..Pen::new(buffer, area) }
    }

    /// Puts a picture of so many dots, red, green and blue each, into the first columns and rows.
    pub fn picture(&mut self, (columns, rows): (u16, u16), size: (u32, u32), dots: Vec<u8>) {
        let area = self.part(0, 0, columns, rows).area;
        if let Some(pictures) = self.pictures.as_deref_mut().filter(|_| !area.is_empty()) {
            pictures.push(Picture { area, size, dots });
        }
    }

    /// Columns.
    pub fn width(&self) -> u16 {
        self.area.width
    }

    /// Rows.
    pub fn height(&self) -> u16 {
        self.area.height
    }

    /// A smaller part, cut to what there is.
    pub fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Pen<'_> {
        let (x, y) = (x.min(self.area.width), y.min(self.area.height));
        let area = Rect {
            x: self.area.x + x,
            y: self.area.y + y,
            width: width.min(self.area.width - x),
            height: height.min(self.area.height - y),
        };
        Pen { buffer: self.buffer, area, pictures: self.pictures.as_deref_mut() }
    }

    /// Rows `from..to`.
    pub fn rows(&mut self, from: u16, to: u16) -> Pen<'_> {
        let width = self.width();
        self.part(0, from, width, to.saturating_sub(from))
    }

    /// Columns `from..to`.
    pub fn columns(&mut self, from: u16, to: u16) -> Pen<'_> {
        let height = self.height();
        self.part(from, 0, to.saturating_sub(from), height)
    }

    /// Writes `text` at column `x` of row `y`; answers the column after it.
    pub fn text(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if x >= self.area.width || y >= self.area.height {
            return x;
        }
        let room = usize::from(self.area.width - x);
        let (end, _) = self.buffer.set_stringn(self.area.x + x, self.area.y + y, text, room, style);
        end - self.area.x
    }

    /// Writes `text` into `width` columns, with an ellipsis where it is longer; answers `x + width`.
    pub fn fit(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        self.text(x, y, &shortened(text, usize::from(width)), style);
        x.saturating_add(width)
    }

    /// Writes `text` so that it ends before column `right`; cut at its end where it would begin before 0.
    pub fn right(&mut self, right: u16, y: u16, text: &str, style: Style) {
        let text = shortened(text, usize::from(right));
        let width = u16::try_from(text.width()).unwrap_or(u16::MAX);
        self.text(right.saturating_sub(width), y, &text, style);
    }

    /// Writes spans one after the other; answers the column after them.
    pub fn spans<'s>(&mut self, mut x: u16, y: u16, spans: impl IntoIterator<Item = (&'s str, Style)>) -> u16 {
        for (text, style) in spans {
            x = self.text(x, y, text, style);
        }
        x
    }

    /// One symbol.
    pub fn symbol(&mut self, x: u16, y: u16, symbol: &str, style: Style) {
        if x < self.area.width && y < self.area.height {
            let cell = &mut self.buffer[(self.area.x + x, self.area.y + y)];
            cell.set_symbol(symbol).set_style(style);
        }
    }

    /// One symbol where nothing stands yet.
    pub fn under(&mut self, x: u16, y: u16, symbol: &str, style: Style) {
        if x < self.area.width
            && y < self.area.height
            && self.buffer[(self.area.x + x, self.area.y + y)].symbol() == " "
        {
            self.symbol(x, y, symbol, style);
        }
    }

    /// Whether nothing stands in `width` columns from `x` on.
    pub fn is_empty(&self, x: u16, y: u16, width: u16) -> bool {
        y < self.area.height
            && x.saturating_add(width) <= self.area.width
            && (x..x + width).all(|x| self.buffer[(self.area.x + x, self.area.y + y)].symbol() == " ")
    }

    /// Lays a style on a row, under what stands there.
    pub fn row_style(&mut self, y: u16, style: Style) {
        if y < self.area.height {
            let row = Rect { y: self.area.y + y, height: 1, ..self.area };
            self.buffer.set_style(row, style);
        }
    }

    /// A horizontal line.
    pub fn rule(&mut self, y: u16, style: Style) {
        for x in 0..self.width() {
            self.symbol(x, y, "─", style);
        }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        for position in self.area.positions() {
            self.buffer[position].reset();
        }
    }

    /// Draws a frame with a title around it, empties it, and answers what is inside.
    pub fn framed(&mut self, title: &str, frame: Style, words: Style) -> Pen<'_> {
        self.clear();
        let (width, height) = (self.width(), self.height());
        let (right, bottom) = (width.saturating_sub(1), height.saturating_sub(1));
        for x in 0..width {
            self.symbol(x, 0, "─", frame);
            self.symbol(x, bottom, "─", frame);
        }
        for y in 0..height {
            self.symbol(0, y, "│", frame);
            self.symbol(right, y, "│", frame);
        }
        for (x, y, corner) in [(0, 0, "╭"), (right, 0, "╮"), (0, bottom, "╰"), (right, bottom, "╯")] {
            self.symbol(x, y, corner, frame);
        }
        if width > 6 {
            self.text(2, 0, &format!(" {} ", shortened(title, usize::from(width) - 6)), words);
        }
        self.part(2, 1, width.saturating_sub(4), height.saturating_sub(2))
    }

    /// A line of typed text with its cursor at character `cursor`; scrolls where it is longer than the room.
    pub fn typed(&mut self, x: u16, y: u16, text: &str, cursor: usize, style: Style) {
        let room = usize::from(self.width().saturating_sub(x));
        if room == 0 {
            return;
        }
        let skip = (cursor + 1).saturating_sub(room);
        let shown: String = text.chars().skip(skip).collect();
        self.text(x, y, &shown, style);
        let under = text.chars().nth(cursor).unwrap_or(' ').to_string();
        let column = u16::try_from(cursor - skip).unwrap_or(u16::MAX);
        self.symbol(x.saturating_add(column), y, &under, style.add_modifier(Modifier::REVERSED));
    }
}

/// `text` in at most `width` columns, the last of them an ellipsis where something was left out.
pub fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        if short.width() + character.to_string().width() + 1 > width {
            break;
        }
        short.push(character);
    }
    if width > 0 {
        short.push('…');
    }
    short
}

/// Text in lines of at most `width` columns, broken between words; a longer word has a line of its own. At least one line.
pub fn folded(text: &str, width: u16) -> Vec<String> {
    let width = usize::from(width.max(1));
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() {
                line.push_str(word);
                continue;
            }
            if line.width() + word.width() < width {
                line.push(' ');
                line.push_str(word);
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
}

/// Writes text over several lines; answers the last of them.
pub fn wrapped(pen: &mut Pen<'_>, y: u16, text: &str, style: Style) -> u16 {
    let mut last = y;
    for (y, line) in (y..).zip(folded(text, pen.width())) {
        pen.text(0, y, &line, style);
        last = y;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 1));
        let mut pen = Pen::new(&mut buffer, Rect::new(1, 0, 50, 50));
        pen.text(0, 0, "abcdef", Style::new());
        pen.text(9, 9, "x", Style::new());
        pen.symbol(0, 7, "x", Style::new());
        pen.right(0, 0, "gone", Style::new());
        pen.part(70, 70, 9, 9).framed("t", Style::new(), Style::new()).text(0, 0, "x", Style::new());
        pen.typed(1, 0, "long text", 9, Style::new());
        assert_eq!(buffer[(0, 0)].symbol(), " ");
        assert_eq!(buffer[(1, 0)].symbol(), "a");
    }

    #[test]
    fn text_is_folded_between_words() {
        assert_eq!(folded("one two  three", 7), ["one two", "three"]);
        assert_eq!(folded("extraordinarily so", 4), ["extraordinarily", "so"]);
        assert_eq!(folded("好好 好", 5), ["好好", "好"]);
        assert_eq!(folded(" ", 0), [""]);
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(shortened("brisk-otter", 6), "brisk…");
        assert_eq!(shortened("brisk", 5), "brisk");
        assert_eq!(shortened("brisk", 0), "");
    }
}
