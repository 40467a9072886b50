//! Themes, and the hues that they have in common.
//!
//! A theme says what stands before the terminal's own background and never paints one: the terminal's user chose it.

use std::str::FromStr;

use ratatui::style::Color;

use super::{
    look::Depth,
    settings::words::{name_of, of_name},
};

/// Which colours there are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As many as the terminal says it has, for the background it says it has; dark where it does not say.
    #[default]
    Auto,
    /// For a dark background.
    Dark,
    /// For a light background.
    Light,
    /// The sixteen of the terminal's own palette, whatever it has besides.
    Sixteen,
    /// None: bold, dim and reverse only.
    None,
}

impl Theme {
    /// All of them, with their names.
    pub const ALL: [(&str, Theme); 5] = [
        ("auto", Theme::Auto),
        ("dark", Theme::Dark),
        ("light", Theme::Light),
        ("16", Theme::Sixteen),
        ("none", Theme::None),
    ];

    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        name_of(&Theme::ALL, &self)
    }
}

impl FromStr for Theme {
    type Err = String;

    fn from_str(text: &str) -> Result<Theme, String> {
        of_name(&Theme::ALL, text, "theme")
    }
}

/// The hues of Okabe and Ito, which colour-blind people tell apart too: on a light background darker, for contrast.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hue {
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
    /// The hues of runs that share a chart.
    pub const RUNS: [Hue; 7] = [Hue::Sky, Hue::Orange, Hue::Green, Hue::Purple, Hue::Yellow, Hue::Vermilion, Hue::Blue];

    /// It, in as many colours as there are.
    pub fn colour(self, depth: Depth, light: bool) -> Color {
        let (dark, on_light) = match self {
            Hue::Sky => ((0x56B4E9, 74, Color::Cyan), (0x005A9C, 25, Color::Blue)),
            Hue::Orange => ((0xE69F00, 214, Color::Yellow), (0x8F5500, 94, Color::Yellow)),
            Hue::Green => ((0x2DB88A, 36, Color::Green), (0x006B4F, 22, Color::Green)),
            Hue::Purple => ((0xCC79A7, 175, Color::Magenta), (0x94406F, 96, Color::Magenta)),
            Hue::Yellow => ((0xF0E442, 227, Color::LightYellow), (0x5A5200, 58, Color::Black)),
            Hue::Vermilion => ((0xF0743E, 209, Color::LightRed), (0xA83800, 124, Color::Red)),
            Hue::Blue => ((0x7C9BF2, 69, Color::LightBlue), (0x3A49B8, 19, Color::LightBlue)),
            Hue::Slate => ((0x5C9CC6, 67, Color::Blue), (0x2F6690, 24, Color::Cyan)),
            Hue::Grey => ((0x8F98A4, 245, Color::DarkGray), (0x5A6068, 240, Color::DarkGray)),
        };
        let (rgb, index, named) = if light { on_light } else { dark };
        match depth {
            Depth::None => Color::Reset,
            Depth::Sixteen => named,
            Depth::Indexed => Color::Indexed(index),
            Depth::True => Color::from_u32(rgb),
        }
    }
}

/// What the line under the cursor is laid on, where there are colours enough.
pub(super) fn selection(depth: Depth, light: bool) -> Option<Color> {
    match (depth, light) {
        (Depth::True, false) => Some(Color::from_u32(0x262C3A)),
        (Depth::True, true) => Some(Color::from_u32(0xDDE6F2)),
        (Depth::Indexed, false) => Some(Color::Indexed(236)),
        (Depth::Indexed, true) => Some(Color::Indexed(255)),
        (Depth::Sixteen | Depth::None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUES: [Hue; 9] =
        [Hue::Sky, Hue::Orange, Hue::Green, Hue::Purple, Hue::Yellow, Hue::Vermilion, Hue::Blue, Hue::Slate, Hue::Grey];
    const BLACK: Color = Color::Rgb(0, 0, 0);
    /// What the dark backgrounds of today's terminals are at their lightest, more or less.
    const CHARCOAL: Color = Color::Rgb(0x1E, 0x1E, 0x1E);
    const WHITE: Color = Color::Rgb(255, 255, 255);

    /// Red, green and blue; of the 256 of xterm as xterm has them.
    fn rgb(colour: Color) -> [u8; 3] {
        match colour {
            Color::Rgb(red, green, blue) => [red, green, blue],
            Color::Indexed(grey @ 232..) => [8 + 10 * (grey - 232); 3],
            Color::Indexed(index @ 16..) => {
                let level = |digit: u8| if digit == 0 { 0 } else { 55 + 40 * digit };
                [(index - 16) / 36, (index - 16) / 6 % 6, (index - 16) % 6].map(level)
            }
            other => panic!("{other:?} is the terminal's own"),
        }
    }

    /// Relative luminance by the Web Content Accessibility Guidelines.
    fn luminance(colour: Color) -> f64 {
        let [red, green, blue] = rgb(colour).map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(one: Color, other: Color) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_stands_out_from_its_background() {
        assert!((contrast(BLACK, WHITE) - 21.0).abs() < 1e-9);
        let mut faults = Vec::new();
        for (light, grounds) in [(false, vec![BLACK, CHARCOAL]), (true, vec![WHITE])] {
            let grounds = grounds.into_iter().chain(selection(Depth::True, light));
            for ground in grounds {
                for hue in HUES {
                    let contrast = contrast(hue.colour(Depth::True, light), ground);
                    if contrast < 4.5 {
                        faults.push(format!("{hue:?} on {ground:?}: {contrast:.2}"));
                    }
                }
            }
            for hue in HUES {
                let ground = if light { WHITE } else { BLACK };
                let contrast = contrast(hue.colour(Depth::Indexed, light), ground);
                if contrast < 4.5 {
                    faults.push(format!("{hue:?} of 256 on {ground:?}: {contrast:.2}"));
                }
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
    }

    #[test]
    fn runs_that_share_a_chart_differ_in_every_theme() {
        for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
            for light in [false, true] {
                let colours: std::collections::HashSet<Color> =
                    Hue::RUNS.iter().map(|hue| hue.colour(depth, light)).collect();
                assert_eq!(colours.len(), Hue::RUNS.len(), "{depth:?} {light}");
            }
        }
    }

    #[test]
    fn a_theme_reads_as_it_is_written() {
        for (name, theme) in Theme::ALL {
            assert_eq!((name.parse(), theme.name()), (Ok(theme), name));
        }
        assert!("neon".parse::<Theme>().unwrap_err().contains("\"16\""));
    }
}
