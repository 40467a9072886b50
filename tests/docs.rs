//! The documents that follow from the code say what the code says. `LINF_BLESS=1 cargo test --test docs` rewrites them.

#![allow(clippy::unwrap_used)] // The lint spares only functions marked as tests, not what they call.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use linf::experiment::{keys, parse_with};
use linf::net::NetShape;

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

#[test]
fn the_published_recipes_are_the_published_ones() {
    // algorithm: file → (parameters, ramp, epochs, λ, θ/2 in pixels, ε), as the authors' scripts have them.
    let rows = [
        ("iclr2022-mnist-eps0.1", 82_708_491, (25.0, 400.0), 450, (0.05, 0.0002), "0.3", "0.1"),
        ("iclr2022-mnist-eps0.3", 82_708_491, (25.0, 400.0), 450, (0.05, 0.0002), "0.45", "0.3"),
        ("iclr2022-cifar10-eps2-255", 120_637_451, (100.0, 1250.0), 1300, (0.05, 0.002), "10/255", "2/255"),
        ("iclr2022-cifar10-eps8-255", 120_637_451, (100.0, 1250.0), 1300, (0.1, 0.0005), "24/255", "8/255"),
        ("iclr2022-cifar10-eps16-255", 120_637_451, (100.0, 1250.0), 1300, (0.1, 0.0002), "40/255", "16/255"),
    ];
    for (name, parameters, ramp, epochs, lambda, eps_train, eps) in rows {
        let text = std::fs::read_to_string(root().join(format!("configs/{name}.toml"))).unwrap();
        let config = parse_with(&text, name, &[]).unwrap();
        assert_eq!(NetShape::new(&config).parameters(), parameters, "{name}");
        assert_eq!((config.schedule.ramp_start, config.schedule.ramp_end), ramp, "{name}");
        assert_eq!((config.schedule.p_start, config.schedule.p_end), (8.0, 1000.0), "{name}");
        assert_eq!((config.loss.lambda, config.loss.lambda_end), (lambda.0, Some(lambda.1)), "{name}");
        assert_eq!(config.loss.eps_train, eps_train.parse().unwrap(), "{name}");
        assert_eq!(config.eval.eps, eps.parse().unwrap(), "{name}");
        let train = &config.train;
        assert_eq!((train.epochs, train.batch_size, train.lr, train.scalar_lr()), (epochs, 512, 0.03, 0.006), "{name}");
        assert_eq!((train.adam.beta1, train.adam.beta2, train.adam.eps), (0.9, 0.99, 1e-10), "{name}");
        assert_eq!(config.model.identity_init, Some(10.0), "{name}");
        let pad = if name.contains("cifar") { 3 } else { 1 };
        assert_eq!((config.data.augment.pad, config.data.augment.flip), (pad, pad == 3), "{name}");
    }
}
