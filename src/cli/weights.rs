//! The net that a verb is to measure, wherever it lies: in a run of the store, in a run's folder from elsewhere, in a
//! checkpoint's file, or in a file of weights.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::Place;
use crate::{
    certificate,
    experiment::{Config, Epsilon, RunId, parse_with},
    import_torch::{net as net_of_torch, torch_file},
    net::{NetShape, NetState},
    store::{CheckpointRow, Findings, RunReader, checkpoint},
};

/// Which net.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    /// The run. Of other stores a run's folder or a checkpoint's file, written with a slash: /scratch/runs/3. With
    /// --config a file of weights: a certificate, a model.pth of the papers' programs, a checkpoint.
    #[arg(value_name = "RUN|FILE")]
    run: String,
    /// RUN|FILE is a file of weights, and this config (TOML) describes its net.
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    config: Option<PathBuf>,
    /// Override one key of the config.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    overrides: Vec<String>,
    /// The step of the checkpoint. By default the one of the run's last figure: its final net, or the best by the
    /// held-out images of a run that has some.
    #[arg(long, value_name = "STEP")]
    checkpoint: Option<u64>,
}

/// A net as it lies there.
pub struct Weights {
    /// The run's name, or the file's.
    pub name: String,
    pub config: Config,
    /// Its steps are done.
    pub net: NetState,
    /// Whether its means are those of p = ∞. A checkpoint that was written between evaluations has none.
    pub is_settled: bool,
    /// The run of the store, where it is one.
    pub run: Option<Stored>,
    /// What a run's own attack made of this net: at which radius, and what it found.
    pub attacked: Option<(Epsilon, Findings)>,
}

/// A run of the store.
pub struct Stored {
    pub id: RunId,
    /// Its folder.
    pub folder: PathBuf,
}

impl WeightsArgs {
    /// The net of RUN, or of RUN@STEP, as one word names it.
    pub fn of(word: &str) -> WeightsArgs {
        let at = word.rsplit_once('@').and_then(|(run, step)| Some((run, step.parse().ok()?)));
        let (run, checkpoint) = at.map_or((word, None), |(run, step)| (run, Some(step)));
        WeightsArgs { run: run.to_owned(), config: None, overrides: Vec::new(), checkpoint }
    }

    /// Reads it.
    pub async fn read(&self, place: &Place) -> Result<Weights> {
        let path = Path::new(&self.run);
        if let Some(config) = &self.config {
            return of_file(path, config, &self.overrides);
        }
        if !self.run.contains('/') {
            let store = place.look().await?;
            let row = match store.catalog().find(&self.run).await {
                Err(error) if path.exists() => {
                    return Err(error)
                        .with_context(|| format!("for the file or folder of that name say ./{}", self.run));
                }
                found => found?,
            };
            let folder = store.run_dir(row.id);
            let weights = of_folder(&folder, row.name, Which::of_step(self.checkpoint)).await?;
            return Ok(Weights { run: Some(Stored { id: row.id, folder }), ..weights });
        }
        let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if path.is_dir() {
            return of_folder(path, name(path), Which::of_step(self.checkpoint)).await;
        }
        // <run>/checkpoints/<file>
        let folder = path.parent().and_then(Path::parent).filter(|folder| folder.join("run.db").is_file());
        match folder {
            Some(folder) if path.is_file() && self.checkpoint.is_none() => {
                of_folder(folder, self.run.clone(), Which::File(name(path))).await
            }
            _ if path.is_file() => bail!("{}: --config FILE.toml says what net it is", path.display()),
            _ => bail!("there is no {}", path.display()),
        }
    }
}

/// Which checkpoint of a run.
enum Which {
    /// The one of the last figure, else the newest.
    Result,
    Step(u64),
    File(String),
}

impl Which {
    fn of_step(step: Option<u64>) -> Which {
        step.map_or(Which::Result, Which::Step)
    }

    fn choose<'a>(&self, rows: &'a [CheckpointRow], last_figure: Option<u64>) -> Option<&'a CheckpointRow> {
        let of = |step: u64| rows.iter().find(|row| row.step == step);
        match self {
            Which::Step(step) => of(*step),
            Which::File(name) => rows.iter().find(|row| row.file == *name),
            Which::Result => last_figure.and_then(of).or_else(|| rows.iter().max_by_key(|row| row.step)),
        }
    }
}

async fn of_folder(folder: &Path, name: String, which: Which) -> Result<Weights> {
    let reader = RunReader::open(folder).await?;
    let reader = reader.with_context(|| match folder.is_dir() {
        true => format!("{name} has not begun to train"),
        false => format!("{name}: its folder {} is missing", folder.display()),
    })?;
    let (config, rows) = (reader.config().await?, reader.checkpoints().await?);
    let last_figure = reader.evals(0).await?.last().map(|eval| eval.step);
    let at = which.choose(&rows, last_figure).with_context(|| match &which {
        Which::Step(step) => {
            format!("{name} has no checkpoint of step {step}; `linf-tui checkpoints {name}` lists them")
        }
        Which::File(file) => format!("{} has no checkpoint {file} by its run file", folder.display()),
        Which::Result => format!("{name} has no checkpoint yet"),
    })?;
    let attack = reader.attack().await?.filter(|attack| attack.step == at.step);
    let attacked = match attack {
        Some(attack) => reader.findings(attack.step).await?.map(|found| (attack.eps, found)),
        None => None,
    };
    let (net, is_settled) = of_checkpoint(&checkpoint::file(folder, &at.file), &config)?;
    Ok(Weights { name, config, net, is_settled, run: None, attacked })
}

/// The net, and whether its means are those of p = ∞.
fn of_checkpoint(path: &Path, config: &Config) -> Result<(NetState, bool)> {
    let loaded = checkpoint::read(path).with_context(|| format!("reading {}", path.display()))?;
    let find = |name: &str| loaded.tensors.get(name).and_then(|tensor| tensor.f32());
    let mut net = NetState::init(&NetShape::new(config), config.train.seed, None);
    let is_settled = find(&NetState::mean_at_infinity(0)).is_some();
    let step = loaded.step;
    let restored = if is_settled { net.restore_measured(step, find) } else { net.restore_averaged(step, find) };
    restored.with_context(|| format!("{} is not of this net", path.display()))?;
    Ok((net, is_settled))
}

/// The kinds of files, told apart by how they begin: names lie.
fn of_file(path: &Path, config: &Path, overrides: &[String]) -> Result<Weights> {
    let text = std::fs::read_to_string(config).with_context(|| format!("reading {}", config.display()))?;
    let config = parse_with(&text, &config.display().to_string(), overrides)?;
    let mut name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let in_file = || format!("reading {}", path.display());
    let mut begin = Vec::new();
    File::open(path).and_then(|file| file.take(16).read_to_end(&mut begin)).with_context(in_file)?;
    let (net, is_settled) = if begin == b"SQLite format 3\0" {
        of_checkpoint(path, &config)?
    } else if begin.get(8) == Some(&b'{') {
        let read = certificate::read(path, &config).with_context(in_file)?;
        name = read.run;
        (read.net, true)
    } else {
        let tensors = torch_file::read(path)?;
        (net_of_torch(&tensors, &config).with_context(in_file)?, true)
    };
    Ok(Weights { name, config, net, is_settled, run: None, attacked: None })
}
