//! A layer is computed in parts: some samples, some of the channels in, some of the channels out. Each part is a dense
//! op on gathered operands, so that no more than one part's patches exist at a time. The same for every device.

use std::ops::Range;

use super::Form;
use crate::Shape;

/// Samples that share one dropout mask (arXiv 2210.01787, appendix: sub-batches of 32 consecutive samples).
pub const MASK_SAMPLES: usize = 32;

/// The channels that [`MASK_SAMPLES`] consecutive samples keep, ascending; `None` keeps all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    /// Input channels.
    pub inputs: Option<Vec<u32>>,
    /// Output channels; the others are not computed.
    pub outputs: Option<Vec<u32>>,
}

/// Some channels.
#[derive(Debug, Clone, Copy)]
pub enum Pick<'a> {
    /// Neighbours: first, and how many.
    Span(usize, usize),
    /// Any, ascending.
    List(&'a [u32]),
}

#[allow(clippy::len_without_is_empty)] // None is ever empty.
impl Pick<'_> {
    /// How many.
    pub fn len(self) -> usize {
        match self {
            Pick::Span(_, len) => len,
            Pick::List(list) => list.len(),
        }
    }

    /// The n-th.
    #[inline(always)]
    pub fn get(self, n: usize) -> usize {
        match self {
            Pick::Span(start, _) => start + n,
            Pick::List(list) => list[n] as usize,
        }
    }
}

/// One dense op of a layer.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Of the batch.
    pub samples: Range<usize>,
    /// Channels of the layer's input.
    pub inputs: Pick<'a>,
    /// Channels of its output.
    pub outputs: Pick<'a>,
}

impl Part<'_> {
    /// Rows (sample, output position) by inputs of a neuron by outputs.
    pub fn shape(&self, form: &Form) -> Shape {
        Shape {
            batch: self.samples.len() * form.output.positions(),
            inputs: self.inputs.len() * form.window.kernel * form.window.kernel,
            outputs: self.outputs.len(),
        }
    }

    /// Rows of the layer's output.
    pub fn rows(&self, form: &Form) -> Range<usize> {
        self.samples.start * form.output.positions()..self.samples.end * form.output.positions()
    }

    /// Whether its input rows are rows of the layer's input as they stand.
    pub fn takes_rows(&self, form: &Form) -> bool {
        form.is_pointwise() && self.inputs.len() == form.input.channels
    }

    /// Whether it gives whole rows of the layer's output.
    pub fn gives_rows(&self, form: &Form) -> bool {
        self.outputs.len() == form.output.channels
    }

    /// The weight rows it uses, if they are used whole and lie together.
    pub fn weight_rows(&self, form: &Form) -> Option<Range<usize>> {
        match self.outputs {
            Pick::Span(start, len) if self.inputs.len() == form.input.channels / form.groups => {
                Some(start..start + len)
            }
            _ => None,
        }
    }
}

/// The parts of a layer in the order in which they are computed, a function of the arguments alone: gathered patches are
/// of `floats` numbers at most, or of one sample; under masks, of the samples that share one.
///
/// # Panics
/// If there are masks, but not one for every [`MASK_SAMPLES`] samples, or groups as well, or a mask keeps nothing or does
/// not ascend.
pub fn parts<'a>(form: &Form, batch: usize, masks: &'a [Mask], floats: usize) -> Vec<Part<'a>> {
    let (inputs, outputs) = (form.input.channels, form.output.channels);
    if masks.is_empty() {
        let patches = form.output.positions() * form.patch();
        let each = if form.is_pointwise() { batch } else { (floats / patches).clamp(1, batch) };
        let (inputs, outputs) = (inputs / form.groups, outputs / form.groups);
        let group = |samples: Range<usize>, group: usize| Part {
            samples,
            inputs: Pick::Span(group * inputs, inputs),
            outputs: Pick::Span(group * outputs, outputs),
        };
        return (0..batch)
            .step_by(each)
            .flat_map(|start| (0..form.groups).map(move |g| group(start..(start + each).min(batch), g)))
            .collect();
    }
    assert!(form.groups == 1, "dropout is not defined for groups");
    assert_eq!(masks.len(), batch.div_ceil(MASK_SAMPLES), "a mask for every {MASK_SAMPLES} samples");
    let pick = |list: &'a Option<Vec<u32>>, all: usize| match list {
        None => Pick::Span(0, all),
        Some(list) => {
            let exist = list.last().is_some_and(|&last| (last as usize) < all);
            assert!(exist && list.is_sorted_by(|a, b| a < b), "a mask keeps channels that exist, in ascending order");
            Pick::List(list)
        }
    };
    let part = |(index, mask): (usize, &'a Mask)| Part {
        samples: index * MASK_SAMPLES..((index + 1) * MASK_SAMPLES).min(batch),
        inputs: pick(&mask.inputs, inputs),
        outputs: pick(&mask.outputs, outputs),
    };
    masks.iter().enumerate().map(part).collect()
}
