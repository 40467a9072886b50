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
         `linf-tui config show FILE --set KEY=VALUE` prints it with defaults filled in, but for what follows from other keys. `--set` overrides any key below,\n\
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
        // Of one recipe no result is known.
        let known = config.run.published.is_some() || path.ends_with("icml2021-cifar10-eps8-255-conv-head.toml");
        assert!(known, "{} names no published row", path.display());
    }
}

/// One script of the authors, as the study of their code has it.
struct Script {
    config: &'static str,
    /// As published, the scalar where the loss has one.
    parameters: usize,
    seed: u64,
    epochs: u32,
    batch: usize,
    /// p begins to climb, p is ∞.
    ramp: (f64, f64),
    /// Held until there.
    lr: (f64, f64),
    scalar_lr: f64,
    /// ℓp decay of distance layers, decay of the rest.
    decay: (f64, f64),
    kind: LossKind,
    mix: Option<f64>,
    kappa: Option<f64>,
    lambda: (f64, Option<f64>),
    eps_train: &'static str,
    eps: &'static str,
    /// The epoch at which ε_train is reached, and the part of the way that is smooth.
    eps_ramp: (f64, f64),
    crop: Option<usize>,
    augment: (usize, PadMode, bool),
    identity_init: Option<f64>,
    /// Of SortNet's dropout.
    keep: Option<f64>,
    pgd_steps: u32,
}

/// What the scripts of 2021 have in common: the values of MNIST.
const OF_2021: Script = Script {
    config: "icml2021-mnist-eps0.3",
    parameters: 82_708_490,
    seed: 2020,
    epochs: 400,
    batch: 512,
    ramp: (50.0, 350.0),
    lr: (0.02, 50.0),
    scalar_lr: 0.004,
    decay: (0.005, 0.0),
    kind: LossKind::Hinge,
    mix: Some(0.75),
    kappa: None,
    lambda: (0.0, None),
    eps_train: "0.45",
    eps: "0.3",
    eps_ramp: (0.0, 0.0),
    crop: None,
    augment: (1, PadMode::Zero, false),
    identity_init: Some(10.0),
    keep: None,
    pgd_steps: 20,
};

/// With a head: the values of MNIST.
const HEAD_OF_2021: Script = Script {
    config: "icml2021-mnist-eps0.3-head",
    parameters: 83_970_826,
    decay: (0.005, 0.005),
    kind: LossKind::CrossEntropy,
    mix: None,
    kappa: Some(0.5),
    eps_train: "0.35",
    eps_ramp: (50.0, 0.0),
    ..OF_2021
};

const CIFAR_HEAD_OF_2021: Script = Script {
    config: "icml2021-cifar10-eps8-255-head",
    parameters: 123_213_322,
    epochs: 800,
    ramp: (100.0, 750.0),
    lr: (0.02, 100.0),
    kappa: Some(1.0),
    eps_train: "44/1275",
    eps: "8/255",
    eps_ramp: (100.0, 0.0),
    augment: (4, PadMode::Zero, true),
    ..HEAD_OF_2021
};

/// What the scripts of 2022 have in common: the values of MNIST 0.3.
const OF_2022: Script = Script {
    config: "iclr2022-mnist-eps0.3",
    parameters: 82_708_491,
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
    pgd_steps: 100,
    ..OF_2021
};

const CIFAR_OF_2022: Script = Script {
    parameters: 120_637_451,
    epochs: 1300,
    ramp: (100.0, 1250.0),
    augment: (3, PadMode::Edge, true),
    ..OF_2022
};

/// SortNet: the values of MNIST 0.3.
const SORT: Script = Script {
    config: "neurips2022-mnist-eps0.3",
    epochs: 1500,
    ramp: (100.0, 1450.0),
    lr: (0.02, 0.0),
    scalar_lr: 0.02,
    decay: (0.0, 0.02),
    lambda: (0.02, Some(0.0002)),
    keep: Some(0.75),
    ..OF_2022
};

const CIFAR_SORT: Script = Script {
    config: "neurips2022-cifar10-eps2-255",
    parameters: 120_637_451,
    epochs: 3000,
    ramp: (200.0, 2950.0),
    lambda: (1.0, Some(0.01)),
    eps_train: "8/255",
    eps: "2/255",
    augment: (3, PadMode::Edge, true),
    identity_init: None,
    ..SORT
};

/// SortNet with a head: the values of CIFAR-10 2/255.
const SORT_HEAD: Script = Script {
    config: "neurips2022-cifar10-eps2-255-head",
    parameters: 123_213_323,
    kind: LossKind::CeHinge,
    eps_train: "22/2550",
    eps_ramp: (500.0, 0.4),
    keep: Some(0.7),
    ..CIFAR_SORT
};

const TINY_SORT_HEAD: Script = Script {
    config: "neurips2022-tiny-imagenet-eps1-255-head",
    parameters: 170_496_713,
    epochs: 1000,
    ramp: (100.0, 980.0),
    eps_train: "11/2550",
    eps: "1/255",
    augment: (5, PadMode::Edge, true),
    ..SORT_HEAD
};

const IMAGENET_SORT_HEAD: Script = Script {
    config: "neurips2022-imagenet64-eps1-255-head",
    parameters: 180_308_969,
    epochs: 300,
    batch: 1024,
    ramp: (30.0, 290.0),
    lr: (0.01, 0.0),
    scalar_lr: 0.01,
    eps_ramp: (200.0, 0.4),
    augment: (4, PadMode::Edge, true),
    ..TINY_SORT_HEAD
};

const SCRIPTS: [Script; 23] = [
    OF_2021,
    Script { config: "icml2021-fashion-mnist-eps0.1", mix: Some(1.0), eps_train: "0.225", eps: "0.1", ..OF_2021 },
    Script {
        config: "icml2021-cifar10-eps8-255",
        parameters: 120_637_450,
        epochs: 800,
        ramp: (100.0, 750.0),
        lr: (0.02, 100.0),
        eps_train: "40/255",
        eps: "8/255",
        augment: (4, PadMode::Zero, true),
        ..OF_2021
    },
    HEAD_OF_2021,
    Script {
        config: "icml2021-fashion-mnist-eps0.1-head",
        parameters: 85_284_362,
        eps_train: "0.11",
        eps: "0.1",
        ..HEAD_OF_2021
    },
    CIFAR_HEAD_OF_2021,
    // 51 246 624 distance weights, and the head's.
    Script { config: "icml2021-cifar10-eps8-255-conv-head", parameters: 51_776_554, ..CIFAR_HEAD_OF_2021 },
    Script {
        config: "icml2021-tiny-imagenet-eps1-255-head",
        parameters: 155_751_112,
        epochs: 500,
        ramp: (100.0, 450.0),
        lr: (0.04, 100.0),
        scalar_lr: 0.008,
        eps_train: "0.005",
        eps: "1/255",
        eps_ramp: (200.0, 0.0),
        crop: Some(56),
        augment: (0, PadMode::Edge, true),
        ..CIFAR_HEAD_OF_2021
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
    SORT,
    Script {
        config: "neurips2022-mnist-eps0.1",
        lambda: (0.1, Some(0.001)),
        eps_train: "0.3",
        eps: "0.1",
        keep: Some(0.7),
        ..SORT
    },
    CIFAR_SORT,
    Script {
        config: "neurips2022-cifar10-eps8-255",
        lambda: (0.2, Some(0.002)),
        eps_train: "24/255",
        eps: "8/255",
        keep: Some(0.85),
        ..CIFAR_SORT
    },
    SORT_HEAD,
    Script {
        config: "neurips2022-cifar10-eps8-255-head",
        eps_train: "88/2550",
        eps: "8/255",
        keep: Some(0.6),
        ..SORT_HEAD
    },
    TINY_SORT_HEAD,
    Script { config: "neurips2022-tiny-imagenet-eps1-255-2x", parameters: 170_742_473, ..TINY_SORT_HEAD },
    IMAGENET_SORT_HEAD,
    Script {
        config: "neurips2022-imagenet64-eps1-255-2x",
        parameters: 204_147_689,
        ramp: (50.0, 290.0),
        ..IMAGENET_SORT_HEAD
    },
];

#[test]
fn the_published_recipes_are_the_published_ones() {
    for script in SCRIPTS {
        let name = script.config;
        let text = std::fs::read_to_string(root().join(format!("configs/{name}.toml"))).unwrap();
        let config = parse_with(&text, name, &[]).unwrap();
        let (train, schedule, loss, augment) = (&config.train, &config.schedule, &config.loss, &config.data.augment);
        assert!(name.contains(&format!("-{}-", config.data.dataset.name())), "{name}: {}", config.data.dataset.name());
        assert_eq!(NetShape::new(&config).parameters(loss.kind), script.parameters, "{name}");
        assert_eq!((schedule.ramp_start, schedule.ramp_end), script.ramp, "{name}");
        assert_eq!((schedule.p_start, schedule.p_end, schedule.p_steps), (8.0, 1000.0, PSteps::Exact), "{name}");
        let (end, smooth) = script.eps_ramp;
        assert_eq!((schedule.eps_start, schedule.eps_end, schedule.eps_smooth), (0.0, end, smooth), "{name}");
        assert_eq!((loss.kind, loss.mix, loss.kappa), (script.kind, script.mix, script.kappa), "{name}");
        assert_eq!((loss.lambda, loss.lambda_end), script.lambda, "{name}");
        assert_eq!((loss.eps_train, loss.eps_train_end), (script.eps_train.parse().unwrap(), None), "{name}");
        assert_eq!(config.eval.eps, script.eps.parse().unwrap(), "{name}");
        assert_eq!((train.epochs, train.batch_size, train.seed), (script.epochs, script.batch, script.seed), "{name}");
        assert_eq!((train.lr, train.lr_hold), script.lr, "{name}");
        assert!((train.scalar_lr() - script.scalar_lr).abs() < 1e-12, "{name}");
        let adam = &train.adam;
        assert_eq!((adam.beta1, adam.beta2, adam.eps), (0.9, 0.99, 1e-10), "{name}");
        assert_eq!((adam.dist_decay, adam.head_decay), script.decay, "{name}");
        assert_eq!((config.model.identity_init, config.model.keep), (script.identity_init, script.keep), "{name}");
        assert_eq!(config.data.crop, script.crop, "{name}");
        assert_eq!((augment.pad, augment.pad_mode, augment.flip), script.augment, "{name}");
        assert_eq!((augment.warp, augment.bend, train.ema), (0.0, 0.0, None), "{name}");
        // What the CPU may leave out, where there is no GPU, is no part of a recipe.
        assert_eq!((train.bits, train.gradient_share, config.data.validation), (16, 1.0, 0), "{name}");
        let attack = config.eval.attack.unwrap();
        assert_eq!((attack.pgd_steps, attack.restarts, attack.samples), (script.pgd_steps, 0, None), "{name}");
    }
}

#[test]
fn every_published_config_is_held_against_its_script() {
    for path in configs() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let config = parse_with(&text, name, &[]).unwrap();
        let published = config.run.tags.iter().any(|tag| tag == "published");
        let held = SCRIPTS.iter().any(|script| script.config == name);
        assert_eq!(published, held, "{name}");
    }
}
