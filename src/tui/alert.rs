//! What the terminal is told when a run has ended, for whoever looks elsewhere.

use std::str::FromStr;

use super::settings::words::{name_of, of_name};

/// How it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alert {
    /// Not at all.
    #[default]
    Off,
    /// By the bell.
    Bell,
    /// By a notification of the desktop (OSC 9), from terminals that have them.
    Osc9,
    /// By both.
    Both,
}

/// As much of a sentence as a notification has room for.
const MOST: usize = 200;

impl Alert {
    /// All of them, with their names.
    pub const ALL: [(&str, Alert); 4] =
        [("off", Alert::Off), ("bell", Alert::Bell), ("osc9", Alert::Osc9), ("both", Alert::Both)];

    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        name_of(&Alert::ALL, &self)
    }

    /// What is sent to the terminal. Whatever the text holds, it ends no sequence and begins none.
    pub fn sequence(self, text: &str) -> String {
        let text: String = text.chars().filter(|letter| !letter.is_control()).take(MOST).collect();
        let notification = format!("\x1b]9;{text}\x1b\\");
        match self {
            Alert::Off => String::new(),
            Alert::Bell => "\x07".into(),
            Alert::Osc9 => notification,
            Alert::Both => format!("\x07{notification}"),
        }
    }
}

impl FromStr for Alert {
    type Err = String;

    fn from_str(text: &str) -> Result<Alert, String> {
        of_name(&Alert::ALL, text, "alert")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_reads_as_it_is_written() {
        for (name, alert) in Alert::ALL {
            assert_eq!((name.parse(), alert.name()), (Ok(alert), name));
        }
        assert!("ring".parse::<Alert>().unwrap_err().contains("\"osc9\""));
    }

    #[test]
    fn no_text_breaks_out_of_a_notification() {
        let sent = Alert::Both.sequence("failed: a\x07b\x1b]52;c;AAAA\x1b\\\u{9c}\nover");
        assert_eq!(sent, "\x07\x1b]9;failed: ab]52;c;AAAA\\over\x1b\\");
        assert_eq!(Alert::Off.sequence("x"), "");
        assert!(Alert::Osc9.sequence(&"é".repeat(1000)).chars().count() < 210);
    }
}
