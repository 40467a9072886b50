//! From the names of the authors' three programs to ours.
//!
//! All three keep distances without their sign, subtract `running_mean` from them, add the last bias before they negate,
//! and apply 1/√fan_in of linear layers in the forward pass, as this program does: values are taken over as they are. The
//! file does not say which images the net is for, how it pads and strides, and what share of inputs a sort neuron keeps: the config does.

use crate::experiment::Config;
use crate::net::{NetShape, NetState};

use super::torch_file::Tensors;

/// Why tensors are not the net of a config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotThisNet {
    /// None of the names is one of theirs.
    #[error(
        "it holds no net of the authors' programs: its first tensor is called \"{0}\", not fc_dist.0.weight or feature.fc.0.weight"
    )]
    Foreign(String),
    /// Something is not there.
    #[error("it has no {names}, which {net} needs: does the config describe this net?")]
    Missing {
        /// What it may be called.
        names: String,
        /// The config's net.
        net: String,
    },
    /// Something has another size.
    #[error("its {name} is {found:?}, which is {} values; {net} needs {needed}: does the config describe this net?", found.iter().product::<usize>())]
    Size {
        /// Which tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// Values needed.
        needed: usize,
        /// The config's net.
        net: String,
    },
    /// Something is left over.
    #[error("it has {name} too, which {net} has no place for: does the config describe this net?")]
    Left {
        /// Which tensor.
        name: String,
        /// The config's net.
        net: String,
    },
    /// A NaN or an infinity.
    #[error("its {0} holds a value that is not finite")]
    NotFinite(String),
    /// s scales the logits; where it is not above 0, the largest is not the likeliest.
    #[error("its scalar is {0}, and must be above 0")]
    Scalar(String),
}

/// Takes tensors one after the other.
struct Taking<'a> {
    tensors: &'a Tensors,
    taken: Vec<bool>,
    net: String,
}

impl Taking<'_> {
    /// The place of the first of these names that is there.
    fn find(&self, names: &[String]) -> Option<usize> {
        names.iter().find_map(|name| self.tensors.tensors.iter().position(|(known, _)| known == name))
    }

    fn take(&mut self, names: &[String], to: &mut [f32]) -> Result<(), NotThisNet> {
        let place =
            self.find(names).ok_or_else(|| NotThisNet::Missing { names: names.join(" or "), net: self.net.clone() })?;
        let (name, tensor) = &self.tensors.tensors[place];
        if tensor.data.len() != to.len() {
            let (name, found, needed) = (name.clone(), tensor.shape.clone(), to.len());
            return Err(NotThisNet::Size { name, found, needed, net: self.net.clone() });
        }
        if tensor.data.iter().any(|value| !value.is_finite()) {
            return Err(NotThisNet::NotFinite(name.clone()));
        }
        to.copy_from_slice(&tensor.data);
        self.taken[place] = true;
        Ok(())
    }
}

/// The net of `config` with the values of the file, its means included, which are those of p = ∞. Optimizer moments
/// are 0.
///
/// # Errors
/// If a tensor is missing, has another size, is not finite, or is left over.
pub fn net(tensors: &Tensors, config: &Config) -> Result<NetState, NotThisNet> {
    let shape = NetShape::new(config);
    let mut net = NetState::init(&shape, config.train.seed, None);
    let mut taking = Taking { tensors, taken: vec![false; tensors.tensors.len()], net: shape.to_string() };
    let ours = |name: &String| name.starts_with("fc_dist.") || name.starts_with("feature.");
    if !tensors.tensors.iter().any(|(name, _)| ours(name)) {
        let first = tensors.tensors.first().map_or_else(|| "(nothing)".to_owned(), |(name, _)| name.clone());
        return Err(NotThisNet::Foreign(first));
    }
    let convolutions = config.model.conv.iter().map(|conv| conv.repeat).sum::<usize>();
    let last = net.layers.len() - 1;
    for (index, layer) in net.layers.iter_mut().enumerate() {
        let is_end = layer.mean.is_empty();
        let first_program = match index.checked_sub(convolutions) {
            None => vec![format!("feature.conv.{index}")],
            Some(_) if is_end => vec!["feature.fc_last".to_owned()],
            // A net of convolutions has one such layer, and there it has no number.
            Some(dense) => vec![format!("feature.fc.{dense}"), "feature.fc".to_owned()],
        };
        let called = |part: &str, later: &str| -> Vec<String> {
            let mut names = vec![format!("fc_dist.{index}.{later}")];
            names.extend(first_program.iter().map(|name| format!("{name}.{part}")));
            names
        };
        taking.take(&called("weight", "weight"), &mut layer.weight.value)?;
        if !is_end {
            taking.take(&called("normalize.running_mean", "mean_shift.running_mean"), &mut layer.mean)?;
        }
    }
    match &mut net.head {
        None => {
            let names = [format!("fc_dist.{last}.bias"), "feature.fc_last.bias".to_owned()];
            taking.take(&names, &mut net.bias.value)?;
        }
        Some((_, head)) => {
            for (linear, names) in [
                (&mut head.hidden, ["fc_linear.0", "predictor.fc1"]),
                (&mut head.classes, ["fc_final", "predictor.fc2"]),
            ] {
                taking.take(&names.map(|name| format!("{name}.weight")), &mut linear.weight.value)?;
                taking.take(&names.map(|name| format!("{name}.bias")), &mut linear.bias.value)?;
            }
        }
    }
    // The first program and some nets of the others have none: 1.
    let scalar = ["scalar".to_owned()];
    if taking.find(&scalar).is_some() {
        taking.take(&scalar, &mut net.scalar.value)?;
    }
    if let Some(value) = net.scalar.value.iter().find(|value| **value <= 0.0) {
        return Err(NotThisNet::Scalar(value.to_string()));
    }
    if let Some(place) = taking.taken.iter().position(|taken| !taken) {
        return Err(NotThisNet::Left { name: tensors.tensors[place].0.clone(), net: taking.net });
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Split;
    use crate::dist::Simd;
    use crate::experiment::parse;
    use crate::import_torch::torch_file::{self, Tensor};
    use crate::net::Evaluator;

    fn config(model: &str) -> Config {
        let text = format!(
            "data.dataset = 'synthetic'\nmodel = {{ {model} }}\n\
             train = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
        );
        parse(&text).unwrap()
    }

    /// Tensors of these names and shapes; every value is another one.
    fn tensors(named: &[(&str, &[usize])]) -> Tensors {
        let mut next = 0;
        let tensors = named.iter().map(|(name, shape)| {
            let data = (0..shape.iter().product::<usize>())
                .map(|_| {
                    next += 1;
                    next as f32
                })
                .collect();
            ((*name).to_owned(), Tensor { shape: shape.to_vec(), data })
        });
        Tensors { tensors: tensors.collect(), beside: Vec::new(), others: Vec::new() }
    }

    const PURE: [(&str, &[usize]); 7] = [
        ("scalar", &[1]),
        ("fc_dist.0.weight", &[6, 784]),
        ("fc_dist.0.mean_shift.running_mean", &[6]),
        ("fc_dist.1.weight", &[6, 6]),
        ("fc_dist.1.mean_shift.running_mean", &[6]),
        ("fc_dist.2.weight", &[10, 6]),
        ("fc_dist.2.bias", &[10]),
    ];

    #[test]
    fn the_second_programs_names_find_their_places() {
        for model in ["depth = 3, width = 6", "kind = 'sort-net', keep = 0.7, depth = 3, width = 6"] {
            let given = tensors(&PURE);
            let net = net(&given, &config(model)).unwrap();
            let of = |name: &str| given.get(name).unwrap().data.as_slice();
            assert_eq!(net.layers[1].weight.value, of("fc_dist.1.weight"));
            assert_eq!(net.layers[1].mean, of("fc_dist.1.mean_shift.running_mean"));
            assert_eq!(net.bias.value, of("fc_dist.2.bias"));
            assert_eq!(net.scalar.value, of("scalar"));
            assert!(net.layers[2].mean.is_empty() && net.bias.m == [0.0; 10]);
        }
    }

    #[test]
    fn heads_and_the_first_programs_names_find_their_places() {
        let head = tensors(&[
            ("fc_dist.0.weight", &[6, 784]),
            ("fc_dist.0.mean_shift.running_mean", &[6]),
            ("fc_linear.0.weight", &[4, 6]),
            ("fc_linear.0.bias", &[4]),
            ("fc_final.weight", &[10, 4]),
            ("fc_final.bias", &[10]),
        ]);
        let found = net(&head, &config("depth = 1, width = 6, hidden = 4")).unwrap();
        let (_, linear) = found.head.as_ref().unwrap();
        assert_eq!(linear.hidden.weight.value, head.get("fc_linear.0.weight").unwrap().data);
        assert_eq!(linear.classes.bias.value, head.get("fc_final.bias").unwrap().data);
        assert_eq!(found.scalar.value, [1.0]);

        // 4-D weights, a dense layer without a number behind convolutions.
        let conv = tensors(&[
            ("feature.conv.0.weight", &[3, 1, 3, 3]),
            ("feature.conv.0.normalize.running_mean", &[3]),
            ("feature.fc.weight", &[6, 3 * 13 * 13, 1, 1]),
            ("feature.fc.normalize.running_mean", &[6]),
            ("predictor.fc1.weight", &[4, 6]),
            ("predictor.fc1.bias", &[4]),
            ("predictor.fc2.weight", &[10, 4]),
            ("predictor.fc2.bias", &[10]),
        ]);
        let model = "depth = 1, width = 6, hidden = 4, conv = [{ outputs = 3, kernel = 3, stride = 2 }]";
        let found = net(&conv, &config(model)).unwrap();
        assert_eq!(found.layers[0].weight.value, conv.get("feature.conv.0.weight").unwrap().data);
        assert_eq!(found.layers[1].weight.value, conv.get("feature.fc.weight").unwrap().data);
        assert_eq!(found.layers[1].mean, conv.get("feature.fc.normalize.running_mean").unwrap().data);

        let pure = tensors(&[
            ("feature.fc.0.weight", &[6, 784, 1, 1]),
            ("feature.fc.0.normalize.running_mean", &[6]),
            ("feature.fc_last.weight", &[10, 6, 1, 1]),
            ("feature.fc_last.bias", &[10]),
        ]);
        let found = net(&pure, &config("depth = 2, width = 6")).unwrap();
        assert_eq!(found.layers[1].weight.value, pure.get("feature.fc_last.weight").unwrap().data);
    }

    #[test]
    fn a_file_of_theirs_answers_as_it_does_in_double_precision() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torch_file/v215_whole_mnist_net.pth");
        let tensors = torch_file::read(&path).unwrap();
        assert_eq!(tensors.others, ["optimizer"]);
        let config = config("depth = 3, width = 6");
        let net = net(&tensors, &config).unwrap();
        assert_eq!(net.scalar.value, [1.5]);
        // What `make.py` prints of this image.
        let images = (0..784).map(|i| (i * 7 % 256) as u8).collect();
        let mut evaluator = Evaluator::new(config.data.dataset, 1, Simd::detect().unwrap());
        let found = evaluator.certify(&net, &Split { images, labels: vec![9] }, 1, config.eval.eps).samples[0];
        assert_eq!(found.prediction, 9);
        assert!((found.margin - 0.082_321_1).abs() < 1e-6, "{}", found.margin);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let fault = |given: &Tensors, model: &str| net(given, &config(model)).unwrap_err().to_string();
        let given = tensors(&PURE);
        let wide = fault(&given, "depth = 3, width = 7");
        assert!(wide.contains("fc_dist.0.weight is [6, 784]") && wide.contains("784-7×2-10 needs 5488"), "{wide}");
        let deep = fault(&given, "depth = 4, width = 6");
        assert!(deep.contains("fc_dist.2.weight is [10, 6]"), "{deep}");
        let shallow = fault(&given, "depth = 1, width = 6, hidden = 6");
        assert!(shallow.contains("no fc_linear.0.weight or predictor.fc1.weight"), "{shallow}");
        let mut left = given.clone();
        left.tensors.push(("fc_dist.0.mean_shift.bias".into(), Tensor { shape: vec![6], data: vec![0.0; 6] }));
        assert!(fault(&left, "depth = 3, width = 6").contains("fc_dist.0.mean_shift.bias too"));
        let mut ruined = given.clone();
        ruined.tensors[3].1.data[4] = f32::NAN;
        assert!(fault(&ruined, "depth = 3, width = 6").contains("fc_dist.1.weight holds a value that is not finite"));
        let mut turned = given;
        turned.tensors[0].1.data[0] = -1.0;
        assert!(fault(&turned, "depth = 3, width = 6").contains("scalar is -1"));
        assert!(fault(&tensors(&[("conv1.weight", &[2])]), "depth = 3, width = 6").contains("\"conv1.weight\""));
    }
}
