//! The distances of a layer of any form: convolutions, groups, and dropout's random subsets (arXiv 2210.01787, appendix)
//! are dense layers on gathered operands, as on the CPU.

use std::rc::Rc;

use linf_dist::{Form, Mask, Neuron, Part, Pick, Shape, SortProfile, parts};

use crate::gather::{Gather, Picked, Piece, clear};
use crate::slices::blocks;
use crate::sort::{sort_bounds, sort_distances};
use crate::{Array, DistanceOp, Gpu, GpuError, SortDistances, bounds};

/// Floats of gathered patches at a time: 512 MB. A single sample may need more.
const PATCH_FLOATS: usize = 1 << 27;

/// The op of one layer, with its workspace. What each part's gradient needs is kept, as of a dense layer.
pub struct FormOp {
    gpu: Rc<dyn Gpu>,
    form: Form,
    /// Floats of gathered patches at a time.
    floats: usize,
    /// Of the last forward pass.
    jobs: Vec<Job>,
    /// One a job, of the kind of the last forward pass.
    ops: Ops,
    /// The channels of all masks.
    list: Array<u32>,
    batch: usize,
    x: Array<f32>,
    high: Array<f32>,
    w: Array<f32>,
    y: Array<f32>,
    y_high: Array<f32>,
    dx: Array<f32>,
    dw: Array<f32>,
}

/// What computes each part.
enum Ops {
    Distances(Vec<DistanceOp>),
    Sorts(Vec<SortDistances>),
}

impl Ops {
    /// As many as there are parts, of the kind that the neurons are.
    fn provide(&mut self, gpu: &Rc<dyn Gpu>, neuron: Neuron<'_>, count: usize) -> Result<(), GpuError> {
        match (neuron, &mut *self) {
            (Neuron::Distance(_), Ops::Distances(ops)) => {
                while ops.len() < count {
                    ops.push(DistanceOp::new(gpu)?);
                }
            }
            (Neuron::Distance(_), Ops::Sorts(_)) => {
                *self = Ops::Distances(Vec::new());
                return self.provide(gpu, neuron, count);
            }
            (Neuron::Sort(profile), _) => {
                let fresh = |_| SortDistances::new(gpu, profile.clone());
                *self = Ops::Sorts((0..count).map(fresh).collect::<Result<_, _>>()?);
            }
        }
        Ok(())
    }

    fn forward(
        &mut self,
        index: usize,
        shape: Shape,
        neuron: Neuron<'_>,
        x: &Array<f32>,
        w: &Array<f32>,
        y: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        match (self, neuron) {
            (Ops::Distances(ops), Neuron::Distance(p)) => ops[index].forward(shape, p, x, w, y, true),
            (Ops::Sorts(ops), _) => ops[index].forward(shape, x, w, y),
            (Ops::Distances(_), Neuron::Sort(_)) => unreachable!("provided for sort neurons"),
        }
    }

    fn backward(
        &mut self,
        index: usize,
        x: &Array<f32>,
        w: &Array<f32>,
        g: &Array<f32>,
        dx: Option<&mut Array<f32>>,
        dw: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        match self {
            Ops::Distances(ops) => ops[index].backward(x, w, g, dx, dw),
            Ops::Sorts(ops) => ops[index].backward(g, dx, dw),
        }
    }
}

/// A part of the layer.
#[derive(Clone, Copy, Debug)]
struct Job {
    piece: Piece,
    shape: Shape,
    /// Whether it is the layer, with its operands as they stand.
    dense: bool,
    /// Whether samples and outputs change places, which a distance does not notice: 32 samples would leave most of the
    /// kernels' blocks of 128 empty.
    turned: bool,
}

impl Job {
    fn new(form: &Form, batch: usize, part: &Part<'_>, list: &mut Vec<u32>) -> Job {
        let shape = part.shape(form);
        let mut pick = |pick: Pick<'_>| match pick {
            Pick::Span(first, len) => Picked { listed: false, first, len },
            Pick::List(channels) => {
                let first = list.len();
                list.extend_from_slice(channels);
                Picked { listed: true, first, len: channels.len() }
            }
        };
        let piece = Piece {
            sample: part.samples.start,
            samples: part.samples.len(),
            inputs: pick(part.inputs),
            outputs: pick(part.outputs),
            whole_weights: part.weight_rows(form).is_some(),
        };
        let dense = part.samples.len() == batch
            && part.takes_rows(form)
            && part.gives_rows(form)
            && part.weight_rows(form).is_some();
        let turned = !dense && blocks(shape.outputs, shape.batch) < blocks(shape.batch, shape.outputs);
        Job { piece, shape, dense, turned }
    }

    /// What the dense op is told.
    fn op_shape(&self) -> Shape {
        let Shape { batch, inputs, outputs } = self.shape;
        if self.turned { Shape { batch: outputs, inputs, outputs: batch } } else { self.shape }
    }
}

impl FormOp {
    /// An op without workspace yet.
    ///
    /// # Errors
    /// Those of [`Gpu::allocate`].
    pub fn new(gpu: &Rc<dyn Gpu>, form: Form) -> Result<FormOp, GpuError> {
        FormOp::within(gpu, form, PATCH_FLOATS)
    }

    /// One that gathers patches of at most so many floats at a time, or of one sample.
    ///
    /// # Errors
    /// Those of [`Gpu::allocate`].
    pub fn within(gpu: &Rc<dyn Gpu>, form: Form, floats: usize) -> Result<FormOp, GpuError> {
        let empty = || Array::zeros(gpu, 0);
        Ok(FormOp {
            gpu: Rc::clone(gpu),
            form,
            floats,
            jobs: Vec::new(),
            ops: Ops::Distances(Vec::new()),
            list: Array::zeros(gpu, 0)?,
            batch: 0,
            x: empty()?,
            high: empty()?,
            w: empty()?,
            y: empty()?,
            y_high: empty()?,
            dx: empty()?,
            dw: empty()?,
        })
    }

    fn plan(&mut self, batch: usize, masks: &[Mask]) -> Result<(), GpuError> {
        let mut list = Vec::new();
        let parts = parts(&self.form, batch, masks, self.floats);
        self.jobs = parts.iter().map(|part| Job::new(&self.form, batch, part, &mut list)).collect();
        self.batch = batch;
        if list.is_empty() {
            return Ok(());
        }
        self.list.reserve(list.len())?;
        self.list.write(&list)
    }

    /// y `[B·P', O]` of x `[B·P, C]` and w `[O, C/G·k²]`, and what the gradients need. Outputs that `masks` (none, or one
    /// for every 32 samples) drop are 0.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If an array is too short, p below 1, or masks do not fit the form or come with sort neurons.
    pub fn forward(
        &mut self,
        batch: usize,
        neuron: Neuron<'_>,
        masks: &[Mask],
        x: &Array<f32>,
        w: &Array<f32>,
        y: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        let sorts = matches!(neuron, Neuron::Sort(_));
        assert!(masks.is_empty() || !sorts, "sort neurons are the mean of dropout: they take no masks");
        self.plan(batch, masks)?;
        if sorts {
            // Where two differences are equal, which of them counts would depend on the side.
            self.jobs.iter_mut().for_each(|job| job.turned = false);
        }
        self.ops.provide(&self.gpu, neuron, self.jobs.len())?;
        if !masks.is_empty() {
            clear(&*self.gpu, y, batch * self.form.output().values())?;
        }
        let gather = Gather { gpu: &*self.gpu, form: &self.form, list: &self.list };
        for (index, job) in self.jobs.iter().enumerate() {
            if job.dense {
                self.ops.forward(index, job.shape, neuron, x, w, y)?;
                continue;
            }
            gather.take_patches(&job.piece, x, &mut self.x)?;
            gather.take_weights(&job.piece, w, &mut self.w)?;
            self.y.reserve(job.shape.batch * job.shape.outputs)?;
            let [first, second] = if job.turned { [&self.w, &self.x] } else { [&self.x, &self.w] };
            self.ops.forward(index, job.op_shape(), neuron, first, second, &mut self.y)?;
            gather.place_outputs(&job.piece, job.turned, &self.y, y)?;
        }
        Ok(())
    }

    /// Gradients of the last forward pass, given the same x and w, from g `[B·P', O]` (dropped outputs are not read): dx
    /// `[B·P, C]` where it is wanted, and dw `[O, C/G·k²]`; what was dropped has gradient 0.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If an array is too short, or there was no forward pass.
    pub fn backward(
        &mut self,
        x: &Array<f32>,
        w: &Array<f32>,
        g: &Array<f32>,
        mut dx: Option<&mut Array<f32>>,
        dw: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        if let [Job { dense: true, .. }] = self.jobs[..] {
            return self.ops.backward(0, x, w, g, dx, dw);
        }
        if let Some(dx) = dx.as_deref_mut() {
            clear(&*self.gpu, dx, self.batch * self.form.input().values())?;
        }
        clear(&*self.gpu, dw, self.form.weights())?;
        let gather = Gather { gpu: &*self.gpu, form: &self.form, list: &self.list };
        for (index, job) in self.jobs.iter().enumerate() {
            let Shape { batch, inputs, outputs } = job.shape;
            gather.take_patches(&job.piece, x, &mut self.x)?;
            gather.take_weights(&job.piece, w, &mut self.w)?;
            gather.take_outputs(&job.piece, job.turned, g, &mut self.y)?;
            self.dw.reserve(outputs * inputs)?;
            if job.turned || dx.is_some() {
                self.dx.reserve(batch * inputs)?;
            }
            if job.turned {
                self.ops.backward(index, &self.w, &self.x, &self.y, Some(&mut self.dw), &mut self.dx)?;
            } else {
                let of_x = dx.is_some().then_some(&mut self.dx);
                self.ops.backward(index, &self.x, &self.w, &self.y, of_x, &mut self.dw)?;
            }
            if let Some(dx) = dx.as_deref_mut() {
                gather.add_patches(&job.piece, &self.dx, dx)?;
            }
            gather.add_weights(&job.piece, &self.dw, dw)?;
        }
        Ok(())
    }

    /// Values in evaluation; at p = ∞ and of sort neurons the bits are those of the CPU. No gradient may follow.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If an array is too short, p below 1, or the profile has more than 10 weights.
    pub fn evaluate(
        &mut self,
        batch: usize,
        neuron: Neuron<'_>,
        x: &Array<f32>,
        w: &Array<f32>,
        y: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        self.plan(batch, &[])?;
        if let Neuron::Distance(_) = neuron {
            self.ops.provide(&self.gpu, neuron, 1)?;
        }
        let gather = Gather { gpu: &*self.gpu, form: &self.form, list: &self.list };
        for job in &self.jobs {
            let mut compute = |x: &Array<f32>, w: &Array<f32>, y: &mut Array<f32>| match (neuron, &mut self.ops) {
                (Neuron::Sort(profile), _) => sort_distances(&*self.gpu, profile, job.shape, x, w, y),
                (Neuron::Distance(p), Ops::Distances(ops)) => ops[0].forward(job.shape, p, x, w, y, false),
                (Neuron::Distance(_), Ops::Sorts(_)) => unreachable!("provided for distances"),
            };
            if job.dense {
                compute(x, w, y)?;
                continue;
            }
            gather.take_patches(&job.piece, x, &mut self.x)?;
            gather.take_weights(&job.piece, w, &mut self.w)?;
            self.y.reserve(job.shape.batch * job.shape.outputs)?;
            compute(&self.x, &self.w, &mut self.y)?;
            gather.place_outputs(&job.piece, false, &self.y, y)?;
        }
        Ok(())
    }

    /// Bounds of [`Self::evaluate`] at p = ∞ for all x with lo ≤ x ≤ hi: those of the float32 program itself.
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// If an array is too short, or the profile has more than 10 weights.
    #[allow(clippy::too_many_arguments)] // Two operands and two results have two ends each.
    pub fn bounds(
        &mut self,
        batch: usize,
        profile: Option<&SortProfile>,
        lo: &Array<f32>,
        hi: &Array<f32>,
        w: &Array<f32>,
        lowest: &mut Array<f32>,
        highest: &mut Array<f32>,
    ) -> Result<(), GpuError> {
        self.plan(batch, &[])?;
        let gather = Gather { gpu: &*self.gpu, form: &self.form, list: &self.list };
        for job in &self.jobs {
            let compute = |lo: &_, hi: &_, w: &_, lowest: &mut _, highest: &mut _| match profile {
                None => bounds(&*self.gpu, job.shape, lo, hi, w, lowest, highest),
                Some(profile) => sort_bounds(&*self.gpu, profile, job.shape, lo, hi, w, lowest, highest),
            };
            if job.dense {
                compute(lo, hi, w, lowest, highest)?;
                continue;
            }
            gather.take_patches(&job.piece, lo, &mut self.x)?;
            gather.take_patches(&job.piece, hi, &mut self.high)?;
            gather.take_weights(&job.piece, w, &mut self.w)?;
            self.y.reserve(job.shape.batch * job.shape.outputs)?;
            self.y_high.reserve(job.shape.batch * job.shape.outputs)?;
            compute(&self.x, &self.high, &self.w, &mut self.y, &mut self.y_high)?;
            gather.place_outputs(&job.piece, false, &self.y, lowest)?;
            gather.place_outputs(&job.piece, false, &self.y_high, highest)?;
        }
        Ok(())
    }
}
