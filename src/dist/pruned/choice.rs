//! Which kernels are faster for these operands: a pure function of them, p, the shape, the instruction set, and whether a
//! backward pass follows.
//!
//! A few pairs (group of samples, weight row) are treated by the pruned kernels and counted; the counts and the
//! constants below predict the cycles of the whole pass, which are compared with what the dense kernels need whatever
//! the operands are. No clock and no memory of earlier calls: a run that is repeated or resumed takes the same paths,
//! and so ends with the same bits.
//!
//! The constants are core cycles. They come from the 92 cases of `cargo bench --bench choice -- --epochs 6` (the layers of a
//! 784-512×4-10 net, fresh and in training, p = 24 … ∞, one thread): those of AVX2 on a Zen 3 EPYC, those of AVX-512 on a Xeon
//! (Emerald Rapids), both under some other load. The dense ones are medians, the pruned ones least squares of the relative
//! errors, held near first guesses where the cases do not tell costs apart; those of dense gradients of AVX-512 are half a cycle
//! less, because additions have been fused since. `interval` was measured on the Xeon for both. `docs/benchmarks.md` says how much
//! longer the choices take than the better of the two. NOT measured are the portable constants, which are the AVX2 ones scaled.

use super::super::Shape;
use super::super::backward::group_size;
use super::super::op::Path;
use super::super::simd::Simd;
use super::groups::Groups;
use super::outputs::Outputs;

/// Pairs (group, output) that are counted at most, and the least share of all pairs that one of them stands for.
const SAMPLED_PAIRS: usize = 24;
const SAMPLED_SHARE: usize = 24;
/// Groups they are taken from, and the outputs of a layer below which it is one: to lay a group out costs the same for
/// few outputs as for many.
const SAMPLED_GROUPS: usize = 4;
const FEW_OUTPUTS: usize = 64;

/// Share of the dense pass that a look in vain may cost: what the choice may lose at most.
const VAIN_LOOK: f64 = 0.1;

/// What pruned passes met, over some pairs (group, output).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Pairs (group, output).
    pub pairs: usize,
    /// Coordinates that could be the largest of a sample.
    pub largest: usize,
    /// Coordinates that could count for a sample.
    pub candidates: usize,
    /// Those of them that could within the bounds of a vector of samples.
    pub narrowed: usize,
    /// Their vectors.
    pub vectors: usize,
    /// Terms that counted; taken only where results are not.
    pub terms: usize,
}

/// How sparse a layer's distances are, measured on a sample of its pairs (sample, output): shares of all coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pruning {
    /// That the bounds of a group of samples allow to be the largest of one.
    pub largest: f64,
    /// That those bounds allow to count. At p = ∞ as above.
    pub candidates: f64,
    /// That the bounds of a vector of samples still allow to count for one. 0 at p = ∞ in evaluation.
    pub narrowed: f64,
    /// As above, vector by vector.
    pub vectors: f64,
    /// That a distance, and so its gradient, is made of. At p = ∞ one of I.
    pub terms: f64,
}

impl Pruning {
    fn of(counts: Counts, shape: Shape, groups: Groups, p: f64) -> Pruning {
        let coordinates = (counts.pairs * shape.inputs) as f64;
        let share = |count: usize, each: usize| count as f64 / (coordinates * each as f64);
        Pruning {
            largest: share(counts.largest, 1),
            candidates: share(counts.candidates, 1),
            narrowed: share(counts.narrowed, 1),
            vectors: share(counts.vectors, groups.vectors),
            terms: if p.is_infinite() { 1.0 / shape.inputs as f64 } else { share(counts.terms, groups.lanes) },
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.pairs += other.pairs;
        self.largest += other.largest;
        self.candidates += other.candidates;
        self.narrowed += other.narrowed;
        self.vectors += other.vectors;
        self.terms += other.terms;
    }
}

/// The groups whose pairs are counted.
pub(super) fn sampled(shape: Shape, groups: Groups) -> Vec<usize> {
    let sampled = if shape.outputs < FEW_OUTPUTS { 1 } else { groups.count.min(SAMPLED_GROUPS) };
    // Batches are sorted by class: spread, the groups are of different ones.
    (0..sampled).map(|k| k * groups.count / sampled).collect()
}

/// The others.
pub(super) fn not_sampled(shape: Shape, groups: Groups) -> Vec<usize> {
    let sampled = sampled(shape, groups);
    (0..groups.count).filter(|group| !sampled.contains(group)).collect()
}

/// Counts a sample of the pairs, all of [`sampled`] groups, with `count(group, outputs)`.
pub(super) fn sample(shape: Shape, groups: Groups, p: f64, mut count: impl FnMut(usize, Outputs) -> Counts) -> Pruning {
    let sampled = sampled(shape, groups);
    let each = (SAMPLED_PAIRS / sampled.len()).min(shape.outputs / SAMPLED_SHARE).max(1);
    let mut counts = Counts::default();
    for (phase, group) in sampled.into_iter().enumerate() {
        counts += count(group, Outputs::spread(shape.outputs, each, phase));
    }
    Pruning::of(counts, shape, groups, p)
}

/// The parts of a pass that cost something, each with its size; the constants are cycles for each.
pub(super) fn pruned_work(shape: Shape, groups: Groups, pruning: &Pruning, finite: bool, keep: bool) -> [f64; 7] {
    let pairs = (groups.count * shape.outputs) as f64;
    let coordinates = pairs * shape.inputs as f64;
    let vectors = groups.vectors as f64;
    let sweeps = match (finite, keep) {
        (false, _) => 2.0,
        (true, false) => 3.0,
        (true, true) => 4.0,
    };
    let passes = f64::from(u8::from(finite)) + f64::from(u8::from(keep));
    let terms = pruning.vectors * vectors * coordinates;
    [
        (groups.count * groups.lanes * shape.inputs) as f64,
        sweeps * coordinates,
        pruning.largest * coordinates * vectors,
        passes * pruning.candidates * coordinates,
        terms * if finite { 1.0 } else { 0.5 },
        if finite && keep { terms } else { 0.0 },
        pairs * vectors * (1.0 + passes),
    ]
}

/// Cycles of the pruned kernels for what [`pruned_work`] lists, and of the dense ones for each vector of coordinates.
struct Costs {
    /// An element of x laid out; a coordinate swept; a vector of a coordinate compared with the largest; a candidate
    /// narrowed; a vector of terms forward, backward; a vector of results.
    pruned: [f64; 7],
    /// p = ∞, and with index.
    largest: [f64; 2],
    /// Whole p, forward and backward: a vector of coordinates, and each of its multiplications.
    whole: [[f64; 2]; 2],
    /// Tables, forward and backward: a vector of coordinates, and each squaring.
    table: [[f64; 2]; 2],
    /// By logarithm, forward and backward.
    norms: [f64; 2],
    /// Both bounds of an interval.
    interval: f64,
}

const PORTABLE: Costs = Costs {
    pruned: [5.0, 2.5, 10.0, 49.0, 49.0, 61.0, 98.0],
    largest: [5.5, 7.0],
    whole: [[3.0, 1.0], [4.0, 1.0]],
    table: [[25.0, 1.0], [28.0, 1.0]],
    norms: [98.0, 98.0],
    interval: 8.7,
};

const AVX2: Costs = Costs {
    pruned: [3.6, 0.7, 3.7, 26.0, 20.0, 21.0, 51.0],
    largest: [1.9, 3.2],
    whole: [[1.0, 0.45], [2.0, 0.65]],
    table: [[9.5, 0.5], [10.2, 0.5]],
    norms: [43.0, 48.0],
    interval: 5.5,
};

const AVX512: Costs = Costs {
    pruned: [1.0, 0.46, 1.7, 38.0, 9.8, 16.3, 140.0],
    largest: [1.2, 2.6],
    whole: [[0.7, 0.6], [2.7, 0.8]],
    table: [[9.5, 0.45], [10.0, 0.45]],
    norms: [30.5, 31.0],
    interval: 4.5,
};

fn costs(simd: Simd) -> &'static Costs {
    match simd {
        Simd::Portable => &PORTABLE,
        Simd::Avx2 => &AVX2,
        Simd::Avx512 | Simd::Avx512Adders => &AVX512,
    }
}

/// Predicted cycles of the dense kernels.
fn dense_cycles(simd: Simd, shape: Shape, p: f64, path: Path, keep: bool) -> f64 {
    let costs = costs(simd);
    // Tiles beyond the last output are computed as well.
    let outputs = [4, group_size(simd)].map(|tile| shape.outputs.next_multiple_of(tile) as f64);
    let both = |[forward, backward]: [f64; 2]| forward * outputs[0] + if keep { backward * outputs[1] } else { 0.0 };
    let each = match path {
        Path::Largest => costs.largest[usize::from(keep)] * outputs[0],
        Path::Whole => both(costs.whole.map(|[base, product]| base + product * f64::from(products(p as u32)))),
        Path::Table => both(costs.table.map(|[base, square]| base + square * (p / 3.0).log2().ceil())),
        Path::None | Path::Norms | Path::Pruned => both(costs.norms),
    };
    each * (shape.batch * shape.inputs.div_ceil(simd.lanes())) as f64
}

/// Multiplications of a power by squarings.
fn products(p: u32) -> u32 {
    p.ilog2() + p.count_ones() - 1
}

/// Whether a look at the operands can be worth while: whether the pruned kernels would win if they found nothing to do,
/// and a look in vain would be cheap. Layers of few outputs fail the second test, and are dense unless p makes that dear.
pub(in super::super) fn could_win(simd: Simd, shape: Shape, p: f64, dense: Path, keep: bool) -> bool {
    let dense = dense_cycles(simd, shape, p, dense, keep);
    pruned_cycles(simd, shape, p, keep, &Pruning::default()) < dense && look_cycles(simd, shape) < VAIN_LOOK * dense
}

/// Predicted cycles of a look: the inputs of the groups that are counted are laid out whole, and with the counts that
/// took twice as long.
fn look_cycles(simd: Simd, shape: Shape) -> f64 {
    let groups = Groups::new(shape.batch, simd);
    2.0 * costs(simd).pruned[0] * (sampled(shape, groups).len() * groups.lanes * shape.inputs) as f64
}

/// Whether the pruned kernels should be faster.
pub(in super::super) fn wins(simd: Simd, shape: Shape, p: f64, dense: Path, keep: bool, pruning: &Pruning) -> bool {
    pruned_cycles(simd, shape, p, keep, pruning) < dense_cycles(simd, shape, p, dense, keep)
}

/// [`could_win`] for the bounds of an interval.
pub(in super::super) fn interval_could_win(simd: Simd, shape: Shape) -> bool {
    let look = ENDS * look_cycles(simd, shape);
    interval_wins(simd, shape, &Pruning::default()) && look < VAIN_LOOK * dense_interval_cycles(simd, shape)
}

/// [`wins`] for the bounds of an interval: two maxima, each of two operands.
pub(in super::super) fn interval_wins(simd: Simd, shape: Shape, pruning: &Pruning) -> bool {
    let twice = Pruning { largest: ENDS * pruning.largest, ..*pruning };
    ENDS * pruned_cycles(simd, shape, f64::INFINITY, false, &twice) < dense_interval_cycles(simd, shape)
}

/// An interval has two ends.
const ENDS: f64 = 2.0;

fn dense_interval_cycles(simd: Simd, shape: Shape) -> f64 {
    costs(simd).interval * (shape.batch * shape.outputs * shape.inputs.div_ceil(simd.lanes())) as f64
}

fn pruned_cycles(simd: Simd, shape: Shape, p: f64, keep: bool, pruning: &Pruning) -> f64 {
    let work = pruned_work(shape, Groups::new(shape.batch, simd), pruning, p.is_finite(), keep);
    work.iter().zip(costs(simd).pruned).map(|(work, cycles)| work * cycles).sum()
}
