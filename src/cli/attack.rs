//! `linf-tui attack`: tries to change the classes that a run's net gives, and holds its certificates against what it finds.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::{
    Exit, Place,
    measure::{MeasureArgs, passing},
    place::{json, line},
};
use crate::{
    experiment::{Attack, Epsilon},
    report::{
        figures::{accuracy, duration},
        table::{Side, Table},
    },
};

/// Attack a run's net at p = ∞ and compare with its certificates.
///
/// First the papers' PGD, whose gradient at p = ∞ sees one pixel a class; then APGD with gradients taken through the net
/// at a finite p, towards any other class and towards the likeliest ones. Between "certified" and "under all" lies
/// the truth. An image that was certified and is broken is an error of the program: it is named, and the exit code is 1.
#[derive(Debug, Args)]
pub struct AttackArgs {
    #[command(flatten)]
    net: MeasureArgs,
    /// Steps of PGD; 0: none. By default the config's, else 20.
    #[arg(long, value_name = "N")]
    pgd_steps: Option<u32>,
    /// Steps of each APGD. By default the config's, else 50.
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Random starts of each APGD. By default the config's, else 2.
    #[arg(long, value_name = "N")]
    restarts: Option<u32>,
    /// Rival classes tried one by one. By default the config's, else 3.
    #[arg(long, value_name = "N")]
    targets: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Attacked {
    eps: Epsilon,
    samples: usize,
    clean: f64,
    under_pgd: f64,
    under_all: f64,
    certified: f64,
    /// Test images that were certified and broken all the same.
    false_certificates: Vec<u32>,
    seconds: f64,
}

pub async fn run(args: AttackArgs, place: &Place) -> Result<Exit> {
    let mut measured = args.net.prepare(place).await?;
    let default = measured.config.eval.attack.unwrap_or_default();
    let plan = Attack {
        pgd_steps: args.pgd_steps.unwrap_or(default.pgd_steps),
        steps: args.steps.unwrap_or(default.steps).max(1),
        restarts: args.restarts.unwrap_or(default.restarts),
        targets: args.targets.unwrap_or(default.targets),
        samples: Some(measured.samples),
    };
    let mut rows = Vec::new();
    for &eps in &measured.radii {
        let (started, samples) = (Instant::now(), measured.samples);
        let (train, test) = (&measured.data.train, &measured.data.test);
        let mut progress = |done: usize| {
            passing(&format!("ε = {eps}: attacked {done} of {samples}"));
            true
        };
        let Some(found) = measured.evaluator.attack(&measured.net, train, test, &plan, eps, &mut progress) else {
            continue;
        };
        let evaluation = measured.evaluator.certify(&measured.net, test, samples, eps);
        let broken = found.examples.iter().map(|(sample, _)| *sample);
        rows.push(Attacked {
            eps,
            samples,
            clean: evaluation.clean(),
            under_pgd: found.under_pgd(),
            under_all: found.under_all(),
            certified: evaluation.certified(),
            false_certificates: broken.filter(|sample| evaluation.samples[*sample as usize].certified).collect(),
            seconds: started.elapsed().as_secs_f64(),
        });
    }
    let is_wrong = rows.iter().any(|row| !row.false_certificates.is_empty());
    if args.json {
        json(&rows)?;
    } else {
        let headings = ["ε", "test images", "clean", "under PGD", "under all", "certified", "took"];
        let mut table = Table::new(headings.map(|heading| (heading, Side::Right)));
        for row in &rows {
            let shares = [row.clean, row.under_pgd, row.under_all, row.certified];
            let [clean, under_pgd, under_all, certified] = shares.map(|share| accuracy(Some(share)));
            let (eps, samples) = (row.eps.to_string(), row.samples.to_string());
            table.row([eps, samples, clean, under_pgd, under_all, certified, duration(row.seconds)]);
        }
        line(&format!("{}, step {}", measured.name, measured.step))?;
        line(table.to_string().trim_end())?;
        for row in rows.iter().filter(|row| !row.false_certificates.is_empty()) {
            let (eps, samples) = (row.eps, &row.false_certificates);
            line(&format!("ERROR of the program: certified at ε = {eps} and broken: test images {samples:?}"))?;
        }
    }
    Ok(if is_wrong { Exit::Failed } else { Exit::Done })
}
