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
    experiment::{DatasetId, Epsilon, Radius, Threat},
    net::Evaluation,
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

/// Writes `images`, bytes [N, C, H, W], and `labels`, as `tools/verify_certificate.py --images` reads them.
pub fn save_images(path: &Path, id: DatasetId, split: &Split) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut archive = NpzWriter::new(&mut out);
    let shape = [split.len(), id.channels(), id.height(), id.width()].map(|side| side as u64);
    arrays(&mut archive, "images", &shape, split.images.iter().copied())?;
    array(&mut archive, "labels", split.labels.iter().copied())?;
    drop(archive);
    Ok(out.flush()?)
}

/// Evaluations of the same images at several radii.
pub struct Claims<'a> {
    pub evaluations: &'a [(Epsilon, Evaluation)],
    /// The largest radius of each image, where it was asked for.
    pub radii: Option<&'a [Option<Radius>]>,
    pub threat: Threat,
}

impl Claims<'_> {
    /// Number, label, prediction, margin in pixels, the largest certified radius where it was asked for (-1: not even as it
    /// stands), and whether it is certified at each radius.
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

    fn radius(&self, number: usize) -> Option<f64> {
        let radius = self.radii?[number];
        Some(radius.map_or(-1.0, |radius| self.threat.pixels(radius)))
    }

    fn csv(&self, first: &Evaluation, mut out: impl Write) -> io::Result<()> {
        let radius = if self.radii.is_some() { ",radius" } else { "" };
        let columns: String = self.evaluations.iter().map(|(eps, _)| format!(",certified at {eps}")).collect();
        writeln!(out, "sample,label,prediction,margin{radius}{columns}")?;
        for (number, sample) in first.samples.iter().enumerate() {
            let radius = self.radius(number).map_or_else(String::new, |radius| format!(",{radius}"));
            let certified: String =
                self.evaluations.iter().map(|(_, found)| format!(",{}", found.samples[number].certified)).collect();
            writeln!(out, "{number},{},{},{}{radius}{certified}", sample.label, sample.prediction, sample.margin)?;
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
            if let Some(radius) = self.radius(number) {
                record["radius"] = radius.into();
            }
            writeln!(out, "{record}")?;
        }
        out.flush()
    }

    fn npz(&self, first: &Evaluation, mut out: impl Write + io::Seek) -> io::Result<()> {
        let mut archive = NpzWriter::new(&mut out);
        let of = &first.samples;
        array(&mut archive, "label", of.iter().map(|sample| sample.label))?;
        array(&mut archive, "prediction", of.iter().map(|sample| sample.prediction))?;
        array(&mut archive, "margin", of.iter().map(|sample| sample.margin))?;
        if self.radii.is_some() {
            array(&mut archive, "radius", (0..of.len()).filter_map(|number| self.radius(number)))?;
        }
        for (eps, found) in self.evaluations {
            // A slash would make a folder of it.
            let name = format!("certified at {eps}").replace('/', " of ");
            array(&mut archive, &name, found.samples.iter().map(|sample| sample.certified))?;
        }
        // This writes the archive's end.
        drop(archive);
        out.flush()
    }
}

/// Adds a vector to an archive.
pub fn array<T: AutoSerialize>(
    archive: &mut NpzWriter<impl Write + io::Seek>,
    name: &str,
    values: impl Iterator<Item = T>,
) -> io::Result<()> {
    let values: Vec<T> = values.collect();
    arrays(archive, name, &[values.len() as u64], values.into_iter())
}

/// Adds an array of this shape to an archive.
pub fn arrays<T: AutoSerialize>(
    archive: &mut NpzWriter<impl Write + io::Seek>,
    name: &str,
    shape: &[u64],
    values: impl Iterator<Item = T>,
) -> io::Result<()> {
    let mut writer = archive.array(name, Default::default())?.default_dtype().shape(shape).begin_nd()?;
    writer.extend(values)?;
    writer.finish()
}
