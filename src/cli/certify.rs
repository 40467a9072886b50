//! `linf-tui certify`: what a net provably withstands, image by image.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use super::{
    Exit, Place,
    measure::{Images, MeasureArgs, radius_found},
    place::{json, line},
    samples::{Claims, Kind},
    together,
};
use crate::{
    experiment::{Epsilon, Neighbourhood, Radius, Threat},
    net::{Evaluation, NetState},
    report::{
        figures::accuracy,
        table::{Side, Table},
    },
};

/// Certify a net at p = ∞: the share of test images whose class no perturbation of at most ε can change.
///
/// "certified" propagates intervals through the net with the very float32 operations of its forward pass, so that
/// rounding is counted in (docs/soundness.md has the proof); "by margin" is the share with margin > 2ε, the papers' rule,
/// which holds in real arithmetic and not always of a program.
///
/// With --with several nets answer as one, by the mean of their logits (of a distance net its distances with their sign
/// turned), and that is what is certified.
///
/// With --images train it is measured on what it was trained on: how far that lies above the test images is what it has
/// learnt by heart.
#[derive(Debug, Args)]
pub struct CertifyArgs {
    #[command(flatten)]
    net: MeasureArgs,
    /// Which images: the test set; those that the net was trained on, as they are, not augmented; or those that its run held
    /// out of them.
    #[arg(long, value_enum, default_value_t)]
    images: Images,
    /// Further nets that answer together with it, by commas: the class of the mean of all their logits. The net of each
    /// run's last figure, or of the step behind an @: RUN2,RUN3@28080.
    #[arg(long = "with", value_delimiter = ',', value_name = "RUN[@STEP]", conflicts_with = "radius")]
    others: Vec<String>,
    /// What ε means: real, any change of a pixel; or 8-bit, whole steps of 1/255.
    #[arg(long, default_value_t, value_name = "READING")]
    threat: Threat,
    /// Only what holds of the program, rounding counted in; by default both rules stand side by side.
    #[arg(long, conflicts_with = "plain")]
    sound: bool,
    /// Only the papers' rule, margin > 2ε. It is no proof of a float32 program.
    #[arg(long, conflicts_with_all = ["radius", "save"])]
    plain: bool,
    /// Find the largest certified radius of each image too.
    #[arg(long)]
    radius: bool,
    /// Write what is known of each image, as .csv, .jsonl or .npz: what the run's own attack made of it too.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Certified {
    /// The nets that answer together, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nets: Vec<String>,
    eps: Epsilon,
    threat: Threat,
    images: Images,
    samples: usize,
    clean: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    certified: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_margin: Option<f64>,
    /// Of all images, misclassified ones counting as 0: by how many hundredths of them it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    radius: Option<Quantiles>,
}

/// Radii that all but so many images in a hundred reach.
#[derive(Clone, Copy, Serialize)]
struct Quantiles {
    p10: f64,
    p25: f64,
    p50: f64,
    p75: f64,
    p90: f64,
}

pub async fn run(args: CertifyArgs, place: &Place) -> Result<Exit> {
    let kind = args.save.as_deref().map(Kind::of).transpose()?;
    let mut measured = args.net.prepare_on(args.images, place).await?;
    let others = together::read(&args.others, &mut measured, place).await?;
    let (net, test, threat) = (&measured.net, &measured.test, args.threat);
    let nets: Vec<&NetState> = std::iter::once(net).chain(others.iter().map(|other| &other.net)).collect();
    // The rule margin > 2ε is of nets that end in distances.
    let has_margin = nets.len() == 1 || nets.iter().all(|net| net.head.is_none());
    if args.plain && !has_margin {
        bail!("--plain: margin > 2ε is a rule of nets that end in distances, and one of these has a head");
    }
    let mut evaluations: Vec<(Epsilon, Evaluation)> = Vec::new();
    for &eps in &measured.radii {
        let around = Neighbourhood { eps, threat };
        let evaluation = match nets.as_slice() {
            [net] => measured.evaluator.certify(net, test, measured.samples, around),
            nets => measured.evaluator.certify_together(nets, test, measured.samples, around),
        };
        evaluations.push((eps, evaluation));
    }
    let radii = evaluations.first().filter(|_| args.radius).and_then(|(_, evaluation)| {
        measured.evaluator.radii(net, test, evaluation, threat, &mut radius_found(measured.samples))
    });
    measured.note_device();
    if let (Some(path), Some(kind)) = (&args.save, kind) {
        // A run's own attack was on its net alone, and on test images.
        let attacked = measured.attacked.as_ref().filter(|_| others.is_empty() && args.images == Images::Test);
        let attacks: Vec<_> = attacked.iter().map(|(eps, found)| (*eps, found)).collect();
        let claims = Claims { evaluations: &evaluations, radii: radii.as_deref(), threat, attacks: &attacks };
        claims.save(path, kind).with_context(|| format!("writing {}", path.display()))?;
    }
    let radius = radii.as_deref().and_then(|radii| quantiles(radii, threat));
    let others_named = others.iter().map(|other| (other.name.as_str(), other.net.step));
    let names: Vec<String> = std::iter::once((measured.name.as_str(), measured.step))
        .chain(others_named)
        .map(|(name, step)| format!("{name}, step {step}"))
        .collect();
    let rows: Vec<Certified> = (evaluations.iter())
        .map(|(eps, evaluation)| Certified {
            nets: if others.is_empty() { Vec::new() } else { names.clone() },
            eps: *eps,
            threat,
            images: args.images,
            samples: evaluation.samples.len(),
            clean: evaluation.clean(),
            certified: (!args.plain).then(|| evaluation.certified()),
            by_margin: (!args.sound && has_margin).then(|| evaluation.certified_by_margin(*eps)),
            radius,
        })
        .collect();
    if args.json {
        json(&rows)?;
        return Ok(Exit::Done);
    }
    let mut table =
        Table::new(["ε", args.images.heading(), "clean", "certified", "by margin"].map(|head| (head, Side::Right)));
    for row in &rows {
        let shares = [Some(row.clean), row.certified, row.by_margin].map(accuracy);
        let [clean, certified, by_margin] = shares;
        table.row([row.eps.to_string(), row.samples.to_string(), clean, certified, by_margin]);
    }
    line(&format!("{}{}", names.join(" + "), reading(threat)))?;
    line(table.to_string().trim_end())?;
    if let Some(radius) = radius {
        let headings = ["certified radius", "p10", "p25", "median", "p75", "p90"];
        let mut table = Table::new(headings.map(|heading| (heading, Side::Right)));
        let figures = [radius.p10, radius.p25, radius.p50, radius.p75, radius.p90];
        let [p10, p25, p50, p75, p90] = figures.map(|figure| format!("{figure:.4}"));
        table.row(["of all images".into(), p10, p25, p50, p75, p90]);
        line(table.to_string().trim_end())?;
    }
    Ok(Exit::Done)
}

fn reading(threat: Threat) -> &'static str {
    match threat {
        Threat::Real => "",
        Threat::EightBit => ", perturbed in whole steps of 1/255",
    }
}

/// `None` of no images. An image that is not even certified as it stands counts as 0.
fn quantiles(radii: &[Option<Radius>], threat: Threat) -> Option<Quantiles> {
    let mut sorted: Vec<f64> = radii.iter().map(|radius| radius.map_or(0.0, |radius| threat.pixels(radius))).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = |share: f64| sorted[(share * last as f64).round() as usize];
    Some(Quantiles { p10: at(0.1), p25: at(0.25), p50: at(0.5), p75: at(0.75), p90: at(0.9) })
}
