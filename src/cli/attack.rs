//! `linf-tui attack`: tries to change the classes that a run's net gives, and holds its certificates against what it finds.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::{
    Exit, Place, gap, kept_attack,
    measure::{MeasureArgs, Measured, passing},
    place::{json, line, warn},
    samples::{Claims, Kind, save_examples},
    weights::Stored,
};
use crate::{
    experiment::{Attack, Epsilon, Threat},
    report::{
        figures::{accuracy, duration},
        measured::kept_of_attack,
        table::{Side, Table},
    },
    store::{AttackRow, Findings},
};

/// Attack a net at p = ∞ and compare with its certificates.
///
/// First the papers' PGD, whose gradient at p = ∞ sees one pixel a class; then APGD with gradients taken through the net
/// at a finite p, towards any other class and towards the likeliest ones; then a search pixel by pixel along the paths that
/// the scores depend on, from the image and from corners of the box. Between "certified" and "under all" lies the truth. An
/// image that was certified and is broken is an error of the program: it is named, the input is saved (in the run's folder,
/// where it is a run's net), the run's events and its screen raise an alarm, and the exit code is 1.
///
/// An attack at the run's own ε on the result of a complete run is kept with it, unless it has one on more images, or one on as
/// many that broke more: its screens and `linf-tui show` have it.
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
    /// Write what is known of each image, as .csv, .jsonl or .npz, and into the latter the adversarial images too.
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
    let save = args.save.as_deref().map(|path| Ok::<_, anyhow::Error>((path, Kind::of(path)?))).transpose()?;
    let mut measured = args.net.prepare(place).await?;
    measured.load_train()?;
    let default = measured.config.eval.attack.unwrap_or_default();
    let plan = Attack {
        pgd_steps: args.pgd_steps.unwrap_or(default.pgd_steps),
        steps: args.steps.unwrap_or(default.steps).max(1),
        restarts: args.restarts.unwrap_or(default.restarts),
        targets: args.targets.unwrap_or(default.targets),
        samples: None,
    };
    let (wrong, attacks) = if args.gap {
        let found = gap::measure(&mut measured, &plan);
        gap::print(&measured, &found, args.json)?;
        (found.false_certificates, Vec::new())
    } else {
        at_each_radius(&mut measured, &plan, save, args.json)?
    };
    measured.note_device();
    for (row, found) in attacks {
        // The figures are told; a store that is somebody else's stays as it is.
        if let Err(error) = kept_attack::keep(&measured, row, found, place).await {
            warn(&format!("not kept with the run: {error:#}"));
        }
    }
    if wrong.is_empty() {
        return Ok(Exit::Done);
    }
    let Measured { name, step, run, .. } = &measured;
    raise_alarm(name, *step, run.as_ref(), &wrong, place).await?;
    Ok(Exit::Failed)
}

/// Examples by the test image's number.
type Examples = Vec<(u32, Vec<f32>)>;

/// Saves the inputs that show certificates false, and tells the run whose net it is.
async fn raise_alarm(name: &str, step: u64, run: Option<&Stored>, wrong: &Examples, place: &Place) -> Result<()> {
    let path = match run {
        Some(run) => run.folder.join(format!("false-certificates-{step}.npz")),
        None => PathBuf::from(format!("false-certificates-{name}-{step}.npz").replace('/', "-")),
    };
    save_examples(&path, wrong).with_context(|| format!("writing {}", path.display()))?;
    line(&format!("the inputs that show it are in {}", path.display()))?;
    let Some(run) = run else { return Ok(()) };
    let samples: Vec<u32> = wrong.iter().map(|(sample, _)| *sample).collect();
    let text = format!(
        "an attack changed the class of certified test images {samples:?}: an error in the program; the inputs are in {}",
        path.display()
    );
    Ok(place.existing().await?.catalog().doubt(run.id, &text).await?)
}

/// Gives the inputs that show a certificate false, and what each attack found.
fn at_each_radius(
    measured: &mut Measured,
    plan: &Attack,
    save: Option<(&Path, Kind)>,
    as_json: bool,
) -> Result<(Examples, Vec<(AttackRow, Findings)>)> {
    let (mut rows, mut wrong) = (Vec::new(), Examples::new());
    let (mut evaluations, mut attacks) = (Vec::new(), Vec::new());
    for &eps in &measured.radii {
        let (started, samples) = (Instant::now(), measured.samples);
        let plan = Attack { samples: Some(samples), ..*plan };
        let (train, test) = (&measured.train, &measured.test);
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
        evaluations.push((eps, evaluation));
        attacks.push(kept_of_attack(found, measured.step, eps, started.elapsed()));
    }
    if let Some((path, kind)) = save {
        let attacks: Vec<(Epsilon, &Findings)> = attacks.iter().map(|(row, found)| (row.eps, found)).collect();
        let claims = Claims { evaluations: &evaluations, radii: None, threat: Threat::Real, attacks: &attacks };
        claims.save(path, kind).with_context(|| format!("writing {}", path.display()))?;
    }
    if as_json {
        json(&rows)?;
    } else {
        print(measured, &rows)?;
    }
    Ok((wrong, attacks))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        experiment::parse,
        store::{EventRow, NewRun},
    };

    #[tokio::test]
    async fn a_false_certificate_is_saved_and_its_run_knows_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path()).unwrap();
        let store = place.open().await.unwrap();
        let text = "data.dataset = 'synthetic'\nmodel = { depth = 2, width = 5 }\n\
                    train = { epochs = 1, batch_size = 8, lr = 0.1 }\nschedule = { ramp_start = 0, ramp_end = 1 }\n\
                    loss = { lambda = 0.1, eps_train = 0.1 }\neval.eps = 0.1";
        let config = parse(text).unwrap();
        let id = store.catalog().add_many(vec![NewRun::new(config, text.to_owned())]).await.unwrap()[0];
        let before = store.catalog().run(id).await.unwrap().unwrap().revision;

        let run = Stored { id, folder: store.run_dir(id) };
        let wrong = vec![(7, vec![0.5; 4]), (9, vec![1.0; 4])];
        raise_alarm("calm-heron", 12, Some(&run), &wrong, &place).await.unwrap();
        let saved = std::fs::File::open(run.folder.join("false-certificates-12.npz")).unwrap();
        let mut arrays = npyz::npz::NpzArchive::new(saved).unwrap();
        assert_eq!(arrays.by_name("sample").unwrap().unwrap().into_vec::<u32>().unwrap(), [7, 9]);
        assert_eq!(arrays.by_name("image").unwrap().unwrap().shape(), [2, 4]);
        let journal = store.catalog().journal(id).await.unwrap();
        let event = journal.last().unwrap();
        assert_eq!(event.kind, EventRow::UNSOUND);
        assert!(event.text.contains("[7, 9]") && event.text.contains("false-certificates-12.npz"), "{}", event.text);
        // Or the screens would not look at it again.
        assert!(store.catalog().run(id).await.unwrap().unwrap().revision > before);
    }
}
