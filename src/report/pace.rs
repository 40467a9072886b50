//! How fast this machine trains, as measured by the runs of the store, and what that says about other configs. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::recipes::pairs_an_epoch;
use crate::experiment::{Config, Device, Kernels, Schedules};
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
    /// Pairs |x − w| of forward passes a second of training at p = 8 with all gradients, backward pass and all else included.
    pub pairs_per_second: f64,
}

impl Pace {
    /// Seconds that a config's training would take.
    pub fn seconds(&self, config: &Config) -> f64 {
        let cost = Schedules::new(config).cost(Kernels::of(&self.device), 0.0, f64::from(config.train.epochs));
        pairs_an_epoch(config) * cost / self.pairs_per_second
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
    let suits = |pace: &&Pace| {
        let kernels = Kernels::of(&pace.device);
        match config.resources.device {
            Device::Auto => true,
            Device::Cpu => kernels == Kernels::Cpu,
            Device::Cuda(_) => kernels == Kernels::Cuda,
            Device::LibtorchCpu => kernels == Kernels::Other,
        }
    };
    paces.iter().find(suits)
}

/// The pace of every device that the runs trained on, the most used first. Runs count that this store's dispatcher gave
/// a device, and that began from nothing: imported ones are other machines', and a fork's first epochs its parent's.
pub fn paces<'a>(rows: impl IntoIterator<Item = &'a RunRow>) -> Vec<Pace> {
    let mut by_device: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.device.is_some() && row.parent.is_none()) {
        let summary = &row.summary;
        let told = !matches!(summary.device.as_str(), "" | "none");
        if summary.train_seconds >= LEAST_SECONDS && told {
            let cost = match summary.cost {
                // By a program that did not write it down.
                0.0 => Schedules::new(&row.config).cost(Kernels::of(&summary.device), 0.0, summary.epoch),
                cost => cost,
            };
            let work = pairs_an_epoch(&row.config) * cost;
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
    use crate::experiment::{PSteps, Parent, RunId};
    use crate::report::results::tests::run;

    const CPU: &str = "CPU, avx512, 2 threads";
    /// An epoch of 2 layers of 784·8 and 8·10 pairs, 60 000 images.
    const PAIRS: f64 = 60_000.0 * (784.0 * 8.0 + 80.0);

    fn trained(seconds: f64, cost: f64, device: &str) -> RunRow {
        let mut row = run(1, 0.9, 0.8);
        (row.summary.train_seconds, row.summary.cost) = (seconds, cost);
        row.summary.device = device.into();
        row.device = Some(Device::Cpu);
        row
    }

    #[test]
    fn the_median_of_what_was_trained_here_counts() {
        let (mut elsewhere, mut fork) = (trained(10.0, 10.0, CPU), trained(10.0, 10.0, CPU));
        elsewhere.device = None;
        let mut older = trained(150.0, 0.0, CPU);
        older.summary.epoch = 2.0;
        fork.parent = Some(Parent { run: RunId(1), name: "a".into(), step: 1 });
        let rows = [
            trained(100.0, 10.0, CPU),
            trained(50.0, 10.0, "CPU, avx2, 4 threads"),
            trained(200.0, 10.0, CPU),
            trained(400.0, 10.0, CPU),
            trained(1.0, 10.0, "hardly begun"),
            older,
            trained(100.0, 10.0, "none"),
            elsewhere,
            fork,
        ];
        let paces = paces(&rows);
        assert_eq!(
            paces.iter().map(|pace| (pace.device.as_str(), pace.runs)).collect::<Vec<_>>(),
            [(CPU, 4), ("CPU, avx2, 4 threads", 1)]
        );
        assert!((paces[0].pairs_per_second - PAIRS * 10.0 / 200.0).abs() < 1.0);
        assert!(super::paces(&[]).is_empty());
    }

    #[test]
    fn a_training_takes_what_its_schedule_costs() {
        // Two epochs at p = 8 in half a minute.
        let row = trained(30.0, 2.0, CPU);
        let pace = paces([&row]).remove(0);
        let whole = pace.seconds(&row.config);
        let cost = Schedules::new(&row.config).cost(Kernels::Cpu, 0.0, 10.0);
        assert!((whole - 15.0 * cost).abs() < 1e-6);
        let mut ladder = row.config.clone();
        ladder.schedule.p_steps = PSteps::Ladder;
        assert!(pace.seconds(&ladder) < 0.8 * whole);
        ladder.train.gradient_share = 0.5;
        assert!(pace.seconds(&ladder) < 0.6 * whole);
    }

    #[test]
    fn a_pace_is_of_the_kind_of_device_that_is_asked_for() {
        let pace = |device: &str| Pace { device: device.into(), runs: 1, pairs_per_second: 1e9 };
        let paces = [pace(CPU), pace("cuda:0, NVIDIA H200")];
        let of = |device: Device| {
            let mut config = run(1, 0.9, 0.8).config;
            config.resources.device = device;
            pace_of(&config, &paces).map(|pace| pace.device.as_str())
        };
        assert_eq!((of(Device::Auto), of(Device::Cpu)), (Some(CPU), Some(CPU)));
        assert_eq!((of(Device::Cuda(1)), of(Device::LibtorchCpu)), (Some("cuda:0, NVIDIA H200"), None));
    }
}
