//! Steps uphill inside a box: the fixed step of the papers' PGD, and the step of APGD that halves when it stops helping.

/// The box of one sample, `[C·H·W]`.
#[derive(Clone, Copy)]
pub(super) struct Ball<'a> {
    pub low: &'a [f32],
    pub high: &'a [f32],
    /// Half of its side where it is not clipped.
    pub radius: f32,
}

impl Ball<'_> {
    fn clip(&self, i: usize, value: f32) -> f32 {
        value.clamp(self.low[i], self.high[i])
    }

    /// One step of `rate` along the sign of the gradient; sign(0) = 0.
    pub(super) fn step(&self, image: &mut [f32], gradient: &[f32], rate: f32) {
        for (i, (x, &g)) in image.iter_mut().zip(gradient).enumerate() {
            *x = self.clip(i, *x + rate * sign(g));
        }
    }
}

fn sign(g: f32) -> f32 {
    if g > 0.0 {
        1.0
    } else if g < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// How much of a step is new; the rest is momentum.
const MOMENTUM: f32 = 0.75;

/// The share of steps since the last look that have to climb, or the step is halved.
const CLIMBING: f32 = 0.75;

/// The state of one sample's APGD (Croce & Hein, arXiv 2003.01690, Algorithm 1).
pub(super) struct Ascent {
    rate: f32,
    /// The image before the present one.
    before: Vec<f32>,
    /// The best image so far, its gradient and its value.
    best: Vec<f32>,
    best_gradient: Vec<f32>,
    best_value: f32,
    last_value: f32,
    /// Steps that climbed since the last look.
    climbs: u32,
    /// Whether the rate was halved at the last look, and the best value then.
    halved: bool,
    best_at_look: f32,
}

impl Ascent {
    /// Begins at `image` with a step of the box's width: `rate` = 2ε.
    pub(super) fn new(image: &[f32], rate: f32) -> Ascent {
        Ascent {
            rate,
            before: image.to_vec(),
            best: image.to_vec(),
            best_gradient: Vec::new(),
            best_value: f32::NEG_INFINITY,
            last_value: f32::NEG_INFINITY,
            climbs: 0,
            halved: false,
            best_at_look: f32::NEG_INFINITY,
        }
    }

    /// Takes in value and gradient at `image`, and moves `image` on. `look` says after how many steps since the last
    /// look this one is, where it is time for one.
    pub(super) fn advance(
        &mut self,
        ball: Ball<'_>,
        image: &mut [f32],
        value: f32,
        gradient: &[f32],
        look: Option<u32>,
    ) {
        self.climbs += u32::from(value > self.last_value);
        self.last_value = value;
        if value > self.best_value || self.best_gradient.is_empty() {
            self.best_value = value;
            self.best.copy_from_slice(image);
            self.best_gradient.clear();
            self.best_gradient.extend_from_slice(gradient);
        }
        let mut restarted = false;
        if let Some(steps) = look {
            let lame = (self.climbs as f32) < CLIMBING * steps as f32;
            let stuck = !self.halved && self.best_value <= self.best_at_look;
            self.halved = lame || stuck;
            self.best_at_look = self.best_value;
            self.climbs = 0;
            if self.halved {
                self.rate /= 2.0;
                image.copy_from_slice(&self.best);
                self.before.copy_from_slice(&self.best);
                restarted = true;
            }
        }
        let gradient = if restarted { self.best_gradient.as_slice() } else { gradient };
        for (i, (x, before)) in image.iter_mut().zip(&mut self.before).enumerate() {
            let uphill = ball.clip(i, *x + self.rate * sign(gradient[i]));
            let next = ball.clip(i, *x + MOMENTUM * (uphill - *x) + (1.0 - MOMENTUM) * (*x - *before));
            *before = std::mem::replace(x, next);
        }
    }
}

/// The steps after which APGD looks whether to halve its rate (§3.1): the gaps shrink from 22 % of all steps to 6 %.
pub(super) fn looks(steps: u32) -> Vec<u32> {
    // In percent, where all of them are whole.
    let (mut before, mut at) = (0, 22);
    let mut looks = Vec::new();
    while at <= 100 {
        looks.push((at * steps).div_ceil(100));
        (before, at) = (at, at + (at - before).saturating_sub(3).max(6));
    }
    looks.dedup();
    looks
}
