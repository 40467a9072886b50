//! `linf-tui import MODEL.pth --config FILE`: a run out of a net that another program trained.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;

use super::{
    Exit, Place,
    measure::{passing, radius_found},
    place::{line, present},
};
use crate::{
    dataset::{self, Part},
    dispatch::{identity, nonce},
    dist::Simd,
    experiment::{Config, PNorm, Radius, Threat, parse_with, resolved},
    import_torch::{net, torch_file},
    net::{Evaluation, Evaluator, NetState},
    report::{
        measured::{Moment, kept},
        recipes,
        standing::standing,
    },
    store::{
        Attempt, CheckpointKind, CheckpointRow, EvalSplit, NewRun, Outcome, RunWriter,
        checkpoint::{self, Tensor, TensorData},
        now_ms,
    },
};

/// What a file of another program does not say.
#[derive(Debug, Args)]
pub struct NetArgs {
    /// FROM is a model.pth, and this config (TOML) describes its net.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override one key of the config.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    overrides: Vec<String>,
    /// Name of the run.
    #[arg(long, value_name = "NAME", requires = "config")]
    name: Option<String>,
    /// CPU threads that measure it; 0 takes all cores.
    #[arg(long, default_value_t = 0, value_name = "N", requires = "config")]
    threads: usize,
}

/// The net, measured.
struct Made {
    config: Config,
    net: NetState,
    evaluation: Evaluation,
    radii: Vec<Option<Radius>>,
    steps_per_epoch: u64,
    took: Duration,
}

pub async fn run(file: &Path, args: NetArgs, place: &Place) -> Result<Exit> {
    let path = args.config.context("--config says what net it is")?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let name = path.display().to_string();
    let config = parse_with(&text, &name, &args.overrides)?;
    let config_text = if args.overrides.is_empty() { text } else { resolved(&config, &name, &args.overrides)? };
    let tensors = torch_file::read(file)?;
    let mut net = net(&tensors, &config).with_context(|| format!("{} is not the net of {name}", file.display()))?;
    drop(tensors);

    let id = config.data.dataset;
    let test = dataset::load_part(id, &dataset::default_root(), Part::Test).context("loading the images")?;
    net.step = recipes::steps(&config);
    let steps_per_epoch = net.step / u64::from(config.train.epochs.max(1));
    let samples = config.data.test_limit.unwrap_or(test.len()).min(test.len());
    passing(&format!("measuring it on {samples} test images"));
    let started = Instant::now();
    let mut evaluator =
        Evaluator::new(config.data.view(), args.threads, Simd::detect().context("choosing the kernels")?);
    let evaluation = evaluator.certify(&net, &test, samples, config.eval.eps);
    let found = evaluator.radii(&net, &test, &evaluation, Threat::Real, &mut radius_found(samples));
    let (radii, took) = (found.unwrap_or_default(), started.elapsed());
    let made = Made { config: config.clone(), net, evaluation, radii, steps_per_epoch, took };

    let store = place.open().await?;
    let run = NewRun { name: args.name, tags: vec!["imported".into()], ..NewRun::new(config, config_text) };
    let fill = |folder: &Path| write(folder, file, &made);
    let id = store.import_made(run, file, fill).await?;
    let row = present(&store, id).await?;
    line(&format!(
        "#{id} {}: {}, clean {:.4}, certified {:.4} at ε = {}",
        row.name,
        standing(&row, now_ms(), |_| None),
        made.evaluation.clean(),
        made.evaluation.certified(),
        made.config.eval.eps,
    ))?;
    Ok(Exit::Done)
}

/// Fills a run's folder: the net as its final checkpoint, what was measured of it, and where it comes from.
fn write(folder: &Path, file: &Path, made: &Made) -> Result<()> {
    let Made { config, net, .. } = made;
    let (step, epoch) = (net.step, f64::from(config.train.epochs));
    let nonce = nonce().context("read /dev/urandom")?;
    let attempt = Attempt {
        identity: identity::own(&nonce).context("find out who this process is")?,
        nonce,
        device: "elsewhere".into(),
        threads: 0,
        program: format!("linf-tui {} import", env!("LINF_VERSION")),
        steps_per_epoch: made.steps_per_epoch,
    };
    let writer = RunWriter::open(folder, config, attempt)?;

    let mut named = net.tensors();
    for (index, layer) in net.layers.iter().enumerate().filter(|(_, layer)| !layer.mean.is_empty()) {
        named.push((NetState::mean_at_infinity(index), vec![layer.mean.len()], &layer.mean));
    }
    let tensors: Vec<Tensor<'_>> = named
        .iter()
        .map(|(name, shape, data)| Tensor { name, shape: shape.clone(), data: TensorData::F32(data) })
        .collect();
    let meta = serde_json::json!({ "imported_from": file.display().to_string(), "epoch": epoch, "p": PNorm::INFINITY });
    let written = checkpoint::write(folder, step, &meta.to_string(), &tensors)?;
    writer.checkpoint(CheckpointRow {
        step,
        epoch,
        p: PNorm::INFINITY,
        kind: CheckpointKind::Final,
        file: written.file,
        bytes: written.bytes,
        hash: written.hash,
        time_ms: now_ms(),
    });
    let at = Moment { epoch, step, train_p: PNorm::INFINITY, split: EvalSplit::Test };
    let (row, mut margins) = kept(&made.evaluation, at, config.eval.eps, made.took);
    margins.radius = Threat::Real.stored(&made.radii);
    writer.eval(row, margins);
    writer.event(Some(step), "import", format!("taken in from {}, with its means as saved", file.display()));
    writer.finish(Outcome::Completed)?;
    Ok(())
}
