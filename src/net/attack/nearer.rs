//! How near to its image an adversarial one can be brought.

use crate::dataset::Split;
use crate::experiment::{Label, PNorm};
use crate::net::evaluate::chunks;
use crate::net::{Evaluator, NetState};

/// Halvings of the distance.
const HALVINGS: u32 = 20;

impl Evaluator {
    /// For each example (sample of `split`, image `[C·H·W]` of another class) the smallest radius in pixel units, found by
    /// halving, such that the example cut down to that radius still has another class: the robust radius of that sample is
    /// no larger.
    pub fn nearer(&mut self, net: &NetState, split: &Split, examples: &[(u32, Vec<f32>)]) -> Vec<f64> {
        self.begin();
        let mut distances = Vec::with_capacity(examples.len());
        for chunk in chunks(examples.len()) {
            let examples = &examples[chunk];
            let labels: Vec<Label> = examples.iter().map(|(sample, _)| split.labels[*sample as usize]).collect();
            let from: Vec<Vec<f32>> = (examples.iter())
                .map(|(sample, _)| self.images(split, *sample as usize..*sample as usize + 1))
                .collect();
            let longest = |((_, to), from): (&(u32, Vec<f32>), &Vec<f32>)| {
                from.iter().zip(to).map(|(a, b)| (b - a).abs()).fold(0.0, f32::max)
            };
            // At the first radius the class is right, at the second wrong.
            let mut known: Vec<(f32, f32)> = examples.iter().zip(&from).map(|pair| (0.0, longest(pair))).collect();
            for _ in 0..HALVINGS {
                let middles: Vec<f32> = known.iter().map(|(right, wrong)| 0.5 * (right + wrong)).collect();
                let images: Vec<f32> = (examples.iter().zip(&from).zip(&middles))
                    .flat_map(|(((_, to), from), &most)| {
                        from.iter().zip(to).map(move |(a, b)| a + (b - a).clamp(-most, most))
                    })
                    .collect();
                let answers = self.answers(net, PNorm::INFINITY, images, &labels);
                for (((answer, label), known), middle) in answers.iter().zip(&labels).zip(&mut known).zip(middles) {
                    if answer.prediction == *label { known.0 = middle } else { known.1 = middle }
                }
            }
            distances.extend(known.into_iter().map(|(_, wrong)| f64::from(wrong) * self.view.id.std()));
        }
        distances
    }
}
