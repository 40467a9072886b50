//! Test images as true pictures, in terminals that show them: by kitty's graphics protocol or as sixels.
//!
//! Which of them a terminal knows is read from the environment or from the settings. It is never asked: an answer that
//! comes late ends up on the command line.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    str::FromStr,
};

use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
    widgets::Widget,
};
use ratatui_image::{
    FilterType, FontSize, Image, Resize,
    protocol::{Protocol, kitty::Kitty, sixel::Sixel},
};

use super::settings::words::{name_of, of_name};

/// What the settings say about pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Pictures where the environment names a terminal that shows them.
    #[default]
    Auto,
    /// Half blocks, in every terminal.
    Cells,
    /// Kitty's graphics protocol with Unicode placeholders: kitty and Ghostty.
    Kitty,
    /// Sixels: foot, WezTerm, mlterm, Konsole, Contour, …
    Sixel,
}

impl Wish {
    /// All of them, with their names.
    pub const ALL: [(&str, Wish); 4] =
        [("auto", Wish::Auto), ("cells", Wish::Cells), ("kitty", Wish::Kitty), ("sixel", Wish::Sixel)];

    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        name_of(&Wish::ALL, &self)
    }
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Wish, String> {
        of_name(&Wish::ALL, text, "way to show images")
    }
}

/// How pictures are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By kitty's protocol.
    Kitty,
    /// As sixels.
    Sixel,
}

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graphics {
    /// How.
    pub means: Means,
    /// Dots of one cell, across and down.
    pub cell: (u16, u16),
}

impl Graphics {
    /// What the variables of the environment and the settings say, for a terminal of these columns and rows and these dots
    /// across and down. `None` where pictures are not wished for, not known of, or the size of a cell is not known, which
    /// pictures have to fill.
    pub fn detect(
        wish: Wish,
        var: impl Fn(&str) -> Option<String>,
        (columns, rows): (u16, u16),
        (across, down): (u16, u16),
    ) -> Option<Graphics> {
        // For one terminal among others: the variable has the last word.
        let wish = var("LINF_IMAGES").and_then(|name| name.parse().ok()).unwrap_or(wish);
        let means = match wish {
            Wish::Cells => None,
            Wish::Kitty => Some(Means::Kitty),
            Wish::Sixel => Some(Means::Sixel),
            Wish::Auto => by_environment(&var),
        }?;
        let cell = (across.checked_div(columns)?, down.checked_div(rows)?);
        // With NO_COLOR colours are not sent, and kitty's placeholders are told apart by theirs.
        (cell.0 > 0 && cell.1 > 0 && var("NO_COLOR").is_none()).then_some(Graphics { means, cell })
    }
}

fn by_environment(var: &impl Fn(&str) -> Option<String>) -> Option<Means> {
    let says = |name: &str| var(name).unwrap_or_default().to_lowercase();
    let (term, program) = (says("TERM"), says("TERM_PROGRAM"));
    // A multiplexer between us and the terminal would have to pass pictures on.
    if var("TMUX").is_some() || var("STY").is_some() || term.starts_with("screen") || term.starts_with("tmux") {
        return None;
    }
    if ["xterm-kitty", "xterm-ghostty"].contains(&term.as_str())
        || program == "ghostty"
        || var("KITTY_WINDOW_ID").is_some()
    {
        return Some(Means::Kitty);
    }
    let by_term = ["foot", "mlterm", "contour", "yaft"].iter().any(|name| term.starts_with(name));
    (by_term || term.contains("sixel") || program == "wezterm" || var("KONSOLE_VERSION").is_some())
        .then_some(Means::Sixel)
}

/// A picture on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Where it goes; the cells there are blank.
    pub area: Rect,
    /// Dots across and down.
    pub size: (u32, u32),
    /// Red, green and blue of every dot, row by row.
    pub dots: Vec<u8>,
}

/// Cells of the largest picture of so many dots that fits into a part of the screen: dots are as many of the terminal's as
/// a whole number says.
pub fn cells(graphics: Graphics, (width, height): (usize, usize), (columns, rows): (u16, u16)) -> (u16, u16) {
    let (across, down) = (usize::from(graphics.cell.0), usize::from(graphics.cell.1));
    let fits = |dots: usize, cells: u16, cell: usize| usize::from(cells) * cell / dots.max(1);
    let scale = fits(width, columns, across).min(fits(height, rows, down)).max(1);
    let taken = |dots: usize, cells: u16, cell: usize| ((dots * scale).div_ceil(cell) as u16).min(cells);
    (taken(width, columns, across), taken(height, rows, down))
}

/// Pictures kept after they were last shown, for whoever goes back and forth.
const KEPT: usize = 12;

/// Puts pictures into frames, each sent to the terminal once.
#[derive(Default)]
pub struct Easel {
    /// What was made of them, those shown last at the end.
    made: Vec<(u32, Protocol)>,
}

impl Easel {
    /// Puts pictures into a frame, over the blank cells that were left for them. Answers what the terminal has to be told
    /// of pictures that are given up.
    pub fn draw(&mut self, graphics: Graphics, pictures: &[Picture], buffer: &mut Buffer) -> String {
        for picture in pictures {
            let id = identity(graphics, picture);
            let known = self.made.iter().position(|(other, _)| *other == id);
            let made = match known {
                Some(at) => Some(self.made.remove(at)),
                None => make(graphics, picture, id).map(|made| (id, made)),
            };
            if let Some(made) = made {
                Image::new(&made.1).render(picture.area, buffer);
                self.made.push(made);
            }
        }
        let given_up = self.made.len().saturating_sub(KEPT.max(pictures.len()));
        self.made.drain(..given_up).map(farewell).collect()
    }

    /// Everything has to be sent anew.
    pub fn forget(&mut self) {
        self.made.clear();
    }

    /// What the terminal has to be told at the end.
    pub fn clear(&mut self) -> String {
        self.made.drain(..).map(farewell).collect()
    }
}

/// The same for the same picture at the same size.
fn identity(graphics: Graphics, picture: &Picture) -> u32 {
    let mut hasher = DefaultHasher::new();
    (graphics.cell, picture.area.as_size(), picture.size, &picture.dots).hash(&mut hasher);
    // Kitty knows no picture number 0.
    (hasher.finish() as u32).max(1)
}

/// `None` where it cannot be made: then its place stays blank.
fn make(graphics: Graphics, picture: &Picture, id: u32) -> Option<Protocol> {
    let image = image::RgbImage::from_raw(picture.size.0, picture.size.1, picture.dots.clone())?;
    let font = FontSize { width: graphics.cell.0, height: graphics.cell.1 };
    let size: Size = picture.area.as_size();
    let scaled = Resize::Scale(Some(FilterType::Nearest)).resize(&image.into(), font, size, None);
    match graphics.means {
        // Packed: these terminals unpack, and an image of a few dots grows to many.
        Means::Kitty => Kitty::new(scaled, size, id, false, true).ok().map(Protocol::Kitty),
        Means::Sixel => Sixel::new(scaled, size, false).ok().map(Protocol::Sixel),
    }
}

/// Kitty keeps a picture until it is told not to; a sixel is gone when its cells are.
fn farewell((id, made): (u32, Protocol)) -> String {
    if matches!(made, Protocol::Kitty(_)) { format!("\x1b_Ga=d,d=I,i={id},q=2\x1b\\") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITTY: Graphics = Graphics { means: Means::Kitty, cell: (10, 20) };

    fn detected(wish: Wish, vars: &[(&str, &str)]) -> Option<Means> {
        let var = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Graphics::detect(wish, var, (80, 24), (800, 480)).map(|graphics| graphics.means)
    }

    #[test]
    fn pictures_are_for_terminals_known_to_show_them() {
        assert_eq!(detected(Wish::Auto, &[("TERM", "xterm-kitty")]), Some(Means::Kitty));
        assert_eq!(
            detected(Wish::Auto, &[("TERM", "xterm-256color"), ("TERM_PROGRAM", "ghostty")]),
            Some(Means::Kitty)
        );
        assert_eq!(detected(Wish::Auto, &[("TERM", "foot-extra")]), Some(Means::Sixel));
        assert_eq!(
            detected(Wish::Auto, &[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")]),
            Some(Means::Sixel)
        );
        assert_eq!(detected(Wish::Auto, &[("TERM", "xterm-256color")]), None);
        assert_eq!(detected(Wish::Auto, &[("TERM", "screen-256color"), ("KITTY_WINDOW_ID", "1")]), None);
        assert_eq!(detected(Wish::Cells, &[("TERM", "xterm-kitty")]), None);
        assert_eq!(detected(Wish::Sixel, &[("TERM", "tmux-256color")]), Some(Means::Sixel));
        assert_eq!(detected(Wish::Sixel, &[("LINF_IMAGES", "kitty")]), Some(Means::Kitty));
        assert_eq!(detected(Wish::Kitty, &[("NO_COLOR", "1")]), None);
        let unknown = Graphics::detect(Wish::Kitty, |_| None, (80, 24), (0, 0));
        assert_eq!(unknown, None, "the size of a cell is not known");
        assert!("png".parse::<Wish>().unwrap_err().contains("\"kitty\""));
    }

    #[test]
    fn a_picture_is_as_large_as_fits_in_whole_dots() {
        // 28 dots in 32 columns of 10: 11 each, 308 across, 31 columns; 308 down, 16 rows of 20.
        assert_eq!(cells(KITTY, (28, 28), (32, 40)), (31, 16));
        assert_eq!(cells(KITTY, (28, 28), (32, 8)), (14, 7));
        // Less than one dot each: cut to what there is.
        assert_eq!(cells(KITTY, (64, 64), (3, 2)), (3, 2));
    }

    fn picture(shade: u8) -> Picture {
        // Like a digit: a ring of greys on black.
        let grey = |dot: i32| {
            let (row, column) = (dot / 28 - 14, dot % 28 - 14);
            let off = (row * row + column * column - 64).abs();
            if off < 24 { 255 - (off * 9) as u8 } else { 0 }
        };
        let dots = (0..28 * 28).flat_map(|dot| [grey(dot), grey(dot), shade]).collect();
        Picture { area: Rect::new(2, 1, 31, 16), size: (28, 28), dots }
    }

    fn frame(easel: &mut Easel, graphics: Graphics, pictures: &[Picture]) -> (String, String) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 20));
        let told = easel.draw(graphics, pictures, &mut buffer);
        (buffer.content.iter().map(|cell| cell.symbol()).collect(), told)
    }

    #[test]
    fn kitty_is_sent_a_picture_once_and_told_when_it_is_over() {
        let mut easel = Easel::default();
        let (first, _) = frame(&mut easel, KITTY, &[picture(1)]);
        assert!(first.contains("a=T,U=1") && first.contains("q=2"), "placeholders, and no answers");
        assert!(first.len() < 16_000, "{} bytes are too many for a slow line", first.len());
        let (again, told) = frame(&mut easel, KITTY, &[picture(1)]);
        assert!(!again.contains("\x1b_G") && again.contains('\u{10EEEE}') && told.is_empty());
        let told: String = (2..20).map(|shade| frame(&mut easel, KITTY, &[picture(shade)]).1).collect();
        assert_eq!(told.matches("a=d,d=I").count(), 19 - KEPT);
        assert_eq!(easel.clear().matches("a=d,d=I").count(), KEPT);
        assert!(frame(&mut easel, KITTY, &[picture(1)]).0.contains("a=T,U=1"), "and then anew");
    }

    #[test]
    fn a_sixel_fills_its_cells_and_nothing_else_is_written_there() {
        let graphics = Graphics { means: Means::Sixel, ..KITTY };
        let mut easel = Easel::default();
        let (sent, told) = frame(&mut easel, graphics, &[picture(1)]);
        assert!(sent.contains("\x1bP") && told.is_empty() && easel.clear().is_empty());
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 20));
        easel.draw(graphics, &[picture(1)], &mut buffer);
        let mut again = Buffer::empty(Rect::new(0, 0, 40, 20));
        easel.draw(graphics, &[picture(1)], &mut again);
        assert!(buffer.diff(&again).is_empty(), "a picture that stays costs nothing");
        let blank = Buffer::empty(Rect::new(0, 0, 40, 20));
        assert!(!buffer.diff(&blank).is_empty(), "one that goes leaves no trace");
    }
}
