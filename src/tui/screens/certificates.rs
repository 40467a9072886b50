//! Certified accuracy at any ε, from the stored margins of the last evaluation.

use crate::{
    experiment::{Label, RunId},
    store::RunRow,
    tui::{
        certificates::Certificates,
        chart::{Axis, Chart, Curve, Figure, Line, Reference},
        keys::Action,
        known::Known,
        look::Tone,
        model::Model,
        pen::Pen,
        screens::run::draw_waiting,
        wording,
    },
};

/// What the tab remembers.
#[derive(Clone, Debug, Default)]
pub struct CertificatesTab {
    /// The ε read off; the config's own where none was chosen.
    pub eps: Option<f64>,
}

impl CertificatesTab {
    /// What a key does: the slider moves by a hundredth or a tenth of the axis.
    pub fn act(&mut self, action: Action, run: RunId, known: &Known) {
        let Some(certificates) = known.certificates.get(&run) else { return };
        let end = axis_end(certificates);
        let part = match action {
            Action::Left => -0.01,
            Action::Right => 0.01,
            Action::FarLeft | Action::PageUp => -0.1,
            Action::FarRight | Action::PageDown => 0.1,
            Action::Top => -1.0,
            Action::Bottom => 1.0,
            Action::Back => {
                self.eps = None;
                return;
            }
            _ => return,
        };
        let eps = self.eps.unwrap_or(certificates.eval.eps.to_f64());
        self.eps = Some((eps + part * end).clamp(0.0, end));
    }
}

/// The end of the ε axis: room for the largest radius and for twice the config's ε.
fn axis_end(certificates: &Certificates) -> f64 {
    let eps = certificates.eval.eps.to_f64();
    certificates.largest().max(eps * 2.0).clamp(1e-3, 1.0)
}

/// Draws the tab.
pub fn draw(model: &Model, row: &RunRow, tab: &CertificatesTab, pen: &mut Pen<'_>) {
    let look = &model.look;
    let Some(certificates) = model.known.certificates.get(&row.id).filter(|c| !c.is_empty()) else {
        draw_waiting(row, "No evaluation has stored its margins yet.", look, pen);
        return;
    };
    let (width, height) = (pen.width(), pen.height());
    let eval = &certificates.eval;
    let eps = tab.eps.unwrap_or(eval.eps.to_f64());
    draw_headline(model, row, certificates, eps, pen);
    let side = if width >= 100 { 44 } else { 0 };
    let table = if side == 0 && height >= 20 { 11 } else { 0 };
    let chart_height = height.saturating_sub(2 + table);
    draw_curve(model, row, certificates, eps, pen.part(0, 2, width - side, chart_height));
    if side > 0 {
        let upper = (height.saturating_sub(2) / 3).clamp(6, 14);
        draw_histogram(model, certificates, eps, pen.part(width - side + 2, 2, side - 3, upper));
        draw_classes(model, row, certificates, eps, pen.part(width - side + 2, 3 + upper, side - 3, height));
    } else if table > 0 {
        draw_classes(model, row, certificates, eps, pen.part(2, 2 + chart_height, width, table));
    }
}

fn draw_headline(model: &Model, row: &RunRow, certificates: &Certificates, eps: f64, pen: &mut Pen<'_>) {
    let look = &model.look;
    let eval = &certificates.eval;
    let share = certificates.certified_at(eps);
    let mut x = pen.text(1, 0, &format!("certified {share:.4}"), look.style(Tone::Certified));
    x = pen.text(x, 0, " at ε = ", look.style(Tone::Text));
    let shown = if (eps - eval.eps.to_f64()).abs() < 1e-12 { eval.eps.to_string() } else { format!("{eps:.4}") };
    x = pen.text(x, 0, &shown, look.style(Tone::Key));
    if row.config.data.dataset.channels() == 3 {
        x = pen.text(x, 0, &format!(" ({:.2}/255)", eps * 255.0), look.style(Tone::Faint));
    }
    let words = format!(
        "  {} · {} test images · epoch {:.0} · by intervals at ε = {}: {:.4}",
        if certificates.by_intervals() { "by intervals" } else { "by margins > 2ε" },
        wording::count(u64::from(eval.samples)),
        eval.epoch,
        eval.eps,
        eval.certified
    );
    pen.text(x, 0, &words, look.style(Tone::Faint));
}

fn draw_curve(model: &Model, row: &RunRow, certificates: &Certificates, eps: f64, pen: Pen<'_>) {
    let look = &model.look;
    let end = axis_end(certificates);
    let even = (0..=512).map(|index| end * f64::from(index) / 512.0);
    // The legend reads the curve at the slider, so there it has to be exact.
    let mut radii: Vec<f64> = even.chain([eps]).collect();
    radii.sort_by(f64::total_cmp);
    let published = row.config.run.published.as_ref().map(|published| Reference {
        y: published.certified,
        label: "published".into(),
        style: look.style(Tone::Published),
    });
    let chart = Chart {
        title: "certified accuracy against ε".into(),
        focused: true,
        curves: vec![Curve {
            name: "certified".into(),
            points: radii.into_iter().map(|eps| (eps, certificates.certified_at(eps))).collect(),
            style: look.style(Tone::Certified),
            line: Line::Solid,
        }],
        x: Axis::linear(0.0, end),
        y: Axis::linear(0.0, 1.0),
        bands: Vec::new(),
        marks: Vec::new(),
        references: published.into_iter().collect(),
        cursor: Some(eps),
        figure: Figure::Share,
    };
    chart.draw(look, pen);
}

fn draw_histogram(model: &Model, certificates: &Certificates, eps: f64, mut pen: Pen<'_>) {
    let look = &model.look;
    let faint = look.style(Tone::Faint);
    pen.text(0, 0, "certified radius of the test images", faint);
    let (width, height) = (pen.width(), pen.height().saturating_sub(3));
    if width < 4 || height == 0 {
        return;
    }
    let end = axis_end(certificates);
    let from = -end / 3.0;
    let counts = certificates.histogram(from, end, usize::from(width));
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    for (x, count) in (0..width).zip(counts) {
        let radius = from + (end - from) * (f64::from(x) + 0.5) / f64::from(width);
        let tone = if radius <= 0.0 {
            Tone::Loss
        } else if radius > eps {
            Tone::Certified
        } else {
            Tone::Clean
        };
        let mut eighths = (count as f64 / most as f64 * f64::from(height) * 8.0).ceil() as usize;
        for y in (1..=height).rev() {
            pen.symbol(x, y, EIGHTHS[eighths.min(8)], look.style(tone));
            eighths = eighths.saturating_sub(8);
        }
    }
    let column = |radius: f64| ((radius - from) / (end - from) * f64::from(width)) as u16;
    for x in 0..width {
        pen.symbol(x, height + 1, "─", faint);
    }
    for (radius, text) in [(0.0, "0".to_owned()), (eps, format!("ε {eps:.3}"))] {
        pen.symbol(column(radius).min(width - 1), height + 1, "┴", faint);
        pen.text(column(radius).min(width.saturating_sub(text.chars().count() as u16)), height + 2, &text, faint);
    }
    pen.text(0, height + 2, "wrong", look.style(Tone::Loss));
}

fn draw_classes(model: &Model, row: &RunRow, certificates: &Certificates, eps: f64, mut pen: Pen<'_>) {
    let look = &model.look;
    let name = |class: Label| row.config.data.dataset.class_name(class);
    let faint = look.style(Tone::Faint);
    let heading = |pen: &mut Pen<'_>| {
        pen.text(0, 0, "class", faint);
        for (right, word) in [(18, "clean"), (26, "cert"), (34, "mixed up")] {
            pen.right(right + u16::from(right == 34) * 2, 0, word, faint);
        }
        if pen.width() > 58 {
            pen.text(40, 0, "weakest image that is right", faint);
        }
    };
    heading(&mut pen);
    for (y, class) in (1..).zip(certificates.classes(eps)) {
        pen.fit(0, y, 12, &name(class.label), look.style(Tone::Text));
        pen.right(18, y, &wording::accuracy(Some(class.clean)), look.style(Tone::Clean));
        pen.right(26, y, &wording::accuracy(Some(class.certified)), look.style(Tone::Certified));
        if let Some(other) = class.confused_with {
            pen.fit(28, y, 11, &name(other), faint);
        }
        if let Some((sample, radius)) = class.weakest.filter(|_| pen.width() > 58) {
            pen.text(40, y, &format!("#{sample}  radius {radius:.4}"), faint);
        }
    }
}
