//! `linf-tui export`: hands a run's net and its claims to those who do not have this program.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{
    Exit, Place,
    measure::{MeasureArgs, radius_found},
    place::line,
    samples,
};
use crate::{
    certificate::Certificate,
    experiment::{Neighbourhood, Threat},
    report::figures::accuracy,
};

/// Write a run's net and what is proved of it into one file, to be checked without this program.
///
/// The file (safetensors) holds the weights with their means, the checksum of the images, and for each test image the
/// class, whether it is certified at ε, and the largest radius at which it is. `tools/verify_certificate.py FILE`, which needs
/// Python and numpy alone, recomputes all of it; docs/certificate.md describes the format, docs/soundness.md the proof.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    net: MeasureArgs,
    /// The file to write.
    #[arg(long, value_name = "FILE", required = true)]
    certificate: PathBuf,
    /// Write the test images too, as .npz: for data sets that the checker cannot read by itself.
    #[arg(long, value_name = "FILE")]
    images: Option<PathBuf>,
    /// What ε means: real, any change of a pixel; or 8-bit, whole steps of 1/255.
    #[arg(long, default_value_t, value_name = "READING")]
    threat: Threat,
}

pub async fn run(args: ExportArgs, place: &Place) -> Result<Exit> {
    let path = args.certificate;
    writable(&path)?;
    if let Some(images) = &args.images {
        samples::is_npz(images)?;
        writable(images)?;
    }
    let mut measured = args.net.prepare(place).await?;
    let &[eps] = measured.radii.as_slice() else { bail!("a certificate is of one ε: give --eps once") };
    let view = measured.config.data.view();
    let around = Neighbourhood { eps, threat: args.threat };
    let (net, test) = (&measured.net, &measured.test);
    let evaluation = measured.evaluator.certify(net, test, measured.samples, around);
    let radii = measured.evaluator.radii(net, test, &evaluation, args.threat, &mut radius_found(measured.samples));
    let radii = radii.context("the search for radii was stopped")?;
    measured.note_device();
    let certificate = Certificate {
        run: &measured.name,
        step: measured.step,
        net,
        view,
        test,
        around,
        evaluation: &evaluation,
        radii: &radii,
    };
    certificate.write(&path)?;
    if let Some(images) = &args.images {
        samples::save_images(images, view, test).with_context(|| format!("writing {}", images.display()))?;
    }
    line(&format!(
        "{}: {} at step {}, {} test images, clean {}, certified {} at ε = {eps} ({})",
        path.display(),
        measured.name,
        measured.step,
        evaluation.samples.len(),
        accuracy(Some(evaluation.clean())),
        accuracy(Some(evaluation.certified())),
        args.threat,
    ))?;
    Ok(Exit::Done)
}

/// Refuses a place where nothing can be written before minutes are spent on what is to be written there.
fn writable(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    if path.file_name().is_none_or(|name| name == OsStr::new("")) || path.is_dir() {
        bail!("{} is a folder: name the file to write", path.display());
    }
    if !folder.is_dir() {
        bail!("there is no folder {} to write {} into", folder.display(), path.display());
    }
    Ok(())
}
