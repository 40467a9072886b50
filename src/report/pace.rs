//! How fast this machine trains, as measured by the runs of the store, and what that says about other configs. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::recipes::pairs_an_epoch;
use crate::experiment::Config;
use crate::store::RunRow;

/// Training shorter than this says little: it is mostly the start.
const LEAST_SECONDS: f64 = 20.0;

/// The pace of one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pace {
    /// As the workers found it: `CPU, AVX-512, 2 threads`.
    pub device: String,
    /// How many runs it is the median of.
    pub runs: usize,
    /// Pairs |x − w| of forward passes a second of training, backward pass and all else included.
    pub pairs_per_second: f64,
}

impl Pace {
    /// Seconds that a config's training would take. Rough: a pair costs more at some p than at others, and more in a
    /// narrow net than in a wide one.
    pub fn seconds(&self, config: &Config) -> f64 {
        pairs_an_epoch(config) * f64::from(config.train.epochs) / self.pairs_per_second
    }
}

/// The pace of every device that the runs trained on, the most used first. Of each run counts what it has trained so far
/// once it has reached p = ∞, so that every phase is in it.
pub fn paces<'a>(rows: impl IntoIterator<Item = &'a RunRow>) -> Vec<Pace> {
    let mut by_device: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in rows {
        let (summary, schedule) = (&row.summary, &row.config.schedule);
        if summary.train_seconds >= LEAST_SECONDS && summary.epoch > schedule.ramp_end {
            let pairs = pairs_an_epoch(&row.config) * summary.epoch;
            by_device.entry(&summary.device).or_default().push(pairs / summary.train_seconds);
        }
    }
    let mut paces: Vec<Pace> = by_device
        .into_iter()
        .map(|(device, mut measured)| {
            measured.sort_by(f64::total_cmp);
            Pace { device: device.to_owned(), runs: measured.len(), pairs_per_second: measured[measured.len() / 2] }
        })
        .collect();
    paces.sort_by_key(|pace| std::cmp::Reverse(pace.runs));
    paces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::results::tests::run;

    #[test]
    fn the_median_of_what_was_trained_through_every_phase_counts() {
        // 2 layers of 784·8 and 8·10 pairs, 60 000 images, 10 epochs.
        let pairs = 60_000.0 * (784.0 * 8.0 + 80.0) * 10.0;
        let trained = |seconds: f64, epoch: f64, device: &str| {
            let mut row = run(1, 0.9, 0.8);
            (row.summary.train_seconds, row.summary.epoch) = (seconds, epoch);
            row.summary.device = device.into();
            row
        };
        let rows = [
            trained(100.0, 10.0, "slow"),
            trained(50.0, 10.0, "fast"),
            trained(200.0, 10.0, "slow"),
            trained(400.0, 10.0, "slow"),
            trained(400.0, 3.0, "still climbing"),
            trained(1.0, 10.0, "hardly begun"),
        ];
        let paces = paces(&rows);
        assert_eq!(
            paces.iter().map(|pace| (pace.device.as_str(), pace.runs)).collect::<Vec<_>>(),
            [("slow", 3), ("fast", 1)]
        );
        assert!((paces[0].pairs_per_second - pairs / 200.0).abs() < 1.0);
        assert!((paces[1].seconds(&rows[0].config) - 50.0).abs() < 1e-9);
        assert!(super::paces(&[]).is_empty());
    }
}
