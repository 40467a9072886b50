//! How fast this machine trains, as measured by the runs of the store, and what that says about other configs. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::recipes::pairs_an_epoch;
use crate::experiment::{Config, Device, Schedules, on_our_kernels};
use crate::store::RunRow;

/// Training shorter than this says little: it is mostly the start.
const LEAST_SECONDS: f64 = 20.0;

/// The pace of one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pace {
    /// As the workers found it: `CPU, avx512, 2 threads`.
    pub device: String,
    /// How many runs it is the median of; 0 where it was measured by a few steps.
    pub runs: usize,
    /// Pairs |x − w| of forward passes a second of training, backward pass and all else included. On a CPU at p = 8 with
    /// all gradients; on a GPU, where p matters less, over all p.
    pub pairs_per_second: f64,
}

impl Pace {
    /// Seconds that a config's training would take.
    pub fn seconds(&self, config: &Config) -> f64 {
        work(config, &self.device, f64::from(config.train.epochs)) / self.pairs_per_second
    }

    /// Of what it is the pace: `3 of this store's runs on CPU, avx512, 2 threads, their median`.
    pub fn source(&self) -> String {
        match (self.runs, &self.device) {
            (0, device) => format!("a few steps on {device}"),
            (1, device) => format!("one of this store's runs on {device}"),
            (runs, device) => format!("{runs} of this store's runs on {device}, their median"),
        }
    }
}

/// The pace that a config would train at: that of the device most runs trained on, among those of the kind it asks for.
pub fn pace_of<'p>(config: &Config, paces: &'p [Pace]) -> Option<&'p Pace> {
    let kind = |pace: &&Pace| {
        let (cpu, libtorch) = (pace.device.to_lowercase().starts_with("cpu"), pace.device.contains("libtorch"));
        match config.resources.device {
            Device::Auto => true,
            Device::Cpu => cpu && !libtorch,
            Device::Cuda(_) => !cpu,
            Device::LibtorchCpu => cpu && libtorch,
        }
    };
    paces.iter().find(kind)
}

/// Pairs of the first so many epochs, each weighted with what it costs on the device at its p.
fn work(config: &Config, device: &str, epochs: f64) -> f64 {
    pairs_an_epoch(config) * Schedules::new(config).cost(device, 0.0, epochs)
}

/// The pace of every device that the runs trained on, the most used first. Runs count that this store's dispatcher gave
/// a device: imported ones are other machines'.
pub fn paces<'a>(rows: impl IntoIterator<Item = &'a RunRow>) -> Vec<Pace> {
    let mut by_device: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.device.is_some()) {
        let summary = &row.summary;
        // On a GPU every phase has to be in it.
        let whole = on_our_kernels(&summary.device) || summary.epoch > row.config.schedule.ramp_end;
        if summary.train_seconds >= LEAST_SECONDS && whole {
            let work = work(&row.config, &summary.device, summary.epoch);
            by_device.entry(&summary.device).or_default().push(work / summary.train_seconds);
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
    use crate::experiment::PSteps;
    use crate::report::results::tests::run;

    /// 2 layers of 784·8 and 8·10 pairs, 60 000 images, 10 epochs.
    const PAIRS: f64 = 60_000.0 * (784.0 * 8.0 + 80.0) * 10.0;

    fn trained(seconds: f64, epoch: f64, device: &str) -> RunRow {
        let mut row = run(1, 0.9, 0.8);
        (row.summary.train_seconds, row.summary.epoch) = (seconds, epoch);
        row.summary.device = device.into();
        row.device = Some(Device::Cuda(0));
        row
    }

    #[test]
    fn the_median_of_what_was_trained_through_every_phase_counts() {
        let mut elsewhere = trained(10.0, 10.0, "slow");
        elsewhere.device = None;
        let rows = [
            trained(100.0, 10.0, "slow"),
            trained(50.0, 10.0, "fast"),
            trained(200.0, 10.0, "slow"),
            trained(400.0, 10.0, "slow"),
            trained(400.0, 3.0, "still climbing"),
            trained(1.0, 10.0, "hardly begun"),
            elsewhere,
        ];
        let paces = paces(&rows);
        assert_eq!(
            paces.iter().map(|pace| (pace.device.as_str(), pace.runs)).collect::<Vec<_>>(),
            [("slow", 3), ("fast", 1)]
        );
        assert!((paces[0].pairs_per_second - PAIRS / 200.0).abs() < 1.0);
        assert!((paces[1].seconds(&rows[0].config) - 50.0).abs() < 1e-9);
        assert!(super::paces(&[]).is_empty());
    }

    #[test]
    fn on_a_cpu_an_epoch_counts_by_its_p_and_any_part_of_a_run_will_do() {
        const CPU: &str = "CPU, avx512, 2 threads";
        // Two epochs at p = 8 in half a minute.
        let row = trained(30.0, 2.0, CPU);
        let pace = paces([&row]).remove(0);
        assert!((pace.pairs_per_second - PAIRS / 10.0 * 2.0 / 30.0).abs() < 1.0);
        let whole = pace.seconds(&row.config);
        assert!((whole - 15.0 * Schedules::new(&row.config).cost(CPU, 0.0, 10.0)).abs() < 1e-6);
        let mut ladder = row.config.clone();
        ladder.schedule.p_steps = PSteps::Ladder;
        assert!(pace.seconds(&ladder) < 0.8 * whole);
        ladder.train.gradient_share = 0.5;
        assert!(pace.seconds(&ladder) < 0.6 * whole);
    }
}
