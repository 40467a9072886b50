//! The terminal itself: taken over, drawn on with as few bytes as possible, and always given back.

use std::{
    io::{self, Stdout, Write},
    mem,
    sync::atomic::{AtomicBool, Ordering},
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor,
    event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange},
    execute,
    style::Print,
    terminal::{self, BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend},
    buffer::{Buffer, Cell, CellDiffOption, CellWidth},
    layout::Rect,
    style::Modifier,
};

use super::graphics::{Easel, Graphics, Picture, Wish};

/// A terminal in our hands. Dropping it gives the terminal back.
pub struct Canvas {
    backend: CrosstermBackend<Frames>,
    shown: Buffer,
    next: Buffer,
    easel: Easel,
}

impl Canvas {
    /// Takes the terminal over, and its mouse where that is wanted. Sends settings only, never a query whose answer could end
    /// up on the command line.
    pub fn take(mouse: bool) -> io::Result<Canvas> {
        MOUSE.store(mouse, Ordering::SeqCst);
        let canvas = Canvas {
            backend: CrosstermBackend::new(Frames::new()),
            shown: Buffer::default(),
            next: Buffer::default(),
            easel: Easel::default(),
        };
        seize()?;
        Ok(canvas)
    }

    /// Columns and rows. Never 0: some terminals say so for a moment.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let (columns, rows) = terminal::size()?;
        Ok((columns.max(1), rows.max(1)))
    }

    /// What pictures the terminal shows, by the settings and the environment.
    pub fn graphics(&self, wish: Wish) -> Option<Graphics> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        // From the kernel, which some terminals and most multiplexers tell nothing.
        let window = terminal::window_size().ok()?;
        Graphics::detect(wish, var, (window.columns, window.rows), (window.width, window.height))
    }

    /// Draws a screen of this size, with the pictures over it, and sends what differs from the one before, in one piece;
    /// nothing where nothing does.
    pub fn draw(
        &mut self,
        (columns, rows): (u16, u16),
        graphics: Option<Graphics>,
        view: impl FnOnce(Rect, &mut Buffer) -> Vec<Picture>,
    ) -> io::Result<()> {
        let area = Rect::new(0, 0, columns, rows);
        if self.shown.area != area {
            self.shown = Buffer::empty(area);
            self.backend.clear_region(ClearType::All)?;
        }
        self.next.resize(area);
        self.next.reset();
        let pictures = view(area, &mut self.next);
        if let Some(graphics) = graphics {
            let told = self.easel.draw(graphics, &pictures, &mut self.next);
            self.backend.write_all(told.as_bytes())?;
        }
        let mut changes = bridged(self.shown.diff(&self.next), &self.next);
        spare_colours(&mut changes);
        if !changes.is_empty() {
            self.backend.draw(changes.iter().map(|(x, y, cell)| (*x, *y, cell)))?;
        }
        Write::flush(&mut self.backend)?;
        mem::swap(&mut self.shown, &mut self.next);
        Ok(())
    }

    /// Forgets what the terminal shows, so that the next screen is sent whole.
    pub fn forget(&mut self) {
        self.easel.forget();
        self.shown = Buffer::default();
    }

    /// Puts text on the clipboard of the user's own machine, where its terminal allows it (OSC 52).
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Sends a sequence that changes nothing on the screen.
    pub fn send(&mut self, sequence: &str) -> io::Result<()> {
        execute!(io::stdout(), Print(sequence))
    }

    /// Gives the terminal back for as long as `meanwhile` takes.
    pub fn lend(&mut self, meanwhile: impl FnOnce()) -> io::Result<()> {
        give_back();
        meanwhile();
        self.take_again()
    }

    /// Takes the terminal over again after [`give_back`].
    pub fn take_again(&mut self) -> io::Result<()> {
        self.forget();
        seize()
    }
}

/// Modifiers that are seen on blanks too.
const SEEN_ON_BLANKS: Modifier = Modifier::UNDERLINED.union(Modifier::REVERSED).union(Modifier::CROSSED_OUT);

/// Bytes that it takes to move the cursor: `ESC [ 3 ; 14 H`.
fn cost_of_move(x: u16, y: u16) -> u16 {
    let digits = |at: u16| at.saturating_add(1).ilog10() as u16 + 1;
    4 + digits(y) + digits(x)
}

/// Changed cells in order, and with them the unchanged blanks between two in a row, where these take fewer bytes than a move of the
/// cursor: so few that they cost one byte each.
fn bridged<'a>(changes: impl IntoIterator<Item = (u16, u16, &'a Cell)>, screen: &'a Buffer) -> Vec<(u16, u16, Cell)> {
    let mut all: Vec<(u16, u16, Cell)> = Vec::new();
    for (x, y, cell) in changes {
        if let Some((before_x, before_y, before)) = all.last()
            && *before_y == y
            // Behind a wide letter the cursor is moved in any case.
            && before.cell_width() == 1
        {
            let from = before_x + 1;
            // Whatever lies under a picture is to be left alone.
            let costs_a_byte = |blank: &Cell| {
                blank.symbol() == " "
                    && blank.bg == before.bg
                    && blank.diff_option == CellDiffOption::None
                    && !blank.modifier.union(before.modifier).intersects(SEEN_ON_BLANKS)
            };
            if from < x && x - from < cost_of_move(x, y) && (from..x).all(|x| costs_a_byte(&screen[(x, y)])) {
                all.extend((from..x).map(|x| (x, y, screen[(x, y)].clone())));
            }
        }
        all.push((x, y, cell.clone()));
    }
    all
}

/// Gives blank cells the colour of the letters of the cell sent before them, which nobody sees: so that a blank between two
/// words of one colour costs one byte, and not two changes of colour.
fn spare_colours(changes: &mut [(u16, u16, Cell)]) {
    let (mut fg, mut bg, mut modifier) = (Cell::EMPTY.fg, Cell::EMPTY.bg, Cell::EMPTY.modifier);
    for (_, _, cell) in changes {
        if cell.symbol() == " " && cell.bg == bg && !cell.modifier.union(modifier).intersects(SEEN_ON_BLANKS) {
            (cell.fg, cell.modifier) = (fg, modifier);
        }
        (fg, bg, modifier) = (cell.fg, cell.bg, cell.modifier);
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        // As in `give_back`.
        let farewell = self.easel.clear();
        let _ = self.send(&farewell);
        give_back();
    }
}

/// Whether the terminal is ours. Leaving the alternate screen twice would put the cursor on top of what was printed since.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the mouse is ours as well.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// Clicks and the wheel, and no movement: that would fill a slow line. With coordinates as numbers (1006), so that none is
/// too large.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

fn seize() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    terminal::enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, cursor::Hide, EnableBracketedPaste, EnableFocusChange)?;
    if MOUSE.load(Ordering::SeqCst) { execute!(io::stdout(), Print(MOUSE_ON)) } else { Ok(()) }
}

/// Leaves the terminal as it was found, if it is ours. Errors are nobody's: a terminal that is gone cannot be given back.
pub fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    if MOUSE.load(Ordering::SeqCst) {
        let _ = execute!(io::stdout(), Print(MOUSE_OFF));
    }
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        DisableFocusChange,
        DisableBracketedPaste,
        cursor::Show,
        LeaveAlternateScreen
    );
    let _ = terminal::disable_raw_mode();
}

/// Gathers a frame and writes it at once, bracketed so that the terminal shows it whole (DEC mode 2026).
struct Frames {
    bytes: Vec<u8>,
    out: Stdout,
}

impl Frames {
    fn new() -> Frames {
        Frames { bytes: Vec::with_capacity(16 * 1024), out: io::stdout() }
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let mut frame = Vec::with_capacity(self.bytes.len() + 16);
        crossterm::queue!(frame, BeginSynchronizedUpdate)?;
        frame.append(&mut self.bytes);
        crossterm::queue!(frame, EndSynchronizedUpdate)?;
        self.out.write_all(&frame)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::style::{Color, Style};

    use super::*;

    fn written(changes: &[(u16, u16, Cell)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        CrosstermBackend::new(&mut bytes).draw(changes.iter().map(|(x, y, cell)| (*x, *y, cell))).unwrap();
        bytes
    }

    fn plain(changes: Vec<(u16, u16, &Cell)>) -> Vec<(u16, u16, Cell)> {
        changes.into_iter().map(|(x, y, cell)| (x, y, cell.clone())).collect()
    }

    /// What is seen of a screen of this size after these bytes: of blanks no letters' colour.
    fn seen((columns, rows): (u16, u16), bytes: &[u8]) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
        let mut parser = vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        parser.process(bytes);
        let cell = |(row, column)| {
            let cell = parser.screen().cell(row, column).unwrap();
            let blank = cell.contents().trim().is_empty();
            let letters = (!blank).then(|| (cell.fgcolor(), cell.bold()));
            (cell.contents().trim().to_owned(), cell.bgcolor(), cell.inverse(), cell.underline(), letters)
        };
        (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(cell).collect()
    }

    #[test]
    fn sparing_colours_saves_bytes_and_changes_nothing_that_is_seen() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 30, 2));
        let blue = Style::new().fg(Color::Rgb(86, 180, 233)).add_modifier(Modifier::BOLD);
        for (x, word) in [(1, "one"), (6, "two"), (11, "three")] {
            buffer.set_string(x, 0, word, blue);
        }
        buffer.set_style(Rect::new(0, 1, 30, 1), Style::new().add_modifier(Modifier::REVERSED));
        buffer.set_string(3, 1, "marked", blue);
        let mut changes = plain(Buffer::filled(buffer.area, Cell::new("?")).diff(&buffer));
        let whole = written(&changes);
        spare_colours(&mut changes);
        let spared = written(&changes);
        assert!(spared.len() + 60 < whole.len(), "{} and {}", spared.len(), whole.len());
        assert_eq!(seen((30, 2), &spared), seen((30, 2), &whole));
    }

    #[test]
    fn a_picture_is_not_bridged() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 1));
        buffer.set_string(0, 0, "a", Style::new());
        buffer.set_string(5, 0, "b", Style::new());
        let changes = || Buffer::empty(buffer.area).diff(&buffer);
        assert_eq!(bridged(changes(), &buffer).len(), 6);
        let mut pictured = buffer.clone();
        pictured[(3, 0)].set_diff_option(CellDiffOption::Skip);
        assert_eq!(bridged(changes(), &pictured).len(), 2);
    }

    /// Words on a screen of 40×3: where, what, how.
    fn screens() -> impl Strategy<Value = Buffer> {
        let word = prop_oneof!["[a-z]{1,6}", Just("⣀⣤".to_owned()), Just("宽".to_owned()), Just("   ".to_owned())];
        let style = prop_oneof![
            Just(Style::new()),
            Just(Style::new().fg(Color::Rgb(86, 180, 233))),
            Just(Style::new().bg(Color::Rgb(38, 44, 58))),
            Just(Style::new().add_modifier(Modifier::REVERSED)),
            Just(Style::new().fg(Color::Red).add_modifier(Modifier::UNDERLINED)),
        ];
        prop::collection::vec((0u16..38, 0u16..3, word, style), 0..14).prop_map(|words| {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 3));
            for (x, y, word, style) in words {
                buffer.set_string(x, y, word, style);
            }
            buffer
        })
    }

    proptest! {
        #[test]
        fn bridges_save_bytes_and_change_nothing_that_is_seen(before in screens(), after in screens()) {
            let first = written(&plain(Buffer::empty(before.area).diff(&before)));
            let mut whole = plain(before.diff(&after));
            let mut bridged = bridged(before.diff(&after), &after);
            spare_colours(&mut whole);
            spare_colours(&mut bridged);
            let (whole, bridged) = (written(&whole), written(&bridged));
            prop_assert!(bridged.len() <= whole.len(), "{} and {}", bridged.len(), whole.len());
            let after_first = |then: &[u8]| seen((40, 3), &[&first[..], then].concat());
            prop_assert_eq!(after_first(&bridged), after_first(&whole));
        }
    }
}
