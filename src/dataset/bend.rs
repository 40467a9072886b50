//! Smooth random displacements of an image's pixels, as of a picture on rubber (Simard, Steinkraus and Platt, *Best practices
//! for convolutional neural networks applied to visual document analysis*, ICDAR 2003), from few random numbers.

use super::random::{self, Purpose, stream};

/// Pixels between two nodes of the grid whose displacements are drawn; those in between are interpolated.
const SPACING: usize = 8;
/// Pixels of a row that are looked for together: some spans between nodes.
pub(super) const LANES: usize = 2 * SPACING;
/// A pixel, in units of nodes' displacements. Interpolated both ways, without a division, 2⁻¹⁷ is the unit.
const PIXEL: f64 = ((1 << 17) / (SPACING * SPACING)) as f64;

/// Which displacements are drawn: they are a pure function of what is here. All of it is in integers, so that all devices
/// look at the same pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bend {
    /// The greatest displacement of a node either way, in units of [`PIXEL`].
    most: u32,
    seed: u64,
    epoch: u64,
    index: u32,
}

impl Bend {
    /// By up to `most` pixels; none where that is 0.
    pub(super) fn new(most: f64, seed: u64, epoch: u64, index: u32) -> Option<Self> {
        let most = (most * PIXEL).round() as u32;
        (most > 0).then_some(Self { most, seed, epoch, index })
    }

    /// Draws the displacements of the nodes that `[height, width]` pixels lie between.
    pub fn field(self, size: [usize; 2]) -> Field {
        let [rows, columns] = size.map(|size| size.div_ceil(SPACING) + 1);
        let draws = stream(Purpose::Bend, self.epoch);
        let uniform = |bits| random::within(bits, self.most);
        // Two nodes a block of random bits, and room for a million blocks an image.
        let blocks = (rows * columns).div_ceil(2) as u64;
        let nodes = (0..blocks).flat_map(|block| {
            let [a, b, c, d] = random::block(self.seed, draws, u64::from(self.index) << 20 | block).map(uniform);
            [[a, b], [c, d]]
        });
        Field { nodes: nodes.take(rows * columns).collect(), columns }
    }
}

/// The displacements of a grid's nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// How far down and right each is displaced, row by row, in units of 1/2048 of a pixel.
    pub nodes: Vec<[i32; 2]>,
    columns: usize,
}

impl Field {
    /// Writes how far down and right the pixels of row `y` are displaced, from left to right, in units of 2⁻¹⁷ pixels.
    #[inline(always)]
    pub(super) fn row(&self, y: usize, to: &mut [[[i32; LANES]; 2]]) {
        const SPANS: usize = LANES / SPACING;
        let between = |from: i32, to: i32, steps: usize| from * (SPACING - steps) as i32 + to * steps as i32;
        let above = &self.nodes[y / SPACING * self.columns..][..self.columns];
        let below = &self.nodes[(y / SPACING + 1) * self.columns..][..self.columns];
        let node = |column: usize, axis: usize| between(above[column][axis], below[column][axis], y % SPACING);
        for column in 0..self.columns - 1 {
            for axis in [0, 1] {
                let (left, right) = (node(column, axis), node(column + 1, axis));
                let to = &mut to[column / SPANS][axis][column % SPANS * SPACING..][..SPACING];
                to.iter_mut().enumerate().for_each(|(x, to)| *to = between(left, right, x));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_depend_on_seed_epoch_and_sample_alone_and_are_uniform() {
        let field = |seed, epoch, index| Bend::new(0.5, seed, epoch, index).unwrap().field([28, 28]);
        assert_eq!(field(1, 2, 3), field(1, 2, 3));
        for other in [field(2, 2, 3), field(1, 3, 3), field(1, 2, 4)] {
            assert_ne!(field(1, 2, 3), other);
        }
        // Half a pixel is 1024 units; each third of the range holds a third of the draws, down and right.
        let (mut thirds, mut nodes) = ([[0; 3]; 2], std::collections::BTreeSet::new());
        for index in 0..400 {
            for node in &field(7, 0, index).nodes {
                nodes.insert(*node);
                for (thirds, moved) in thirds.iter_mut().zip(node) {
                    assert!(moved.abs() <= 1024);
                    thirds[((moved + 1024) / 683).min(2) as usize] += 1;
                }
            }
        }
        assert!(nodes.len() > 9900, "{} of 10 000 draws differ", nodes.len());
        assert!(thirds.as_flattened().iter().all(|count| (3150..3520).contains(count)), "{thirds:?}");
        assert_eq!(Bend::new(0.0, 1, 2, 3), None);
    }

    /// In real numbers: bilinear between the four nodes around a pixel.
    #[test]
    fn pixels_between_nodes_follow_them() {
        for size in [[28, 28], [9, 17], [1, 1], [8, 8]] {
            let field = Bend::new(3.0, 5, 1, 9).unwrap().field(size);
            for y in 0..size[0] {
                let mut row = vec![[[0; LANES]; 2]; size[1].div_ceil(LANES)];
                field.row(y, &mut row);
                for x in 0..size[1] {
                    let found = row[x / LANES].map(|axis| axis[x % LANES]);
                    let weight = |at: usize, node: usize| (1.0 - (at as f64 / 8.0 - node as f64).abs()).max(0.0);
                    let mut expected = [0.0; 2];
                    for (k, node) in field.nodes.iter().enumerate() {
                        let share = weight(y, k / field.columns) * weight(x, k % field.columns);
                        expected = [0, 1].map(|axis| expected[axis] + share * f64::from(node[axis]) / 2048.0);
                    }
                    assert_eq!(found.map(|moved| f64::from(moved) / 131_072.0), expected, "{size:?} at {y}, {x}");
                }
            }
        }
    }
}
