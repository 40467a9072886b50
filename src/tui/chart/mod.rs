//! The chart: curves over bands and reference lines, with axes on the left and below and the values on the right.
//!
//! A curve of any length costs one pass over its points ([`decimate`]) for each view of them ([`points`]), and in every frame one
//! over its columns of dots ([`raster`]).

mod axis;
mod backdrop;
mod decimate;
mod points;
mod raster;
mod svg;

use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

pub use axis::{Axis, Scale};
pub use backdrop::{Band, Mark, Rule};
pub use points::Points;
pub use raster::Line;
pub use svg::{LARGEST, SMALLEST, escaped, hex};

use super::{
    look::{Look, Tone},
    pen::Pen,
    wording,
};
use raster::Raster;

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its name in the legend; empty keeps it out.
    pub name: String,
    /// Its points.
    pub points: Points,
    /// Its colour.
    pub style: Style,
    /// How it is drawn.
    pub line: Line,
}

impl Curve {
    /// The value shown in the legend: the last up to `cursor`, or the last of all.
    fn value(&self, cursor: Option<f64>) -> Option<f64> {
        let upto = match cursor {
            Some(x) => self.points.partition_point(|point| point.0 <= x + 1e-9),
            None => self.points.len(),
        };
        self.points[..upto].iter().rev().map(|point| point.1).find(|y| y.is_finite())
    }
}

/// A level to compare with.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Its height.
    pub y: f64,
    /// What it is called.
    pub label: String,
    /// Its colour.
    pub style: Style,
}

/// Everything a chart shows. Curves are drawn in order, so the most important one comes last.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The words above it; empty for none.
    pub title: String,
    /// Whether it has the keys.
    pub focused: bool,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Across.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// The phases behind the curves.
    pub bands: Vec<Band>,
    /// What happened on the way.
    pub marks: Vec<Mark>,
    /// Levels to compare with.
    pub references: Vec<Reference>,
    /// Where the legend reads the curves; at their ends where there is none.
    pub cursor: Option<f64>,
    /// How a value is written in the legend.
    pub figure: Figure,
}

/// How values are written in a legend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// Four digits behind the point.
    Share,
    /// Four significant digits.
    Short,
    /// An exponent p; everything above this level is ∞.
    Exponent(f64),
}

impl Figure {
    fn text(self, value: f64) -> String {
        match self {
            Figure::Share => format!("{value:.4}"),
            Figure::Short => wording::figure(value),
            Figure::Exponent(top) if value > top => "= ∞".into(),
            Figure::Exponent(_) => format!("{value:.1}"),
        }
    }
}

/// What the legend says of a curve or a reference.
struct Label {
    y: f64,
    text: String,
    style: Style,
}

impl Chart {
    /// Draws it into all of `pen`, whatever its size.
    pub fn draw(&self, look: &Look, mut pen: Pen<'_>) {
        let (width, height) = (pen.width(), pen.height());
        let labels = self.labels(look);
        let top = u16::from(height >= 5 && !self.title.is_empty());
        let bottom = if height >= 5 { 2 } else { 0 };
        let y_ticks = self.y.ticks(usize::from((height.saturating_sub(top + bottom) / 3).clamp(1, 10)));
        let left = match y_ticks.iter().map(|(_, text)| text.width()).max() {
            Some(widest) if width >= 16 => u16::try_from(widest).unwrap_or(0) + 1,
            _ => 0,
        };
        let legend = labels.iter().map(|label| label.text.width()).max().map_or(0, |widest| widest as u16 + 2);
        let right = if width >= 44 && legend <= width * 2 / 5 { legend } else { 0 };
        self.draw_title(look, &mut pen, if right == 0 { &labels } else { &[] });
        let (plot_width, plot_height) = (width.saturating_sub(left + right), height.saturating_sub(top + bottom));
        if plot_width == 0 || plot_height == 0 {
            return;
        }
        self.draw_axes(look, &mut pen.part(0, top, left + plot_width, plot_height + bottom), left, &y_ticks);
        self.draw_plot(look, pen.part(left, top, plot_width, plot_height));
        if right > 0 {
            self.draw_legend(pen.part(width - right + 1, top, right - 1, plot_height), &labels);
        }
    }

    fn labels(&self, look: &Look) -> Vec<Label> {
        let letters = Raster::new(look.plot, 0, 0);
        let curves =
            self.curves.iter().zip(0u8..).filter(|(curve, _)| !curve.name.is_empty()).filter_map(|(curve, owner)| {
                let y = curve.value(self.cursor)?;
                let letter = letters.letter(owner).map(|letter| format!("{letter} ")).unwrap_or_default();
                Some(Label { y, text: format!("{letter}{} {}", curve.name, self.figure.text(y)), style: curve.style })
            });
        let references = self.references.iter().map(|reference| Label {
            y: reference.y,
            text: format!("{} {}", reference.label, self.figure.text(reference.y)),
            style: reference.style,
        });
        // The curve drawn last is named first.
        curves.collect::<Vec<_>>().into_iter().rev().chain(references).collect()
    }

    fn draw_title(&self, look: &Look, pen: &mut Pen<'_>, labels: &[Label]) {
        if pen.height() < 5 || self.title.is_empty() {
            return;
        }
        let style = look.style(if self.focused { Tone::Strong } else { Tone::Faint });
        let mut x = pen.text(0, 0, if self.focused { "▸ " } else { "  " }, look.style(Tone::Key));
        x = pen.text(x, 0, &self.title, style);
        for label in labels {
            x = pen.text(x + 2, 0, &label.text, label.style);
        }
    }

    fn draw_axes(&self, look: &Look, pen: &mut Pen<'_>, left: u16, y_ticks: &[(f64, String)]) {
        let faint = look.style(Tone::Faint);
        let (width, height) = (pen.width(), pen.height());
        let rows = if height > 2 && left > 0 { height - 2 } else { height };
        if left > 0 {
            for y in 0..rows {
                pen.symbol(left - 1, y, "│", faint);
            }
            let mut free = rows;
            for (value, text) in y_ticks {
                let place = self.y.place(*value);
                let y = ((1.0 - place) * f64::from(rows - 1)).round();
                // A row holds one label.
                if (0.0..f64::from(rows)).contains(&y) && (y as u16) < free {
                    free = y as u16;
                    pen.right(left - 1, y as u16, text, faint);
                    pen.symbol(left - 1, y as u16, "┤", faint);
                }
            }
        }
        if height < 3 || rows == height {
            return;
        }
        pen.symbol(left.saturating_sub(1), rows, "└", faint);
        for x in left..width {
            pen.symbol(x, rows, "─", faint);
        }
        let plot = width - left;
        backdrop::draw_rules(&self.x, &self.bands, look, &mut pen.part(left, rows, plot, 1));
        let mut free = 0;
        for (value, text) in self.x.ticks(usize::from(plot / 9).max(2)) {
            let column = (self.x.place(value) * f64::from(plot.saturating_sub(1))).round();
            if !(0.0..f64::from(plot)).contains(&column) {
                continue;
            }
            let column = left + column as u16;
            let words = text.width() as u16;
            let start = column.saturating_sub(words / 2).min(width.saturating_sub(words));
            if start < free {
                continue;
            }
            pen.symbol(column, rows, "┴", faint);
            pen.text(start, rows + 1, &text, faint);
            free = start + words + 1;
        }
        backdrop::draw_marks(&self.x, &self.marks, &mut pen.part(left, rows, plot, 1));
    }

    fn draw_plot(&self, look: &Look, mut pen: Pen<'_>) {
        let (width, height) = (pen.width(), pen.height());
        let mut raster = Raster::new(look.plot, width, height);
        let size = (raster.width(), raster.height());
        for (curve, owner) in self.curves.iter().zip(0u8..) {
            raster.curve(&curve.points.columns(&self.x, &self.y, size), curve.line, owner);
        }
        for row in 0..height {
            for column in 0..width {
                if let Some((symbol, owner)) = raster.cell(column, row) {
                    let style = self.curves.get(usize::from(owner)).map_or(Style::new(), |curve| curve.style);
                    pen.symbol(column, row, symbol.encode_utf8(&mut [0; 4]), style);
                }
            }
        }
        let cell = |place: f64, size: u16| {
            let cell = (place * f64::from(size - 1)).round();
            (cell >= 0.0 && cell < f64::from(size)).then_some(cell as u16)
        };
        for reference in &self.references {
            if let Some(row) = cell(1.0 - self.y.place(reference.y), height) {
                for column in 0..width {
                    pen.under(column, row, "┄", reference.style);
                }
            }
        }
        if let Some(column) = self.cursor.and_then(|x| cell(self.x.place(x), width)) {
            for row in 0..height {
                pen.under(column, row, "│", look.style(Tone::Key));
            }
        }
        backdrop::draw_behind(&self.x, &self.bands, &self.marks, look, &mut pen);
    }

    fn draw_legend(&self, mut pen: Pen<'_>, labels: &[Label]) {
        let rows = usize::from(pen.height());
        let labels = &labels[..labels.len().min(rows)];
        let last = rows.saturating_sub(1) as f64;
        let wanted = labels.iter().map(|label| {
            let row = ((1.0 - self.y.place(label.y)) * last).round();
            if row.is_finite() { row.clamp(0.0, last) } else { last }
        });
        for (row, label) in apart(wanted.collect(), 1.0, last).into_iter().zip(labels) {
            pen.text(0, row as u16, &label.text, label.style);
        }
    }
}

/// Moves what overlaps at these places down, and what is then below `last` up, until all are `gap` apart.
fn apart(mut places: Vec<f64>, gap: f64, last: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    // Down what overlaps, then up what fell off the end.
    let mut free = f64::NEG_INFINITY;
    for &at in &order {
        places[at] = places[at].max(free);
        free = places[at] + gap;
    }
    let mut limit = last;
    for &at in order.iter().rev() {
        places[at] = places[at].min(limit);
        limit = places[at] - gap;
    }
    places
}

#[cfg(test)]
mod tests {
    use ratatui::{buffer::Buffer, layout::Rect};

    use super::*;
    use crate::tui::look::{Depth, Plot};

    fn chart() -> Chart {
        let ys =
            |a: f64| (0..=60).map(|i| (f64::from(i), a * (1.0 - (-f64::from(i) / 15.0).exp()))).collect::<Points>();
        Chart {
            title: "accuracy".into(),
            focused: false,
            curves: vec![
                Curve { name: "clean".into(), points: ys(0.97), style: Style::new(), line: Line::Solid },
                Curve { name: "certified".into(), points: ys(0.9), style: Style::new(), line: Line::Solid },
            ],
            x: Axis::linear(0.0, 60.0),
            y: Axis::linear(0.0, 1.0),
            bands: vec![
                Band { from: 0.0, to: 10.0, labels: vec!["p = 8".into()], rule: Rule::Light },
                Band { from: 10.0, to: 55.0, labels: vec!["ramp".into()], rule: Rule::Heavy },
                Band { from: 55.0, to: 60.0, labels: vec!["p = ∞".into(), "∞".into()], rule: Rule::Double },
            ],
            marks: vec![
                Mark { x: 30.0, symbol: "▲", label: "lr-factor=0.5".into(), style: Style::new() },
                Mark { x: 59.0, symbol: "▶", label: "resumed".into(), style: Style::new() },
                Mark { x: 90.0, symbol: "▶", label: "outside".into(), style: Style::new() },
            ],
            references: vec![Reference { y: 0.93, label: "published".into(), style: Style::new() }],
            cursor: None,
            figure: Figure::Share,
        }
    }

    fn drawn(chart: &Chart, plot: Plot, width: u16, height: u16) -> String {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        let look = Look { plot, unicode: true, depth: Depth::None, light: false };
        chart.draw(&look, Pen::new(&mut buffer, area));
        let rows = (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>());
        rows.map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn looks_as_it_should() {
        insta::assert_snapshot!("braille", drawn(&chart(), Plot::Braille, 72, 16));
        insta::assert_snapshot!("half_block", drawn(&chart(), Plot::HalfBlock, 72, 16));
        insta::assert_snapshot!("ascii", drawn(&chart(), Plot::Ascii, 40, 10));
    }

    #[test]
    fn the_cursor_reads_the_curves() {
        let chart = Chart { cursor: Some(0.0), ..chart() };
        assert!(drawn(&chart, Plot::Braille, 72, 16).contains("clean 0.0000"));
    }

    #[test]
    fn labels_that_overlap_give_way_and_none_falls_off() {
        assert_eq!(apart(vec![5.0, 0.0, 5.0, 5.0], 1.0, 9.0), [5.0, 0.0, 6.0, 7.0]);
        assert_eq!(apart(vec![9.0, 9.0, 3.0], 2.0, 9.0), [7.0, 9.0, 3.0]);
        assert_eq!(apart(Vec::new(), 1.0, 0.0), [0.0; 0]);
    }

    const COLOURS: Look = Look { plot: Plot::Braille, unicode: true, depth: Depth::True, light: true };

    #[test]
    fn a_picture_shows_what_the_terminal_does() {
        let mut chart = chart();
        let look = COLOURS;
        for (curve, tone) in chart.curves.iter_mut().zip([Tone::Clean, Tone::Certified]) {
            curve.style = look.style(tone);
            curve.points = curve.points.iter().copied().step_by(10).collect();
        }
        insta::assert_snapshot!("svg", chart.svg(&look, [480.0, 300.0], "epoch"));
    }

    const WILD: [f64; 7] = [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300, -1e300, 0.0, f64::MIN_POSITIVE];

    /// Axes, bands, marks and references at this value.
    fn wild_chart(value: f64) -> Chart {
        let mut chart = chart();
        chart.x = Axis::linear(value, 3.0);
        chart.y = Axis::log(0.0, value);
        chart.bands[0].to = value;
        chart.bands[1].from = value;
        chart.marks[0].x = value;
        chart.references[0].y = value;
        chart
    }

    #[test]
    fn a_picture_is_svg_whatever_it_shows() {
        let lines = [Line::Solid, Line::Dashed, Line::Dots, Line::Crosses, Line::Shade, Line::Haze];
        for (&value, line) in WILD.iter().flat_map(|value| lines.map(|line| (value, line))) {
            let mut chart = wild_chart(value);
            chart.title = "<a & \"b\">\u{7}".into();
            chart.curves[0].points = vec![(value, value), (1.0, value), (1.0, 0.5), (3.0, 0.2), (value, 2.0)].into();
            chart.curves[0].line = line;
            let svg = chart.svg(&COLOURS, [value, value], "p & q");
            let picture = roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
            let title = picture.descendants().find(|node| node.has_tag_name("title")).and_then(|node| node.text());
            assert_eq!(title, Some("<a & \"b\">"));
            // Of numbers, viewers read nothing else; words may say that a value is none.
            let attributes = picture.descendants().flat_map(|node| node.attributes());
            for attribute in attributes.filter(|attribute| attribute.name() != "stroke-linejoin") {
                let text = attribute.value();
                assert!(!text.contains("NaN") && !text.contains("inf"), "{} = {text}", attribute.name());
            }
        }
    }

    #[test]
    fn any_size_and_any_number_is_drawn() {
        for width in [0, 1, 2, 7, 15, 16, 43, 44, 200] {
            for height in [0, 1, 2, 3, 4, 5, 6, 60] {
                for &value in &WILD {
                    let mut chart = Chart { cursor: Some(value), ..wild_chart(value) };
                    chart.curves[0].points = vec![(value, value), (1.0, value), (value, 2.0)].into();
                    drawn(&chart, Plot::Braille, width, height);
                }
            }
        }
    }
}
