//! Everything that training changes: weights, running means, scalar, and Adam's moments.

use crate::dataset::random::{self, Purpose};

use super::{LayerShape, NetShape};

/// A net and its optimizer. All arrays are row-major float32.
#[derive(Clone, Debug, PartialEq)]
pub struct NetState {
    /// First to last.
    pub layers: Vec<LayerState>,
    /// Added to the last layer's distances, `[classes]`, with its moments.
    pub bias: Trained,
    /// s, which scales the logits inside the cross-entropy, with its moments: one value.
    pub scalar: Trained,
    /// Adam steps done.
    pub step: u64,
}

/// One distance layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerState {
    /// Its size.
    pub shape: LayerShape,
    /// `[outputs, inputs]`.
    pub weight: Trained,
    /// Running mean of the distances, `[outputs]`, subtracted in evaluation; empty for the last layer, which has none.
    pub mean: Vec<f32>,
}

/// A parameter with Adam's moments, all of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The values.
    pub value: Vec<f32>,
    /// First moment.
    pub m: Vec<f32>,
    /// Second moment.
    pub v: Vec<f32>,
}

impl Trained {
    fn new(value: Vec<f32>) -> Trained {
        let zeros = vec![0.0; value.len()];
        Trained { m: zeros.clone(), v: zeros, value }
    }

    fn tensors<'a>(&'a self, name: &str, shape: &[usize], out: &mut Vec<(String, Vec<usize>, &'a [f32])>) {
        out.push((name.to_owned(), shape.to_vec(), &self.value));
        out.push((format!("{name}.m"), shape.to_vec(), &self.m));
        out.push((format!("{name}.v"), shape.to_vec(), &self.v));
    }

    fn restore(
        &mut self,
        name: &str,
        place: &mut impl FnMut(String, &mut Vec<f32>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        place(name.to_owned(), &mut self.value)?;
        place(format!("{name}.m"), &mut self.m)?;
        place(format!("{name}.v"), &mut self.v)
    }
}

/// Why stored tensors are not this net.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A tensor is absent.
    #[error("tensor {0} is missing")]
    Missing(String),
    /// A tensor has another length.
    #[error("tensor {name} has {found} values, the net needs {needed}")]
    Length {
        /// Which.
        name: String,
        /// Values found.
        found: usize,
        /// Values needed.
        needed: usize,
    },
}

impl NetState {
    /// A fresh net: weights i.i.d. N(0, 1), bias and means 0, s = 1 (arXiv 2102.05363 §5).
    ///
    /// With `identity` = c, w[o, o mod inputs] is −c in every layer that has no more inputs than outputs.
    pub fn init(shape: &NetShape, seed: u64, identity: Option<f64>) -> NetState {
        let last = shape.layers().len() - 1;
        let layers = shape.layers().iter().enumerate().map(|(index, &layer)| {
            let mut weight = vec![0.0; layer.inputs * layer.outputs];
            random::fill_normal(seed, random::stream(Purpose::Weights, index as u64), &mut weight);
            if let Some(value) = identity.filter(|_| layer.inputs <= layer.outputs) {
                for (output, row) in weight.chunks_exact_mut(layer.inputs).enumerate() {
                    row[output % layer.inputs] = -value as f32;
                }
            }
            let mean = vec![0.0; if index == last { 0 } else { layer.outputs }];
            LayerState { shape: layer, weight: Trained::new(weight), mean }
        });
        NetState {
            layers: layers.collect(),
            bias: Trained::new(vec![0.0; shape.classes()]),
            scalar: Trained::new(vec![1.0]),
            step: 0,
        }
    }

    /// Every tensor with its name and shape, in a fixed order: what a checkpoint holds.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let mut tensors = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let LayerShape { inputs, outputs } = layer.shape;
            layer.weight.tensors(&format!("layer{index}.weight"), &[outputs, inputs], &mut tensors);
            if !layer.mean.is_empty() {
                tensors.push((format!("layer{index}.mean"), vec![outputs], layer.mean.as_slice()));
            }
        }
        self.bias.tensors("bias", &[self.bias.value.len()], &mut tensors);
        self.scalar.tensors("scalar", &[1], &mut tensors);
        tensors
    }

    /// The name of the first tensor that holds a NaN or an infinity: such a net is ruined, and maxima would hide it.
    pub fn not_finite(&self) -> Option<String> {
        let ruined = |data: &[f32]| data.iter().any(|value| !value.is_finite());
        self.tensors().into_iter().find(|(_, _, data)| ruined(data)).map(|(name, ..)| name)
    }

    /// Puts stored tensors in the place of this net's, which gives the shapes. `find` returns a tensor by name.
    pub fn restore<'a>(
        &mut self,
        step: u64,
        mut find: impl FnMut(&str) -> Option<&'a [f32]>,
    ) -> Result<(), StateError> {
        let mut place = |name: String, target: &mut Vec<f32>| {
            let found = find(&name).ok_or_else(|| StateError::Missing(name.clone()))?;
            if found.len() != target.len() {
                return Err(StateError::Length { name, found: found.len(), needed: target.len() });
            }
            target.copy_from_slice(found);
            Ok(())
        };
        for (index, layer) in self.layers.iter_mut().enumerate() {
            layer.weight.restore(&format!("layer{index}.weight"), &mut place)?;
            if !layer.mean.is_empty() {
                place(format!("layer{index}.mean"), &mut layer.mean)?;
            }
        }
        self.bias.restore("bias", &mut place)?;
        self.scalar.restore("scalar", &mut place)?;
        self.step = step;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::experiment::parse;

    fn shape() -> NetShape {
        let text = "data.dataset = 'synthetic'\nmodel = { depth = 3, width = 20 }\n\
            train = { epochs = 1, batch_size = 8, lr = 0.1 }\nschedule = { ramp_start = 0, ramp_end = 1 }\n\
            loss = { lambda = 0.1, eps_train = 0.1 }\neval.eps = 0.1";
        NetShape::new(&parse(text).unwrap())
    }

    #[test]
    fn identity_starts_only_where_there_are_no_more_inputs_than_outputs() {
        let state = NetState::init(&shape(), 1, Some(10.0));
        let rows = |layer: usize| {
            let LayerState { shape, weight, .. } = &state.layers[layer];
            weight.value.chunks_exact(shape.inputs).map(|row| row.iter().position(|&w| w == -10.0)).collect::<Vec<_>>()
        };
        assert!(rows(0).iter().all(Option::is_none));
        assert_eq!(rows(1), (0..20).map(Some).collect::<Vec<_>>());
        assert!(rows(2).iter().all(Option::is_none));
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let init = |seed| NetState::init(&shape(), seed, None);
        assert_eq!(init(3), init(3));
        assert_ne!(init(3).layers[1].weight.value, init(4).layers[1].weight.value);
    }

    #[test]
    fn tensors_come_back_as_they_went() {
        let mut state = NetState::init(&shape(), 1, None);
        state.layers[0].mean[3] = 7.0;
        state.scalar.v[0] = 0.5;
        let stored: BTreeMap<_, _> = state.tensors().into_iter().map(|(name, _, data)| (name, data.to_vec())).collect();
        let mut other = NetState::init(&shape(), 2, None);
        other.restore(11, |name| stored.get(name).map(Vec::as_slice)).unwrap();
        assert_eq!(other, NetState { step: 11, ..state });
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let mut state = NetState::init(&shape(), 1, None);
        assert_eq!(state.not_finite(), None);
        state.layers[1].mean[7] = f32::INFINITY;
        assert_eq!(state.not_finite().as_deref(), Some("layer1.mean"));
        state.layers[1].weight.value[3] = f32::NAN;
        assert_eq!(state.not_finite().as_deref(), Some("layer1.weight"));
    }

    #[test]
    fn a_foreign_checkpoint_is_refused() {
        let mut state = NetState::init(&shape(), 1, None);
        let missing = state.restore(0, |_| None).unwrap_err();
        assert_eq!(missing, StateError::Missing("layer0.weight".into()));
        let short = state.restore(0, |_| Some(&[1.0][..])).unwrap_err();
        assert_eq!(short, StateError::Length { name: "layer0.weight".into(), found: 1, needed: 784 * 20 });
    }
}
