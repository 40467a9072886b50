//! The documents that follow from the code say what the code says. `LINF_BLESS=1 cargo test --test docs` rewrites them.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use linf::experiment::{LossKind, PSteps, PadMode, keys, parse_with};
use linf::net::NetShape;
use linf::tui::settings;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn config_page() -> String {
    let mut page = String::from(
        "# The config\n\nOne TOML file describes one run. `linf-tui config check FILE` reads it and says what is wrong and where;\n\
         `linf-tui config show FILE --set KEY=VALUE` prints it with all defaults filled in. `--set` overrides any key below,\n\
         and `--sweep KEY=VALUE,VALUE` makes one run of each value.\n\nThis page is written from the program's own table of keys.\n",
    );
    let mut section = "";
    for doc in keys() {
        let of = doc.key.split('.').next().unwrap_or_default();
        if of != section {
            section = of;
            let _ = write!(page, "\n## [{section}]\n\n| key | allowed | default | what it does |\n|---|---|---|---|\n");
        }
        let default = doc.default.unwrap_or("must be given");
        let _ = writeln!(page, "| `{}` | {} | {default} | {} |", doc.key, doc.allowed, doc.text);
    }
    page
}

fn configs() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("configs")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn the_page_of_config_keys_is_current() {
    let path = root().join("docs/config.md");
    if std::env::var_os("LINF_BLESS").is_some() {
        std::fs::write(&path, config_page()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == config_page(), "docs/config.md is not what the keys say: LINF_BLESS=1 cargo test --test docs");
}

#[test]
fn the_page_of_settings_is_current() {
    let path = root().join("docs/settings.md");
    let found = std::fs::read_to_string(&path).unwrap();
    let (words, _) = found.split_once("```toml\n").unwrap();
    let page = format!("{words}```toml\n{}```\n", settings::print(&settings::Settings::default()));
    if std::env::var_os("LINF_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == page, "docs/settings.md is not what the program says: LINF_BLESS=1 cargo test --test docs");
}

#[test]
fn every_shipped_config_is_good() {
    let paths = configs();
    assert!(paths.len() >= 8);
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let config = parse_with(&text, &path.display().to_string(), &[]).unwrap();
        assert!(!config.run.title.is_empty(), "{} has no title", path.display());
        assert!(config.run.published.is_some(), "{} names no published row", path.display());
    }
}

/// One script of the authors.
struct Script {
    config: &'static str,
    /// Weights and the last bias; the scalar not counted.
    parameters: usize,
    seed: u64,
    epochs: u32,
    /// p begins to climb, p is ∞.
    ramp: (f64, f64),
    /// Held until there.
    lr: (f64, f64),
    scalar_lr: f64,
    /// ℓp decay of distance layers, decay of the rest.
    decay: (f64, f64),
    kind: LossKind,
    mix: Option<f64>,
    lambda: (f64, Option<f64>),
    eps_train: &'static str,
    eps: &'static str,
    augment: (usize, PadMode, bool),
    identity_init: Option<f64>,
}

const MNIST_NET: usize = 82_708_490;
const CIFAR_NET: usize = 120_637_450;

/// What the scripts of 2021 have in common: the values of MNIST.
const OF_2021: Script = Script {
    config: "icml2021-mnist-eps0.3",
    parameters: MNIST_NET,
    seed: 2020,
    epochs: 400,
    ramp: (50.0, 350.0),
    lr: (0.02, 50.0),
    scalar_lr: 0.004,
    decay: (0.005, 0.0),
    kind: LossKind::Hinge,
    mix: Some(0.75),
    lambda: (0.0, None),
    eps_train: "0.45",
    eps: "0.3",
    augment: (1, PadMode::Zero, false),
    identity_init: Some(10.0),
};

/// What the scripts of 2022 have in common: the values of MNIST 0.3.
const OF_2022: Script = Script {
    config: "iclr2022-mnist-eps0.3",
    seed: 2021,
    epochs: 450,
    ramp: (25.0, 400.0),
    lr: (0.03, 0.0),
    scalar_lr: 0.006,
    decay: (0.0, 0.0),
    kind: LossKind::Mixture,
    mix: None,
    lambda: (0.05, Some(0.0002)),
    augment: (1, PadMode::Edge, false),
    ..OF_2021
};

const CIFAR_OF_2022: Script =
    Script { parameters: CIFAR_NET, epochs: 1300, ramp: (100.0, 1250.0), augment: (3, PadMode::Edge, true), ..OF_2022 };

const SCRIPTS: [Script; 8] = [
    OF_2021,
    Script { config: "icml2021-fashion-mnist-eps0.1", mix: Some(1.0), eps_train: "0.225", eps: "0.1", ..OF_2021 },
    Script {
        config: "icml2021-cifar10-eps8-255",
        parameters: CIFAR_NET,
        epochs: 800,
        ramp: (100.0, 750.0),
        lr: (0.02, 100.0),
        eps_train: "40/255",
        eps: "8/255",
        augment: (4, PadMode::Zero, true),
        ..OF_2021
    },
    OF_2022,
    Script { config: "iclr2022-mnist-eps0.1", eps_train: "0.3", eps: "0.1", ..OF_2022 },
    Script {
        config: "iclr2022-cifar10-eps2-255",
        lambda: (0.05, Some(0.002)),
        eps_train: "10/255",
        eps: "2/255",
        ..CIFAR_OF_2022
    },
    Script {
        config: "iclr2022-cifar10-eps8-255",
        lambda: (0.1, Some(0.0005)),
        eps_train: "24/255",
        eps: "8/255",
        ..CIFAR_OF_2022
    },
    Script {
        config: "iclr2022-cifar10-eps16-255",
        lambda: (0.1, Some(0.0002)),
        eps_train: "40/255",
        eps: "16/255",
        ..CIFAR_OF_2022
    },
];

#[test]
fn the_published_recipes_are_the_published_ones() {
    for script in SCRIPTS {
        let name = script.config;
        let text = std::fs::read_to_string(root().join(format!("configs/{name}.toml"))).unwrap();
        let config = parse_with(&text, name, &[]).unwrap();
        let (train, schedule, loss, augment) = (&config.train, &config.schedule, &config.loss, &config.data.augment);
        assert_eq!(NetShape::new(&config).parameters(), script.parameters + 1, "{name}: with the scalar");
        assert_eq!((schedule.ramp_start, schedule.ramp_end), script.ramp, "{name}");
        assert_eq!((schedule.p_start, schedule.p_end, schedule.p_steps), (8.0, 1000.0, PSteps::Exact), "{name}");
        assert_eq!((loss.kind, loss.mix, loss.kappa), (script.kind, script.mix, None), "{name}");
        assert_eq!((loss.lambda, loss.lambda_end), script.lambda, "{name}");
        assert_eq!((loss.eps_train, loss.eps_train_end), (script.eps_train.parse().unwrap(), None), "{name}");
        assert_eq!(config.eval.eps, script.eps.parse().unwrap(), "{name}");
        assert_eq!((train.epochs, train.batch_size, train.seed), (script.epochs, 512, script.seed), "{name}");
        assert_eq!((train.lr, train.lr_hold), script.lr, "{name}");
        assert!((train.scalar_lr() - script.scalar_lr).abs() < 1e-12, "{name}");
        let adam = &train.adam;
        assert_eq!((adam.beta1, adam.beta2, adam.eps), (0.9, 0.99, 1e-10), "{name}");
        assert_eq!((adam.dist_decay, adam.head_decay), script.decay, "{name}");
        assert_eq!(config.model.identity_init, script.identity_init, "{name}");
        assert_eq!((augment.pad, augment.pad_mode, augment.flip), script.augment, "{name}");
    }
}

/// The published configs whose nets have more than plain distance layers.
const BEYOND: [&str; 14] = [
    "icml2021-mnist-eps0.3-head",
    "icml2021-fashion-mnist-eps0.1-head",
    "icml2021-cifar10-eps8-255-head",
    "icml2021-tiny-imagenet-eps1-255-head",
    "neurips2022-mnist-eps0.1",
    "neurips2022-mnist-eps0.3",
    "neurips2022-cifar10-eps2-255",
    "neurips2022-cifar10-eps8-255",
    "neurips2022-cifar10-eps2-255-head",
    "neurips2022-cifar10-eps8-255-head",
    "neurips2022-tiny-imagenet-eps1-255-head",
    "neurips2022-tiny-imagenet-eps1-255-2x",
    "neurips2022-imagenet64-eps1-255-head",
    "neurips2022-imagenet64-eps1-255-2x",
];

#[test]
fn every_published_config_is_held_against_its_script() {
    for path in configs() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let config = parse_with(&text, name, &[]).unwrap();
        let published = config.run.tags.iter().any(|tag| tag == "published");
        let held = SCRIPTS.iter().any(|script| script.config == name) || BEYOND.contains(&name);
        assert_eq!(published, held, "{name}");
    }
}

#[test]
fn published_nets_beyond_the_plain_one_are_the_published_ones() {
    // In the order of BEYOND: parameters with the scalar, share kept by dropout, loss, λ at both ends, epochs with rate and batch, p
    // ramp, end of the ε ramp,
    // decay of distance layers and of the rest.
    let none = (0.0, None);
    let icml = |parameters: usize, (epochs, lr), ramp, eps_end| {
        (parameters + 1, None, LossKind::CrossEntropy, none, (epochs, lr, 512), ramp, eps_end, (0.005, 0.005))
    };
    let sort = |parameters, keep, lambda: (f64, f64), epochs, ramp| {
        let lambda = (lambda.0, Some(lambda.1));
        (parameters, Some(keep), LossKind::Mixture, lambda, (epochs, 0.02, 512), ramp, 0.0, (0.0, 0.02))
    };
    let head = |parameters, keep, epochs, ramp| {
        let lambda = (1.0, Some(0.01));
        (parameters, Some(keep), LossKind::CeHinge, lambda, (epochs, 0.02, 512), ramp, 500.0, (0.0, 0.02))
    };
    let of_1000_classes = |parameters, ramp| {
        let lambda = (1.0, Some(0.01));
        (parameters, Some(0.7), LossKind::CeHinge, lambda, (300, 0.01, 1024), ramp, 200.0, (0.0, 0.02))
    };
    let (long, longer) = ((100.0, 1450.0), (200.0, 2950.0));
    let expected = [
        icml(83_970_826, (400, 0.02), (50.0, 350.0), 50.0),
        icml(85_284_362, (400, 0.02), (50.0, 350.0), 50.0),
        icml(123_213_322, (800, 0.02), (100.0, 750.0), 100.0),
        icml(155_751_112, (500, 0.04), (100.0, 450.0), 200.0),
        sort(82_708_491, 0.7, (0.1, 0.001), 1500, long),
        sort(82_708_491, 0.75, (0.02, 0.0002), 1500, long),
        sort(120_637_451, 0.75, (1.0, 0.01), 3000, longer),
        sort(120_637_451, 0.85, (0.2, 0.002), 3000, longer),
        head(123_213_323, 0.7, 3000, longer),
        head(123_213_323, 0.6, 3000, longer),
        head(170_496_713, 0.7, 1000, (100.0, 980.0)),
        head(170_742_473, 0.7, 1000, (100.0, 980.0)),
        of_1000_classes(180_308_969, (30.0, 290.0)),
        of_1000_classes(204_147_689, (50.0, 290.0)),
    ];
    for (name, (parameters, keep, kind, lambda, pace, ramp, eps_end, decay)) in BEYOND.into_iter().zip(expected) {
        let text = std::fs::read_to_string(root().join(format!("configs/{name}.toml"))).unwrap();
        let config = parse_with(&text, name, &[]).unwrap();
        assert_eq!(NetShape::new(&config).parameters(), parameters, "{name}");
        assert_eq!(config.model.keep, keep, "{name}");
        assert_eq!((config.loss.kind, (config.loss.lambda, config.loss.lambda_end)), (kind, lambda), "{name}");
        assert_eq!((config.train.epochs, config.train.lr, config.train.batch_size), pace, "{name}");
        assert_eq!((config.schedule.ramp_start, config.schedule.ramp_end), ramp, "{name}");
        assert_eq!((config.schedule.eps_start, config.schedule.eps_end), (0.0, eps_end), "{name}");
        assert_eq!((config.train.adam.dist_decay, config.train.adam.head_decay), decay, "{name}");
    }
}
