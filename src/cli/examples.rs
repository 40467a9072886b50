//! Adversarial images, as a file.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::Result;

use super::samples::{array, arrays};
use crate::experiment::Fate;

/// Writes `fate` (0 misclassified, 1 survived, 2 broken by PGD, 3 at finite p, 4 towards one class, 5 along the paths),
/// `sample`, the numbers of the broken images, and `image`, `[broken, C·H·W]`: as the net reads them, normalised.
pub fn save(path: &Path, fates: &[Fate], examples: &[(u32, Vec<f32>)]) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut archive = npyz::npz::NpzWriter::new(&mut out);
    if !fates.is_empty() {
        array(&mut archive, "fate", fates.iter().map(|fate| fate.code()))?;
    }
    array(&mut archive, "sample", examples.iter().map(|(sample, _)| *sample))?;
    let pixels = examples.first().map_or(0, |(_, image)| image.len());
    let shape = [examples.len() as u64, pixels as u64];
    arrays(&mut archive, "image", &shape, examples.iter().flat_map(|(_, image)| image.iter().copied()))?;
    drop(archive);
    Ok(out.flush()?)
}
