//! What a program printed for a terminal, as text with colours: of all control sequences only those that paint (SGR) are
//! obeyed, and everything else is taken out, so that no log can do anything to the user's terminal.

use std::{iter::Peekable, ops::Range, str::Chars};

use ratatui::style::{Color, Modifier, Style};

use super::look::{Depth, Look};

/// A line without control characters, and how it is painted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The text.
    pub text: String,
    /// From which byte on which paint holds; ascending. What comes before the first is plain.
    paints: Vec<(usize, Paint)>,
}

impl Line {
    /// A part of the text in pieces of one paint.
    pub fn pieces(&self, part: Range<usize>) -> impl Iterator<Item = (&str, Paint)> {
        let ends = self.paints.iter().map(|(at, _)| *at).chain([self.text.len()]);
        let begins = [(0, Paint::default())].into_iter().chain(self.paints.iter().copied());
        begins.zip(ends).filter_map(move |((from, paint), to)| {
            let piece = self.text.get(from.max(part.start)..to.min(part.end))?;
            (!piece.is_empty()).then_some((piece, paint))
        })
    }
}

/// A colour as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ink {
    /// One of the sixteen, or of the 256 of xterm.
    Index(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

/// How text is painted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    fore: Option<Ink>,
    back: Option<Ink>,
    marks: Modifier,
}

impl Paint {
    /// It, in as many colours as there are.
    pub fn style(self, look: &Look) -> Style {
        let mut style = Style::new().add_modifier(self.marks);
        style.fg = self.fore.and_then(|ink| ink.colour(look.depth));
        style.bg = self.back.and_then(|ink| ink.colour(look.depth));
        style
    }

    /// Takes in the numbers of one sequence, such as `1;38;5;208`.
    fn take(&mut self, numbers: &str) {
        let mut items = numbers.split(';');
        while let Some(item) = items.next() {
            let mut parts = item.split(':');
            let code = parts.next().unwrap_or_default();
            let code = if code.is_empty() { Some(0) } else { code.parse::<u8>().ok() };
            let Some(code) = code else { continue };
            let ink = |items: &mut dyn Iterator<Item = &str>| match items.next()? {
                "5" => items.next()?.parse().ok().map(Ink::Index),
                "2" => {
                    let mut part = || items.next()?.parse().ok();
                    Some(Ink::Rgb(part()?, part()?, part()?))
                }
                _ => None,
            };
            match code {
                0 => *self = Paint::default(),
                1 => self.marks |= Modifier::BOLD,
                2 => self.marks |= Modifier::DIM,
                3 => self.marks |= Modifier::ITALIC,
                // 4:0 is none, 4:3 a curly one.
                4 if parts.next() == Some("0") => self.marks -= Modifier::UNDERLINED,
                4 => self.marks |= Modifier::UNDERLINED,
                7 => self.marks |= Modifier::REVERSED,
                9 => self.marks |= Modifier::CROSSED_OUT,
                22 => self.marks -= Modifier::BOLD | Modifier::DIM,
                23 => self.marks -= Modifier::ITALIC,
                24 => self.marks -= Modifier::UNDERLINED,
                27 => self.marks -= Modifier::REVERSED,
                29 => self.marks -= Modifier::CROSSED_OUT,
                30..=37 => self.fore = Some(Ink::Index(code - 30)),
                40..=47 => self.back = Some(Ink::Index(code - 40)),
                90..=97 => self.fore = Some(Ink::Index(code - 90 + 8)),
                100..=107 => self.back = Some(Ink::Index(code - 100 + 8)),
                39 => self.fore = None,
                49 => self.back = None,
                38 | 48 => {
                    // With colons all of it is in one item, and between mode and colour there may be an empty part.
                    let found = if item.contains(':') {
                        ink(&mut parts.filter(|part| !part.is_empty()))
                    } else {
                        ink(&mut items)
                    };
                    match (code, found) {
                        (38, Some(ink)) => self.fore = Some(ink),
                        (_, Some(ink)) => self.back = Some(ink),
                        (_, None) => {}
                    }
                }
                // Blinking and hidden text are shown as what they are: text.
                _ => {}
            }
        }
    }
}

impl Ink {
    fn colour(self, depth: Depth) -> Option<Color> {
        const NAMED: [Color; 16] = [
            Color::Black,
            Color::Red,
            Color::Green,
            Color::Yellow,
            Color::Blue,
            Color::Magenta,
            Color::Cyan,
            Color::Gray,
            Color::DarkGray,
            Color::LightRed,
            Color::LightGreen,
            Color::LightYellow,
            Color::LightBlue,
            Color::LightMagenta,
            Color::LightCyan,
            Color::White,
        ];
        match (self, depth) {
            (_, Depth::None) => None,
            (Ink::Index(index @ ..16), _) => Some(NAMED[usize::from(index)]),
            // What there is no colour for stays plain.
            (_, Depth::Sixteen) => None,
            (Ink::Index(index), Depth::Indexed | Depth::True) => Some(Color::Indexed(index)),
            (Ink::Rgb(red, green, blue), Depth::True) => Some(Color::Rgb(red, green, blue)),
            (Ink::Rgb(red, green, blue), Depth::Indexed) => {
                // Of the 6 × 6 × 6 colours the nearest.
                let [red, green, blue] = [red, green, blue].map(|part| ((u16::from(part) + 25) / 51) as u8);
                Some(Color::Indexed(16 + 36 * red + 6 * green + blue))
            }
        }
    }
}

/// Reads one line after another; paint goes on from line to line, as in a terminal.
#[derive(Debug, Default)]
pub struct Reader {
    paint: Paint,
}

impl Reader {
    /// Takes in a line. Of one that was rewritten in place the last form is kept.
    pub fn line(&mut self, raw: &str) -> Line {
        let mut line = Line::default();
        self.mark(&mut line);
        let mut rest = raw.trim_end_matches('\r').chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\r' => {
                    line = Line::default();
                    self.mark(&mut line);
                }
                '\t' => line.text.push_str("    "),
                '\u{1b}' => self.escape(&mut rest, &mut line),
                '\u{9b}' => self.control(&mut rest, &mut line),
                '\u{9d}' => skip_string(&mut rest, true),
                '\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest, false),
                control if control.is_control() => {}
                other => line.text.push(other),
            }
        }
        line
    }

    /// The paint holds from here on.
    fn mark(&self, line: &mut Line) {
        let at = line.text.len();
        line.paints.retain(|(begin, _)| *begin < at);
        let before = line.paints.last().map_or(Paint::default(), |(_, paint)| *paint);
        if before != self.paint {
            line.paints.push((at, self.paint));
        }
    }

    /// What follows an escape character.
    fn escape(&mut self, rest: &mut Peekable<Chars<'_>>, line: &mut Line) {
        match rest.peek() {
            Some('[') => {
                rest.next();
                self.control(rest, line);
            }
            Some(']') => skip_string(rest, true),
            Some('P' | 'X' | '^' | '_') => skip_string(rest, false),
            // Such as the choice of a character set: any number of these, and one to end it.
            Some(' '..='~') => {
                while rest.next_if(|next| (' '..='/').contains(next)).is_some() {}
                rest.next_if(|next| ('0'..='~').contains(next));
            }
            _ => {}
        }
    }

    /// A control sequence after its beginning. One that is cut off, or is none, ends where that shows.
    fn control(&mut self, rest: &mut Peekable<Chars<'_>>, line: &mut Line) {
        let mut numbers = String::new();
        while let Some(number) = rest.next_if(|next| ('0'..='?').contains(next)) {
            numbers.push(number);
        }
        let mut plain = numbers.chars().all(|number| number.is_ascii_digit() || number == ';' || number == ':');
        while rest.next_if(|next| (' '..='/').contains(next)).is_some() {
            plain = false;
        }
        if rest.next_if(|next| ('@'..='~').contains(next)) == Some('m') && plain {
            self.paint.take(&numbers);
            self.mark(line);
        }
    }
}

/// Skips a string such as a title or a link, up to its end or that of the line.
fn skip_string(rest: &mut Peekable<Chars<'_>>, bell_ends: bool) {
    while let Some(character) = rest.next() {
        match character {
            '\u{7}' if bell_ends => return,
            '\u{9c}' => return,
            '\u{1b}' => {
                rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::look::Plot;

    fn look(depth: Depth) -> Look {
        Look { plot: Plot::Braille, unicode: true, depth, light: false }
    }

    fn pieces(line: &Line) -> Vec<(&str, Style)> {
        line.pieces(0..line.text.len()).map(|(text, paint)| (text, paint.style(&look(Depth::True)))).collect()
    }

    fn read(raw: &str) -> Line {
        Reader::default().line(raw)
    }

    #[test]
    fn paint_is_obeyed() {
        let plain = Style::new();
        assert_eq!(
            pieces(&read("a\x1b[1;32mgreen\x1b[0m b")),
            [("a", plain), ("green", plain.fg(Color::Green).add_modifier(Modifier::BOLD)), (" b", plain)]
        );
        assert_eq!(pieces(&read("\x1b[91;44mx"))[0].1, plain.fg(Color::LightRed).bg(Color::Blue));
        assert_eq!(pieces(&read("\x1b[38;5;208mx"))[0].1, plain.fg(Color::Indexed(208)));
        assert_eq!(pieces(&read("\x1b[48;2;1;2;3;4mx"))[0].1, plain.bg(Color::Rgb(1, 2, 3)).underlined());
        assert_eq!(pieces(&read("\x1b[38:2::1:2:3;1mx"))[0].1, plain.fg(Color::Rgb(1, 2, 3)).bold());
        assert_eq!(pieces(&read("\u{9b}31mx"))[0].1, plain.fg(Color::Red));
        assert_eq!(pieces(&read("\x1b[31m\x1b[mx")), [("x", plain)]);
    }

    #[test]
    fn all_else_is_taken_out() {
        for raw in [
            "\x1b]0;title\x07text",
            "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\",
            "\x1b]52;c;AAAA\u{9c}text",
            "\x1bPq#0;2;0;0;0\x07still\x1b\\text",
            "\x1b(Btext\x1b=",
            "\x1b[2J\x1b[10;10H\x1b[?25lte\x1b[Kxt\x1b[>4;1m",
            "\x07te\x08\0xt\x1b",
            "\x1b[38;9mte\x1b[999mxt\x1b[1;2",
            "\x1b[31!mtext",
        ] {
            let line = read(raw);
            assert_eq!(line.text, "text", "{raw:?}");
            assert_eq!(pieces(&line), [("text", Style::new())], "{raw:?}");
        }
        assert_eq!(read("\x1b[3好").text, "好", "what is no sequence ends where that shows");
        assert_eq!(read("\x1b]0;never ended").text, "");
    }

    #[test]
    fn paint_goes_on_over_lines_and_what_was_rewritten_is_gone() {
        let mut reader = Reader::default();
        reader.line("\x1b[31m10 %");
        let line = reader.line(" 20 %\r\x1b[32m 30 %\r");
        assert_eq!(pieces(&line), [(" 30 %", Style::new().fg(Color::Green))]);
        assert_eq!(line.pieces(1..3).collect::<Vec<_>>().len(), 1);
    }

    #[test]
    fn fewer_colours_are_made_do_with() {
        let style = |raw: &str, depth| read(raw).pieces(0..1).next().unwrap().1.style(&look(depth));
        assert_eq!(style("\x1b[1;31mx", Depth::None), Style::new().bold());
        assert_eq!(style("\x1b[31mx", Depth::Sixteen).fg, Some(Color::Red));
        assert_eq!(style("\x1b[38;5;9mx", Depth::Sixteen).fg, Some(Color::LightRed));
        assert_eq!(style("\x1b[38;5;208mx", Depth::Sixteen).fg, None);
        assert_eq!(style("\x1b[38;2;255;255;255mx", Depth::Indexed).fg, Some(Color::Indexed(231)));
    }

    proptest! {
        #[test]
        fn whatever_was_printed_is_text_without_control(raw in "([\x1b\u{9b}\u{90}\r\t][\\[\\]P(]?[0-9;:?]{0,6}[mHJ\\\\]?|.|[\0-\u{9f}]){0,40}") {
            let mut reader = Reader::default();
            reader.line(&raw);
            let line = reader.line(&raw);
            prop_assert!(!line.text.contains(char::is_control), "{:?}", line.text);
            let together: String = line.pieces(0..line.text.len()).map(|piece| piece.0).collect();
            prop_assert_eq!(&together, &line.text);
        }
    }
}
