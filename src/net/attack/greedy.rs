//! The search that the structure of a distance net asks for: at p = ∞ each distance depends on one pixel, the one at the
//! end of its path of largest differences. Move that pixel to the end of its box, and look which one it is now.

use super::front::Front;
use super::goal::Goal;
use super::slope::Slope;
use super::{Broken, measure};

/// Pixel by pixel from a corner of the box, which the slope of the net at another p points to where one is given, and from
/// the image itself where not.
pub(super) fn greedy(
    corner: Option<&mut Slope<'_>>,
    exact: &mut Slope<'_>,
    front: &Front,
    goals: &[Goal],
    moves: u32,
) -> Vec<(usize, Vec<f32>)> {
    let mut images = front.gather();
    let mut broken = Broken::new(front);
    if let Some(slope) = corner {
        step(slope, front, goals, &mut images);
    }
    for _ in 0..moves {
        let scores = exact.scores(&images, front.open.len(), false);
        broken.look(front, scores, &images);
        if broken.is_all() {
            return broken.images;
        }
        step(exact, front, goals, &mut images);
    }
    broken.look(front, exact.scores(&images, front.open.len(), false), &images);
    broken.images
}

/// Every pixel that the slope knows of goes to the end of its box.
fn step(slope: &mut Slope<'_>, front: &Front, goals: &[Goal], images: &mut [f32]) {
    let scores = slope.scores(images, front.open.len(), true).to_vec();
    let (_, of_scores) = measure(front, &scores, |row| goals[row]);
    let gradient = slope.gradient(images, &of_scores);
    let rows = images.chunks_exact_mut(front.pixels).zip(gradient.chunks_exact(front.pixels));
    for (&place, (image, gradient)) in front.open.iter().zip(rows) {
        let ball = front.ball(place);
        ball.step(image, gradient, 2.0 * ball.radius);
    }
}
