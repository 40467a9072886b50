//! Everything that training changes: weights, running means, scalar, and Adam's moments.

use crate::dataset::random::{self, Purpose};

use super::{End, Head, LayerShape, NetShape, Turn};

/// A net and its optimizer. All arrays are row-major float32.
#[derive(Clone, Debug, PartialEq)]
pub struct NetState {
    /// First to last.
    pub layers: Vec<LayerState>,
    /// Added to the last layer's distances, `[classes]`, with its moments; empty where there is a head.
    pub bias: Trained,
    /// What makes logits of the last layer's outputs, and how those are turned for it; absent in a pure distance net,
    /// whose logits are the negated distances.
    pub head: Option<(Turn, Head)>,
    /// s, which scales the logits inside the cross-entropy, with its moments: one value.
    pub scalar: Trained,
    /// Adam steps done.
    pub step: u64,
    /// Decides the dropout masks of every step.
    pub seed: u64,
}

/// One distance layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerState {
    /// Its form.
    pub shape: LayerShape,
    /// `[outputs, inputs]`, the inputs in the order (channel, row, column).
    pub weight: Trained,
    /// Running mean of the distances, `[outputs]`, subtracted in evaluation; empty where a bias is added instead.
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
    pub(super) fn new(value: Vec<f32>) -> Trained {
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
    /// With `identity` = c, w[o, o mod inputs] is −c in every layer that has no more inputs than outputs; in a
    /// convolution those are channels, and the weight is that of the window's centre.
    pub fn init(shape: &NetShape, seed: u64, identity: Option<f64>) -> NetState {
        let has_head = matches!(shape.end(), End::Head(_));
        let last = shape.layers().len() - 1;
        let layers = shape.layers().iter().enumerate().map(|(index, &layer)| {
            let form = layer.form;
            let mut weight = vec![0.0; form.weights()];
            random::fill_normal(seed, random::stream(Purpose::Weights, index as u64), &mut weight);
            let channels = form.input().channels / form.groups();
            if let Some(value) = identity.filter(|_| channels <= layer.outputs()) {
                let square = form.window().kernel * form.window().kernel;
                for (output, row) in weight.chunks_exact_mut(form.patch()).enumerate() {
                    row[output % channels * square + square / 2] = -value as f32;
                }
            }
            let mean = vec![0.0; if index == last && !has_head { 0 } else { layer.outputs() }];
            LayerState { shape: layer, weight: Trained::new(weight), mean }
        });
        let head = match shape.end() {
            End::Distances => None,
            End::Head(head) => Some((head.turn, Head::init(head.features, head.hidden, head.classes, seed))),
        };
        NetState {
            layers: layers.collect(),
            bias: Trained::new(vec![0.0; if has_head { 0 } else { shape.classes() }]),
            head,
            scalar: Trained::new(vec![1.0]),
            step: 0,
            seed,
        }
    }

    /// Logits.
    pub fn classes(&self) -> usize {
        self.head.as_ref().map_or(self.bias.value.len(), |(_, head)| head.classes.outputs)
    }

    /// Whether any layer sorts: such a net has no meaning at finite p but under dropout.
    pub fn sorts(&self) -> bool {
        self.layers.iter().any(|layer| layer.shape.keep.is_some())
    }

    /// What the net has beside plain dense distance layers, for people; `None` for the plain net.
    pub fn beyond_plain(&self) -> Option<&'static str> {
        let any = |test: fn(&LayerShape) -> bool| self.layers.iter().any(|layer| test(&layer.shape));
        if any(|layer| layer.form.input().positions() > 1) {
            Some("convolutions")
        } else if any(|layer| layer.form.groups() > 1) {
            Some("groups")
        } else if self.sorts() {
            Some("sort neurons")
        } else {
            self.head.as_ref().map(|_| "a head")
        }
    }

    /// The tensor of a checkpoint with a layer's means at p = ∞.
    pub fn mean_at_infinity(layer: usize) -> String {
        format!("layer{layer}.mean_at_infinity")
    }

    /// Takes the average of the parameters where a checkpoint has one, else their values. `find` returns a tensor of the
    /// checkpoint by name.
    ///
    /// # Errors
    /// If one is missing or has another length.
    pub fn restore_averaged<'a>(
        &mut self,
        step: u64,
        find: impl Fn(&str) -> Option<&'a [f32]>,
    ) -> Result<(), StateError> {
        self.restore(step, |name| find(&super::average::name(name)).or_else(|| find(name)))
    }

    /// Takes the values of the net that was measured when a checkpoint was written: the average of the parameters where
    /// there is one, and the means at p = ∞. `find` returns a tensor of the checkpoint by name.
    ///
    /// # Errors
    /// If one is missing or has another length. A checkpoint between evaluations has no means at p = ∞.
    pub fn restore_measured<'a>(
        &mut self,
        step: u64,
        find: impl Fn(&str) -> Option<&'a [f32]>,
    ) -> Result<(), StateError> {
        self.restore_averaged(step, &find)?;
        for (index, layer) in self.layers.iter_mut().enumerate().filter(|(_, layer)| !layer.mean.is_empty()) {
            let name = NetState::mean_at_infinity(index);
            let mean = find(&name).ok_or_else(|| StateError::Missing(name.clone()))?;
            if mean.len() != layer.mean.len() {
                return Err(StateError::Length { name, found: mean.len(), needed: layer.mean.len() });
            }
            layer.mean.copy_from_slice(mean);
        }
        Ok(())
    }

    /// Every tensor with its name and shape, in a fixed order: what a checkpoint holds.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let mut tensors = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let (inputs, outputs) = (layer.shape.inputs(), layer.shape.outputs());
            layer.weight.tensors(&format!("layer{index}.weight"), &[outputs, inputs], &mut tensors);
            if !layer.mean.is_empty() {
                tensors.push((format!("layer{index}.mean"), vec![outputs], layer.mean.as_slice()));
            }
        }
        match &self.head {
            None => self.bias.tensors("bias", &[self.bias.value.len()], &mut tensors),
            Some((_, head)) => {
                for (name, shape, trained) in head.parts() {
                    trained.tensors(name, &shape, &mut tensors);
                }
            }
        }
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
        match &mut self.head {
            None => self.bias.restore("bias", &mut place)?,
            Some((_, head)) => {
                for (name, trained) in head.parts_mut() {
                    trained.restore(name, &mut place)?;
                }
            }
        }
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

    fn shape_of(model: &str) -> NetShape {
        let text = format!(
            "data.dataset = 'synthetic'\nmodel = {{ {model} }}\n\
             train = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
        );
        NetShape::new(&parse(&text).unwrap())
    }

    fn shape() -> NetShape {
        shape_of("depth = 3, width = 20")
    }

    /// Convolutions, groups and a head.
    fn mixed() -> NetShape {
        shape_of("depth = 2, width = 12, groups = 2, hidden = 5, conv = [{ outputs = 4, kernel = 5, stride = 4 }]")
    }

    /// Where each row has −10.
    fn identity_of_rows(LayerState { shape, weight, .. }: &LayerState) -> Vec<Option<usize>> {
        weight.value.chunks_exact(shape.inputs()).map(|row| row.iter().position(|&w| w == -10.0)).collect()
    }

    #[test]
    fn identity_starts_only_where_there_are_no_more_inputs_than_outputs() {
        let state = NetState::init(&shape(), 1, Some(10.0));
        let rows = |layer: usize| identity_of_rows(&state.layers[layer]);
        assert!(rows(0).iter().all(Option::is_none));
        assert_eq!(rows(1), (0..20).map(Some).collect::<Vec<_>>());
        assert!(rows(2).iter().all(Option::is_none));
    }

    #[test]
    fn identity_starts_at_the_centre_of_a_window() {
        let state = NetState::init(&mixed(), 1, Some(10.0));
        let rows = |layer: usize| identity_of_rows(&state.layers[layer]);
        assert_eq!(rows(0), [Some(12); 4]);
        assert!(rows(1).iter().all(Option::is_none));
        // Two groups of 6 inputs each, 12 outputs.
        assert_eq!(rows(2), (0..12).map(|output| Some(output % 6)).collect::<Vec<_>>());
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let init = |seed| NetState::init(&shape(), seed, None);
        assert_eq!(init(3), init(3));
        assert_ne!(init(3).layers[1].weight.value, init(4).layers[1].weight.value);
    }

    #[test]
    fn tensors_come_back_as_they_went() {
        for shape in [shape(), mixed()] {
            let mut state = NetState::init(&shape, 1, None);
            state.layers[0].mean[3] = 7.0;
            state.scalar.v[0] = 0.5;
            if let Some((_, head)) = &mut state.head {
                head.hidden.bias.value[1] = 3.0;
                head.classes.weight.m[2] = 4.0;
            }
            let tensors = state.tensors();
            assert!(tensors.iter().all(|(_, shape, data)| shape.iter().product::<usize>() == data.len()));
            let stored: BTreeMap<_, _> = tensors.into_iter().map(|(name, _, data)| (name, data.to_vec())).collect();
            let mut other = NetState::init(&shape, 2, None);
            other.restore(11, |name| stored.get(name).map(Vec::as_slice)).unwrap();
            assert_eq!(other, NetState { step: 11, seed: 2, ..state });
        }
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
