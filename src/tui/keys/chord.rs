//! One key, as the terminal sends it, as the screens write it, and as the settings spell it.

use std::{fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    pub(super) code: KeyCode,
    pub(super) control: bool,
}

/// The keys that have a name in the settings.
const NAMED: [(&str, KeyCode); 16] = [
    ("space", KeyCode::Char(' ')),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("shift-tab", KeyCode::BackTab),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("page-up", KeyCode::PageUp),
    ("page-down", KeyCode::PageDown),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
];

/// Why a word is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownKey {
    /// It is none.
    #[error(
        "\"{0}\" is no key; allowed: one character (\"p\", \"P\", \"+\"), \"ctrl-a\" to \"ctrl-z\", \"f1\" to \"f12\", {names}",
        names = NAMED.map(|(name, _)| name).join(", ")
    )]
    None(String),
    /// Terminals send another key for it.
    #[error("\"{0}\" cannot be told from {1}: terminals send the same for both; allowed: \"ctrl-\" and another letter")]
    Same(String, &'static str),
}

impl Chord {
    /// The chord of a key event. Shift is already in the letter.
    pub fn of(event: &KeyEvent) -> Chord {
        Chord { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) }
    }

    /// Whether it is typed where text is.
    pub fn is_text(&self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && !self.control
    }

    /// How the settings spell it; what [`Chord::from_str`] reads.
    pub fn spelling(&self) -> String {
        match self.code {
            KeyCode::Char(letter) if self.control => format!("ctrl-{letter}"),
            KeyCode::F(number) => format!("f{number}"),
            code => match (NAMED.iter().find(|(_, named)| *named == code), code) {
                (Some((name, _)), _) => (*name).to_owned(),
                (None, KeyCode::Char(letter)) => letter.to_string(),
                (None, other) => format!("{other:?}").to_lowercase(),
            },
        }
    }
}

impl FromStr for Chord {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Chord, UnknownKey> {
        let unknown = || UnknownKey::None(text.to_owned());
        let mut letters = text.chars();
        if let (Some(letter), None) = (letters.next(), letters.next()) {
            let visible = !letter.is_control() && !letter.is_whitespace();
            return visible.then_some(Chord { code: KeyCode::Char(letter), control: false }).ok_or_else(unknown);
        }
        if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(Chord { code: *code, control: false });
        }
        if let Some(letter) = text.strip_prefix("ctrl-") {
            return match letter.as_bytes() {
                b"i" => Err(UnknownKey::Same(text.to_owned(), "tab")),
                b"m" => Err(UnknownKey::Same(text.to_owned(), "enter")),
                [letter @ b'a'..=b'z'] => Ok(Chord { code: KeyCode::Char(char::from(*letter)), control: true }),
                _ => Err(unknown()),
            };
        }
        let number = text.strip_prefix('f').filter(|number| !number.starts_with('0') && !number.starts_with('+'));
        match number.and_then(|number| number.parse::<u8>().ok()) {
            Some(number @ 1..=12) => Ok(Chord { code: KeyCode::F(number), control: false }),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.code {
            KeyCode::Char(letter) if self.control => format!("^{letter}"),
            KeyCode::Up => "↑".into(),
            KeyCode::Down => "↓".into(),
            KeyCode::Left => "←".into(),
            KeyCode::Right => "→".into(),
            KeyCode::PageUp => "page up".into(),
            KeyCode::PageDown => "page down".into(),
            _ => self.spelling(),
        };
        f.pad(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_is_spelled() {
        for word in "p P + ö space enter shift-tab page-up f1 f12 ctrl-q backspace ? -".split(' ') {
            assert_eq!(word.parse::<Chord>().unwrap().spelling(), word);
        }
    }

    #[test]
    fn what_no_terminal_sends_is_refused() {
        for word in ["", " ", "ctrl-", "ctrl-Q", "ctrl-1", "f0", "f13", "f+1", "alt-x", "pp", "Enter", "\n"] {
            let error = word.parse::<Chord>().unwrap_err().to_string();
            assert!(error.contains("is no key") && error.contains("page-down"), "{error}");
        }
        assert!("ctrl-i".parse::<Chord>().unwrap_err().to_string().contains("told from tab"));
    }
}
