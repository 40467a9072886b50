//! A net of a run, ready to be measured: what `certify` and `attack` begin with.

use std::io::{IsTerminal, Write, stderr};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum, builder::RangedU64ValueParser};
use linf_cuda::Cache;
use serde::Serialize;

use super::{
    Place,
    place::warn,
    weights::{Stored, WeightsArgs},
};
use crate::{
    dataset::{self, Part, Split},
    dist::Simd,
    experiment::{Config, Device, Epsilon},
    net::{Evaluator, NetState},
    store::Findings,
};

/// Which net, and on how many images.
#[derive(Debug, Args)]
pub struct MeasureArgs {
    #[command(flatten)]
    weights: WeightsArgs,
    /// Radii in pixels, by commas: 0.1,0.2,8/255. By default the config's.
    #[arg(long, value_delimiter = ',', value_name = "EPS")]
    eps: Vec<Epsilon>,
    /// The first so many images; by default all, of the test set as many as the config says.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    samples: Option<usize>,
    /// CPU threads; 0 takes all cores.
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
    /// Where the net is evaluated, bounded and attacked: cpu or cuda:N, with the same result. Attacks take some gradients at
    /// a finite p, which differ by rounding.
    #[arg(long, default_value_t = Device::Cpu, value_name = "DEVICE")]
    device: Device,
}

/// What a net is measured on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Images {
    #[default]
    Test,
    Train,
    HeldOut,
}

impl Images {
    /// As a column's heading.
    pub fn heading(self) -> &'static str {
        match self {
            Images::Test => "test images",
            Images::Train => "training images",
            Images::HeldOut => "held-out images",
        }
    }
}

/// The net and what it is measured with.
pub struct Measured {
    /// The run's name, or the file's.
    pub name: String,
    pub config: Config,
    /// Steps of the net.
    pub step: u64,
    /// With its means at p = ∞.
    pub net: NetState,
    /// What it is measured on: the test set, but for [`MeasureArgs::prepare_on`].
    pub test: Split,
    /// Empty before [`Measured::load_train`].
    pub train: Split,
    pub evaluator: Evaluator,
    pub radii: Vec<Epsilon>,
    /// The first so many of them.
    pub samples: usize,
    /// The run of the store, where the net is one's.
    pub run: Option<Stored>,
    /// What the run's own attack made of this net, and at which radius.
    pub attacked: Option<(Epsilon, Findings)>,
}

/// Says on a terminal how far a long measurement is, on a line that the next one overwrites.
pub fn passing(text: &str) {
    if stderr().is_terminal() {
        // A line that goes away again is no result; where it cannot be written nothing is lost.
        let _ = write!(stderr(), "\r{text} \r");
    }
}

/// What [`Evaluator::radii`] is to say under way.
pub fn radius_found(of: usize) -> impl FnMut(usize) -> bool {
    move |done| {
        passing(&format!("radius found of {done} of {of}"));
        true
    }
}

fn on_cuda(evaluator: Evaluator, index: usize) -> Result<Evaluator> {
    let opening = || format!("opening cuda:{index}");
    let gpu = linf_cuda::Device::open(index, Cache::usual()).with_context(opening)?;
    evaluator.on_device(&gpu).with_context(opening)
}

impl Measured {
    /// Says what the device left to the CPU, once all is measured.
    pub fn note_device(&self) {
        if let Some(fault) = self.evaluator.take_fault() {
            warn(&format!("some of this was computed on the CPU: {fault}"));
        }
    }

    /// Reads the images that the net was trained on, unless they are there.
    pub fn load_train(&mut self) -> Result<()> {
        if self.train.is_empty() {
            (self.train, _) = training_images(&self.config)?;
        }
        Ok(())
    }
}

/// The training images as a run divides them: (those it trains on, those it holds out).
fn training_images(config: &Config) -> Result<(Split, Split)> {
    let train = dataset::load_part(config.data.dataset, &dataset::default_root(), Part::Train);
    Ok(train.context("loading the training images")?.for_training(&config.data))
}

impl MeasureArgs {
    /// Reads the net and the test images. A checkpoint that was written between evaluations has no means at p = ∞: they are
    /// computed from the training images, as at a run's end.
    pub async fn prepare(self, place: &Place) -> Result<Measured> {
        self.prepare_on(Images::Test, place).await
    }

    /// [`prepare`](Self::prepare), with other images in the place of the test images.
    pub async fn prepare_on(self, images: Images, place: &Place) -> Result<Measured> {
        let weights = self.weights.read(place).await?;
        let (config, net) = (weights.config, weights.net);
        let id = config.data.dataset;
        let test = match images {
            Images::Test => {
                dataset::load_part(id, &dataset::default_root(), Part::Test).context("loading the images")?
            }
            Images::Train => training_images(&config)?.0,
            Images::HeldOut if config.data.validation == 0 => {
                bail!("{} holds no images out: data.validation is 0", weights.name)
            }
            Images::HeldOut => training_images(&config)?.1,
        };
        let limit = config.data.test_limit.filter(|_| images == Images::Test);
        let samples = self.samples.or(limit).unwrap_or(test.len()).min(test.len());
        if samples == 0 {
            bail!("{id} has no {} to measure on", images.heading());
        }
        let evaluator =
            Evaluator::new(config.data.view(), self.threads, Simd::detect().context("choosing the kernels")?);
        let evaluator = match self.device {
            Device::Cpu => evaluator,
            Device::Cuda(index) => on_cuda(evaluator, index)?,
            other => bail!("--device takes cpu or cuda:N, not {other}"),
        };
        let radii = if self.eps.is_empty() { vec![config.eval.eps] } else { self.eps };
        let (name, step, run, attacked) = (weights.name, net.step, weights.run, weights.attacked);
        let train = Split::default();
        let mut measured = Measured { name, config, step, net, test, train, evaluator, radii, samples, run, attacked };
        if !weights.is_settled {
            measured.load_train()?;
            let Measured { net, train, evaluator, .. } = &mut measured;
            *net = evaluator.with_means_at_infinity(net, train, train.len());
        }
        Ok(measured)
    }
}
