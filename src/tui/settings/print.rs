//! Settings as a file that says the same.

use std::fmt::Write;

use super::Settings;
use crate::tui::{
    columns::{Columns, SPECS},
    keys::{Binding, Keymap},
};

/// The settings as TOML: every key, with its meaning as a comment.
pub fn print(settings: &Settings) -> String {
    let mut text = format!(
        "# Colours: \"auto\" as the terminal says, for a \"dark\" or a \"light\" background, the \"16\" of the terminal's own\n\
         # palette, or \"none\". LINF_THEME says the same for one start; with NO_COLOR there are none.\n\
         theme = \"{}\"\n\n\
         # The dots of curves: \"braille\", \"octants\" (no gaps, where the font or the terminal has those of Unicode 16),\n\
         # \"half-blocks\" or \"letters\"; \"auto\" is the finest that the terminal is known to show.\n\
         dots = \"{}\"\n\n\
         # What the terminal is told when a run ends: \"off\" nothing, its \"bell\" rings, or \"osc9\" for a notification of the\n\
         # desktop, from terminals that know OSC 9; or \"both\".\n\
         alert = \"{}\"\n\n\
         # How test images are shown: \"auto\" as pictures in terminals known for them (not inside tmux or screen), else in\n\
         # \"cells\"; or by \"kitty\" or \"sixel\" in a terminal that knows that. LINF_IMAGES says the same for one start.\n\
         images = \"{}\"\n\n\
         # Whether the mouse is listened to: a click chooses a line or a tab, the wheel scrolls, and zooms charts. To mark text\n\
         # one then holds shift in most terminals.\n\
         mouse = {}\n\n\
         {}\n\
         # Which key does what: one key, or a list of them, the first of which is shown; an empty list takes the key away.\n\
         [keys]\n",
        settings.theme.name(),
        settings.dots.name(),
        settings.alert.name(),
        settings.images.name(),
        settings.mouse,
        columns(&settings.columns),
    );
    let table = settings.keys.table();
    let mut before = "";
    for name in Keymap::names() {
        let lines: Vec<&Binding> = table.iter().filter(|binding| binding.name == name).collect();
        let Some(first) = lines.first() else { continue };
        let heading = first.place.heading();
        if heading != before {
            let _ = write!(text, "\n# {heading}\n");
            before = heading;
        }
        let elsewhere: Vec<&str> = lines[1..].iter().map(|binding| binding.place.heading()).collect();
        let elsewhere =
            if elsewhere.is_empty() { String::new() } else { format!(" (also in: {})", elsewhere.join(", ")) };
        let _ = writeln!(text, "{name} = {} # {}{elsewhere}", keys(first), first.help);
    }
    text
}

/// The columns, and what each of them shows.
fn columns(columns: &Columns) -> String {
    let mut text = "# The columns of the runs list, in their order: those that have room are shown. A number sets a width, as in\n\
                    # \"certified:9\". C chooses them on the screen and writes them here. There are:\n\
                    #   run        the run's name; always the first\n"
        .to_owned();
    for spec in SPECS {
        let _ = writeln!(text, "#   {:10} {}", spec.name, spec.meaning);
    }
    text.push_str("columns = [");
    let words: Vec<String> = columns.words().into_iter().map(|word| toml::Value::String(word).to_string()).collect();
    // Seven a line, so that no line is too long.
    for line in words.chunks(7) {
        let _ = write!(text, "\n    {},", line.join(", "));
    }
    text.push_str("\n]\n");
    text
}

fn keys(binding: &Binding) -> String {
    let word = |chord: &crate::tui::keys::Chord| toml::Value::String(chord.spelling()).to_string();
    match binding.keys.as_ref() {
        [one] => word(one),
        several => format!("[{}]", several.iter().map(word).collect::<Vec<_>>().join(", ")),
    }
}
