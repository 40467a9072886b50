//! Several nets that answer as one: by the mean of their scores, at p = ∞.
//!
//! A mean of 1-Lipschitz functions is 1-Lipschitz, so the margin rule of distance nets stays; what is certified is proved
//! by intervals, class against class, as of one net. The members' scores, float32, are added in double precision in the
//! order of the members, and the class is the first of the largest sums: the mean without its division, which changes no
//! class.
//!
//! The proof of class y against j: each member's lead o_y − o_j, of the scores that its program computes, is at least L_m
//! on the box. So Σ_m (o_y − o_j) ≥ Σ_m L_m, which is summed here downwards, each rounding answered by one step down. The
//! program's sums differ from the exact ones by at most ((1 + 2⁻⁵³)^(K−1) − 1)·Σ_m |o| each (Higham, *Accuracy and Stability
//! of Numerical Algorithms*, §4.2); K·2⁻⁵² times a bound of the |o| is taken off for that. What remains must be above 0.

use crate::dataset::Split;
use crate::experiment::{Label, Neighbourhood, PNorm};

use super::evaluate::chunks;
use super::head::HeadBounds;
use super::trunk::{add_bias, turn};
use super::{Evaluation, Evaluator, InputBox, NetState, SampleResult};

/// What is known of a net's scores over a batch of boxes.
pub(super) enum ScoreBounds<'a> {
    /// Ends of the distances, `[B, C]`; a score is a distance with its sign turned.
    Distances {
        low: Vec<f32>,
        high: Vec<f32>,
        classes: usize,
    },
    Head(HeadBounds<'a>),
}

impl ScoreBounds<'_> {
    /// A bound from below on o_own − o_other of the float32 scores o that the member computes anywhere in box `row`; NaN or
    /// −∞ where nothing is known.
    fn lead(&self, row: usize, own: Label, other: Label) -> f64 {
        match self {
            ScoreBounds::Distances { low, high, classes } => {
                let of = |ends: &[f32], class: Label| f64::from(ends[row * classes + usize::from(class)]);
                (of(low, other) - of(high, own)).next_down()
            }
            ScoreBounds::Head(bounds) => bounds.lead(row, own, other),
        }
    }

    /// A bound from above on |o| of a class in box `row`, up to a factor of 1 + 10⁻⁸.
    fn reach(&self, row: usize, class: Label) -> f64 {
        match self {
            ScoreBounds::Distances { low, high, classes } => {
                let at = row * classes + usize::from(class);
                f64::from(low[at].abs().max(high[at].abs()))
            }
            ScoreBounds::Head(bounds) => bounds.reach(row, class),
        }
    }
}

/// Whether the sum of the members' scores is largest for `label` in the whole of box `row`, as the program adds them up.
pub(super) fn proves(members: &[ScoreBounds<'_>], row: usize, label: Label, classes: usize) -> bool {
    let unit = members.len() as f64 * (-52f64).exp2();
    let reach = |class: Label| members.iter().map(|member| member.reach(row, class)).sum::<f64>();
    let own = reach(label);
    (0..classes).map(|class| class as Label).filter(|&class| class != label).all(|other| {
        let lead = members.iter().fold(0.0, |sum: f64, member| (sum + member.lead(row, label, other)).next_down());
        // A NaN is above nothing.
        lead > unit * (own + reach(other))
    })
}

impl Evaluator {
    /// As [`Evaluator::certify`], of the nets together: class and certificate are those of the mean of their scores
    /// (distances with their sign turned, or logits). The margin is of the mean too; NaN where a net has a head, for the
    /// rule margin > 2ε is of distances.
    ///
    /// # Panics
    /// If there is no net, or they do not have the same number of classes.
    pub fn certify_together(
        &mut self,
        nets: &[&NetState],
        split: &Split,
        samples: usize,
        around: impl Into<Neighbourhood>,
    ) -> Evaluation {
        let classes = nets[0].classes();
        assert!(nets.iter().all(|net| net.classes() == classes), "nets of different classes");
        let input_box = InputBox::new(self.view.id, around);
        let std = self.view.id.std();
        let distances = nets.iter().all(|net| net.head.is_none());
        let mut evaluation = Evaluation::default();
        for chunk in chunks(samples.min(split.len())) {
            let (low, high) = self.boxes(&input_box, split, chunk.clone());
            let images = self.images(split, chunk.clone());
            let mut sums = vec![0.0f64; chunk.len() * classes];
            let mut members = Vec::with_capacity(nets.len());
            for net in nets {
                self.begin();
                for (sum, score) in sums.iter_mut().zip(self.scores(net, images.clone())) {
                    *sum += f64::from(score);
                }
                members.push(self.score_bounds(net, low.clone(), high.clone()));
            }
            let labels = &split.labels[chunk];
            for (row, (sums, &label)) in sums.chunks_exact(classes).zip(labels).enumerate() {
                evaluation.samples.push(SampleResult {
                    margin: if distances { (margin(sums, label) / nets.len() as f64 * std) as f32 } else { f32::NAN },
                    label,
                    prediction: first_largest(sums),
                    certified: proves(&members, row, label, classes),
                });
            }
        }
        evaluation
    }

    /// A net's scores in evaluation mode at p = ∞, `[B, C]`, the largest for the likeliest class.
    pub(super) fn scores(&self, net: &NetState, images: Vec<f32>) -> Vec<f32> {
        let mut output = net.layers.iter().fold(images, |input, layer| self.layer(layer, PNorm::INFINITY, &input));
        let Some((turned, head)) = &net.head else {
            add_bias(&mut output, &net.bias.value);
            output.iter_mut().for_each(|distance| *distance = -*distance);
            return output;
        };
        let mut scratch = Vec::new();
        head.logits(&self.pool, self.simd, turn(&self.pool, *turned, &output, &mut scratch))
    }

    pub(super) fn score_bounds<'a>(&self, net: &'a NetState, low: Vec<f32>, high: Vec<f32>) -> ScoreBounds<'a> {
        let (low, high) = self.bounds(net, low, high);
        let Some((turned, head)) = &net.head else {
            return ScoreBounds::Distances { low, high, classes: net.classes() };
        };
        let (mut low_scratch, mut high_scratch) = (Vec::new(), Vec::new());
        let low = turn(&self.pool, *turned, &low, &mut low_scratch);
        let high = turn(&self.pool, *turned, &high, &mut high_scratch);
        ScoreBounds::Head(head.bounds(&self.pool, self.simd, low, high))
    }
}

fn margin(sums: &[f64], label: Label) -> f64 {
    let own = sums[usize::from(label)];
    let others = sums.iter().enumerate().filter(|&(class, _)| class != usize::from(label));
    others.map(|(_, &sum)| own - sum).fold(f64::INFINITY, f64::min)
}

/// A NaN is no class's.
pub(super) fn first_largest(sums: &[f64]) -> Label {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, &sum) in sums.iter().enumerate() {
        if sum > best.1 {
            best = (class, sum);
        }
    }
    best.0 as Label
}
