//! Writes checkpoints beside the training thread, which waits only for the copy of its tensors.

use std::path::PathBuf;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use linf::experiment::PNorm;
use linf::net::{Average, NetState};
use linf::store::checkpoint::{self, Tensor, TensorData};
use linf::store::{CheckpointKind, CheckpointRow, RunWriter, now_ms};

use crate::alarm;
use crate::job::Position;
use crate::training::is_passing;

/// At most one write is under way.
pub struct Checkpoints {
    folder: PathBuf,
    under_way: Option<JoinHandle<anyhow::Result<CheckpointRow>>>,
    /// The last one could not be written, for a reason that may pass.
    failing: bool,
}

/// What a checkpoint says about itself.
pub struct Stamp {
    pub epoch: f64,
    pub p: PNorm,
    pub kind: CheckpointKind,
}

impl Checkpoints {
    /// Into a run's folder.
    pub fn new(folder: PathBuf) -> Checkpoints {
        Checkpoints { folder, under_way: None, failing: false }
    }

    /// Copies the net and starts writing it. Waits first for a write that is still under way: there is never more than
    /// one copy. `means` are those of the certified net, where the training is over.
    pub fn start(
        &mut self,
        writer: &RunWriter,
        state: &NetState,
        average: Option<&Average>,
        means: Option<&NetState>,
        position: &Position,
        stamp: Stamp,
    ) -> anyhow::Result<()> {
        self.wait(writer)?;
        let (folder, state, position) = (self.folder.clone(), state.clone(), position.clone());
        let average = average.cloned();
        let means: Vec<Vec<f32>> =
            means.map(|net| net.layers.iter().map(|layer| layer.mean.clone()).collect()).unwrap_or_default();
        let write = move || write(&folder, &state, average.as_ref(), &means, &position, &stamp);
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(write);
        self.under_way = Some(thread.context("starting the thread that writes checkpoints")?);
        Ok(())
    }

    /// Whether a write is still under way.
    pub fn is_busy(&self) -> bool {
        self.under_way.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Waits for the write under way, and notes the checkpoint in the run file. `false` where it could not be written
    /// and may be later, as on a full disk: training goes on, from the checkpoint before if it must.
    pub fn wait(&mut self, writer: &RunWriter) -> anyhow::Result<bool> {
        let Some(thread) = self.under_way.take() else { return Ok(!self.failing) };
        match thread.join().map_err(|_| anyhow!("the thread that writes checkpoints broke down"))? {
            Ok(row) => {
                if self.failing {
                    writer.event(Some(row.step), "checkpoint", "checkpoints can be written again");
                }
                self.failing = false;
                writer.checkpoint(row);
            }
            Err(error) if is_passing(&error) => {
                if !self.failing {
                    alarm(writer, None, format!("{error:#}; training goes on"));
                }
                self.failing = true;
            }
            Err(error) => return Err(error),
        }
        Ok(!self.failing)
    }

    /// Notes the checkpoint if its write has ended, without waiting.
    pub fn poll(&mut self, writer: &RunWriter) -> anyhow::Result<()> {
        if self.under_way.is_some() && !self.is_busy() { self.wait(writer).map(drop) } else { Ok(()) }
    }
}

fn write(
    folder: &std::path::Path,
    state: &NetState,
    average: Option<&Average>,
    means: &[Vec<f32>],
    position: &Position,
    stamp: &Stamp,
) -> anyhow::Result<CheckpointRow> {
    let words = position.words();
    let mut named = state.tensors();
    named.extend(average.iter().flat_map(|average| average.tensors()));
    for (index, mean) in means.iter().enumerate().filter(|(_, mean)| !mean.is_empty()) {
        named.push((NetState::mean_at_infinity(index), vec![mean.len()], mean));
    }
    let mut tensors: Vec<Tensor<'_>> = named
        .iter()
        .map(|(name, shape, data)| Tensor { name, shape: shape.clone(), data: TensorData::F32(data) })
        .collect();
    tensors.push(Tensor { name: "position", shape: vec![words.len()], data: TensorData::U64(&words) });
    let meta = serde_json::json!({
        "program": concat!("linf-train ", env!("LINF_VERSION")),
        "epoch": stamp.epoch,
        "p": stamp.p,
        "kind": stamp.kind,
        "train_seconds": position.train_seconds,
        "epoch_seconds": position.epoch_seconds,
    });
    let written = checkpoint::write(folder, position.step, &meta.to_string(), &tensors)
        .with_context(|| format!("writing the checkpoint of step {}", position.step))?;
    Ok(CheckpointRow {
        step: position.step,
        epoch: stamp.epoch,
        p: stamp.p,
        kind: stamp.kind,
        file: written.file,
        bytes: written.bytes,
        hash: written.hash,
        time_ms: now_ms(),
    })
}
