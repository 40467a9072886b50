//! Layers whose neurons see a part of their input: convolutions, groups, and dropout's random subsets; and the dense
//! layer, which is the plain case.
//!
//! A sample's values are kept position by position, [H·W, C], so a batch [B·H·W, C] is a matrix like that of a dense
//! layer, a 1×1 convolution *is* a dense layer, and a mean over batch and positions is a mean over rows. Weights are
//! [O, C/G·k·k] in the order (channel, row, column) of the papers' code.

mod gather;
mod op;
mod part;
#[cfg(test)]
mod tests;

pub use gather::{channels_first, channels_last};
pub use op::{FormOp, Neuron};
pub use part::{MASK_SAMPLES, Mask, Part, Pick, parts};

/// Size of one sample's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planes {
    /// C.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

impl Planes {
    /// A plain vector: one position.
    pub fn flat(values: usize) -> Planes {
        Planes { channels: values, height: 1, width: 1 }
    }

    /// H·W.
    pub fn positions(self) -> usize {
        self.height * self.width
    }

    /// C·H·W.
    pub fn values(self) -> usize {
        self.channels * self.positions()
    }
}

/// Where a neuron looks: a square of `kernel`² positions, `dilation` apart, every `stride` positions, on planes that
/// are `pad` positions wider on each side. The padding holds 0, in normalised units the mean colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Side of the square.
    pub kernel: usize,
    /// Positions between neighbouring outputs.
    pub stride: usize,
    /// Positions added on every side.
    pub pad: usize,
    /// Positions between neighbours in the square.
    pub dilation: usize,
}

impl Window {
    /// Each position by itself.
    pub const POINT: Window = Window { kernel: 1, stride: 1, pad: 0, dilation: 1 };

    /// Outputs along a side of `side` positions, if the window fits.
    fn outputs(self, side: usize) -> Option<usize> {
        (side + 2 * self.pad).checked_sub(self.dilation * (self.kernel - 1) + 1).map(|room| room / self.stride + 1)
    }
}

/// Why a layer cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Something is 0.
    #[error("a layer needs at least one channel, position, output, group, and a window of at least 1")]
    Nothing,
    /// The window is larger than the padded planes.
    #[error("a window of {kernel} with dilation {dilation} does not fit {height}×{width} positions padded by {pad}")]
    Window {
        /// Side of the window.
        kernel: usize,
        /// Its dilation.
        dilation: usize,
        /// Positions down.
        height: usize,
        /// Positions across.
        width: usize,
        /// Padding on each side.
        pad: usize,
    },
    /// Groups do not divide the channels.
    #[error("{groups} groups do not divide {inputs} input channels and {outputs} outputs")]
    Groups {
        /// How many groups.
        groups: usize,
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
    },
}

/// The form of one layer. Output channel o of group g sees the channels of block g of the input alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    input: Planes,
    output: Planes,
    groups: usize,
    window: Window,
}

impl Form {
    /// A dense layer.
    ///
    /// # Errors
    /// If there are no inputs or no outputs.
    pub fn dense(inputs: usize, outputs: usize) -> Result<Form, FormError> {
        Form::new(Planes::flat(inputs), outputs, 1, Window::POINT)
    }

    /// A layer of `outputs` channels.
    ///
    /// # Errors
    /// If a size is 0, the window does not fit, or the groups do not divide the channels.
    pub fn new(input: Planes, outputs: usize, groups: usize, window: Window) -> Result<Form, FormError> {
        let Window { kernel, stride, pad, dilation } = window;
        if [input.values(), outputs, groups, kernel, stride, dilation].contains(&0) {
            return Err(FormError::Nothing);
        }
        if !input.channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(FormError::Groups { groups, inputs: input.channels, outputs });
        }
        let (Some(height), Some(width)) = (window.outputs(input.height), window.outputs(input.width)) else {
            let Planes { height, width, .. } = input;
            return Err(FormError::Window { kernel, dilation, height, width, pad });
        };
        Ok(Form { input, output: Planes { channels: outputs, height, width }, groups, window })
    }

    /// What it takes.
    pub fn input(&self) -> Planes {
        self.input
    }

    /// What it gives.
    pub fn output(&self) -> Planes {
        self.output
    }

    /// Blocks of channels that do not see one another.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Where each neuron looks.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Inputs of one neuron: C/G·k².
    pub fn patch(&self) -> usize {
        self.input.channels / self.groups * self.window.kernel * self.window.kernel
    }

    /// Weights: one row of [`patch`](Form::patch) numbers an output channel.
    pub fn weights(&self) -> usize {
        self.output.channels * self.patch()
    }

    /// Pairs |x − w| of one sample.
    pub fn pairs(&self) -> usize {
        self.weights() * self.output.positions()
    }

    /// Whether a neuron sees all channels of one position and no other: rows in, rows out.
    fn is_pointwise(&self) -> bool {
        self.window == Window::POINT && self.groups == 1
    }
}
