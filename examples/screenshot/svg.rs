//! A terminal screen as SVG. Braille, blocks and lines are drawn as shapes, so the picture does not depend on a font's idea of them.

use std::fmt::Write;

use linf::tui::chart::{escaped, hex};
use ratatui::{
    buffer::{Buffer, Cell},
    style::Modifier,
};

/// Width and height of a cell.
const CELL: (f64, f64) = (8.4, 17.0);

/// The picture.
pub fn write(buffer: &Buffer, light: bool) -> String {
    let (ground, ink) = if light { ("#ffffff", "#1f2328") } else { ("#14171c", "#d5dae1") };
    let area = buffer.area;
    let (width, height) = (f64::from(area.width) * CELL.0 + 16.0, f64::from(area.height) * CELL.1 + 16.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-size=\"13.5\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{ground}\"/>\n<g transform=\"translate(8 8)\">\n"
    );
    for y in 0..area.height {
        for x in 0..area.width {
            cell(&mut svg, &buffer[(x, y)], f64::from(x) * CELL.0, f64::from(y) * CELL.1, (ground, ink));
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn cell(svg: &mut String, cell: &Cell, x: f64, y: f64, (ground, ink): (&str, &str)) {
    let reversed = cell.modifier.contains(Modifier::REVERSED);
    let (fore, back) = (hex(cell.fg), hex(cell.bg));
    let (fore, back) = if reversed {
        (back.unwrap_or_else(|| ground.into()), Some(fore.unwrap_or_else(|| ink.into())))
    } else {
        (fore.unwrap_or_else(|| ink.into()), back)
    };
    let (width, height) = CELL;
    let mut rectangle = |x: f64, y: f64, width: f64, height: f64, fill: &str| {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{fill}\"/>"
        );
    };
    if let Some(back) = back {
        rectangle(x, y, width + 0.1, height + 0.1, &back);
    }
    let Some(symbol) = cell.symbol().chars().next().filter(|symbol| *symbol != ' ') else { return };
    let (middle, centre) = (x + width / 2.0, y + height / 2.0);
    let mut lines = |left: bool, right: bool, up: bool, down: bool| {
        if left || right {
            let from = if left { x } else { middle };
            rectangle(from, centre - 0.5, if left && right { width } else { width / 2.0 }, 1.0, &fore);
        }
        if up || down {
            let from = if up { y } else { centre };
            rectangle(middle - 0.5, from, 1.0, if up && down { height } else { height / 2.0 }, &fore);
        }
    };
    match symbol {
        '─' => lines(true, true, false, false),
        '│' => lines(false, false, true, true),
        '╭' | '┌' => lines(false, true, false, true),
        '╮' | '┐' => lines(true, false, false, true),
        '╰' | '└' => lines(false, true, true, false),
        '╯' | '┘' => lines(true, false, true, false),
        '┤' => lines(true, false, true, true),
        '┴' => lines(true, true, true, false),
        '┄' => {
            for part in 0..2 {
                rectangle(x + f64::from(part) * width / 2.0, centre - 0.5, width / 4.0, 1.0, &fore);
            }
        }
        '┊' => {
            for part in 0..4 {
                rectangle(middle - 0.5, y + f64::from(part) * height / 4.0, 1.0, height / 8.0, &fore);
            }
        }
        '▀' => rectangle(x, y, width + 0.1, height / 2.0 + 0.1, &fore),
        '▰' => rectangle(x + 0.8, y + 4.5, width - 1.6, height - 9.0, &fore),
        '▱' => {
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\" stroke=\"{fore}\" stroke-width=\"0.8\"/>",
                x + 1.2,
                y + 4.9,
                width - 2.4,
                height - 9.8
            );
        }
        '\u{2581}'..='\u{2588}' => {
            let eighths = f64::from(u32::from(symbol) - 0x2580);
            let part = height * eighths / 8.0;
            rectangle(x, y + height - part, width + 0.1, part, &fore);
        }
        '\u{2800}'..='\u{28FF}' => braille(svg, u32::from(symbol) - 0x2800, x, y, &fore),
        other => {
            let weight = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
            let escaped = escaped(&other.to_string());
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{fore}\"{weight}>{escaped}</text>",
                y + height * 0.76
            );
        }
    }
}

/// The dots of a braille character, each a little circle.
fn braille(svg: &mut String, mask: u32, x: f64, y: f64, fill: &str) {
    const DOTS: [(u32, f64, f64); 8] = [
        (0x01, 0.0, 0.0),
        (0x02, 0.0, 1.0),
        (0x04, 0.0, 2.0),
        (0x40, 0.0, 3.0),
        (0x08, 1.0, 0.0),
        (0x10, 1.0, 1.0),
        (0x20, 1.0, 2.0),
        (0x80, 1.0, 3.0),
    ];
    for (_, column, row) in DOTS.into_iter().filter(|(bit, ..)| mask & bit != 0) {
        let (cx, cy) = (x + (column + 0.5) * CELL.0 / 2.0, y + (row + 0.5) * CELL.1 / 4.0);
        let _ = writeln!(svg, "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"1.45\" fill=\"{fill}\"/>");
    }
}
