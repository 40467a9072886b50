//! Every theme, with its colours in letters.

use std::fmt::Write;

use linf::tui::{
    look::{Look, Plot},
    model::Model,
    theme::Theme,
};
use ratatui::{buffer::Cell, style::Color};

use crate::fixture::{drawn, model, press};

/// A terminal of 24 bits under a theme.
fn under(theme: Theme) -> Look {
    let vars = [("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")];
    Look::detect(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()), theme)
}

fn style(cell: &Cell) -> String {
    let colour = |colour: Color| match colour {
        Color::Reset => "terminal's".to_owned(),
        other => other.to_string().to_lowercase(),
    };
    let modifiers = if cell.modifier.is_empty() { String::new() } else { format!(", {:?}", cell.modifier) };
    format!("{} on {}{modifiers}", colour(cell.fg), colour(cell.bg))
}

/// The screen, below each of its lines the styles of its symbols as letters, and what the letters mean.
fn coloured(model: &Model) -> String {
    let buffer = drawn(model);
    let (width, height) = model.size;
    let mut styles: Vec<String> = Vec::new();
    let mut text = String::new();
    for y in 0..height {
        let (mut symbols, mut letters) = (String::new(), String::new());
        for x in 0..width {
            let cell = &buffer[(x, y)];
            symbols.push_str(cell.symbol());
            // Of a blank only the ground can be seen.
            let style = style(cell);
            let plain = cell.symbol() == " " && style.ends_with("on terminal's");
            if plain || style == "terminal's on terminal's" {
                letters.push(' ');
                continue;
            }
            let index = styles.iter().position(|known| *known == style).unwrap_or_else(|| {
                styles.push(style);
                styles.len() - 1
            });
            letters.push(char::from(b"abcdefghijklmnopqrstuvwxyz"[index]));
        }
        let _ = writeln!(text, "|{}\n:{}", symbols.trim_end(), letters.trim_end());
    }
    for (style, letter) in styles.iter().zip('a'..) {
        let _ = writeln!(text, "{letter} = {style}");
    }
    text
}

#[test]
fn each_theme_has_its_colours() {
    for (name, theme) in Theme::ALL.into_iter().filter(|(_, theme)| *theme != Theme::Auto) {
        let look = under(theme);
        assert_eq!(look.plot, Plot::Braille);
        let mut model = model(look, (110, 30));
        press(&mut model, "j");
        insta::assert_snapshot!(format!("theme_{name}"), coloured(&model));
    }
}

#[test]
fn colours_of_the_terminals_own_palette_are_all_that_16_sends() {
    for keys in ["", "<enter>", "<enter>2", "<enter>3", "<enter>5", "m", "?", "jjjjjjc"] {
        for light in [false, true] {
            let mut model = model(Look { light, ..under(Theme::Sixteen) }, (120, 40));
            press(&mut model, keys);
            for cell in drawn(&model).content() {
                for colour in [cell.fg, cell.bg] {
                    assert!(!matches!(colour, Color::Rgb(..) | Color::Indexed(_)), "{keys}: {cell:?}");
                }
            }
        }
    }
}
