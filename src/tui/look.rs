//! What the terminal can show, and the colours and glyphs chosen for it.
//!
//! Read from the environment alone: a query to the terminal can leave garbage on a slow line.

use std::str::FromStr;

use ratatui::style::{Modifier, Style};

use super::{
    settings::words::{name_of, of_name},
    theme::{Hue, Theme, selection},
};
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
    /// The same without gaps between them, from fonts of Unicode 16 and terminals that draw them by themselves.
    Octants,
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

/// What the settings say about the dots of curves; nothing: the finest that the terminal is known to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dots(pub Option<Plot>);

impl Dots {
    /// All of them, with their names.
    pub const ALL: [(&str, Dots); 5] = [
        ("auto", Dots(None)),
        ("braille", Dots(Some(Plot::Braille))),
        ("octants", Dots(Some(Plot::Octants))),
        ("half-blocks", Dots(Some(Plot::HalfBlock))),
        ("letters", Dots(Some(Plot::Ascii))),
    ];

    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        name_of(&Dots::ALL, &self)
    }
}

impl FromStr for Dots {
    type Err = String;

    fn from_str(text: &str) -> Result<Dots, String> {
        of_name(&Dots::ALL, text, "kind of dots")
    }
}

impl Look {
    /// The same with the dots that the settings ask for, where the terminal shows more than ASCII.
    pub fn with_dots(self, dots: Dots) -> Look {
        Look { plot: dots.0.filter(|_| self.unicode).unwrap_or(self.plot), ..self }
    }

    /// What this process's environment says, with the theme that the settings ask for.
    pub fn from_env(theme: Theme) -> Look {
        Look::detect(|name| std::env::var(name).ok().filter(|value| !value.is_empty()), theme)
    }

    /// The same from any source of variables.
    pub fn detect(var: impl Fn(&str) -> Option<String>, theme: Theme) -> Look {
        // For one terminal among others: the variable has the last word.
        let theme = var("LINF_THEME").and_then(|name| name.parse().ok()).unwrap_or(theme);
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
        let depth = match theme {
            Theme::None => Depth::None,
            Theme::Sixteen if depth != Depth::None => Depth::Sixteen,
            Theme::Auto | Theme::Dark | Theme::Light | Theme::Sixteen => depth,
        };
        let light = match theme {
            Theme::Light => true,
            Theme::Dark => false,
            // Set by some terminals as foreground;background.
            Theme::Auto | Theme::Sixteen | Theme::None => {
                var("COLORFGBG").is_some_and(|value| value.ends_with(";15") || value.ends_with(";7"))
            }
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
        match selection(self.depth, self.light) {
            Some(ground) => Style::new().bg(ground),
            None => Style::new().add_modifier(Modifier::REVERSED),
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
            "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" | "╭" | "╮" | "╰" | "╯" | "◆" => {
                "+"
            }
            "±" => "~",
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
    use ratatui::style::Color;

    use super::*;

    fn themed(vars: &[(&str, &str)], theme: Theme) -> Look {
        Look::detect(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()), theme)
    }

    fn look(vars: &[(&str, &str)]) -> Look {
        themed(vars, Theme::Auto)
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
    fn a_theme_changes_what_the_terminal_says_and_no_more() {
        let rich = [("COLORTERM", "truecolor"), ("COLORFGBG", "0;15")];
        let is = |theme| (themed(&rich, theme).depth, themed(&rich, theme).light);
        assert_eq!(is(Theme::Auto), (Depth::True, true));
        assert_eq!(is(Theme::Dark), (Depth::True, false));
        assert_eq!(is(Theme::Sixteen), (Depth::Sixteen, true));
        assert_eq!(is(Theme::None).0, Depth::None);
        assert_eq!(
            themed(&[("TERM", "xterm-256color")], Theme::Light),
            Look { light: true, depth: Depth::Indexed, ..look(&[]) }
        );
        for theme in [Theme::Light, Theme::Sixteen] {
            assert_eq!(themed(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")], theme).depth, Depth::None);
        }
        assert_eq!(themed(&[("LINF_THEME", "none")], Theme::Dark).depth, Depth::None, "the variable wins");
        assert!(themed(&[("LINF_THEME", "neon")], Theme::Light).light, "no theme is no wish");
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
