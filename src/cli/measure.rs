//! A net of a run, ready to be measured: what `certify` and `attack` begin with.

use std::io::{IsTerminal, Write, stderr};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::Place;
use crate::{
    dataset::{self, Dataset},
    dist::Simd,
    experiment::{Config, Epsilon},
    net::{Evaluator, NetShape, NetState},
    store::{CheckpointRow, RunReader, checkpoint},
};

/// Which net, and on how many images.
#[derive(Debug, Args)]
pub struct MeasureArgs {
    /// The run.
    run: String,
    /// The step of the checkpoint. By default the one of the run's last figure: its final net, or the best by the
    /// held-out images of a run that has some.
    #[arg(long, value_name = "STEP")]
    checkpoint: Option<u64>,
    /// Radii in pixels, by commas: 0.1,0.2,8/255. By default the config's.
    #[arg(long, value_delimiter = ',', value_name = "EPS")]
    eps: Vec<Epsilon>,
    /// The first so many test images; by default as many as the config says.
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// CPU threads; 0 takes all cores.
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

/// The net and what it is measured with.
pub struct Measured {
    /// The run's name.
    pub name: String,
    pub config: Config,
    /// Steps of the net.
    pub step: u64,
    /// With its means at p = ∞.
    pub net: NetState,
    pub data: Dataset,
    pub evaluator: Evaluator,
    pub radii: Vec<Epsilon>,
    /// Of the test set.
    pub samples: usize,
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

impl MeasureArgs {
    /// Reads the net and the images. A checkpoint that was written between evaluations has no means at p = ∞: they are
    /// computed from the training images, as at a run's end.
    pub async fn prepare(self, place: &Place) -> Result<Measured> {
        let store = place.look().await?;
        let row = store.catalog().find(&self.run).await?;
        let dir = store.run_dir(row.id);
        let reader = RunReader::open(&dir).await?.with_context(|| format!("{} has not begun to train", row.name))?;
        let (config, rows) = (reader.config().await?, reader.checkpoints().await?);
        let last_figure = reader.evals(0).await?.last().map(|eval| eval.step);
        let at = choose(&rows, self.checkpoint, last_figure).with_context(|| match self.checkpoint {
            Some(step) => {
                format!("{} has no checkpoint of step {step}; `linf-tui checkpoints {}` lists them", row.name, row.name)
            }
            None => format!("{} has no checkpoint yet", row.name),
        })?;

        let id = config.data.dataset;
        let mut data = dataset::load(id, &dataset::default_root()).context("loading the images")?;
        (data.train, _) = data.train.for_training(&config.data);
        let samples = self.samples.or(config.data.test_limit).unwrap_or(data.test.len()).min(data.test.len());
        if samples == 0 {
            bail!("{id} has no test images to measure on");
        }
        let path = checkpoint::file(&dir, &at.file);
        let loaded = checkpoint::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let find = |name: &str| loaded.tensors.get(name).and_then(|tensor| tensor.f32());
        let mut net = NetState::init(&NetShape::new(&config), config.train.seed, None);
        let foreign = || format!("{} is not of this net", path.display());
        let mut evaluator = Evaluator::new(id, self.threads, Simd::detect().context("choosing the kernels")?);
        if find(&NetState::mean_at_infinity(0)).is_some() {
            net.restore_measured(at.step, find).with_context(foreign)?;
        } else {
            net.restore(at.step, find).with_context(foreign)?;
            net = evaluator.with_means_at_infinity(&net, &data.train, data.train.len());
        }
        let radii = if self.eps.is_empty() { vec![config.eval.eps] } else { self.eps };
        Ok(Measured { name: row.name, config, step: at.step, net, data, evaluator, radii, samples })
    }
}

/// The checkpoint asked for; else the one of the last figure, else the newest.
fn choose(rows: &[CheckpointRow], asked: Option<u64>, last_figure: Option<u64>) -> Option<&CheckpointRow> {
    let of = |step: u64| rows.iter().find(|row| row.step == step);
    match asked {
        Some(step) => of(step),
        None => last_figure.and_then(of).or_else(|| rows.iter().max_by_key(|row| row.step)),
    }
}
