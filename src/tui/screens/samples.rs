//! The test images with their margins: which are certified, which are nearly so, which are wrong.

use crate::{
    experiment::{Fate, Label, RunId},
    store::{EvalSplit, RunRow},
    tui::{
        certificates::Certificates,
        images::Images,
        keys::Action,
        known::Known,
        look::Tone,
        model::Model,
        pen::Pen,
        screens::{first_shown, run::draw_waiting},
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
    /// Right, and changed by the run's attack.
    Broken,
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
            Which::Uncertified => Which::Broken,
            Which::Broken => Which::Wrong,
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
            Which::Broken => "broken by the attack",
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
            Which::Broken => fate(certificates, sample).is_some_and(Fate::is_broken),
            Which::Wrong => !right,
        }
    }
}

/// What became of a sample under the run's attack.
fn fate(certificates: &Certificates, sample: u32) -> Option<Fate> {
    certificates.attack.as_ref()?.fate(sample)
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

    /// A click into line `line` of a tab of `height` lines chooses the image that stands there.
    pub fn click(&mut self, column: u16, line: u16, height: u16, run: RunId, known: &Known) {
        let Some(certificates) = known.certificates.get(&run) else { return };
        let samples = self.list(certificates).len();
        let room = usize::from(height.saturating_sub(2)).max(1);
        let selected = self.selected.min(samples.saturating_sub(1));
        let Some(line) = line.checked_sub(2).map(usize::from).filter(|line| *line < room && column < LIST) else {
            return;
        };
        let index = first_shown(selected, samples, room) + line;
        if index < samples {
            self.selected = index;
        }
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

/// Columns of the list.
const LIST: u16 = 44;

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
    let name = |class: Label| row.config.data.dataset.class_name(class);
    let (width, height) = (pen.width(), pen.height());
    let list = LIST.min(width);
    pen.text(3, 1, "image", faint);
    pen.text(11, 1, "is", faint);
    pen.text(22, 1, "taken for", faint);
    pen.right(list, 1, "radius", faint);
    let room = usize::from(height.saturating_sub(2)).max(1);
    let skip = first_shown(selected, samples.len(), room);
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
        if fate(certificates, *sample).is_some_and(Fate::is_broken) {
            pen.text(35, y, if look.unicode { "✗" } else { "x" }, look.style(Tone::Warn));
        }
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
    let name = |class: Label| row.config.data.dataset.class_name(class);
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
    let mut y = 1;
    if let Some((attack, fate)) = certificates.attack.as_ref().and_then(|attack| Some((attack, attack.fate(sample)?)))
        && fate != Fate::Misclassified
    {
        let tone = if fate.is_broken() { Tone::Warn } else { Tone::Faint };
        pen.text(0, y, &format!("attack at ε = {}: {}", attack.eps, ending(fate)), look.style(tone));
        y += 1;
    }
    let height = pen.height();
    let view = row.config.data.view();
    // A picture lies above all cells; where something else may lie above it, it is drawn in cells.
    let graphics = model.graphics.filter(|_| model.dialog.is_none() && model.notices.is_empty());
    let show = |image: &Images, pen: &mut Pen<'_>| match graphics {
        Some(graphics) => image.show(0, graphics, pen),
        None => image.draw(0, look, pen),
    };
    match model.images.get(&view.id).map(AsRef::as_ref) {
        Some(Ok(images)) => {
            let image = images.seen(at, view);
            let example = certificates.attack.as_ref().and_then(|attack| attack.example(sample));
            let Some(example) = example.map(|image| Images::of_normalized(view, image)) else {
                show(&image, &mut pen.rows(y, height));
                return;
            };
            let (difference, most) = image.difference(0, &example);
            let captions = ["the image", "what the attack made", &format!("difference, at most {most:.3}")];
            let mut x = 0;
            for (caption, picture) in captions.into_iter().zip([&image, &example, &difference]) {
                let width = pen.width().saturating_sub(x);
                if width < 12 {
                    break;
                }
                let mut place = pen.part(x, y, width, height.saturating_sub(y));
                let height = place.height();
                let (columns, _) = show(picture, &mut place.rows(1, height));
                place.fit(0, 0, width, caption, faint);
                x += columns.max(caption.chars().count() as u16) + 2;
            }
        }
        Some(Err(why)) => {
            crate::tui::pen::wrapped(&mut pen, y + 1, why, look.style(Tone::Warn));
        }
        None => {
            pen.text(0, y + 1, "reading the images …", faint);
        }
    }
}

/// How an attack on a sample that was right ended.
fn ending(fate: Fate) -> &'static str {
    match fate {
        Fate::Misclassified => "wrong without it",
        Fate::Survived => "withstood",
        Fate::Pgd => "changed by PGD",
        Fate::Relaxed => "changed by a gradient at finite p",
        Fate::Targeted => "changed towards one class",
        Fate::Greedy => "changed along the paths of its scores",
    }
}
