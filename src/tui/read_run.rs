//! What charts and tabs show of a run, read from its file and the catalog.

use super::{attacked::Attacked, known::RunData};
use crate::{
    experiment::RunId,
    store::{EvalRow, EvalSplit, Gauge, RunReader, Store, StoreError},
};

/// Loss bins a chart gets: more than any terminal has columns of dots.
const BINS: usize = 1024;
/// Bins of what is measured now and then.
const GAUGE_BINS: usize = 256;

/// Everything of a run; of its steps those in `from..=to`. Without a `reader`, of a run that has not begun, what the queue
/// did with it.
///
/// # Errors
/// The run file or the catalog cannot be read.
pub async fn read_run(
    store: &Store,
    id: RunId,
    reader: Option<&RunReader>,
    (from, to): (u64, u64),
) -> Result<RunData, StoreError> {
    let mut data = RunData::default();
    if let Some(reader) = reader {
        data.epochs = reader.epochs(0).await?;
        data.evals = reader.evals(0).await?;
        data.attacks = attacks(reader, &data.evals).await?;
        data.loss = reader.series("loss", from, to, BINS).await?;
        for gauge in Gauge::ALL {
            let bins = reader.series(gauge.name(), from, to, GAUGE_BINS).await?;
            if !bins.is_empty() {
                data.gauges.insert(gauge, bins);
            }
        }
        data.events = reader.events(0).await?.0;
        data.checkpoints = reader.checkpoints().await?;
    }
    data.events.extend(store.catalog().journal(id).await?);
    data.events.sort_by_key(|event| event.time_ms);
    Ok(data)
}

/// The attacks, with what an evaluation of the same net says of the same images.
async fn attacks(reader: &RunReader, evals: &[EvalRow]) -> Result<Vec<Attacked>, StoreError> {
    let mut attacks = Vec::new();
    for row in reader.attacks().await? {
        let same_net = |eval: &&EvalRow| (eval.step, eval.eps, eval.split) == (row.step, row.eps, EvalSplit::Test);
        let margins = match evals.iter().rev().find(same_net) {
            Some(eval) => reader.margins(eval.id).await?,
            None => None,
        };
        attacks.push(Attacked::new(row, margins.as_ref()));
    }
    Ok(attacks)
}
