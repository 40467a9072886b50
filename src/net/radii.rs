//! The largest radius that is proved of each sample.

use crate::dataset::Split;
use crate::experiment::{Label, Neighbourhood, Radius, Threat};

use super::evaluate::chunks;
use super::{Evaluation, Evaluator, InputBox, NetState};

impl Evaluator {
    /// The largest radius on the threat's grid at which the class of each sample of `evaluation`, the first of `split`, is
    /// proved; `None` where it is not even at 0, which is to say where the program is wrong or undecided.
    ///
    /// The proof is that of [`Evaluator::certify`]; the margin only says where to begin. Before each chunk `go_on` is told
    /// how many samples are done; where it refuses, there is no result.
    pub fn radii(
        &mut self,
        net: &NetState,
        split: &Split,
        evaluation: &Evaluation,
        threat: Threat,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Option<Vec<Option<Radius>>> {
        self.begin();
        let steps = threat.steps();
        let mut searches: Vec<Search> = (evaluation.samples.iter())
            .map(|sample| Search::new((f64::from(sample.margin) / 2.0 * f64::from(steps)) as u32, steps))
            .collect();
        let size = self.view.pixels();
        loop {
            let open: Vec<(usize, u32)> = (searches.iter().enumerate())
                .filter_map(|(sample, search)| search.question().map(|radius| (sample, radius)))
                .collect();
            if open.is_empty() {
                break Some(searches.into_iter().map(|search| search.answer().map(Radius)).collect());
            }
            let done = searches.len() - open.len();
            for chunk in chunks(open.len()) {
                if !go_on(done) {
                    return None;
                }
                let asked = &open[chunk];
                let (mut low, mut high) = (vec![0.0; asked.len() * size], vec![0.0; asked.len() * size]);
                for (row, &(sample, radius)) in asked.iter().enumerate() {
                    let around = Neighbourhood { eps: threat.eps(Radius(radius)), threat };
                    let at = row * size..(row + 1) * size;
                    let image = split.image(self.view, sample);
                    InputBox::new(self.view.id, around).around(&image, &mut low[at.clone()], &mut high[at]);
                }
                let labels: Vec<Label> = asked.iter().map(|&(sample, _)| split.labels[sample]).collect();
                for (&(sample, radius), holds) in asked.iter().zip(self.proofs(net, low, high, &labels)) {
                    searches[sample].learn(radius, holds);
                }
            }
        }
    }
}

/// A search for the largest of 0 … most at which something holds that holds at all smaller ones: away from a first guess
/// in steps that double, then by halves.
#[derive(Clone, Copy, Debug)]
struct Search {
    guess: u32,
    most: u32,
    stride: u32,
    /// The largest at which it is known to hold.
    good: Option<u32>,
    /// The smallest at which it is known not to.
    bad: Option<u32>,
}

impl Search {
    fn new(guess: u32, most: u32) -> Search {
        Search { guess: guess.min(most), most, stride: 1, good: None, bad: None }
    }

    /// What to find out next; `None` once the answer is known.
    fn question(&self) -> Option<u32> {
        match (self.good, self.bad) {
            (None, None) => Some(self.guess),
            (Some(good), None) => (good < self.most).then(|| self.most.min(good.saturating_add(self.stride))),
            (None, Some(bad)) => (bad > 0).then(|| bad.saturating_sub(self.stride)),
            (Some(good), Some(bad)) => (bad - good > 1).then(|| good + (bad - good) / 2),
        }
    }

    fn learn(&mut self, at: u32, holds: bool) {
        if self.good.is_some() || self.bad.is_some() {
            self.stride = self.stride.saturating_mul(2);
        }
        if holds {
            self.good = Some(at);
        } else {
            self.bad = Some(at);
        }
    }

    fn answer(&self) -> Option<u32> {
        self.good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_found_from_every_guess_in_few_questions() {
        let most = 255;
        for guess in [0, 1, 7, 100, 254, 255, 999] {
            // 0: it holds nowhere.
            for holding in 0..=most + 1 {
                let mut search = Search::new(guess, most);
                let mut questions = 0;
                while let Some(at) = search.question() {
                    assert!(at <= most);
                    search.learn(at, at < holding);
                    questions += 1;
                    assert!(questions < 20, "from {guess} to {holding}");
                }
                assert_eq!(search.answer(), holding.checked_sub(1), "from {guess}");
                if holding == guess + 1 {
                    assert!(questions <= 2, "a right guess takes {questions} questions");
                }
            }
        }
    }
}
