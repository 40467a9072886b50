//! `linf-tui attack`: tries to change the classes that a run's net gives, and holds its certificates against what it finds.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::{
    Exit, Place, examples, gap,
    measure::{MeasureArgs, Measured, passing},
    place::{json, line},
    samples,
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
/// at a finite p, towards any other class and towards the likeliest ones; then a search pixel by pixel along the paths that
/// the scores depend on, from the image and from corners of the box. Between "certified" and "under all" lies the truth. An
/// image that was certified and is broken is an error of the program: it is named, the input is saved, and the exit code
/// is 1.
///
/// With --gap each image that is classified right is attacked around its own certified radius instead: at it, where every
/// attack must fail, just above it, and further out until its class changes. What lies between the radius that is certified and the
/// one that is broken is what neither knows.
#[derive(Debug, Args)]
pub struct AttackArgs {
    #[command(flatten)]
    net: MeasureArgs,
    /// Steps of PGD; 0: none. By default the config's, else 20.
    #[arg(long, value_name = "N")]
    pgd_steps: Option<u32>,
    /// Steps of each APGD, and moves of each search. By default the config's, else 50.
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Random starts of each APGD. By default the config's, else 2.
    #[arg(long, value_name = "N")]
    restarts: Option<u32>,
    /// Rival classes tried one by one. By default the config's, else 3.
    #[arg(long, value_name = "N")]
    targets: Option<u32>,
    /// Bound the robust radius of each image from below by certificate and from above by attack, instead of attacking at ε.
    #[arg(long)]
    gap: bool,
    /// Write what became of each image, and the adversarial images, as .npz.
    #[arg(long, value_name = "FILE", conflicts_with = "gap")]
    save: Option<PathBuf>,
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
    if let Some(path) = &args.save {
        samples::is_npz(path)?;
    }
    let mut measured = args.net.prepare(place).await?;
    let default = measured.config.eval.attack.unwrap_or_default();
    let plan = Attack {
        pgd_steps: args.pgd_steps.unwrap_or(default.pgd_steps),
        steps: args.steps.unwrap_or(default.steps).max(1),
        restarts: args.restarts.unwrap_or(default.restarts),
        targets: args.targets.unwrap_or(default.targets),
        samples: None,
    };
    let wrong = if args.gap {
        let found = gap::measure(&mut measured, &plan);
        gap::print(&measured, &found, args.json)?;
        found.false_certificates
    } else {
        at_each_radius(&mut measured, &plan, args.save.as_deref(), args.json)?
    };
    if wrong.is_empty() {
        return Ok(Exit::Done);
    }
    let path = PathBuf::from(format!("false-certificates-{}-{}.npz", measured.name, measured.step));
    examples::save(&path, &[], &wrong).with_context(|| format!("writing {}", path.display()))?;
    line(&format!("the inputs that show it are in {}", path.display()))?;
    Ok(Exit::Failed)
}

/// Examples by the test image's number.
type Examples = Vec<(u32, Vec<f32>)>;

/// Gives the inputs that show a certificate false.
fn at_each_radius(measured: &mut Measured, plan: &Attack, save: Option<&Path>, as_json: bool) -> Result<Examples> {
    let (mut rows, mut wrong) = (Vec::new(), Examples::new());
    for &eps in &measured.radii {
        let (started, samples) = (Instant::now(), measured.samples);
        let plan = Attack { samples: Some(samples), ..*plan };
        let (train, test) = (&measured.data.train, &measured.data.test);
        let mut progress = |done: usize| {
            passing(&format!("ε = {eps}: attacked {done} of {samples}"));
            true
        };
        let found = measured.evaluator.attack(&measured.net, train, test, &plan, eps.into(), &mut progress);
        let Some(found) = found else { continue };
        let evaluation = measured.evaluator.certify(&measured.net, test, samples, eps);
        let is_false = |(sample, _): &&(u32, Vec<f32>)| evaluation.samples[*sample as usize].certified;
        let false_certificates: Vec<u32> = found.examples.iter().filter(is_false).map(|(sample, _)| *sample).collect();
        wrong.extend(found.examples.iter().filter(is_false).cloned());
        rows.push(Attacked {
            eps,
            samples,
            clean: evaluation.clean(),
            under_pgd: found.under_pgd(),
            under_all: found.under_all(),
            certified: evaluation.certified(),
            false_certificates,
            seconds: started.elapsed().as_secs_f64(),
        });
        if let Some(path) = save {
            // Of several radii the last is kept.
            examples::save(path, &found.fates, &found.examples)
                .with_context(|| format!("writing {}", path.display()))?;
        }
    }
    if as_json {
        json(&rows)?;
    } else {
        print(measured, &rows)?;
    }
    Ok(wrong)
}

fn print(measured: &Measured, rows: &[Attacked]) -> Result<()> {
    let headings = ["ε", "test images", "clean", "under PGD", "under all", "certified", "took"];
    let mut table = Table::new(headings.map(|heading| (heading, Side::Right)));
    for row in rows {
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
    Ok(())
}
