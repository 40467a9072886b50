//! What the terminal can show, and the colours and glyphs chosen for it.
//!
//! Read from the environment alone: a query to the terminal can leave garbage on a slow line.

use ratatui::style::{Color, Modifier, Style};

use crate::experiment::{PNorm, RunId, RunState};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which dots curves are drawn with.
    pub plot: Plot,
    /// Whether anything beyond ASCII may be sent.
    pub unicode: bool,
    /// How many colours there are.
    pub depth: Depth,
    /// Whether the background is light.
    pub light: bool,
}

/// The dots of curves, finest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// 2×4 dots a cell.
    Braille,
    /// 1×2 dots a cell, for terminals whose font lacks braille.
    HalfBlock,
    /// One letter a cell, another one for every curve.
    Ascii,
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None (`NO_COLOR`): bold, dim and reverse only.
    None,
    /// The sixteen that every terminal has.
    Sixteen,
    /// The 256 of xterm.
    Indexed,
    /// 24 bits.
    True,
}

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// The certified accuracy: what the eye lands on first.
    Certified,
    /// The same in small: sparklines.
    Spark,
    /// Clean accuracy on the test set.
    Clean,
    /// Training accuracy.
    Train,
    /// Measured at finite p: no certificate.
    Surrogate,
    /// A published result.
    Published,
    /// A loss.
    Loss,
    /// The exponent p.
    Exponent,
    /// A rate.
    Rate,
    /// Plain words.
    Text,
    /// Words to read second.
    Faint,
    /// Headings.
    Strong,
    /// It went well.
    Good,
    /// Look here soon.
    Warn,
    /// It went wrong.
    Bad,
    /// A key to press.
    Key,
}

/// The hues of Okabe and Ito, which colour-blind people tell apart too.
#[derive(Clone, Copy)]
enum Hue {
    Sky,
    Orange,
    Green,
    Purple,
    Yellow,
    Vermilion,
    Blue,
    Slate,
    Grey,
}

impl Hue {
    const RUNS: [Hue; 7] = [Hue::Sky, Hue::Orange, Hue::Green, Hue::Purple, Hue::Yellow, Hue::Vermilion, Hue::Blue];

    fn colour(self, depth: Depth, light: bool) -> Color {
        let (dark_rgb, light_rgb, dark_index, light_index, named) = match self {
            Hue::Sky => (0x56B4E9, 0x0072B2, 74, 25, Color::Cyan),
            Hue::Orange => (0xE69F00, 0xB36B00, 214, 130, Color::Yellow),
            Hue::Green => (0x2DB88A, 0x007A59, 36, 29, Color::Green),
            Hue::Purple => (0xCC79A7, 0x9C4878, 175, 132, Color::Magenta),
            Hue::Yellow => (0xF0E442, 0x7A6E00, 227, 58, Color::LightYellow),
            Hue::Vermilion => (0xF0743E, 0xC24A00, 209, 166, Color::LightRed),
            Hue::Blue => (0x7C9BF2, 0x2F4FB3, 69, 26, Color::LightBlue),
            Hue::Slate => (0x3F7FA8, 0x5A9CC8, 67, 67, Color::Blue),
            Hue::Grey => (0x7D8590, 0x6A7078, 245, 242, Color::DarkGray),
        };
        match depth {
            Depth::None => Color::Reset,
            Depth::Sixteen => named,
            Depth::Indexed => Color::Indexed(if light { light_index } else { dark_index }),
            Depth::True => Color::from_u32(if light { light_rgb } else { dark_rgb }),
        }
    }
}

impl Look {
    /// What this process's environment says.
    pub fn from_env() -> Look {
        Look::detect(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The same from any source of variables.
    pub fn detect(var: impl Fn(&str) -> Option<String>) -> Look {
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name)).unwrap_or_default().to_lowercase();
        let unicode = match var("LINF_ASCII").as_deref() {
            Some("0") => true,
            Some(_) => false,
            None => locale.contains("utf-8") || locale.contains("utf8"),
        };
        let term = var("TERM").unwrap_or_default();
        let plot = match (unicode, term.as_str()) {
            (false, _) => Plot::Ascii,
            (true, "linux") => Plot::HalfBlock,
            (true, _) => Plot::Braille,
        };
        let colourterm = var("COLORTERM").unwrap_or_default();
        let depth = if var("NO_COLOR").is_some() || term == "dumb" {
            Depth::None
        } else if colourterm.contains("truecolor") || colourterm.contains("24bit") {
            Depth::True
        } else if term.contains("256color") {
            Depth::Indexed
        } else {
            Depth::Sixteen
        };
        let light = match var("LINF_THEME").as_deref() {
            Some("light") => true,
            Some(_) => false,
            // Set by some terminals as foreground;background.
            None => var("COLORFGBG").is_some_and(|value| value.ends_with(";15") || value.ends_with(";7")),
        };
        Look { plot, unicode, depth, light }
    }

    /// The style of a tone.
    pub fn style(&self, tone: Tone) -> Style {
        let hue = |hue: Hue| Style::new().fg(hue.colour(self.depth, self.light));
        match tone {
            Tone::Certified => hue(Hue::Sky).add_modifier(Modifier::BOLD),
            Tone::Spark => hue(Hue::Slate),
            Tone::Clean => hue(Hue::Orange),
            Tone::Train => hue(Hue::Grey),
            Tone::Surrogate => hue(Hue::Purple),
            Tone::Published => hue(Hue::Yellow),
            Tone::Loss => hue(Hue::Vermilion),
            Tone::Exponent => hue(Hue::Green),
            Tone::Rate => hue(Hue::Blue),
            Tone::Text => Style::new(),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tone::Faint if self.depth == Depth::None => Style::new().add_modifier(Modifier::DIM),
            Tone::Faint => hue(Hue::Grey),
            Tone::Good => hue(Hue::Green),
            Tone::Warn => hue(Hue::Orange),
            Tone::Bad => hue(Hue::Vermilion).add_modifier(Modifier::BOLD),
            Tone::Key => hue(Hue::Sky),
        }
    }

    /// The colour of a run where several share a chart: always the same for the same run.
    pub fn run_style(&self, id: RunId) -> Style {
        let index = usize::try_from(id.0.rem_euclid(Hue::RUNS.len() as i64)).unwrap_or(0);
        Style::new().fg(Hue::RUNS[index].colour(self.depth, self.light))
    }

    /// What the line under the cursor is laid on.
    pub fn selection(&self) -> Style {
        match (self.depth, self.light) {
            (Depth::True, false) => Style::new().bg(Color::from_u32(0x2A3140)),
            (Depth::True, true) => Style::new().bg(Color::from_u32(0xDDE6F2)),
            (Depth::Indexed, false) => Style::new().bg(Color::Indexed(237)),
            (Depth::Indexed, true) => Style::new().bg(Color::Indexed(253)),
            (Depth::Sixteen | Depth::None, _) => Style::new().add_modifier(Modifier::REVERSED),
        }
    }

    /// The glyph of a state. The word beside it says the same, so no colour has to.
    pub fn state_glyph(&self, state: &RunState) -> (&'static str, Style) {
        let (glyph, ascii, tone) = match state {
            RunState::Queued { .. } => ("◌", "o", Tone::Faint),
            RunState::Starting { .. } => ("◍", "*", Tone::Good),
            RunState::Running { .. } => ("●", "*", Tone::Good),
            RunState::Pausing { .. } => ("◐", "=", Tone::Warn),
            RunState::Paused { .. } => ("‖", "=", Tone::Warn),
            RunState::Cancelling { .. } => ("◐", "/", Tone::Faint),
            RunState::Completed => ("✓", "+", Tone::Good),
            RunState::Failed { .. } => ("✗", "!", Tone::Bad),
            RunState::Cancelled { .. } => ("⊘", "/", Tone::Faint),
            RunState::Lost { .. } => ("?", "?", Tone::Bad),
        };
        (if self.unicode { glyph } else { ascii }, self.style(tone))
    }

    /// An exponent in few columns.
    pub fn exponent(&self, p: PNorm) -> String {
        if p.is_infinite() && !self.unicode { "inf".into() } else { p.to_string() }
    }

    /// The nearest ASCII to a symbol that the screens use, for terminals that show nothing else.
    pub fn ascii(symbol: &str) -> &'static str {
        match symbol {
            "─" | "┄" | "┈" | "╌" | "▱" | "–" | "—" => "-",
            "━" => "=",
            "│" | "┊" | "┆" => "|",
            "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" | "╭" | "╮" | "╰" | "╯" | "±" | "◆" => {
                "+"
            }
            "▰" | "█" | "▓" | "═" => "#",
            "▒" | "░" => ":",
            "×" => "x",
            "ε" => "e",
            "λ" => "l",
            "θ" => "t",
            "σ" => "s",
            "∞" => "I",
            "ℓ" => "l",
            "≥" | "▸" | "→" | "▶" => ">",
            "≤" | "◀" | "←" => "<",
            "▾" | "↓" | "▼" => "v",
            "↑" | "▲" | "▴" => "^",
            "▁" => "_",
            "▂" => ".",
            "▃" => ",",
            "▄" => "-",
            "▅" => "~",
            "▆" => "=",
            "▇" => "^",
            "✓" => "+",
            "✗" => "!",
            "·" | "…" => ".",
            "●" => "*",
            _ => "?",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(vars: &[(&str, &str)]) -> Look {
        Look::detect(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_locale_decides_on_unicode() {
        assert!(look(&[("LANG", "en_GB.UTF-8")]).unicode);
        assert!(!look(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]).unicode, "LC_ALL wins");
        assert_eq!(look(&[("LANG", "C.utf8"), ("LINF_ASCII", "1")]).plot, Plot::Ascii);
        assert_eq!(look(&[("LINF_ASCII", "0")]).plot, Plot::Braille);
        assert_eq!(look(&[("LANG", "C.utf8"), ("TERM", "linux")]).plot, Plot::HalfBlock);
    }

    #[test]
    fn no_color_leaves_no_colour() {
        let look = look(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")]);
        assert_eq!(look.depth, Depth::None);
        for tone in [Tone::Certified, Tone::Bad, Tone::Faint, Tone::Key] {
            assert!(matches!(look.style(tone).fg, None | Some(Color::Reset)), "{tone:?}");
        }
        assert_eq!(look.selection().bg, None);
    }

    #[test]
    fn states_differ_by_glyph_or_word_without_colour() {
        let look = look(&[("NO_COLOR", "1")]);
        let states =
            [RunState::Completed, RunState::Cancelled { checkpoint: None }, RunState::Paused { checkpoint: None }];
        let glyphs: std::collections::HashSet<_> = states.iter().map(|state| look.state_glyph(state).0).collect();
        assert_eq!(glyphs.len(), states.len());
    }
}
