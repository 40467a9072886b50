//! The distance op of one layer: picks a path for p, keeps what the backward pass needs.

use super::Shape;
use super::backward::{Backward, PairValues, group_size};
use super::finite::{self, BackwardScaling, Coefficients, Exception, Scaling};
use super::largest;
use super::norms::NormSlope;
use super::pool::Pool;
use super::powers::{Slope, TABLE_TERMS, TablePower, Term, WholePower, table_polynomial, table_squarings};
use super::pruned::{self, Norm, Precision, PrunedInterval, PrunedOp, Pruning};
use super::selection::Selection;
use super::shared::SharedMut;
use super::simd::{FlushSubnormals, Kernel, Lanes, Simd};
use super::tiles::{Block, for_blocks, sweep};
use std::fmt;

/// Least and greatest p of the table kernels: below, sixteen octaves are too few; above, squaring magnifies rounding.
const TABLE_P: std::ops::RangeInclusive<f64> = 4.0..=48.0;

/// How a pass was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Path {
    /// Nothing yet.
    #[default]
    None,
    /// p = ∞: the maximum of all coordinates.
    Largest,
    /// Whole p: products of squarings.
    Whole,
    /// Real p: table of exponents and polynomial.
    Table,
    /// Any p: by logarithm, relative to the largest coordinate.
    Norms,
    /// p from 24, with fewer bits from 12, to ∞: the coordinates that matter to any sample of a group.
    Pruned,
}

/// Which kernels a [`DistOp`] may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernels {
    /// Those that a sample of the operands says are faster.
    #[default]
    Auto,
    /// Those that compute every coordinate.
    Dense,
    /// Those that compute the coordinates that matter, wherever there are such kernels.
    Pruned,
}

/// What the last forward pass did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OpStats {
    /// The path taken.
    pub path: Path,
    /// How sparse the distances are, where that was looked at.
    pub pruning: Option<Pruning>,
    /// Share of the pairs (sample, output) that left the range of f32 and were done over by logarithm.
    pub slow_fraction: f64,
}

/// The path, and how many coordinates could matter where that was looked at: `pruning (12 % of coordinates matter)`.
impl fmt::Display for OpStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.path {
            Path::None => "nothing yet",
            Path::Largest => "maxima",
            Path::Whole => "products",
            Path::Table => "tables",
            Path::Norms => "logarithms",
            Path::Pruned => "pruning",
        })?;
        match self.pruning {
            Some(pruning) => write!(f, " ({:.0} % of coordinates matter)", 100.0 * pruning.candidates),
            None => Ok(()),
        }
    }
}

/// The distance op of one layer, with its workspace: used for every step, it allocates only when the batch grows.
///
/// Every result is a pure function of the operands, p, the instruction set, what the op was made with, and at finite p of
/// whether a backward pass is to follow, which changes what the kernels cost: the number of threads, earlier calls and the
/// clock have no part in it. Differences |x − w| of more than 2¹²⁶ are out of range at finite p.
pub struct DistOp {
    simd: Simd,
    kernels: Kernels,
    precision: Precision,
    shape: Shape,
    p: f64,
    saved: bool,
    stats: OpStats,
    scaling: Option<Scaling>,
    /// First index of the largest coordinate, p = ∞.
    index: Vec<u32>,
    dense: Saved,
    greatest: f32,
    scaled_x: Vec<f32>,
    scaled_w: Vec<f32>,
    values: PairValues,
    forward_polynomial: Polynomial,
    backward_polynomial: Polynomial,
    pruned: PrunedOp,
    part: Part,
}

/// What the dense kernels of finite p keep of each pair, [B, O].
#[derive(Default)]
struct Saved {
    sums: Vec<f32>,
    m: Vec<f32>,
    exceptions: Vec<Exception>,
}

/// The operands of a backward pass over some of the samples.
#[derive(Default)]
struct Part {
    selection: Selection,
    x: Vec<f32>,
    g: Vec<f32>,
    dx: Vec<f32>,
    dense: Saved,
    pruned: PrunedOp,
}

/// The polynomial of one power, kept while p stands.
#[derive(Default)]
struct Polynomial {
    power: f64,
    coefficients: [f32; TABLE_TERMS],
}

impl Polynomial {
    fn of(&mut self, power: f64) -> [f32; TABLE_TERMS] {
        if self.power != power {
            *self = Polynomial { power, coefficients: table_polynomial(power) };
        }
        self.coefficients
    }
}

/// Evaluates an expression with the constant `$P` equal to the whole `$p`, for those p that have a kernel of their own;
/// else the last one.
macro_rules! with_whole_power {
    ($p:expr, $P:ident => $body:expr, else $other:expr) => {
        with_whole_power!(@ $p, $P, $body, $other,
            1 2 3 4 5 6 7 8 9 10 11 12 14 16 18 20 22 24 28 32 36 40 48 64)
    };
    (@ $p:expr, $P:ident, $body:expr, $other:expr, $($value:literal)*) => {
        match $p {
            $($value => { const $P: u32 = $value; $body })*
            _ => $other,
        }
    };
}

/// Evaluates an expression with the constant `$SQUARINGS` equal to a runtime 1 to 4.
macro_rules! with_squarings {
    ($n:expr, $SQUARINGS:ident => $body:expr) => {
        match $n {
            0 | 1 => {
                const $SQUARINGS: u32 = 1;
                $body
            }
            2 => {
                const $SQUARINGS: u32 = 2;
                $body
            }
            3 => {
                const $SQUARINGS: u32 = 3;
                $body
            }
            _ => {
                const $SQUARINGS: u32 = 4;
                $body
            }
        }
    };
}

/// The path for p. Whole powers without a kernel of their own go the way of real ones.
fn dense_path(p: f64) -> Path {
    if p.is_infinite() {
        Path::Largest
    } else if whole(p).is_some() {
        Path::Whole
    } else if TABLE_P.contains(&p) {
        Path::Table
    } else {
        Path::Norms
    }
}

pub(super) fn whole(p: f64) -> Option<u32> {
    if p.fract() != 0.0 || p > 64.0 {
        return None;
    }
    with_whole_power!(p as u32, P => Some(P), else None)
}

impl DistOp {
    /// An op without workspace yet, that picks its kernels by itself.
    pub fn new(simd: Simd) -> DistOp {
        DistOp::with(simd, Kernels::default(), Precision::default())
    }

    /// An op without workspace yet.
    pub fn with(simd: Simd, kernels: Kernels, precision: Precision) -> DistOp {
        DistOp {
            simd,
            kernels,
            precision,
            shape: Shape { batch: 0, inputs: 0, outputs: 0 },
            p: 0.0,
            saved: false,
            stats: OpStats::default(),
            scaling: None,
            index: Vec::new(),
            dense: Saved::default(),
            greatest: 0.0,
            scaled_x: Vec::new(),
            scaled_w: Vec::new(),
            values: PairValues::default(),
            forward_polynomial: Polynomial::default(),
            backward_polynomial: Polynomial::default(),
            pruned: PrunedOp::default(),
            part: Part::default(),
        }
    }

    /// Frees the workspace of the last pass, but not what a backward pass needs: for layers of many ops, which would
    /// hold as many copies.
    pub(super) fn release(&mut self) {
        (self.scaled_x, self.scaled_w) = (Vec::new(), Vec::new());
        self.values = PairValues::default();
        self.pruned.release();
        self.part = Part::default();
    }

    /// What the last forward pass did.
    pub fn stats(&self) -> OpStats {
        self.stats
    }

    /// Distances y[b, o] = ‖x_b − w_o‖_p of x [B, I] and w [O, I], all row-major. `keep` says that a backward pass
    /// follows.
    ///
    /// x and w must be finite; where they are not the results mean nothing (maxima drop NaN), so callers check with
    /// [`all_finite`](super::all_finite). At p = ∞ every y is the exact IEEE result of the f32 program.
    ///
    /// # Panics
    /// If a length does not fit `shape`, a dimension is 0, or p is not in [1, ∞].
    #[allow(clippy::too_many_arguments)] // the operands of a layer
    pub fn forward(&mut self, pool: &Pool, shape: Shape, p: f64, x: &[f32], w: &[f32], y: &mut [f32], keep: bool) {
        shape.check(x, w, y);
        assert!(p >= 1.0, "p must be at least 1, not {p}");
        (self.shape, self.p, self.saved) = (shape, p, keep);
        self.dense.exceptions.clear();
        self.choose(pool, x, w);
        let pairs = shape.batch * shape.outputs;
        let index = (keep && p.is_infinite()).then(|| {
            self.index.resize(pairs, 0);
            self.index.as_mut_slice()
        });
        match self.stats.path {
            Path::None => {}
            Path::Largest => largest::forward(pool, self.simd, shape, x, w, y, index),
            Path::Whole => {
                let range = finite::sample_range(pool, self.simd, shape, x, w);
                let scaling = Scaling::whole(p as u32, shape.inputs, range);
                with_whole_power!(p as u32, P => self.sum_powers(pool, WholePower::<P>, scaling, x, w, y), else {});
            }
            Path::Table => {
                let range = finite::sample_range(pool, self.simd, shape, x, w);
                let scaling = Scaling::table(p, shape.inputs, range);
                let polynomial = self.forward_polynomial.of(p);
                with_squarings!(table_squarings(p), N => {
                    let term = TablePower::<N>::new(p, polynomial, -scaling.shift, scaling.height);
                    self.sum_powers(pool, term, scaling, x, w, y);
                });
            }
            Path::Norms => {
                let Saved { sums, m, .. } = &mut self.dense;
                m.resize(pairs, 0.0);
                sums.resize(pairs, 0.0);
                finite::forward_by_norms(pool, self.simd, shape, p, x, w, y, m, sums);
            }
            Path::Pruned if p.is_infinite() => self.pruned.largest(pool, self.simd, shape, w, y, index),
            Path::Pruned => self.pruned.forward(pool, self.simd, shape, self.norm(), w, y),
        }
    }

    /// Decides on a path, and lays x out where it is the pruned one.
    fn choose(&mut self, pool: &Pool, x: &[f32], w: &[f32]) {
        let (simd, shape, p, keep) = (self.simd, self.shape, self.p, self.saved);
        let dense = dense_path(p);
        let forced = self.kernels == Kernels::Pruned;
        let possible = self.kernels != Kernels::Dense && p >= self.precision.least_p();
        self.stats = OpStats { path: dense, ..OpStats::default() };
        if possible && (forced || pruned::could_win(simd, shape, p, dense, keep)) {
            let pruning = self.pruned.sample(pool, simd, shape, self.norm(), x, w, keep);
            self.stats.pruning = Some(pruning);
            if forced || pruned::wins(simd, shape, p, dense, keep, &pruning) {
                self.pruned.pack_rest(pool, simd, shape, x);
                self.stats.path = Path::Pruned;
            }
        }
    }

    fn norm(&self) -> Norm {
        Norm { p: self.p, precision: self.precision }
    }

    fn sum_powers<T: Term>(&mut self, pool: &Pool, term: T, scaling: Scaling, x: &[f32], w: &[f32], y: &mut [f32]) {
        let shape = self.shape;
        self.dense.sums.resize(shape.batch * shape.outputs, 0.0);
        // A table has the shift within it; products need their operands shifted.
        let shifted = scaling.shift != 0 && self.stats.path == Path::Whole;
        if shifted {
            scale_into(pool, &mut self.scaled_x, x, scaling.shift);
            scale_into(pool, &mut self.scaled_w, w, scaling.shift);
        }
        let (from_x, from_w) = if shifted { (self.scaled_x.as_slice(), self.scaled_w.as_slice()) } else { (x, w) };
        let sums = SharedMut::new(&mut self.dense.sums);
        for_blocks(pool, shape, |block| {
            let _flush = FlushSubnormals::enter();
            self.simd.run(SumBlock { term, shape, block, x: from_x, w: from_w, sums });
        });
        (self.dense.exceptions, self.greatest) =
            finite::finish(pool, self.simd, shape, self.p, scaling, x, w, &mut self.dense.sums, y);
        self.stats.slow_fraction = self.dense.exceptions.len() as f64 / (shape.batch * shape.outputs) as f64;
        self.scaling = Some(scaling);
    }

    /// Gradients of the last `forward(keep = true)`, given the same x and w and the upstream gradient g [B, O]. `dx`
    /// [B, I] and `dw` [O, I] are overwritten. Samples whose row of g is 0 cost next to nothing.
    ///
    /// # Panics
    /// If a length does not fit, or the last forward pass kept nothing.
    pub fn backward(
        &mut self,
        pool: &Pool,
        x: &[f32],
        w: &[f32],
        g: &[f32],
        dx: Option<&mut [f32]>,
        dw: Option<&mut [f32]>,
    ) {
        let shape = self.shape;
        assert!(self.saved, "backward without a forward pass that keeps");
        shape.check(x, w, g);
        assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "dx must have the length of x");
        assert!(dw.as_ref().is_none_or(|dw| dw.len() == w.len()), "dw must have the length of w");
        if matches!(self.stats.path, Path::Largest | Path::Pruned) && self.p.is_infinite() {
            return largest::backward(pool, shape, &self.index, g, dx, dw);
        }
        self.part.selection.with_gradient(g, shape.outputs);
        if self.part.selection.pays(shape.batch) {
            return self.backward_of_part(pool, [x, w, g], dx, dw);
        }
        let (dense, mut pruned) = (std::mem::take(&mut self.dense), std::mem::take(&mut self.pruned));
        self.gradients(pool, shape, &dense, &mut pruned, [x, w, g], dx, dw);
        (self.dense, self.pruned) = (dense, pruned);
    }

    /// The same from the selected samples alone.
    fn backward_of_part(
        &mut self,
        pool: &Pool,
        [x, w, g]: [&[f32]; 3],
        mut dx: Option<&mut [f32]>,
        dw: Option<&mut [f32]>,
    ) {
        let Shape { inputs, outputs, .. } = self.shape;
        let mut part = std::mem::take(&mut self.part);
        let selection = &part.selection;
        let shape = Shape { batch: selection.len(), ..self.shape };
        if shape.batch == 0 {
            dx.into_iter().chain(dw).for_each(|gradient| gradient.fill(0.0));
            self.part = part;
            return;
        }
        selection.gather(pool, inputs, x, &mut part.x);
        selection.gather(pool, outputs, g, &mut part.g);
        match self.stats.path {
            Path::Pruned => {
                let norm = self.norm();
                part.pruned.select(pool, self.simd, shape, norm, &self.pruned, selection.samples(), &part.x);
            }
            path => {
                selection.gather(pool, outputs, &self.dense.sums, &mut part.dense.sums);
                if path == Path::Norms {
                    selection.gather(pool, outputs, &self.dense.m, &mut part.dense.m);
                }
                part.dense.exceptions = selection.exceptions(outputs, &self.dense.exceptions);
            }
        }
        let of_part = dx.is_some().then(|| {
            part.dx.resize(shape.batch * inputs, 0.0);
            part.dx.as_mut_slice()
        });
        self.gradients(pool, shape, &part.dense, &mut part.pruned, [&part.x, w, &part.g], of_part, dw);
        if let Some(dx) = &mut dx {
            part.selection.scatter(pool, inputs, &part.dx, dx);
        }
        self.part = part;
    }

    /// Gradients at finite p of the samples of which `dense` or `pruned` is kept.
    #[allow(clippy::too_many_arguments)] // the operands of a layer
    fn gradients(
        &mut self,
        pool: &Pool,
        shape: Shape,
        dense: &Saved,
        pruned: &mut PrunedOp,
        [x, w, g]: [&[f32]; 3],
        dx: Option<&mut [f32]>,
        dw: Option<&mut [f32]>,
    ) {
        let p = self.p;
        match (self.stats.path, self.scaling) {
            (Path::Pruned, _) => pruned.backward(pool, self.simd, shape, self.norm(), w, g, dx, dw),
            (Path::Whole, Some(scaling)) => {
                let to = BackwardScaling::whole(p, self.greatest, g);
                with_whole_power!(p as u32, P => {
                    self.slopes(pool, shape, WholePower::<P>, dense, scaling, to, [x, w, g], dx, dw)
                }, else {});
            }
            (Path::Table, Some(scaling)) => {
                let to = BackwardScaling::table(self.greatest, g);
                let polynomial = self.backward_polynomial.of(p - 1.0);
                with_squarings!(table_squarings(p - 1.0), N => {
                    let slope = TablePower::<N>::new(p - 1.0, polynomial, -to.shift, to.height);
                    self.slopes(pool, shape, slope, dense, scaling, to, [x, w, g], dx, dw);
                });
            }
            _ => {
                let q = (p - 1.0) as f32;
                self.values.reset(shape, NormSlope::VALUES, group_size(self.simd));
                finite::pack_norms(pool, shape, p, g, &dense.m, &dense.sums, &mut self.values);
                let pass = Backward {
                    shape,
                    slope: NormSlope { q },
                    q,
                    x,
                    w,
                    values: &self.values,
                    prescale: 1.0,
                    unscale: 1.0,
                    slow: &[],
                };
                pass.run(pool, self.simd, dx, dw);
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // the operands of a layer
    fn slopes<T: Slope>(
        &mut self,
        pool: &Pool,
        shape: Shape,
        slope: T,
        dense: &Saved,
        from: Scaling,
        to: BackwardScaling,
        [x, w, g]: [&[f32]; 3],
        dx: Option<&mut [f32]>,
        dw: Option<&mut [f32]>,
    ) {
        let table = self.stats.path == Path::Table;
        self.values.reset(shape, T::VALUES, group_size(self.simd));
        let Saved { sums, exceptions, .. } = dense;
        let coefficients = Coefficients { shape, p: self.p, g, sums, scaling: from, exceptions };
        let slow = coefficients.pack(pool, self.simd, to, table, &mut self.values);
        let pass = Backward {
            shape,
            slope,
            q: (self.p - 1.0) as f32,
            x,
            w,
            values: &self.values,
            prescale: if table { 1.0 } else { finite::power_of_two(to.shift) },
            unscale: finite::power_of_two(-to.lift),
            slow: &slow,
        };
        pass.run(pool, self.simd, dx, dw);
    }
}

/// How sparse the distances of x [B, I] from w [O, I] are at any p ≥ 1, by a sample of the pairs (x, w): what the pruned
/// kernels would meet there, be they fast at this p or not.
///
/// # Panics
/// If a length does not fit `shape`, or p is below 1.
pub fn sparsity(pool: &Pool, simd: Simd, shape: Shape, p: f64, x: &[f32], w: &[f32]) -> Pruning {
    assert_eq!((x.len(), w.len()), (shape.batch * shape.inputs, shape.outputs * shape.inputs), "x or w does not fit");
    assert!(p >= 1.0, "p must be at least 1, not {p}");
    let norm = Norm { p, precision: Precision::default() };
    PrunedOp::default().sample(pool, simd, shape, norm, x, w, true)
}

/// Bounds of the p = ∞ distance over all inputs with lo ≤ x ≤ hi, for the f32 program itself.
///
/// Rounding is monotone, so with the same operations at the ends of the box
/// out_lo = max(0, maxᵢ max(fl(lᵢ − wᵢ), −fl(uᵢ − wᵢ))) and out_hi = maxᵢ max(|fl(lᵢ − wᵢ)|, |fl(uᵢ − wᵢ)|) enclose, with
/// no slack, every distance that [`DistOp::forward`] can return for an x in the box. Dense and pruned kernels give equal
/// numbers, so which of them run is of no consequence.
///
/// `lo`, `hi` are [B, I], `w` is [O, I], `out_lo`, `out_hi` are [B, O].
///
/// # Panics
/// If a length does not fit `shape`.
#[allow(clippy::too_many_arguments)] // two boxes in, two out
pub fn interval(
    pool: &Pool,
    simd: Simd,
    shape: Shape,
    lo: &[f32],
    hi: &[f32],
    w: &[f32],
    out_lo: &mut [f32],
    out_hi: &mut [f32],
) {
    interval_by(Kernels::Auto, pool, simd, shape, lo, hi, w, out_lo, out_hi);
}

/// [`interval`] by the kernels of one's choice, and how it was computed: [`Path::Largest`] or [`Path::Pruned`].
///
/// # Panics
/// If a length does not fit `shape`.
#[allow(clippy::too_many_arguments)] // two boxes in, two out
pub fn interval_by(
    kernels: Kernels,
    pool: &Pool,
    simd: Simd,
    shape: Shape,
    lo: &[f32],
    hi: &[f32],
    w: &[f32],
    out_lo: &mut [f32],
    out_hi: &mut [f32],
) -> Path {
    shape.check(lo, w, out_lo);
    shape.check(hi, w, out_hi);
    debug_assert!(lo.iter().zip(hi).all(|(lo, hi)| lo <= hi), "an interval is empty");
    let forced = kernels == Kernels::Pruned;
    if forced || (kernels == Kernels::Auto && pruned::interval_could_win(simd, shape)) {
        let mut op = PrunedInterval::default();
        let pruning = op.sample(pool, simd, shape, lo, hi, w);
        if forced || pruned::interval_wins(simd, shape, &pruning) {
            op.bounds(pool, simd, shape, lo, hi, w, out_lo, out_hi);
            return Path::Pruned;
        }
    }
    largest::interval(pool, simd, shape, lo, hi, w, out_lo, out_hi);
    Path::Largest
}

struct SumBlock<'a, T> {
    term: T,
    shape: Shape,
    block: Block,
    x: &'a [f32],
    w: &'a [f32],
    sums: SharedMut<'a, f32>,
}

impl<T: Term> Kernel for SumBlock<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        sweep(s, self.term, self.shape, &self.block, self.x, self.w, &self.sums);
    }
}

/// to = 2^shift · from
fn scale_into(pool: &Pool, to: &mut Vec<f32>, from: &[f32], shift: i32) {
    const CHUNK: usize = 1 << 16;
    to.resize(from.len(), 0.0);
    let to = SharedMut::new(to);
    let factor = finite::power_of_two(shift);
    pool.run(from.len().div_ceil(CHUNK), |task| {
        let range = task * CHUNK..(task * CHUNK + CHUNK).min(from.len());
        // SAFETY: chunks are disjoint.
        for (to, from) in unsafe { to.part(range.clone()) }.iter_mut().zip(&from[range]) {
            *to = from * factor;
        }
    });
}
