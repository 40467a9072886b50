//! `linf-tui certify`: what a run's net provably withstands, image by image.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use super::{
    Exit, Place,
    measure::MeasureArgs,
    place::{json, line},
};
use crate::{
    experiment::Epsilon,
    net::Evaluation,
    report::{
        figures::accuracy,
        table::{Side, Table},
    },
};

/// Certify a run's net at p = ∞: the share of test images whose class no perturbation of at most ε can change.
///
/// "certified" propagates intervals through the net with the very float32 operations of its forward pass, so that
/// rounding is counted in; "by margin" is the share with margin > 2ε, which holds in real arithmetic.
#[derive(Debug, Args)]
pub struct CertifyArgs {
    #[command(flatten)]
    net: MeasureArgs,
    /// Write what was found of each image, as .csv or .jsonl.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Certified {
    eps: Epsilon,
    samples: usize,
    clean: f64,
    certified: f64,
    by_margin: f64,
}

pub async fn run(args: CertifyArgs, place: &Place) -> Result<Exit> {
    let kind = args.save.as_deref().map(kind).transpose()?;
    let mut measured = args.net.prepare(place).await?;
    let mut evaluations: Vec<(Epsilon, Evaluation)> = Vec::new();
    for &eps in &measured.radii {
        let evaluation = measured.evaluator.certify(&measured.net, &measured.data.test, measured.samples, eps);
        evaluations.push((eps, evaluation));
    }
    if let (Some(path), Some(kind)) = (&args.save, kind) {
        save(path, kind, &evaluations).with_context(|| format!("writing {}", path.display()))?;
    }
    let rows: Vec<Certified> = (evaluations.iter())
        .map(|(eps, evaluation)| Certified {
            eps: *eps,
            samples: evaluation.samples.len(),
            clean: evaluation.clean(),
            certified: evaluation.certified(),
            by_margin: evaluation.certified_by_margin(*eps),
        })
        .collect();
    if args.json {
        json(&rows)?;
        return Ok(Exit::Done);
    }
    let mut table =
        Table::new(["ε", "test images", "clean", "certified", "by margin"].map(|heading| (heading, Side::Right)));
    for row in &rows {
        let shares = [row.clean, row.certified, row.by_margin].map(|share| accuracy(Some(share)));
        let [clean, certified, by_margin] = shares;
        table.row([row.eps.to_string(), row.samples.to_string(), clean, certified, by_margin]);
    }
    line(&format!("{}, step {}", measured.name, measured.step))?;
    line(table.to_string().trim_end())?;
    Ok(Exit::Done)
}

#[derive(Clone, Copy)]
enum Kind {
    Csv,
    JsonLines,
}

fn kind(path: &Path) -> Result<Kind> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Kind::Csv),
        Some("jsonl") => Ok(Kind::JsonLines),
        _ => bail!("{}: name a file that ends in .csv or .jsonl", path.display()),
    }
}

/// One line an image: number, label, prediction, margin in pixels, and whether it is certified at each radius.
fn save(path: &Path, kind: Kind, evaluations: &[(Epsilon, Evaluation)]) -> Result<()> {
    let Some((_, first)) = evaluations.first() else { return Ok(()) };
    let mut out = BufWriter::new(File::create(path)?);
    if let Kind::Csv = kind {
        let columns: String = evaluations.iter().map(|(eps, _)| format!(",certified at {eps}")).collect();
        writeln!(out, "sample,label,prediction,margin{columns}")?;
    }
    for (number, sample) in first.samples.iter().enumerate() {
        let certified = evaluations.iter().map(|(eps, evaluation)| (eps, evaluation.samples[number].certified));
        match kind {
            Kind::Csv => {
                let certified: String = certified.map(|(_, certified)| format!(",{certified}")).collect();
                writeln!(out, "{number},{},{},{}{certified}", sample.label, sample.prediction, sample.margin)?;
            }
            Kind::JsonLines => {
                let certified: serde_json::Map<String, serde_json::Value> =
                    certified.map(|(eps, certified)| (eps.to_string(), certified.into())).collect();
                let record = serde_json::json!({
                    "sample": number,
                    "label": sample.label,
                    "prediction": sample.prediction,
                    "margin": sample.margin,
                    "certified": certified,
                });
                writeln!(out, "{record}")?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
