//! A chart as a picture of lines and words (SVG): what the terminal shows in dots, for papers and pages.

use std::fmt::Write;

use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::{Chart, Curve, Line, Rule, apart};
use crate::tui::look::{Look, Tone};

/// Height of letters, in pixels.
const LETTERS: f64 = 12.0;
/// Width of a letter, on the generous side: which font the viewer has is not known.
const LETTER: f64 = 6.6;
/// From one line of words to the next.
const LINE: f64 = 16.0;
/// Pixels between ticks, at least: across and up.
const TICKS: [f64; 2] = [80.0, 45.0];
/// The smallest picture that has room for a plot.
pub const SMALLEST: [f64; 2] = [240.0, 160.0];

/// The largest one, either way.
pub const LARGEST: f64 = 20_000.0;

/// Where the plot lies in the picture, in pixels.
#[derive(Clone, Copy)]
struct Plot {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Plot {
    fn right(self) -> f64 {
        self.left + self.width
    }

    fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// A picture under way.
struct Picture<'a> {
    chart: &'a Chart,
    look: &'a Look,
    plot: Plot,
    svg: String,
}

/// Where a text is held.
#[derive(Clone, Copy)]
enum Hold {
    Start,
    Middle,
    End,
}

impl Chart {
    /// The picture, `[width, height]` pixels large (from [`SMALLEST`] to [`LARGEST`]), with the colours of `look`; `across` is what the
    /// x axis is called.
    pub fn svg(&self, look: &Look, size: [f64; 2], across: &str) -> String {
        let [width, height] = [0, 1].map(|side| size[side].max(SMALLEST[side]).min(LARGEST));
        let labels = self.labels(look);
        let y_ticks = self.y.ticks(((height / TICKS[1]) as usize).max(2));
        let wide = |texts: &mut dyn Iterator<Item = usize>| texts.max().map_or(0.0, |letters| letters as f64 * LETTER);
        let left = wide(&mut y_ticks.iter().map(|(_, text)| text.width())) + 20.0;
        let legend = wide(&mut labels.iter().map(|label| label.text.width()));
        // A legend that leaves no plot is cut off by the picture's edge.
        let right = (if legend > 0.0 { legend + 28.0 } else { 14.0 }).min(width / 2.0);
        let top = 2.0 * LINE + 12.0;
        let plot = Plot { left, top, width: width - left - right, height: height - top - 2.0 * LINE - 14.0 };
        let (ground, ink) = if look.light { ("#ffffff", "#1f2328") } else { ("#14171c", "#d5dae1") };
        let mut picture = Picture { chart: self, look, plot, svg: String::new() };
        picture.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-size=\"{LETTERS}\" color=\"{ink}\" \
             font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\">"
        ));
        picture.put(format_args!("<title>{}</title>", escaped(&self.title)));
        picture.put(format_args!("<rect width=\"100%\" height=\"100%\" fill=\"{ground}\"/>"));
        picture.put(format_args!(
            "<clipPath id=\"plot\"><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>",
            plot.left, plot.top, plot.width, plot.height
        ));
        picture.text([plot.left, LINE + 4.0], Hold::Start, &self.title, Style::new().add_modifier(Modifier::BOLD));
        picture.axes(&y_ticks, across);
        picture.bands();
        picture.references();
        picture.put(format_args!("<g clip-path=\"url(#plot)\">"));
        for curve in &self.curves {
            picture.curve(curve);
        }
        picture.put(format_args!("</g>"));
        picture.marks();
        let height_of = |y: f64| if y.is_nan() { plot.bottom() } else { y.clamp(plot.top, plot.bottom()) };
        let wanted: Vec<f64> = labels.iter().map(|label| height_of(picture.y(label.y))).collect();
        let placed = apart(wanted.clone(), LINE, plot.bottom());
        for ((label, from), to) in labels.iter().zip(wanted).zip(placed) {
            // A label that had to give way is led to.
            let (x, colour) = (plot.right(), colour(label.style));
            picture.put(format_args!(
                "<polyline points=\"{:.1},{from:.1} {:.1},{to:.1} {:.1},{to:.1}\" fill=\"none\" stroke=\"{colour}\" opacity=\"0.6\"/>",
                x + 2.0, x + 9.0, x + 13.0
            ));
            picture.text([x + 16.0, to + LETTERS / 3.0], Hold::Start, &label.text, label.style);
        }
        picture.put(format_args!("</svg>"));
        picture.svg
    }
}

impl Picture<'_> {
    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.svg.write_fmt(element);
        self.svg.push('\n');
    }

    fn x(&self, value: f64) -> f64 {
        self.plot.left + self.chart.x.place(value) * self.plot.width
    }

    /// No number where the value has no place. What lies far outside is brought near, for viewers that count in few bits.
    fn y(&self, value: f64) -> f64 {
        let place = self.chart.y.place(value);
        self.plot.bottom() - if place.is_nan() { f64::NAN } else { place.clamp(-50.0, 50.0) } * self.plot.height
    }

    fn text(&mut self, [x, y]: [f64; 2], hold: Hold, text: &str, style: Style) {
        let anchor = match hold {
            Hold::Start => "start",
            Hold::Middle => "middle",
            Hold::End => "end",
        };
        let weight = if style.add_modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
        let (colour, text) = (colour(style), escaped(text));
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\"{weight}>{text}</text>"
        ));
    }

    fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], colour: &str, more: &str) {
        self.put(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"{more}/>"
        ));
    }

    fn axes(&mut self, y_ticks: &[(f64, String)], across: &str) {
        let (plot, faint) = (self.plot, self.look.style(Tone::Faint));
        let ink = colour(faint);
        for (value, text) in y_ticks {
            let y = self.y(*value);
            if (plot.top - 0.5..=plot.bottom() + 0.5).contains(&y) {
                self.line([plot.left, y], [plot.right(), y], &ink, " stroke-width=\"0.5\" opacity=\"0.4\"");
                self.text([plot.left - 6.0, y + LETTERS / 3.0], Hold::End, text, faint);
            }
        }
        let mut free = f64::NEG_INFINITY;
        for (value, text) in self.chart.x.ticks(((plot.width / TICKS[0]) as usize).max(2)) {
            let (x, half) = (self.x(value), text.width() as f64 * LETTER / 2.0);
            // Ticks that a scale has of its own may be too many.
            if x - half > free && (plot.left - 0.5..=plot.right() + 0.5).contains(&x) {
                self.line([x, plot.bottom()], [x, plot.bottom() + 5.0], &ink, "");
                self.text([x, plot.bottom() + LINE + 2.0], Hold::Middle, &text, faint);
                free = x + half + LETTER;
            }
        }
        self.line([plot.left, plot.top], [plot.left, plot.bottom()], &ink, "");
        self.line([plot.left, plot.bottom()], [plot.right(), plot.bottom()], &ink, "");
        let middle = plot.left + plot.width / 2.0;
        self.text([middle, plot.bottom() + 2.0 * LINE + 4.0], Hold::Middle, across, Style::new());
    }

    /// The phases: a line where each begins, its name above the plot, and a stronger axis where it has one.
    fn bands(&mut self) {
        let (plot, faint) = (self.plot, self.look.style(Tone::Faint));
        let ink = colour(faint);
        for band in &self.chart.bands {
            let (from, to) = (self.x(band.from).max(plot.left), self.x(band.to).min(plot.right()));
            // Of a band outside the axis, the ends have changed places.
            let visible = from <= to;
            if !visible {
                continue;
            }
            if from > plot.left {
                self.line([from, plot.top], [from, plot.bottom()], &ink, " stroke-dasharray=\"2 3\" opacity=\"0.7\"");
            }
            let width = match band.rule {
                Rule::Light => 1.0,
                Rule::Heavy => 2.0,
                Rule::Double => 3.0,
            };
            self.line([from, plot.bottom()], [to, plot.bottom()], &ink, &format!(" stroke-width=\"{width}\""));
            if let Some(label) = band.labels.iter().find(|label| label.width() as f64 * LETTER <= to - from) {
                self.text([from + 3.0, plot.top - 5.0], Hold::Start, label, faint);
            }
        }
    }

    fn references(&mut self) {
        for reference in &self.chart.references {
            let y = self.y(reference.y);
            if (self.plot.top..=self.plot.bottom()).contains(&y) {
                let (left, right) = (self.plot.left, self.plot.right());
                self.line([left, y], [right, y], &colour(reference.style), " stroke-dasharray=\"6 4\"");
            }
        }
    }

    /// What happened, on the axis; its name above it where no other is in the way.
    fn marks(&mut self) {
        let (plot, mut free) = (self.plot, f64::NEG_INFINITY);
        for mark in &self.chart.marks {
            let x = self.x(mark.x);
            if !(plot.left..=plot.right()).contains(&x) {
                continue;
            }
            self.text([x, plot.bottom() + LETTERS / 3.0], Hold::Middle, mark.symbol, mark.style);
            let end = x + mark.label.width() as f64 * LETTER;
            if x > free && end <= plot.right() {
                self.text([x, plot.bottom() - 10.0], Hold::Start, &mark.label, mark.style);
                free = end + LETTER;
            }
        }
    }

    fn curve(&mut self, curve: &Curve) {
        let colour = colour(curve.style);
        let points: Vec<[f64; 2]> = curve.points.iter().map(|&(x, y)| [self.x(x), self.y(y)]).collect();
        let parts = points.split(|point| !point.iter().all(|value| value.is_finite())).filter(|part| !part.is_empty());
        let bold = curve.style.add_modifier.contains(Modifier::BOLD);
        for part in parts {
            match curve.line {
                Line::Solid => self.polyline(part, &colour, if bold { 2.4 } else { 1.6 }, ""),
                Line::Dashed => self.polyline(part, &colour, 1.6, " stroke-dasharray=\"5 3\""),
                Line::Dots => part.iter().for_each(|&point| self.dot(point, &colour)),
                Line::Crosses => part.iter().for_each(|&[x, y]| {
                    self.line([x - 3.0, y - 3.0], [x + 3.0, y + 3.0], &colour, "");
                    self.line([x - 3.0, y + 3.0], [x + 3.0, y - 3.0], &colour, "");
                }),
                Line::Shade => self.shade(part, &colour, 0.3),
                Line::Haze => self.shade(part, &colour, 0.15),
            }
        }
    }

    fn dot(&mut self, [x, y]: [f64; 2], colour: &str) {
        self.put(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"{colour}\"/>"));
    }

    fn polyline(&mut self, points: &[[f64; 2]], colour: &str, width: f64, more: &str) {
        if let [point] = points {
            return self.dot(*point, colour);
        }
        let points = written(points.iter().copied());
        self.put(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
             stroke-linejoin=\"round\"{more}/>"
        ));
    }

    /// What lies between the lowest and the highest point at each x; a line where that is nothing.
    fn shade(&mut self, points: &[[f64; 2]], colour: &str, opacity: f64) {
        let stacks = points.chunk_by(|a, b| a[0] == b[0]);
        let ends: Vec<[f64; 3]> = stacks
            .map(|stack| {
                let (high, low) = stack.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(high, low), point| {
                    (high.min(point[1]), low.max(point[1]))
                });
                [stack[0][0], high, low]
            })
            .collect();
        if ends.iter().all(|[_, high, low]| high == low) {
            let line: Vec<[f64; 2]> = ends.iter().map(|&[x, y, _]| [x, y]).collect();
            return self.polyline(&line, colour, 1.0, &format!(" opacity=\"{}\"", 2.0 * opacity));
        }
        let there = ends.iter().map(|&[x, high, _]| [x, high]);
        let back = ends.iter().rev().map(|&[x, _, low]| [x, low]);
        let points = written(there.chain(back));
        self.put(format_args!("<polygon points=\"{points}\" fill=\"{colour}\" opacity=\"{opacity}\"/>"));
    }
}

/// Points as SVG writes them.
fn written(points: impl Iterator<Item = [f64; 2]>) -> String {
    let words: Vec<String> = points.map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    words.join(" ")
}

/// A style's colour as SVG says it; that of plain words where it has none.
fn colour(style: Style) -> String {
    style.fg.and_then(hex).unwrap_or_else(|| "currentColor".into())
}

/// A colour as SVG says it; `None` for one of the terminal's own.
pub fn hex(colour: Color) -> Option<String> {
    match colour {
        Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        _ => None,
    }
}

/// A text that XML takes for nothing else; characters that it forbids are left out.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}
