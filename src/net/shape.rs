//! The layers of a net, from its config.

use std::fmt;

use crate::dataset::DatasetId;
use crate::experiment::{Config, ModelKind};

/// One distance layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Inputs of each neuron.
    pub inputs: usize,
    /// Neurons.
    pub outputs: usize,
}

/// All distance layers, first to last. Hidden layers are followed by a mean shift, the last by a bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetShape {
    layers: Vec<LayerShape>,
}

impl NetShape {
    /// The net of a config: `depth` layers, inputs → width → … → width → classes.
    pub fn new(config: &Config) -> NetShape {
        match config.model.kind {
            ModelKind::LinfDist => NetShape::mlp(config.data.dataset, config.model.depth, config.model.width),
        }
    }

    fn mlp(dataset: DatasetId, depth: usize, width: usize) -> NetShape {
        let mut inputs = dataset.pixels();
        let layers = (1..=depth)
            .map(|layer| {
                let outputs = if layer == depth { dataset.classes() } else { width };
                LayerShape { inputs: std::mem::replace(&mut inputs, outputs), outputs }
            })
            .collect();
        NetShape { layers }
    }

    /// The layers, first to last; never empty.
    pub fn layers(&self) -> &[LayerShape] {
        &self.layers
    }

    /// Values of an image.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// Logits.
    pub fn classes(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// Trained numbers: weights, the last layer's bias, and the scalar.
    pub fn parameters(&self) -> usize {
        self.pairs() + self.classes() + 1
    }

    /// Pairs |x − w| that one image costs: one a weight.
    pub fn pairs(&self) -> usize {
        self.layers.iter().map(|layer| layer.inputs * layer.outputs).sum()
    }
}

impl fmt::Display for NetShape {
    /// `784-512×4-10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inputs())?;
        let hidden = &self.layers[..self.layers.len() - 1];
        match hidden {
            [] => {}
            [one] => write!(f, "-{}", one.outputs)?,
            [first, ..] => write!(f, "-{}×{}", first.outputs, hidden.len())?,
        }
        write!(f, "-{}", self.classes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_counts_are_the_published_ones() {
        assert_eq!(NetShape::mlp(DatasetId::Mnist, 5, 5120).parameters(), 82_708_491);
        assert_eq!(NetShape::mlp(DatasetId::Cifar10, 6, 5120).parameters(), 120_637_451);
    }

    #[test]
    fn written_as_in_papers() {
        assert_eq!(NetShape::mlp(DatasetId::Mnist, 5, 512).to_string(), "784-512×4-10");
        assert_eq!(NetShape::mlp(DatasetId::Mnist, 2, 64).to_string(), "784-64-10");
    }
}
