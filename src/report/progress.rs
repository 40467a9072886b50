//! The lines of the plain progress report: one an epoch, one an evaluation, to be read in a log or a pipe.

use super::figures::duration;
use crate::{
    experiment::Config,
    store::{EpochRow, EvalRow, EvalSplit},
};

/// An epoch of training. The accuracy is that of the training batches; `surrogate` is measured at finite p and is no
/// certificate.
pub fn epoch(row: &EpochRow, config: &Config, eta_seconds: Option<f64>) -> String {
    let left = eta_seconds.map_or_else(String::new, |left| format!("  {} left", duration(left)));
    format!(
        "epoch {done:>4}/{epochs}  p {p:>5}  loss {loss:.4}  train accuracy {accuracy:.4}  surrogate {surrogate:.4}  \
         {seconds:.1} s{left}",
        done = row.epoch + 1,
        epochs = config.train.epochs,
        p = row.p,
        loss = row.loss,
        accuracy = row.accuracy,
        surrogate = row.surrogate,
        seconds = row.seconds,
    )
}

/// An evaluation at p = ∞. `best` is the highest certified accuracy so far on the same images, this one included.
pub fn evaluation(row: &EvalRow, best: f64) -> String {
    format!(
        "evaluation at epoch {epoch:.1}: clean {clean:.4}  certified {certified:.4} at ε = {eps}  (best {best:.4}; {samples} \
         {whose} images, {seconds:.1} s)",
        whose = match row.split {
            EvalSplit::Test => "test",
            EvalSplit::Validation => "held-out",
        },
        epoch = row.epoch,
        clean = row.clean,
        certified = row.certified,
        eps = row.eps,
        samples = row.samples,
        seconds = row.seconds,
    )
}
