//! The certificate file: a net, the images it speaks of, and what is claimed of each, for anybody to check without this
//! program. The format is `docs/certificate.md`, the checker `tools/verify_certificate.py`.

mod read;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensorError, View as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    dataset::{Normalizer, Split},
    dist::{Planes, Window},
    experiment::{DatasetId, Label, LabelWidth, Neighbourhood, Radius, View},
    net::{Evaluation, LayerState, NetState, SampleResult},
};

pub use read::{NotRead, Read, read};

/// The metadata's one entry.
const ENTRY: &str = "certificate";

/// The format's number; a checker refuses others.
const FORMAT: u32 = 1;

/// What is claimed, and of what.
#[derive(Debug)]
pub struct Certificate<'a> {
    /// The run's name.
    pub run: &'a str,
    /// Steps of the net.
    pub step: u64,
    /// With its means at p = ∞.
    pub net: &'a NetState,
    /// What the net sees of the data set.
    pub view: View,
    /// Its test images; the claims are of the first of them.
    pub test: &'a Split,
    /// The inputs that `evaluation` speaks of.
    pub around: Neighbourhood,
    /// One claim an image.
    pub evaluation: &'a Evaluation,
    /// The largest radius of each image, on the grid of the threat.
    pub radii: &'a [Option<Radius>],
}

/// Why no certificate was written.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Nothing can be claimed of a net that holds an infinity or a NaN.
    #[error("no certificate of this net: {0} is not finite")]
    NotFinite(String),
    /// It could not be put into the file's form.
    #[error("{path}: the certificate cannot be written: {error}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        error: SafeTensorError,
    },
    /// The disk refused.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

#[derive(Serialize)]
struct Header<'a> {
    format: u32,
    program: String,
    run: &'a str,
    step: u64,
    dataset: Images,
    net: Net,
    threat: String,
    eps: String,
    radius_denominator: u32,
    counts: Counts,
    weights_sha256: String,
}

#[derive(Serialize)]
struct Images {
    name: &'static str,
    split: &'static str,
    samples: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    crop: Option<usize>,
    images_sha256: String,
    labels_sha256: String,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Net {
    layers: Vec<Layer>,
    end: End,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum End {
    Distances,
    Head,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Layer {
    input: [usize; 3],
    outputs: usize,
    groups: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    dilation: usize,
}

#[derive(Serialize)]
struct Counts {
    clean: usize,
    certified: usize,
}

impl Net {
    fn of(net: &NetState) -> Net {
        Net {
            layers: net.layers.iter().map(Layer::of).collect(),
            end: if net.head.is_some() { End::Head } else { End::Distances },
        }
    }
}

impl Layer {
    fn of(layer: &LayerState) -> Layer {
        let form = layer.shape.form;
        let (Planes { channels, height, width }, Window { kernel, stride, pad, dilation }) =
            (form.input(), form.window());
        Layer {
            input: [channels, height, width],
            outputs: layer.shape.outputs(),
            groups: form.groups(),
            kernel,
            stride,
            pad,
            dilation,
        }
    }
}

/// A tensor of the file.
enum Values<'a> {
    Floats(Cow<'a, [f32]>),
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    Integers(Vec<i32>),
}

struct Named<'a> {
    shape: Vec<usize>,
    values: Values<'a>,
}

impl safetensors::View for &Named<'_> {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::Floats(_) => Dtype::F32,
            Values::Bytes(_) => Dtype::U8,
            Values::Shorts(_) => Dtype::U16,
            Values::Integers(_) => Dtype::I32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.values {
            Values::Floats(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::Bytes(values) => Cow::Borrowed(values),
            Values::Shorts(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::Integers(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    fn data_len(&self) -> usize {
        match &self.values {
            Values::Floats(values) => 4 * values.len(),
            Values::Bytes(values) => values.len(),
            Values::Shorts(values) => 2 * values.len(),
            Values::Integers(values) => 4 * values.len(),
        }
    }
}

impl Certificate<'_> {
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If the net holds what is no number, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CertificateError> {
        if let Some(name) = self.net.not_finite() {
            return Err(CertificateError::NotFinite(name));
        }
        let io = |error| CertificateError::Io { path: path.to_owned(), error };
        let weights = weights(self.net, self.view.id);
        let header = serde_json::to_string(&self.header(&weights)).map_err(|error| io(error.into()))?;
        let metadata = HashMap::from([(ENTRY.to_owned(), header)]);
        let claims = self.claims();
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let written = safetensors::serialize_to_file(weights.iter().chain(&claims), Some(metadata), &part)
            .map_err(|error| CertificateError::Format { path: path.to_owned(), error })
            .and_then(|()| fs::File::open(&part).and_then(|file| file.sync_all()).map_err(io))
            .and_then(|()| fs::rename(&part, path).map_err(io));
        if written.is_err() {
            // What is left of it is of no use; that it could not be written is what is said.
            let _ = fs::remove_file(&part);
        }
        written
    }

    fn header(&self, weights: &BTreeMap<String, Named<'_>>) -> Header<'_> {
        let samples = self.evaluation.samples.len();
        let count = |test: &dyn Fn(usize) -> bool| (0..samples).filter(|&sample| test(sample)).count();
        let of = &self.evaluation.samples;
        Header {
            format: FORMAT,
            program: format!("linf-tui {}", env!("LINF_VERSION")),
            run: self.run,
            step: self.step,
            dataset: Images {
                name: self.view.id.name(),
                split: "test",
                samples,
                crop: self.view.crop(),
                images_sha256: format!("{:x}", self.seen(samples).finalize()),
                labels_sha256: format!("{:x}", Sha256::digest(self.width().pack(self.test.labels[..samples].to_vec()))),
            },
            net: Net::of(self.net),
            threat: self.around.threat.to_string(),
            eps: format!("{}/{}", self.around.eps.numerator(), self.around.eps.denominator()),
            radius_denominator: self.around.threat.steps(),
            counts: Counts {
                clean: count(&|sample| of[sample].prediction == of[sample].label),
                certified: count(&|sample| of[sample].certified),
            },
            weights_sha256: checksum(weights),
        }
    }

    /// Over what the net sees of the first `samples` images.
    fn seen(&self, samples: usize) -> Sha256 {
        (0..samples).fold(Sha256::new(), |hash, sample| hash.chain_update(self.test.image(self.view, sample)))
    }

    fn width(&self) -> LabelWidth {
        LabelWidth::of_classes(self.view.id.classes())
    }

    fn claims(&self) -> BTreeMap<String, Named<'static>> {
        let of = &self.evaluation.samples;
        // A radius is a whole number of at most 65536 steps.
        let steps = |radius: &Option<Radius>| radius.map_or(-1, |radius| radius.0.cast_signed());
        let labels = |of_sample: &dyn Fn(&SampleResult) -> Label| match self.width() {
            LabelWidth::One => Values::Bytes(LabelWidth::One.pack(of.iter().map(of_sample))),
            LabelWidth::Two => Values::Shorts(of.iter().map(of_sample).collect()),
        };
        let claims = [
            ("claim.label", labels(&|sample| sample.label)),
            ("claim.prediction", labels(&|sample| sample.prediction)),
            ("claim.certified", Values::Bytes(of.iter().map(|sample| sample.certified.into()).collect())),
            ("claim.radius", Values::Integers(self.radii.iter().map(steps).collect())),
            ("claim.margin", Values::Floats(of.iter().map(|sample| sample.margin).collect())),
        ];
        claims.into_iter().map(|(name, values)| (name.to_owned(), Named { shape: vec![of.len()], values })).collect()
    }
}

/// All that decides what the net answers, by name.
fn weights<'a>(net: &'a NetState, id: DatasetId) -> BTreeMap<String, Named<'a>> {
    let mut all = BTreeMap::new();
    let mut add = |name: &str, shape: Vec<usize>, values: Cow<'a, [f32]>| {
        all.insert(name.to_owned(), Named { shape, values: Values::Floats(values) });
    };
    let normalizer = Normalizer::new(id);
    add("normalize.mean", vec![id.channels()], normalizer.mean().to_vec().into());
    add("normalize.scale", vec![1], vec![normalizer.scale()].into());
    for (index, layer) in net.layers.iter().enumerate() {
        let (inputs, outputs) = (layer.shape.inputs(), layer.shape.outputs());
        add(&format!("layer.{index}.weight"), vec![outputs, inputs], (&layer.weight.value).into());
        if !layer.mean.is_empty() {
            add(&format!("layer.{index}.mean"), vec![outputs], (&layer.mean).into());
        }
        if let Some(profile) = layer.shape.profile() {
            let weights = profile.weights().to_vec();
            add(&format!("layer.{index}.profile"), vec![weights.len()], weights.into());
        }
    }
    match &net.head {
        None => add("bias", vec![net.classes()], (&net.bias.value).into()),
        Some((_, head)) => {
            for (name, linear) in [("hidden", &head.hidden), ("classes", &head.classes)] {
                let shape = vec![linear.outputs, linear.inputs];
                add(&format!("head.{name}.weight"), shape, (&linear.weight.value).into());
                add(&format!("head.{name}.bias"), vec![linear.outputs], (&linear.bias.value).into());
                add(&format!("head.{name}.scale"), vec![1], vec![linear.scale()].into());
            }
        }
    }
    all
}

/// Of the bytes of all these tensors, in the order of their names.
fn checksum(weights: &BTreeMap<String, Named<'_>>) -> String {
    let mut hash = Sha256::new();
    weights.values().for_each(|tensor| hash.update(tensor.data()));
    format!("{:x}", hash.finalize())
}
