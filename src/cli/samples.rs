//! What was found of each image, as a file.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::{Result, bail};
use npyz::{AutoSerialize, WriterBuilder, npz::NpzWriter};

use crate::{
    dataset::Split,
    experiment::{Epsilon, Label, LabelWidth, Radius, Threat, View},
    net::{Evaluation, SampleResult},
    store::Findings,
};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line an image.
    Csv,
    /// An object a line.
    JsonLines,
    /// An array a column.
    Npz,
}

impl Kind {
    /// What a file's name asks for.
    pub fn of(path: &Path) -> Result<Kind> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Kind::Csv),
            Some("jsonl") => Ok(Kind::JsonLines),
            Some("npz") => Ok(Kind::Npz),
            _ => bail!("{}: name a file that ends in .csv, .jsonl or .npz", path.display()),
        }
    }
}

/// Refuses a name that does not ask for an archive of arrays.
pub fn is_npz(path: &Path) -> Result<()> {
    if Kind::of(path).ok() != Some(Kind::Npz) {
        bail!("{}: images are written as .npz", path.display());
    }
    Ok(())
}

/// Writes `images`, bytes [N, C, H, W], what a net sees of each, and `labels`, bytes or, of more than 256 classes, 16-bit numbers, as `tools/verify_certificate.py --images` reads them.
pub fn save_images(path: &Path, view: View, split: &Split) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut archive = NpzWriter::new(&mut out);
    let shape = [split.len(), view.channels(), view.height(), view.width()].map(|side| side as u64);
    let images = (0..split.len()).flat_map(|sample| split.image(view, sample).into_owned());
    arrays(&mut archive, "images", &shape, images)?;
    labels(&mut archive, "labels", view.id.classes(), split.labels.iter().copied())?;
    drop(archive);
    Ok(out.flush()?)
}

/// What is known of the same images.
pub struct Claims<'a> {
    /// At several radii, at least one.
    pub evaluations: &'a [(Epsilon, Evaluation)],
    /// The largest radius of each image, where it was asked for.
    pub radii: Option<&'a [Option<Radius>]>,
    pub threat: Threat,
    /// What attacks made of the first of them, at several radii; none where there was none.
    pub attacks: &'a [(Epsilon, &'a Findings)],
}

impl Claims<'_> {
    /// Number, label, prediction, margin in pixels; where it was asked for the largest certified radius, and the one that the
    /// margin alone would give (−1: not even as it stands); whether it is certified at each radius, and what became of it
    /// under attack. An archive holds the adversarial images too.
    pub fn save(&self, path: &Path, kind: Kind) -> Result<()> {
        let Some((_, first)) = self.evaluations.first() else { return Ok(()) };
        let file = BufWriter::new(File::create(path)?);
        match kind {
            Kind::Csv => self.csv(first, file)?,
            Kind::JsonLines => self.json_lines(first, file)?,
            Kind::Npz => self.npz(first, file)?,
        }
        Ok(())
    }

    /// By certificate, and by margin.
    fn radius(&self, sample: &SampleResult, number: usize) -> Option<[f64; 2]> {
        let radius = self.radii?[number];
        let by_margin = f64::from(sample.margin) / 2.0;
        let by_margin = if by_margin >= 0.0 { by_margin.min(1.0) } else { -1.0 };
        Some([radius.map_or(-1.0, |radius| self.threat.pixels(radius)), by_margin])
    }

    fn csv(&self, first: &Evaluation, mut out: impl Write) -> io::Result<()> {
        let mut columns = vec!["sample".to_owned(), "label".into(), "prediction".into(), "margin".into()];
        if self.radii.is_some() {
            columns.extend(["radius".into(), "radius by margin".into()]);
        }
        columns.extend(self.evaluations.iter().map(|(eps, _)| format!("certified at {eps}")));
        columns.extend(self.attacks.iter().map(|(eps, _)| format!("fate at {eps}")));
        writeln!(out, "{}", columns.join(","))?;
        for (number, sample) in first.samples.iter().enumerate() {
            write!(out, "{number},{},{},{}", sample.label, sample.prediction, sample.margin)?;
            if let Some([certified, by_margin]) = self.radius(sample, number) {
                write!(out, ",{certified},{by_margin}")?;
            }
            for (_, found) in self.evaluations {
                write!(out, ",{}", found.samples[number].certified)?;
            }
            for (_, found) in self.attacks {
                write!(out, ",{}", found.fates.get(number).map_or("", |fate| fate.word()))?;
            }
            writeln!(out)?;
        }
        out.flush()
    }

    fn json_lines(&self, first: &Evaluation, mut out: impl Write) -> io::Result<()> {
        for (number, sample) in first.samples.iter().enumerate() {
            let certified: serde_json::Map<String, serde_json::Value> = (self.evaluations.iter())
                .map(|(eps, found)| (eps.to_string(), found.samples[number].certified.into()))
                .collect();
            let mut record = serde_json::json!({
                "sample": number,
                "label": sample.label,
                "prediction": sample.prediction,
                "margin": sample.margin,
                "certified": certified,
            });
            if let Some([certified, by_margin]) = self.radius(sample, number) {
                record["radius"] = certified.into();
                record["radius_by_margin"] = by_margin.into();
            }
            let fates: serde_json::Map<String, serde_json::Value> = (self.attacks.iter())
                .filter_map(|(eps, found)| Some((eps.to_string(), found.fates.get(number)?.word().into())))
                .collect();
            if !fates.is_empty() {
                record["fate"] = fates.into();
            }
            writeln!(out, "{record}")?;
        }
        out.flush()
    }

    fn npz(&self, first: &Evaluation, mut out: impl Write + io::Seek) -> io::Result<()> {
        let mut archive = NpzWriter::new(&mut out);
        let of = &first.samples;
        let highest = of.iter().map(|sample| sample.label.max(sample.prediction)).max();
        let classes = highest.map_or(0, |class| usize::from(class) + 1);
        labels(&mut archive, "label", classes, of.iter().map(|sample| sample.label))?;
        labels(&mut archive, "prediction", classes, of.iter().map(|sample| sample.prediction))?;
        array(&mut archive, "margin", of.iter().map(|sample| sample.margin))?;
        let radii = of.iter().enumerate().filter_map(|(number, sample)| self.radius(sample, number));
        let radii: Vec<[f64; 2]> = radii.collect();
        if self.radii.is_some() {
            array(&mut archive, "radius", radii.iter().map(|radius| radius[0]))?;
            array(&mut archive, "radius by margin", radii.iter().map(|radius| radius[1]))?;
        }
        // A slash would make a folder of it.
        let at = |what: &str, eps: &Epsilon| format!("{what} at {eps}").replace('/', " of ");
        for (eps, found) in self.evaluations {
            array(&mut archive, &at("certified", eps), found.samples.iter().map(|sample| sample.certified))?;
        }
        for (eps, found) in self.attacks {
            array(&mut archive, &at("fate", eps), found.fates.iter().map(|fate| fate.code()))?;
            examples(&mut archive, &at("broken", eps), &at("image", eps), &found.examples)?;
        }
        // This writes the archive's end.
        drop(archive);
        out.flush()
    }
}

/// Writes `sample`, the numbers of test images, and `image`, `[samples, C·H·W]`: inputs that change their classes, as the net
/// reads them, normalised.
pub fn save_examples(path: &Path, found: &[(u32, Vec<f32>)]) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut archive = NpzWriter::new(&mut out);
    examples(&mut archive, "sample", "image", found)?;
    drop(archive);
    Ok(out.flush()?)
}

fn examples(
    archive: &mut NpzWriter<impl Write + io::Seek>,
    samples: &str,
    images: &str,
    found: &[(u32, Vec<f32>)],
) -> io::Result<()> {
    array(archive, samples, found.iter().map(|(sample, _)| *sample))?;
    let pixels = found.first().map_or(0, |(_, image)| image.len());
    let shape = [found.len() as u64, pixels as u64];
    arrays(archive, images, &shape, found.iter().flat_map(|(_, image)| image.iter().copied()))
}

/// Adds the classes of samples to an archive, in as many bytes each as so many classes take.
fn labels(
    archive: &mut NpzWriter<impl Write + io::Seek>,
    name: &str,
    classes: usize,
    values: impl Iterator<Item = Label>,
) -> io::Result<()> {
    match LabelWidth::of_classes(classes) {
        LabelWidth::One => array(archive, name, LabelWidth::One.pack(values).into_iter()),
        LabelWidth::Two => array(archive, name, values),
    }
}

/// Adds a vector to an archive.
fn array<T: AutoSerialize>(
    archive: &mut NpzWriter<impl Write + io::Seek>,
    name: &str,
    values: impl Iterator<Item = T>,
) -> io::Result<()> {
    let values: Vec<T> = values.collect();
    arrays(archive, name, &[values.len() as u64], values.into_iter())
}

/// Adds an array of this shape to an archive.
fn arrays<T: AutoSerialize>(
    archive: &mut NpzWriter<impl Write + io::Seek>,
    name: &str,
    shape: &[u64],
    values: impl Iterator<Item = T>,
) -> io::Result<()> {
    let mut writer = archive.array(name, Default::default())?.default_dtype().shape(shape).begin_nd()?;
    writer.extend(values)?;
    writer.finish()
}
