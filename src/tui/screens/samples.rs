//! The test images with their margins: which are certified, which are nearly so, which are wrong.

use crate::{
    experiment::RunId,
    store::{EvalSplit, RunRow},
    tui::{
        keys::Action,
        known::{Certificates, Known},
        look::Tone,
        model::Model,
        pen::Pen,
        screens::run::draw_waiting,
        wording,
    },
};

/// What the tab remembers.
#[derive(Clone, Debug, Default)]
pub struct SamplesTab {
    order: Order,
    which: Which,
    selected: usize,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// Smallest margin first.
    #[default]
    Weakest,
    /// Largest margin first.
    Strongest,
    /// By the distance of its radius to ε.
    NearEps,
    /// In the order of the test set.
    Number,
}

/// Which images are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Which {
    All,
    /// Right, but not certified at ε: what there is to win.
    #[default]
    Uncertified,
    Certified,
    Wrong,
}

impl Order {
    fn next(self) -> Order {
        match self {
            Order::Weakest => Order::NearEps,
            Order::NearEps => Order::Strongest,
            Order::Strongest => Order::Number,
            Order::Number => Order::Weakest,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Order::Weakest => "weakest first",
            Order::Strongest => "strongest first",
            Order::NearEps => "nearest to ε first",
            Order::Number => "by number",
        }
    }
}

impl Which {
    fn next(self) -> Which {
        match self {
            Which::Uncertified => Which::Wrong,
            Which::Wrong => Which::Certified,
            Which::Certified => Which::All,
            Which::All => Which::Uncertified,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Which::All => "all images",
            Which::Uncertified => "right but not certified",
            Which::Certified => "certified",
            Which::Wrong => "wrong",
        }
    }

    fn holds(self, certificates: &Certificates, sample: u32) -> bool {
        let margins = &certificates.margins;
        let index = sample as usize;
        let (right, certified) = (margins.label[index] == margins.prediction[index], margins.certified[index]);
        match self {
            Which::All => true,
            Which::Uncertified => right && !certified,
            Which::Certified => certified,
            Which::Wrong => !right,
        }
    }
}

impl SamplesTab {
    /// The samples in the order of the list.
    fn list(&self, certificates: &Certificates) -> Vec<u32> {
        let mut samples: Vec<u32> =
            certificates.by_radius.iter().copied().filter(|sample| self.which.holds(certificates, *sample)).collect();
        let eps = certificates.eval.eps.to_f64();
        match self.order {
            Order::Weakest => {}
            Order::Strongest => samples.reverse(),
            Order::Number => samples.sort_unstable(),
            Order::NearEps => samples.sort_by(|a, b| {
                let distance = |sample: u32| (certificates.radius(sample) - eps).abs();
                distance(*a).total_cmp(&distance(*b))
            }),
        }
        samples
    }

    /// What a key does.
    pub fn act(&mut self, action: Action, run: RunId, known: &Known) {
        let Some(certificates) = known.certificates.get(&run) else { return };
        let last = self.list(certificates).len().saturating_sub(1);
        match action {
            Action::Down => self.selected = (self.selected + 1).min(last),
            Action::Up => self.selected = self.selected.min(last).saturating_sub(1),
            Action::PageDown => self.selected = (self.selected + 10).min(last),
            Action::PageUp => self.selected = self.selected.min(last).saturating_sub(10),
            Action::Top => self.selected = 0,
            Action::Bottom => self.selected = last,
            Action::SortSamples => (self.order, self.selected) = (self.order.next(), 0),
            Action::FitY => (self.which, self.selected) = (self.which.next(), 0),
            _ => {}
        }
    }
}

/// Draws the tab.
pub fn draw(model: &Model, row: &RunRow, tab: &SamplesTab, pen: &mut Pen<'_>) {
    let look = &model.look;
    let Some(certificates) = model.known.certificates.get(&row.id).filter(|c| !c.is_empty()) else {
        draw_waiting(row, "No evaluation has stored its margins yet.", look, pen);
        return;
    };
    if certificates.eval.split == EvalSplit::Validation {
        let why = "The last evaluation is of held-out training images; the test images follow at the end.";
        draw_waiting(row, why, look, pen);
        return;
    }
    let faint = look.style(Tone::Faint);
    let samples = tab.list(certificates);
    let selected = tab.selected.min(samples.len().saturating_sub(1));
    let mut x = pen.text(1, 0, tab.which.word(), look.style(Tone::Key));
    x = pen.text(x, 0, &format!(": {} of {}, ", samples.len(), certificates.len()), faint);
    pen.text(x, 0, tab.order.word(), look.style(Tone::Key));
    let name = |class: u8| row.config.data.dataset.class_name(class);
    let (width, height) = (pen.width(), pen.height());
    let list = 44.min(width);
    pen.text(3, 1, "image", faint);
    pen.text(11, 1, "is", faint);
    pen.text(22, 1, "taken for", faint);
    pen.right(list, 1, "radius", faint);
    let room = usize::from(height.saturating_sub(2)).max(1);
    let skip = selected.saturating_sub(room / 2).min(samples.len().saturating_sub(room));
    for (y, (index, sample)) in (2..height).zip(samples.iter().enumerate().skip(skip)) {
        let at = *sample as usize;
        let (label, taken) = (certificates.margins.label[at], certificates.margins.prediction[at]);
        let tone = match (label == taken, certificates.margins.certified[at]) {
            (false, _) => Tone::Loss,
            (true, true) => Tone::Certified,
            (true, false) => Tone::Clean,
        };
        pen.text(3, y, &format!("#{sample}"), faint);
        pen.fit(11, y, 10, &name(label), look.style(Tone::Text));
        pen.fit(22, y, 12, &name(taken), look.style(if label == taken { Tone::Text } else { Tone::Loss }));
        pen.right(list, y, &format!("{:.4}", certificates.radius(*sample)), look.style(tone));
        if index == selected {
            pen.part(0, y, list, 1).row_style(0, look.selection());
            pen.text(0, y, "▸", look.style(Tone::Key));
        }
    }
    if let Some(sample) = samples.get(selected).filter(|_| width > list + 12) {
        draw_image(
            model,
            row,
            certificates,
            *sample,
            pen.part(list + 3, 1, width - list - 4, height.saturating_sub(1)),
        );
    }
}

fn draw_image(model: &Model, row: &RunRow, certificates: &Certificates, sample: u32, mut pen: Pen<'_>) {
    let look = &model.look;
    let (faint, at) = (look.style(Tone::Faint), sample as usize);
    let margins = &certificates.margins;
    let name = |class: u8| row.config.data.dataset.class_name(class);
    let right = margins.label[at] == margins.prediction[at];
    let (verdict, tone) = match (right, margins.certified[at]) {
        (false, _) => (format!("taken for {}", name(margins.prediction[at])), Tone::Loss),
        (true, true) => (format!("certified at ε = {}", certificates.eval.eps), Tone::Certified),
        (true, false) => (format!("right, not certified at ε = {}", certificates.eval.eps), Tone::Clean),
    };
    let mut x = pen.text(0, 0, &format!("#{sample} {} ", name(margins.label[at])), look.style(Tone::Strong));
    x = pen.text(x, 0, &verdict, look.style(tone));
    let radius = certificates.radius(sample);
    let words = format!(
        "  margin {} · certified radius {}",
        wording::figure(margins.margin[at].into()),
        wording::figure(radius.max(0.0))
    );
    pen.text(x, 0, &words, faint);
    let height = pen.height();
    match model.images.get(&row.config.data.dataset).map(AsRef::as_ref) {
        Some(Ok(images)) => {
            images.draw(at, look, &mut pen.rows(1, height));
        }
        Some(Err(why)) => {
            crate::tui::pen::wrapped(&mut pen, 2, why, look.style(Tone::Warn));
        }
        None => {
            pen.text(0, 2, "reading the images …", faint);
        }
    }
}
