//! Reading the net of a certificate back, to measure it again.

use std::{fs, io, path::Path};

use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::Deserialize;

use super::{ENTRY, FORMAT, Net, checksum, weights};
use crate::{
    experiment::Config,
    net::{NetShape, NetState},
};

/// What a file holds beside its claims, which are not read: whoever has the net can prove them anew.
#[derive(Debug)]
pub struct Read {
    /// The run's name.
    pub run: String,
    /// With its means at p = ∞ and its steps; optimizer moments are 0.
    pub net: NetState,
}

/// Why a file is not the net of a config.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// It could not be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Damaged, or something else.
    #[error("it is no safetensors file: {0}")]
    Format(#[from] SafeTensorError),
    /// Safetensors of another program.
    #[error("it is no certificate: its metadata have no \"{ENTRY}\"")]
    Foreign,
    /// Its header is not the JSON that it must be.
    #[error("its header cannot be read: {0}")]
    Header(#[from] serde_json::Error),
    /// A later version.
    #[error("it is of format {0}, and this program reads format {FORMAT}")]
    Newer(u32),
    /// Another data set.
    #[error("its net is for {found}, the config's for {needed}")]
    Images {
        /// The file's.
        found: String,
        /// The config's.
        needed: &'static str,
    },
    /// Other layers.
    #[error("its layers are not those of {0}: does the config describe this net?")]
    Layers(String),
    /// A tensor is missing.
    #[error("it has no {name}, which {net} needs: does the config describe this net?")]
    Missing {
        /// Its name.
        name: String,
        /// The config's net.
        net: String,
    },
    /// A tensor has another form.
    #[error("its {name} is {found}, and must be {needed}")]
    Form {
        /// Its name.
        name: String,
        /// Kind and shape.
        found: String,
        /// What it must be.
        needed: String,
    },
    /// A number that is none.
    #[error("its {0} holds a value that is not finite")]
    NotFinite(String),
    /// A number that the config or the data set decides is another one.
    #[error("its {0} is not what the config says")]
    Constant(String),
    /// A tensor that has no place.
    #[error("it has {name} too, which {net} has no place for: does the config describe this net?")]
    Left {
        /// Its name.
        name: String,
        /// The config's net.
        net: String,
    },
    /// The weights are not those that were written.
    #[error("its weights do not have the checksum that it names: the file is damaged")]
    Damaged,
}

#[derive(Deserialize)]
struct Header {
    run: String,
    step: u64,
    dataset: Images,
    net: Net,
    weights_sha256: String,
}

#[derive(Deserialize)]
struct Images {
    name: String,
}

/// The net of `config` with the values of a certificate file.
///
/// # Errors
/// If the file is damaged, or is of another net.
pub fn read(path: &Path, config: &Config) -> Result<Read, NotRead> {
    of_bytes(&fs::read(path)?, config)
}

fn of_bytes(bytes: &[u8], config: &Config) -> Result<Read, NotRead> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY)).ok_or(NotRead::Foreign)?;
    // Before all else: a later format may have another header.
    let Format { format } = serde_json::from_str(entry)?;
    if format != FORMAT {
        return Err(NotRead::Newer(format));
    }
    let header: Header = serde_json::from_str(entry)?;
    let id = config.data.dataset;
    if header.dataset.name != id.name() {
        return Err(NotRead::Images { found: header.dataset.name, needed: id.name() });
    }
    let shape = NetShape::new(config);
    let mut net = NetState::init(&shape, config.train.seed, None);
    if header.net != Net::of(&net) {
        return Err(NotRead::Layers(shape.to_string()));
    }
    let file = SafeTensors::deserialize(bytes)?;
    let needed = weights(&net, id);
    let left = |name: &&str| !needed.contains_key(*name) && !name.starts_with("claim.");
    if let Some(name) = file.names().into_iter().find(left) {
        return Err(NotRead::Left { name: name.to_owned(), net: shape.to_string() });
    }
    for (name, tensor) in &needed {
        let missing = || NotRead::Missing { name: name.clone(), net: shape.to_string() };
        let found = file.tensor(name).map_err(|_| missing())?;
        if found.dtype() != Dtype::F32 || found.shape() != tensor.shape {
            let (found, needed) = (format!("{} {:?}", found.dtype(), found.shape()), format!("F32 {:?}", tensor.shape));
            return Err(NotRead::Form { name: name.clone(), found, needed });
        }
        if floats(found.data()).any(|value| !value.is_finite()) {
            return Err(NotRead::NotFinite(name.clone()));
        }
        if is_constant(name) && found.data() != &*safetensors::View::data(&tensor) {
            return Err(NotRead::Constant(name.clone()));
        }
    }
    drop(needed);
    let take = |name: String, to: &mut [f32]| {
        // All of them are there, and of this size.
        if let Ok(found) = file.tensor(&name) {
            to.iter_mut().zip(floats(found.data())).for_each(|(to, from)| *to = from);
        }
    };
    for (index, layer) in net.layers.iter_mut().enumerate() {
        take(format!("layer.{index}.weight"), &mut layer.weight.value);
        take(format!("layer.{index}.mean"), &mut layer.mean);
    }
    match &mut net.head {
        None => take("bias".into(), &mut net.bias.value),
        Some((_, head)) => {
            for (name, linear) in [("hidden", &mut head.hidden), ("classes", &mut head.classes)] {
                take(format!("head.{name}.weight"), &mut linear.weight.value);
                take(format!("head.{name}.bias"), &mut linear.bias.value);
            }
        }
    }
    net.step = header.step;
    if checksum(&weights(&net, id)) != header.weights_sha256 {
        return Err(NotRead::Damaged);
    }
    Ok(Read { run: header.run, net })
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Whether a tensor only says what config and data set decide.
fn is_constant(name: &str) -> bool {
    name.starts_with("normalize.") || name.ends_with(".profile") || name.ends_with(".scale")
}

/// A file is not aligned to its numbers.
fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        certificate::Certificate,
        dataset::Split,
        dist::Simd,
        experiment::{DatasetId, Neighbourhood, Threat, parse},
        net::Evaluator,
    };

    fn config(model: &str) -> Config {
        let text = format!(
            "data.dataset = 'synthetic'\nmodel = {{ {model} }}\n\
             train = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
        );
        parse(&text).unwrap()
    }

    fn net(config: &Config) -> NetState {
        let mut net = NetState::init(&NetShape::new(config), 7, None);
        net.step = 11;
        for layer in &mut net.layers {
            layer.mean.iter_mut().enumerate().for_each(|(index, mean)| *mean = 1.0 + index as f32);
        }
        net
    }

    fn written(config: &Config, net: &NetState) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        let id = DatasetId::Synthetic;
        let test = Split { images: vec![9; 2 * id.pixels()], labels: vec![1, 2] };
        let around = Neighbourhood { eps: config.eval.eps, threat: Threat::Real };
        let mut evaluator = Evaluator::new(id, 1, Simd::detect().unwrap());
        let evaluation = evaluator.certify(net, &test, 2, around);
        let certificate = Certificate {
            run: "calm-heron",
            step: net.step,
            net,
            view: id.into(),
            test: &test,
            around,
            evaluation: &evaluation,
            radii: &[None, None],
        };
        certificate.write(&path).unwrap();
        fs::read(path).unwrap()
    }

    const MODELS: [&str; 3] = [
        "depth = 3, width = 20",
        "kind = 'sort-net', depth = 3, width = 12, keep = 0.7",
        "depth = 2, width = 12, groups = 2, hidden = 5, conv = [{ outputs = 4, kernel = 5, stride = 4 }]",
    ];

    #[test]
    fn a_net_comes_back_as_it_went() {
        for model in MODELS {
            let config = config(model);
            let net = net(&config);
            let read = of_bytes(&written(&config, &net), &config).unwrap();
            assert_eq!((read.run.as_str(), read.net.step), ("calm-heron", 11));
            assert_eq!(read.net, NetState { seed: config.train.seed, ..net });
        }
    }

    #[test]
    fn another_net_or_other_images_are_refused_by_name() {
        let [dense, sort, mixed] = MODELS.map(config);
        let bytes = written(&dense, &net(&dense));
        let refused = |config: &Config| of_bytes(&bytes, config).unwrap_err().to_string();
        assert!(refused(&sort).contains("its layers are not those of 784-12×2-10 q=0.7"), "{}", refused(&sort));
        assert!(refused(&mixed).contains("its layers"), "{}", refused(&mixed));
        let mut other = dense.clone();
        other.data.dataset = DatasetId::Mnist;
        assert!(refused(&other).contains("is for synthetic, the config's for mnist"), "{}", refused(&other));

        // Layers of the same form, and another share kept.
        let keep = |keep: f64| config(&format!("kind = 'sort-net', depth = 3, width = 12, keep = {keep}"));
        let refused = of_bytes(&written(&keep(0.7), &net(&keep(0.7))), &keep(0.5)).unwrap_err();
        assert!(matches!(&refused, NotRead::Constant(name) if name == "layer.1.profile"), "{refused}");
        let plain = config("depth = 3, width = 12");
        let refused = of_bytes(&written(&keep(0.7), &net(&keep(0.7))), &plain).unwrap_err();
        assert!(matches!(&refused, NotRead::Left { name, .. } if name.ends_with("profile")), "{refused}");
    }

    /// The header, and where the tensors begin.
    fn header(bytes: &[u8]) -> (String, usize) {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        (String::from_utf8(bytes[8..8 + length].to_vec()).unwrap(), 8 + length)
    }

    #[test]
    fn a_changed_file_is_refused_with_the_reason() {
        let config = config(MODELS[0]);
        let bytes = written(&config, &net(&config));
        let (text, begin) = header(&bytes);
        let with_header = |text: &str| {
            let mut changed = (text.len() as u64).to_le_bytes().to_vec();
            changed.extend_from_slice(text.as_bytes());
            changed.extend_from_slice(&bytes[begin..]);
            of_bytes(&changed, &config).unwrap_err()
        };
        let newer = with_header(&text.replace(r#"\"format\":1"#, r#"\"format\":2"#));
        assert!(matches!(newer, NotRead::Newer(2)), "{newer}");
        let foreign = with_header(&text.replace(r#""certificate""#, r#""certificats""#));
        assert!(matches!(foreign, NotRead::Foreign), "{foreign}");
        let missing = with_header(&text.replace(r#""bias""#, r#""bios""#));
        assert!(matches!(&missing, NotRead::Left { name, .. } if name == "bios"), "{missing}");
        let cut = of_bytes(&bytes[..bytes.len() - 1], &config).unwrap_err();
        assert!(matches!(cut, NotRead::Format(_)), "{cut}");

        let names: serde_json::Value = serde_json::from_str(&text).unwrap();
        let place = |name: &str| begin + names[name]["data_offsets"][0].as_u64().unwrap() as usize;
        let with = |at: usize, byte: u8| {
            let mut changed = bytes.clone();
            changed[at] = byte;
            of_bytes(&changed, &config)
        };
        let flipped = with(place("layer.1.weight"), bytes[place("layer.1.weight")] ^ 1).unwrap_err();
        assert!(matches!(flipped, NotRead::Damaged), "{flipped}");
        let scaled = with(place("normalize.scale"), bytes[place("normalize.scale")] ^ 1).unwrap_err();
        assert!(matches!(&scaled, NotRead::Constant(name) if name == "normalize.scale"), "{scaled}");
        let ruined = with(place("bias") + 3, 0xff).unwrap_err();
        assert!(matches!(&ruined, NotRead::Damaged | NotRead::NotFinite(_)), "{ruined}");
        // Claims are proved anew, never believed.
        assert!(with(place("claim.certified"), 1).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// An error, or the very net: never a panic, never another net.
        #[test]
        fn damage_gives_an_error(
            places in prop::collection::vec((0.0..1.0f64, any::<u8>(), any::<bool>()), 1..6),
            end in prop::option::of(0.0..1.0f64),
        ) {
            let config = config("depth = 2, width = 5");
            let net = net(&config);
            let whole = written(&config, &net);
            let (_, begin) = header(&whole);
            let mut bytes = whole.clone();
            for (part, byte, in_header) in places {
                let most = if in_header { begin } else { bytes.len() };
                bytes[(part * most as f64) as usize] = byte;
            }
            if let Some(end) = end {
                bytes.truncate((end * whole.len() as f64) as usize);
            }
            if let Ok(read) = of_bytes(&bytes, &config) {
                prop_assert_eq!(read.net.layers, net.layers);
                prop_assert_eq!(read.net.bias, net.bias);
            }
        }

        #[test]
        fn anything_else_gives_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(of_bytes(&bytes, &config("depth = 2, width = 5")).is_err());
        }
    }

    #[test]
    fn labels_beyond_a_byte_are_16_bit_numbers() {
        let text = "data.dataset = 'imagenet64'\nmodel = { depth = 2, width = 4 }\n\
             train = { epochs = 1, batch_size = 8, lr = 0.1 }\nschedule = { ramp_start = 0, ramp_end = 1 }\n\
             loss = { lambda = 0.1, eps_train = 0.1 }\neval.eps = '1/255'";
        let (config, id) = (parse(text).unwrap(), DatasetId::Imagenet64);
        let net = net(&config);
        let test = Split { images: vec![9; 2 * id.pixels()], labels: vec![1, 999] };
        let around = Neighbourhood { eps: config.eval.eps, threat: Threat::Real };
        let evaluation = Evaluator::new(id, 1, Simd::detect().unwrap()).certify(&net, &test, 2, around);
        let certificate = Certificate {
            run: "calm-heron",
            step: net.step,
            net: &net,
            view: id.into(),
            test: &test,
            around,
            evaluation: &evaluation,
            radii: &[None, None],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        certificate.write(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let label = file.tensor("claim.label").unwrap();
        assert_eq!((label.dtype(), label.data()), (Dtype::U16, &[1, 0, 0xe7, 3][..]));
        assert_eq!(file.tensor("claim.prediction").unwrap().dtype(), Dtype::U16);
        assert_eq!(read(&path, &config).unwrap().net.layers, net.layers);
    }
}
