//! The schedules of the three papers, written down once more from their descriptions, against ours.
//!
//! Each paper's scripts give five epochs. In 2021 they are (ε starts, p and the learning rate's decay start, length of
//! ε's climb, p is ∞, end); from 2022 on (ε starts, ε ends, p starts, p is ∞, end).

use std::f64::consts::PI;

use proptest::prelude::*;

use super::{Config, Schedules, parse};

/// p, learning rate and ε_train of 2021, of its five epochs.
fn of_2021(e: [f64; 5], lr: f64, eps: f64, t: f64) -> (f64, f64, f64) {
    let p = match t {
        t if t >= e[3] => f64::INFINITY,
        t if t <= e[1] => 8.0,
        t => (8f64.ln() + (1000f64.ln() - 8f64.ln()) * (t - e[1]) / (e[3] - e[1])).exp(),
    };
    let rate = if t <= e[1] { lr } else { lr * (1.0 + (PI * (t - e[1]) / (e[4] - e[1])).cos()) / 2.0 };
    let climbed = if e[2] == 0.0 { 1.0 } else { ((t - e[0]) / e[2]).clamp(0.0, 1.0) };
    (p, rate, eps * climbed)
}

/// p, learning rate, ε_train and λ of 2022 and SortNet.
fn since_2022(e: [f64; 5], lr: f64, eps: f64, smooth: f64, lambda: [f64; 2], t: f64) -> (f64, f64, f64, f64) {
    let r = ((t - e[2]) / (e[3] - e[2])).clamp(0.0, 1.0);
    let p = if r < 1.0 { 8.0 * 125f64.powf(r) } else { f64::INFINITY };
    let climbed = if e[0] == e[1] { 1.0 } else { ((t - e[0]) / (e[1] - e[0])).clamp(0.0, 1.0) };
    let k = 1.0 / ((4.0 - 3.0 * smooth) * smooth.powi(3));
    let share = if climbed < smooth {
        k * climbed.powi(4)
    } else if smooth > 0.0 {
        (1.0 - k * smooth.powi(4)) / (1.0 - smooth) * (climbed - 1.0) + 1.0
    } else {
        climbed
    };
    (p, 0.5 * lr * (1.0 + (PI * t / e[4]).cos()), eps * share, lambda[0] * (lambda[1] / lambda[0]).powf(r))
}

fn config(train: &str, schedule: &str, loss: &str) -> Config {
    parse(&format!(
        "data.dataset = 'mnist'\nmodel = {{ depth = 2, width = 8 }}\neval.eps = 0.3\n\
         train = {{ batch_size = 512, {train} }}\nschedule = {{ {schedule} }}\nloss = {{ {loss} }}"
    ))
    .unwrap()
}

fn config_of_2021(e: [f64; 5]) -> Config {
    config(
        &format!("epochs = {}, lr = 0.02, lr_hold = {}", e[4], e[1]),
        &format!("ramp_start = {}, ramp_end = {}, eps_start = {}, eps_end = {}", e[1], e[3], e[0], e[0] + e[2]),
        "kind = 'hinge', mix = 0.75, eps_train = 0.45",
    )
}

fn config_since_2022(e: [f64; 5], smooth: f64) -> Config {
    config(
        &format!("epochs = {}, lr = 0.02", e[4]),
        &format!(
            "eps_start = {}, eps_end = {}, eps_smooth = {smooth}, ramp_start = {}, ramp_end = {}",
            e[0], e[1], e[2], e[3]
        ),
        "kind = 'ce-hinge', lambda = 1, lambda_end = 0.01, eps_train = '11/1275'",
    )
}

fn close(ours: f64, theirs: f64) -> bool {
    ours == theirs || (ours - theirs).abs() <= 1e-12 * theirs.abs().max(1e-3)
}

/// The five epochs of every script.
const SCRIPTS_OF_2021: [[f64; 5]; 5] = [
    [0.0, 50.0, 0.0, 350.0, 400.0],
    [0.0, 100.0, 0.0, 750.0, 800.0],
    [0.0, 50.0, 50.0, 350.0, 400.0],
    [0.0, 100.0, 100.0, 750.0, 800.0],
    [0.0, 100.0, 200.0, 450.0, 500.0],
];
const SCRIPTS_SINCE_2022: [([f64; 5], f64); 8] = [
    ([0.0, 0.0, 100.0, 1250.0, 1300.0], 0.0),
    ([0.0, 0.0, 25.0, 400.0, 450.0], 0.0),
    ([0.0, 0.0, 100.0, 1450.0, 1500.0], 0.0),
    ([0.0, 0.0, 200.0, 2950.0, 3000.0], 0.0),
    ([0.0, 500.0, 200.0, 2950.0, 3000.0], 0.4),
    ([0.0, 500.0, 100.0, 980.0, 1000.0], 0.4),
    ([0.0, 200.0, 30.0, 290.0, 300.0], 0.4),
    ([0.0, 200.0, 50.0, 290.0, 300.0], 0.4),
];

proptest! {
    #[test]
    fn every_script_of_2021_is_ours(script in 0..SCRIPTS_OF_2021.len(), along in 0.0..=1.0) {
        let e = SCRIPTS_OF_2021[script];
        let t: f64 = along * e[4];
        let ours = Schedules::new(&config_of_2021(e)).at(t);
        let (p, lr, eps) = of_2021(e, 0.02, 0.45, t);
        prop_assert!(close(ours.p.get(), p) && close(ours.lr, lr) && close(ours.eps_train, eps), "{t}: {ours:?}");
    }

    #[test]
    fn every_later_script_is_ours(script in 0..SCRIPTS_SINCE_2022.len(), along in 0.0..=1.0) {
        let (e, smooth) = SCRIPTS_SINCE_2022[script];
        let t: f64 = along * e[4];
        let ours = Schedules::new(&config_since_2022(e, smooth)).at(t);
        let (p, lr, eps, lambda) = since_2022(e, 0.02, 11.0 / 1275.0, smooth, [1.0, 0.01], t);
        prop_assert!(close(ours.p.get(), p) && close(ours.lr, lr), "{t}: {ours:?}");
        prop_assert!(close(ours.eps_train, eps) && close(ours.lambda, lambda), "{t}: {ours:?}");
    }
}

#[test]
fn anchors_of_the_published_logs() {
    // SortNet with a head, CIFAR-10 2/255: epoch 100 of a climb of 500 shows ε = 0.0004 of 0.0429 (normalised).
    let schedules = Schedules::new(&config_since_2022([0.0, 500.0, 200.0, 2950.0, 3000.0], 0.4));
    let std = 0.2009;
    assert!((schedules.at(100.0).eps_train / std - 0.0004).abs() < 5e-5);
    assert!((schedules.at(500.0).eps_train / std - 0.0429).abs() < 5e-5);
    // A seventh of ε where the fourth power hands over, and no kink.
    let joint = schedules.at(200.0).eps_train;
    assert!(close(joint, 11.0 / 1275.0 / 7.0));
    let slope = |from: f64, to: f64| (schedules.at(to).eps_train - schedules.at(from).eps_train) / (to - from);
    assert!((slope(199.999, 200.0) / slope(200.0, 200.001) - 1.0).abs() < 1e-4);
    // 2022, CIFAR-10 8/255: the epochs and exponents of the published curve.
    let schedules = Schedules::new(&config_since_2022([0.0, 0.0, 100.0, 1250.0, 1300.0], 0.0));
    for (epoch, p, digits) in [(99.0, 8.0, 1e-9), (260.0, 15.7, 0.05), (520.0, 46.7, 0.05), (910.0, 240.0, 1.0)] {
        assert!((schedules.at(epoch).p.get() - p).abs() < digits, "{epoch}");
    }
    assert!(schedules.at(1250.0).p.is_infinite());
    // 2022, MNIST: epoch 130.
    let schedules = Schedules::new(&config_since_2022([0.0, 0.0, 25.0, 400.0, 450.0], 0.0));
    assert!(schedules.at(24.999).p.get() == 8.0 && schedules.at(130.0).p.get() > 8.0);
}

#[test]
fn rates_stay_until_they_are_let_go() {
    let schedules = Schedules::new(&config_of_2021([0.0, 50.0, 0.0, 350.0, 400.0]));
    assert_eq!((schedules.at(0.0).lr, schedules.at(50.0).lr), (0.02, 0.02));
    assert!(schedules.at(50.1).lr < 0.02 && schedules.at(400.0).lr.abs() < 1e-18);
    assert!((schedules.at(225.0).lr - 0.01).abs() < 1e-15, "half way of what is left");
}
