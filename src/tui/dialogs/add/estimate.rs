//! How many steps the runs to be added would take, and how long, as far as that is known. Pure.

use crate::{
    experiment::Config,
    report::{
        pace::{Pace, pace_of},
        recipes::steps,
    },
    tui::wording,
};

/// What runs would cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Steps of the shortest and of the longest run.
    pub steps: (u64, u64),
    /// Steps of all of them.
    pub all_steps: u64,
    /// Seconds of training, where every run's pace is known.
    pub time: Option<Time>,
    /// What the time rests on, or why it is not known.
    pub rests_on: String,
}

/// How long runs would train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time {
    /// Seconds of the shortest run.
    pub shortest: f64,
    /// Seconds of the longest.
    pub longest: f64,
    /// Seconds of all of them, one after another.
    pub all: f64,
}

/// What these configs would cost; none where there is no config.
pub fn estimate<'a>(configs: impl Iterator<Item = &'a Config>, paces: &[Pace]) -> Option<Estimate> {
    let mut estimate: Option<Estimate> = None;
    let mut seconds: Option<Vec<f64>> = Some(Vec::new());
    let mut used: Vec<&Pace> = Vec::new();
    for config in configs {
        let steps = steps(config);
        let so_far = estimate.get_or_insert(Estimate {
            steps: (steps, steps),
            all_steps: 0,
            time: None,
            rests_on: String::new(),
        });
        so_far.steps = (so_far.steps.0.min(steps), so_far.steps.1.max(steps));
        so_far.all_steps += steps;
        let pace = pace_of(config, paces);
        used.extend(pace.filter(|pace| !used.contains(pace)));
        seconds = seconds.zip(pace).map(|(mut seconds, pace)| {
            seconds.push(pace.seconds(config));
            seconds
        });
    }
    let mut estimate = estimate?;
    estimate.time = seconds.map(|seconds| Time {
        shortest: seconds.iter().copied().fold(f64::INFINITY, f64::min),
        longest: seconds.iter().copied().fold(0.0, f64::max),
        all: seconds.iter().sum(),
    });
    estimate.rests_on = match (estimate.time, paces.is_empty()) {
        (Some(_), _) => {
            used.iter().map(|pace| format!("by the pace of {}", pace.source())).collect::<Vec<_>>().join("; ")
        }
        (None, true) => "how long is not known yet".into(),
        (None, false) => "how long is not known: no run of this store has trained on such a device".into(),
    };
    Some(estimate)
}

impl Estimate {
    /// `28 200 steps each`.
    pub fn steps_words(&self, runs: usize) -> String {
        let (least, most) = (wording::count(self.steps.0), wording::count(self.steps.1));
        match (runs, least == most) {
            (1, _) => format!("{most} steps"),
            (_, true) => format!("{most} steps each"),
            (_, false) => format!("{least} to {most} steps each"),
        }
    }

    /// `about 12 min each, 1 h 10 m one after another`; empty where nothing is known.
    pub fn time_words(&self, runs: usize) -> String {
        let Some(time) = self.time else { return String::new() };
        let (shortest, longest) = (wording::duration(time.shortest), wording::duration(time.longest));
        let each = match (runs, shortest == longest) {
            (1, _) => return format!("about {longest}"),
            (_, true) => longest,
            (_, false) => format!("{shortest} to {longest}"),
        };
        format!("about {each} each, {} one after another", wording::duration(time.all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{experiment::parse_with, report::recipes::pairs_an_epoch};

    fn config(overrides: &[&str]) -> Config {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        parse_with(include_str!("../../../../tests/tui/mnist-cpu.toml"), "config", &overrides).unwrap()
    }

    fn pace(device: &str, runs: usize, pairs_per_second: f64) -> Pace {
        Pace { device: device.into(), runs, pairs_per_second }
    }

    #[test]
    fn steps_are_known_without_any_run_and_the_time_is_not() {
        let found = estimate([config(&[])].iter(), &[]).unwrap();
        // 60 000 images in batches of 256.
        assert_eq!((found.steps, found.all_steps), ((28_200, 28_200), 28_200));
        assert_eq!((found.time, found.time_words(1).as_str()), (None, ""));
        assert!(found.rests_on.contains("not known yet"));
        assert_eq!(found.steps_words(1), "28 200 steps");
        assert_eq!(estimate(std::iter::empty(), &[]), None);
    }

    #[test]
    fn times_add_up_and_say_what_they_rest_on() {
        let configs = [config(&[]), config(&["train.epochs=240"])];
        let second = pairs_an_epoch(&configs[0]) * 120.0 / 600.0;
        let found = estimate(configs.iter(), &[pace("CPU, libtorch", 3, second)]).unwrap();
        assert_eq!(found.steps_words(2), "28 200 to 56 400 steps each");
        assert_eq!(found.time_words(2), "about 10 min to 20 min each, 30 min one after another");
        assert!(
            found.rests_on == "by the pace of 3 of this store's runs on CPU, libtorch, their median",
            "{}",
            found.rests_on
        );
        let found = estimate([config(&[]), config(&[])].iter(), &[pace("CPU, libtorch", 1, second)]).unwrap();
        assert_eq!(found.steps_words(2), "28 200 steps each");
        assert_eq!(found.time_words(2), "about 10 min each, 20 min one after another");
    }

    #[test]
    fn a_pace_of_another_kind_of_device_says_nothing() {
        let on_the_gpu = [config(&["resources.device=cuda:0"])];
        let found = estimate(on_the_gpu.iter(), &[pace("CPU, avx2, 8 threads", 5, 1e9)]).unwrap();
        assert!(found.time.is_none() && found.rests_on.contains("on such a device"));
    }
}
