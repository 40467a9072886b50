//! What the processor's arithmetic can do at most, for benches: speeds of kernels are shares of it, taken in the same
//! seconds, as clocks and neighbours on a machine change from minute to minute.

use std::hint::black_box;

use super::simd::{Kernel, Lanes, Simd};

struct Chains {
    rounds: u64,
}

impl Kernel for Chains {
    type Output = (u64, usize, f32);

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) -> (u64, usize, f32) {
        // As many chains as a forward pass has accumulators: more than it takes to hide how long one operation lasts.
        let (factor, rest) = (s.splat(black_box(0.999)), s.splat(black_box(0.001)));
        let mut tile = s.tile();
        for _ in 0..self.rounds {
            for row in 0..S::ROWS {
                for o in 0..4 {
                    tile[row][o] = s.fma(tile[row][o], factor, rest);
                }
            }
        }
        let mut sum = 0.0;
        for row in 0..S::ROWS {
            sum += s.sum4(tile[row])[0];
        }
        (self.rounds * 4 * S::ROWS as u64, S::N, sum)
    }
}

/// Does independent chains of multiplications with additions, all in registers, on one thread: how many vectors of how
/// many floats it did, for `rounds` passes over all chains.
pub fn multiply_adds(simd: Simd, rounds: u64) -> (u64, usize) {
    let (operations, lanes, sum) = simd.run(Chains { rounds });
    black_box(sum);
    (operations, lanes)
}
