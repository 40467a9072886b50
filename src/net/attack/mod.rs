//! Attacks on a net at p = ∞: what its certificates are held against.
//!
//! The papers attack with PGD at p = ∞ (arXiv 2102.05363 §6), where each score depends on one pixel alone: a step moves
//! as many pixels as there are classes, so little is found. The stronger attacks take their gradients through the same
//! net at a finite p, where every pixel counts, with the step control of APGD (arXiv 2003.01690); first towards any
//! other class, by the ratio of score differences and by the cross-entropy in turn, then towards each of the likeliest.
//! Last comes a search along the paths that the scores at p = ∞ depend on. What counts as found is judged by the net at
//! p = ∞ alone. A net of sort neurons has no finite p: its own gradients reach the K largest differences of each
//! neuron.

mod ascent;
mod front;
mod goal;
mod greedy;
mod nearer;
mod slope;

use crate::dataset::Split;
use crate::dataset::random::{self, Purpose};
use crate::experiment::{Attack, Fate, Label, PNorm};

use super::evaluate::{chunks, first_smallest};
use super::{Evaluator, NetState};
use ascent::{Ascent, looks};
use front::Front;
pub use front::Reach;
use goal::{Goal, rivals};
use greedy::greedy;
use slope::Slope;

/// The finite p that gradients are taken at, one a restart, over and over.
const POWERS: [f64; 3] = [32.0, 100.0, 12.0];

/// Training images that give the running means at a finite p.
const MEAN_SAMPLES: usize = 2048;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attacked {
    /// One a sample, in the order of the split.
    pub fates: Vec<Fate>,
    /// Sample and image `[C·H·W]`, normalised, of each sample that an attack broke.
    pub examples: Vec<(u32, Vec<f32>)>,
}

impl Attacked {
    /// Accuracy under PGD alone, as the papers report it.
    pub fn under_pgd(&self) -> f64 {
        self.share(|fate| !matches!(fate, Fate::Misclassified | Fate::Pgd))
    }

    /// Accuracy under all attacks.
    pub fn under_all(&self) -> f64 {
        self.share(|fate| fate == Fate::Survived)
    }

    fn share(&self, test: impl Fn(Fate) -> bool) -> f64 {
        let passed = self.fates.iter().filter(|&&fate| test(fate)).count();
        passed as f64 / self.fates.len().max(1) as f64
    }
}

impl Evaluator {
    /// Attacks the first samples of `split` inside their boxes, as `plan` says. `train` gives the means at
    /// finite p. Before each pass `go_on` is told how many samples are done; where it refuses, there is no result.
    pub fn attack(
        &mut self,
        net: &NetState,
        train: &Split,
        split: &Split,
        plan: &Attack,
        reach: Reach<'_>,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Option<Attacked> {
        let powers: &[f64] = if net.sorts() { &[f64::INFINITY] } else { &POWERS };
        let relaxed: Vec<(PNorm, NetState)> = powers
            .iter()
            .filter_map(|&p| PNorm::new(p))
            .take(plan.restarts.max(1) as usize)
            .map(|p| (p, if p.is_infinite() { net.clone() } else { self.with_means_at(net, p, train, MEAN_SAMPLES) }))
            .collect();
        self.begin();
        let samples = plan.samples.unwrap_or(split.len()).min(split.len());
        let mut found = Attacked::default();
        for chunk in chunks(samples) {
            let mut front = self.front(split, chunk.clone(), reach);
            let mut fates = vec![Fate::Misclassified; chunk.len()];
            let mut exact = self.slope(net, PNorm::INFINITY);
            let clean = exact.scores(&front.images, chunk.len(), false).to_vec();
            let rows: Vec<&[f32]> = clean.chunks_exact(net.classes()).collect();
            front.open.retain(|&place| predicted(rows[place]) == front.labels[place]);
            front.open.iter().for_each(|&place| fates[place] = Fate::Survived);
            let mut hits = |front: &mut Front, fate: Fate, broken: Vec<(usize, Vec<f32>)>| {
                for (place, image) in broken {
                    fates[place] = fate;
                    front.open.retain(|&open| open != place);
                    found.examples.push(((chunk.start + place) as u32, image));
                }
            };
            let start = |restart: u64, place: usize| Start { seed: net.seed, restart, sample: chunk.start + place };

            if !go_on(chunk.start) {
                return None;
            }
            let goal = Goal::CrossEntropy { scale: net.scalar.value[0] };
            let broken = pgd(&mut exact, &front, goal, plan.pgd_steps, &start);
            hits(&mut front, Fate::Pgd, broken);

            let aims = |wanted: Option<usize>, restart: u32, front: &Front| -> Vec<Goal> {
                let aim = |&place: &usize| match wanted {
                    None if restart.is_multiple_of(2) => Goal::Ratio,
                    None => goal,
                    Some(rank) => Goal::LeadOf(rivals(rows[place], front.labels[place])[rank]),
                };
                front.open.iter().map(aim).collect()
            };
            let targets = (plan.targets as usize).min(net.classes() - 1);
            for rank in std::iter::once(None).chain((0..targets).map(Some)) {
                for restart in 0..plan.restarts {
                    if front.open.is_empty() {
                        break;
                    }
                    if !go_on(chunk.start) {
                        return None;
                    }
                    let (p, relaxed_net) = &relaxed[restart as usize % relaxed.len()];
                    let mut slope = self.slope(relaxed_net, *p);
                    let goals = aims(rank, restart, &front);
                    // 0 is PGD's.
                    let round = rank.map_or(0, |rank| rank as u64 + 1);
                    let from = 1 + round * u64::from(plan.restarts) + u64::from(restart);
                    let begin = |place: usize| start(from, place);
                    let broken = apgd(&mut slope, &mut exact, &front, &goals, plan.steps, &begin);
                    hits(&mut front, if rank.is_none() { Fate::Relaxed } else { Fate::Targeted }, broken);
                }
            }
            for rank in 0..targets {
                let corners = relaxed.iter().take(plan.restarts as usize);
                for corner in std::iter::once(None).chain(corners.map(Some)) {
                    if front.open.is_empty() {
                        break;
                    }
                    if !go_on(chunk.start) {
                        return None;
                    }
                    let goals = aims(Some(rank), 0, &front);
                    let mut slope = corner.map(|(p, net)| self.slope(net, *p));
                    let broken = greedy(slope.as_mut(), &mut exact, &front, &goals, plan.steps);
                    hits(&mut front, Fate::Greedy, broken);
                }
            }
            found.fates.extend(fates);
        }
        found.examples.sort_by_key(|(sample, _)| *sample);
        Some(found)
    }

    /// Passes of a net, on the device where there is one.
    fn slope<'a>(&'a self, net: &'a NetState, p: PNorm) -> Slope<'a> {
        Slope::new(&self.pool, self.simd, self.device.as_ref(), net, p)
    }
}

/// Where a sample's random starting point comes from.
struct Start {
    seed: u64,
    restart: u64,
    sample: usize,
}

impl Start {
    fn stream(&self) -> u64 {
        random::stream(Purpose::Attack, self.restart)
    }

    fn index(&self, pixel: usize, pixels: usize) -> u64 {
        (self.sample * pixels + pixel) as u64
    }
}

fn predicted(scores: &[f32]) -> Label {
    first_smallest(scores.iter().map(|z| -z))
}

/// PGD from one random start near the image, with steps of ε/4 (arXiv 2102.05363 §6; SortNet takes 100 of them).
fn pgd(
    exact: &mut Slope<'_>,
    front: &Front,
    goal: Goal,
    steps: u32,
    start: &dyn Fn(u64, usize) -> Start,
) -> Vec<(usize, Vec<f32>)> {
    if front.open.is_empty() || steps == 0 {
        return Vec::new();
    }
    let mut images = front.gather();
    for (&place, image) in front.open.iter().zip(images.chunks_exact_mut(front.pixels)) {
        let (start, ball) = (start(0, place), front.ball(place));
        let radius = ball.radius;
        for (i, x) in image.iter_mut().enumerate() {
            let noise = radius / 4.0 * random::normal(start.seed, start.stream(), start.index(i, front.pixels));
            *x = (*x + noise.clamp(-radius / 2.0, radius / 2.0)).clamp(ball.low[i], ball.high[i]);
        }
    }
    let mut broken = Broken::new(front);
    for step in 0..=steps {
        let last = step == steps;
        let scores = exact.scores(&images, front.open.len(), !last).to_vec();
        broken.look(front, &scores, &images);
        if last || broken.is_all() {
            break;
        }
        let (_, of_scores) = measure(front, &scores, |_| goal);
        let gradient = exact.gradient(&images, &of_scores);
        let rows = images.chunks_exact_mut(front.pixels).zip(gradient.chunks_exact(front.pixels));
        for (&place, (image, gradient)) in front.open.iter().zip(rows) {
            let ball = front.ball(place);
            ball.step(image, gradient, ball.radius / 4.0);
        }
    }
    broken.images
}

/// APGD from a uniform random start in the box, each open sample towards its goal, up the slope of the net at another p.
fn apgd(
    slope: &mut Slope<'_>,
    exact: &mut Slope<'_>,
    front: &Front,
    goals: &[Goal],
    steps: u32,
    start: &dyn Fn(usize) -> Start,
) -> Vec<(usize, Vec<f32>)> {
    let mut images = front.gather();
    for (&place, image) in front.open.iter().zip(images.chunks_exact_mut(front.pixels)) {
        let (start, ball) = (start(place), front.ball(place));
        for (i, x) in image.iter_mut().enumerate() {
            let share = random::uniform(start.seed, start.stream(), start.index(i, front.pixels)) as f32;
            *x = (ball.low[i] + share * (ball.high[i] - ball.low[i])).clamp(ball.low[i], ball.high[i]);
        }
    }
    let mut ascents: Vec<Ascent> = (front.open.iter().zip(images.chunks_exact(front.pixels)))
        .map(|(&place, image)| Ascent::new(image, 2.0 * front.ball(place).radius))
        .collect();
    let looks = looks(steps);
    let mut last_look = 0;
    let mut broken = Broken::new(front);
    for step in 0..=steps {
        broken.look(front, exact.scores(&images, front.open.len(), false), &images);
        if step == steps || broken.is_all() {
            break;
        }
        let scores = slope.scores(&images, front.open.len(), true).to_vec();
        let (values, of_scores) = measure(front, &scores, |row| goals[row]);
        let gradient = slope.gradient(&images, &of_scores);
        let look = looks.contains(&step).then(|| step - std::mem::replace(&mut last_look, step));
        let rows = images.chunks_exact_mut(front.pixels).zip(gradient.chunks_exact(front.pixels));
        for (((&place, ascent), value), (image, gradient)) in front.open.iter().zip(&mut ascents).zip(values).zip(rows)
        {
            ascent.advance(front.ball(place), image, value, gradient, look);
        }
    }
    broken.images
}

/// The goal's value of each open sample, and its gradient with respect to the scores.
fn measure(front: &Front, scores: &[f32], goal: impl Fn(usize) -> Goal) -> (Vec<f32>, Vec<f32>) {
    let classes = scores.len() / front.open.len();
    let mut of_scores = vec![0.0; scores.len()];
    let rows = scores.chunks_exact(classes).zip(of_scores.chunks_exact_mut(classes));
    let values = (rows.zip(&front.open).enumerate())
        .map(|(row, ((scores, gradient), &place))| goal(row).measure(scores, front.labels[place], gradient))
        .collect();
    (values, of_scores)
}

/// The first image of another class that each open sample came to.
struct Broken {
    is_broken: Vec<bool>,
    images: Vec<(usize, Vec<f32>)>,
}

impl Broken {
    fn new(front: &Front) -> Broken {
        Broken { is_broken: vec![false; front.open.len()], images: Vec::new() }
    }

    fn look(&mut self, front: &Front, scores: &[f32], images: &[f32]) {
        let classes = scores.len() / front.open.len();
        for (row, (scores, &place)) in scores.chunks_exact(classes).zip(&front.open).enumerate() {
            if !self.is_broken[row] && predicted(scores) != front.labels[place] {
                self.is_broken[row] = true;
                self.images.push((place, front.part(images, row).to_vec()));
            }
        }
    }

    fn is_all(&self) -> bool {
        self.is_broken.iter().all(|&broken| broken)
    }
}

#[cfg(test)]
mod tests;
