//! An exponential moving average of a net's parameters over the steps (Polyak & Juditsky 1992, in the form that deep
//! learning uses).

use super::{NetState, StateError};

/// What a tensor's average is called in a checkpoint.
pub(super) fn name(tensor: &str) -> String {
    format!("average.{tensor}")
}

/// The average of every tensor of a net but Adam's moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    decay: f32,
    /// Name and values, in the order of [`NetState::tensors`].
    tensors: Vec<(String, Vec<f32>)>,
}

impl Average {
    /// An average that begins at this net. `decay` is the share of the old average that a step keeps.
    pub fn new(net: &NetState, decay: f64) -> Average {
        let tensors = parameters(net).map(|(name, values)| (name, values.to_vec())).collect();
        Average { decay: decay as f32, tensors }
    }

    /// The share of the old average that a step keeps.
    pub fn decay(&self) -> f64 {
        self.decay.into()
    }

    /// Whether a tensor of a checkpoint is a part of an average.
    pub fn is_part(tensor: &str) -> bool {
        tensor.starts_with(&name(""))
    }

    /// Takes in the net after a step: a ← decay·a + (1 − decay)·w.
    pub fn update(&mut self, net: &NetState) {
        let rest = 1.0 - self.decay;
        for ((_, average), (_, values)) in self.tensors.iter_mut().zip(parameters(net)) {
            for (average, &value) in average.iter_mut().zip(values) {
                *average = self.decay * *average + rest * value;
            }
        }
    }

    /// The averaged net, with the moments of `net`.
    ///
    /// # Errors
    /// If `net` is of another shape.
    pub fn net(&self, net: &NetState) -> Result<NetState, StateError> {
        let mut averaged = net.clone();
        let find = |wanted: &str| {
            let average = self.tensors.iter().find(|(name, _)| name == wanted).map(|(_, values)| values.as_slice());
            average.or_else(|| net.tensors().into_iter().find(|(name, ..)| name == wanted).map(|(.., values)| values))
        };
        averaged.restore(net.step, find)?;
        Ok(averaged)
    }

    /// What a checkpoint holds of it.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>, &[f32])> {
        self.tensors.iter().map(|(name, values)| (self::name(name), vec![values.len()], values.as_slice()))
    }

    /// Takes the values that a checkpoint holds in the place of its own. `find` returns a tensor by name.
    ///
    /// # Errors
    /// If one is missing or has another length.
    pub fn restore<'a>(&mut self, mut find: impl FnMut(&str) -> Option<&'a [f32]>) -> Result<(), StateError> {
        for (tensor, values) in &mut self.tensors {
            let name = name(tensor);
            let found = find(&name).ok_or_else(|| StateError::Missing(name.clone()))?;
            if found.len() != values.len() {
                return Err(StateError::Length { name, found: found.len(), needed: values.len() });
            }
            values.copy_from_slice(found);
        }
        Ok(())
    }
}

fn parameters(net: &NetState) -> impl Iterator<Item = (String, &[f32])> {
    let is_moment = |name: &str| name.ends_with(".m") || name.ends_with(".v");
    net.tensors().into_iter().filter(move |(name, ..)| !is_moment(name)).map(|(name, _, values)| (name, values))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::experiment::parse;
    use crate::net::NetShape;

    fn net(seed: u64) -> NetState {
        let text = "data.dataset = 'synthetic'\nmodel = { depth = 2, width = 6 }\n\
            train = { epochs = 1, batch_size = 8, lr = 0.1 }\nschedule = { ramp_start = 0, ramp_end = 1 }\n\
            loss = { lambda = 0.1, eps_train = 0.1 }\neval.eps = 0.1";
        NetState::init(&NetShape::new(&parse(text).unwrap()), seed, None)
    }

    #[test]
    fn it_is_the_weighted_sum_of_what_was() {
        let (first, second, third) = (net(1), net(2), net(3));
        let mut average = Average::new(&first, 0.75);
        average.update(&second);
        average.update(&third);
        let averaged = average.net(&third).unwrap();
        let weight = |net: &NetState| net.layers[0].weight.value[17];
        let expected = 0.75 * (0.75 * weight(&first) + 0.25 * weight(&second)) + 0.25 * weight(&third);
        assert!((weight(&averaged) - expected).abs() < 1e-6);
        assert_eq!(averaged.layers[0].weight.m, third.layers[0].weight.m);
    }

    #[test]
    fn what_a_checkpoint_says_of_a_net_is_the_average_where_it_has_one() {
        let (trained, averaged) = (net(1), net(2));
        let average = Average::new(&averaged, 0.9);
        let mut stored: BTreeMap<_, _> =
            trained.tensors().into_iter().map(|(name, _, data)| (name, data.to_vec())).collect();
        let weight = |stored: &BTreeMap<String, Vec<f32>>| {
            let mut read = net(3);
            read.restore_averaged(7, |name| stored.get(name).map(Vec::as_slice)).unwrap();
            read.layers[0].weight.value.clone()
        };
        assert!(!stored.keys().any(|name| Average::is_part(name)));
        assert_eq!(weight(&stored), trained.layers[0].weight.value);
        stored.extend(average.tensors().map(|(name, _, data)| (name, data.to_vec())));
        assert!(stored.keys().any(|name| Average::is_part(name)));
        assert_eq!(weight(&stored), averaged.layers[0].weight.value);
    }

    #[test]
    fn it_survives_a_checkpoint() {
        let mut average = Average::new(&net(1), 0.9);
        average.update(&net(2));
        let stored: BTreeMap<_, _> = average.tensors().map(|(name, _, data)| (name, data.to_vec())).collect();
        let mut other = Average::new(&net(3), 0.9);
        other.restore(|name| stored.get(name).map(Vec::as_slice)).unwrap();
        assert_eq!(other, average);
        let missing = other.restore(|_| None).unwrap_err();
        assert_eq!(missing, StateError::Missing("average.layer0.weight".into()));
    }
}
