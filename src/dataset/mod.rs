//! Images and labels: reading, fetching, drawing, normalising, augmenting.
//!
//! Everything random here is a pure function of (seed, epoch, sample): see [`random`]. So the order of the data and
//! each crop are the same whatever the number of threads, and however often a run was paused and resumed.

mod batch;
mod cifar;
mod error;
mod idx;
mod normalize;
pub mod random;
pub mod synthetic;

use std::path::{Path, PathBuf};

pub use batch::{epoch_order, fill_batch};
pub use error::{DataError, Fault};
pub use normalize::Normalizer;

pub use crate::experiment::{Augmentation, DatasetId, PadMode, UnknownDataset};

/// Raw images and their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Raw pixels `[N, C, H, W]`.
    pub images: Vec<u8>,
    /// One class per image, `[N]`, each below the data set's number of classes.
    pub labels: Vec<u8>,
}

impl Split {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How many images each class has, `[classes]`.
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }
}

/// A whole data set in memory.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Which one.
    pub id: DatasetId,
    /// What nets are trained on.
    pub train: Split,
    /// What they are judged by.
    pub test: Split,
    /// BLAKE3 in hex over train pixels, train labels, test pixels, test labels, each behind its length as `u64` LE.
    pub checksum: String,
}

impl Dataset {
    fn new(id: DatasetId, train: Split, test: Split) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [&train.images, &train.labels, &test.images, &test.labels] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Self { id, train, test, checksum: hasher.finalize().to_hex().to_string() }
    }
}

/// Where data sets are looked for unless told otherwise: `$LINF_DATA`, or `data` in the current folder.
pub fn default_root() -> PathBuf {
    std::env::var_os("LINF_DATA").filter(|dir| !dir.is_empty()).map_or_else(|| PathBuf::from("data"), PathBuf::from)
}

/// Reads a data set from its folder under the data root `dir`; draws the synthetic one.
///
/// # Errors
/// [`DataError::Missing`] names the command that fetches it; a file that is not what it should be is named.
pub fn load(id: DatasetId, dir: &Path) -> Result<Dataset, DataError> {
    let folder = dir.join(id.name());
    let (train, test) = match id {
        DatasetId::Mnist | DatasetId::FashionMnist => {
            let read =
                |[images, labels]: [&str; 2]| idx::read_split(id, &find(id, dir, images)?, &find(id, dir, labels)?);
            (read(idx::TRAIN)?, read(idx::TEST)?)
        }
        DatasetId::Cifar10 => {
            for file in cifar::TRAIN.iter().chain(&cifar::TEST) {
                find(id, dir, file)?;
            }
            (cifar::read_split(&folder, &cifar::TRAIN)?, cifar::read_split(&folder, &cifar::TEST)?)
        }
        DatasetId::Synthetic => synthetic::draw(synthetic::SEED),
    };
    Ok(Dataset::new(id, train, test))
}

/// Whether every file of a data set is there. Looks at names only, so it is quick; [`load`] checks what is in them.
pub fn is_present(id: DatasetId, dir: &Path) -> bool {
    files(id).iter().all(|file| find(id, dir, file).is_ok())
}

/// The files that make up a data set, by the names they have on disk.
pub fn files(id: DatasetId) -> Vec<&'static str> {
    match id {
        DatasetId::Mnist | DatasetId::FashionMnist => [idx::TRAIN, idx::TEST].concat(),
        DatasetId::Cifar10 => [&cifar::TRAIN[..], &cifar::TEST].concat(),
        DatasetId::Synthetic => Vec::new(),
    }
}

/// The place of one file of a data set.
fn find(id: DatasetId, root: &Path, name: &str) -> Result<PathBuf, DataError> {
    let folder = root.join(id.name());
    let found = match id {
        DatasetId::Cifar10 => Some(folder.join(name)).filter(|path| path.is_file()),
        _ => idx::locate(&folder, name),
    };
    found.ok_or_else(|| DataError::Missing { id, file: folder.join(name), root: root.to_owned() })
}
