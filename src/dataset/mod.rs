//! Images and labels: reading, fetching, drawing, normalising, augmenting.
//!
//! Everything random here is a pure function of (seed, epoch, sample): see [`random`]. So the order of the data and
//! each crop are the same whatever the number of threads, and however often a run was paused and resumed.

mod batch;
mod bend;
mod cifar;
mod crop;
mod error;
mod extra;
pub mod fetch;
mod folder;
mod hold_out;
mod idx;
mod normalize;
mod order;
pub mod picture;
pub mod random;
pub mod synthetic;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

pub use batch::{Drawn, draw, fill_batch, fill_drawn, seen};
pub use bend::{Bend, Field};
pub use crop::{Crop, Warp};
pub use error::{DataError, Fault};
pub use extra::read_extra;
pub use fetch::{Fetched, Origin, Progress, fetch};
pub use normalize::Normalizer;
pub use order::{epoch_order, mixed_order, sort_by_class};

pub use crate::experiment::{Augmentation, DatasetId, Label, LabelWidth, PadMode, UnknownDataset, View};

/// Raw images and their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Raw pixels `[N, C, H, W]`.
    pub images: Vec<u8>,
    /// One class per image, `[N]`, each below the data set's number of classes.
    pub labels: Vec<Label>,
}

impl Split {
    /// What a net sees of one image when nothing is drawn at random, raw `[C, H, W]`: all of it, or the middle.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn image(&self, view: View, index: usize) -> Cow<'_, [u8]> {
        let image = &self.images[index * view.id.pixels()..][..view.id.pixels()];
        if view.crop().is_none() { Cow::Borrowed(image) } else { Cow::Owned(middle(image, view)) }
    }

    /// Keeps the first `count` images.
    pub fn truncate(&mut self, count: usize) {
        let pixels = self.images.len() / self.len().max(1);
        self.labels.truncate(count);
        self.images.truncate(count * pixels);
    }

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

/// What a net sees of a whole image `[C, H, W]` when nothing is drawn at random: its middle.
pub(crate) fn middle(image: &[u8], view: View) -> Vec<u8> {
    let (rows, columns) = view.slack();
    let (top, left) = (rows / 2, columns / 2);
    let planes = image.chunks_exact(view.id.height() * view.id.width());
    let lines = planes.flat_map(|plane| plane.chunks_exact(view.id.width()).skip(top).take(view.height()));
    lines.flat_map(|line| &line[left..left + view.width()]).copied().collect()
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
    /// BLAKE3 in hex over train pixels, train labels, test pixels, test labels, each behind its length in bytes as `u64`
    /// LE; labels as [`LabelWidth`] packs them.
    pub checksum: String,
}

impl Dataset {
    fn new(id: DatasetId, train: Split, test: Split) -> Self {
        let mut hasher = blake3::Hasher::new();
        let width = LabelWidth::of_classes(id.classes());
        for split in [&train, &test] {
            for part in [&split.images, &width.pack(split.labels.iter().copied())] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        Self { id, train, test, checksum: hasher.finalize().to_hex().to_string() }
    }
}

/// Where data sets are looked for unless told otherwise: `$LINF_DATA`, or `data` in the current folder.
pub fn default_root() -> PathBuf {
    std::env::var_os("LINF_DATA").filter(|dir| !dir.is_empty()).map_or_else(|| PathBuf::from("data"), PathBuf::from)
}

/// One of the two halves of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What nets are trained on.
    Train,
    /// What they are judged by.
    Test,
}

/// Reads a data set from its folder under the data root `dir`; draws the synthetic one.
///
/// # Errors
/// [`DataError::Missing`] names the command that fetches it; a file that is not what it should be is named.
pub fn load(id: DatasetId, dir: &Path) -> Result<Dataset, DataError> {
    let (train, test) = match id {
        DatasetId::Synthetic => synthetic::draw(synthetic::SEED),
        _ => (load_part(id, dir, Part::Train)?, load_part(id, dir, Part::Test)?),
    };
    Ok(Dataset::new(id, train, test))
}

/// Reads one half of it alone: of large data sets that is much less to decode and to hold.
///
/// # Errors
/// Those of [`load`].
pub fn load_part(id: DatasetId, dir: &Path, part: Part) -> Result<Split, DataError> {
    let folder = dir.join(id.name());
    match id {
        DatasetId::Mnist | DatasetId::FashionMnist => {
            let [images, labels] = if part == Part::Train { idx::TRAIN } else { idx::TEST };
            idx::read_split(id, &find(id, dir, images)?, &find(id, dir, labels)?)
        }
        DatasetId::Cifar10 => {
            let files = if part == Part::Train { &cifar::TRAIN[..] } else { &cifar::TEST };
            files.iter().try_for_each(|file| find(id, dir, file).map(drop))?;
            cifar::read_split(&folder, files)
        }
        DatasetId::Cifar100 => {
            let (files, records) = match part {
                Part::Train => (cifar::TRAIN_100, id.train_images()),
                Part::Test => (cifar::TEST_100, 10_000),
            };
            files.iter().try_for_each(|file| find(id, dir, file).map(drop))?;
            cifar::read_split_100(&folder, &files, records)
        }
        DatasetId::TinyImagenet | DatasetId::Imagenet64 => {
            for part in PARTS {
                find(id, dir, part)?;
            }
            let [train, test] = PARTS.map(|part| folder.join(part));
            // The training images say which classes there are.
            let classes = folder::classes(&train)?;
            // As published, all validation images lie together beside a table; rearranged, they lie by class.
            let annotations = test.join("val_annotations.txt");
            match part {
                Part::Train => folder::read_split(id, &train, &classes),
                Part::Test if annotations.is_file() => folder::read_annotated(id, &test, &annotations, &classes),
                Part::Test => folder::read_split(id, &test, &classes),
            }
        }
        DatasetId::Synthetic => {
            let (train, test) = synthetic::draw(synthetic::SEED);
            Ok(if part == Part::Train { train } else { test })
        }
    }
}

/// The folders of an image folder set.
const PARTS: [&str; 2] = ["train", "val"];

/// Whether every file of a data set is there. Looks at names only, so it is quick; [`load`] checks what is in them.
pub fn is_present(id: DatasetId, dir: &Path) -> bool {
    files(id).iter().all(|file| find(id, dir, file).is_ok())
}

/// The files, or folders of images, that make up a data set, by the names they have on disk.
pub fn files(id: DatasetId) -> Vec<&'static str> {
    match id {
        DatasetId::Mnist | DatasetId::FashionMnist => [idx::TRAIN, idx::TEST].concat(),
        DatasetId::Cifar10 => [&cifar::TRAIN[..], &cifar::TEST].concat(),
        DatasetId::Cifar100 => [cifar::TRAIN_100, cifar::TEST_100].concat(),
        DatasetId::TinyImagenet | DatasetId::Imagenet64 => PARTS.to_vec(),
        DatasetId::Synthetic => Vec::new(),
    }
}

/// The place of one file of a data set.
fn find(id: DatasetId, root: &Path, name: &str) -> Result<PathBuf, DataError> {
    let folder = root.join(id.name());
    let found = match id {
        DatasetId::Cifar10 | DatasetId::Cifar100 => Some(folder.join(name)).filter(|path| path.is_file()),
        DatasetId::TinyImagenet | DatasetId::Imagenet64 => Some(folder.join(name)).filter(|path| path.is_dir()),
        _ => idx::locate(&folder, name),
    };
    found.ok_or_else(|| DataError::Missing { id, file: folder.join(name), root: root.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn write(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn idx_images(count: u8) -> Vec<u8> {
        let pixels = (0..usize::from(count) * 784).map(|i| (i % 255) as u8);
        [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28].into_iter().chain(pixels).collect()
    }

    fn idx_labels(count: u8) -> Vec<u8> {
        [0, 0, 8, 1, 0, 0, 0, count].into_iter().chain((0..count).map(|i| i % 10)).collect()
    }

    /// A folder with 3 training and 2 test images in the shape of MNIST.
    fn small_mnist() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("mnist");
        write(&folder.join(idx::TRAIN[0]), &idx_images(3));
        write(&folder.join(idx::TRAIN[1]), &idx_labels(3));
        write(&folder.join(idx::TEST[0]), &idx_images(2));
        write(&folder.join(idx::TEST[1]), &idx_labels(2));
        root
    }

    #[test]
    fn a_folder_of_idx_files_loads_raw_or_gzipped() {
        let root = small_mnist();
        let data = load(DatasetId::Mnist, root.path()).unwrap();
        assert_eq!((data.train.labels.as_slice(), data.test.len()), (&[0, 1, 2][..], 2));
        assert_eq!(data.train.images, idx_images(3)[16..]);
        let part = |part| load_part(DatasetId::Mnist, root.path(), part).unwrap();
        assert_eq!((part(Part::Train), part(Part::Test)), (data.train, data.test));

        let raw = root.path().join("mnist").join(idx::TRAIN[0]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&idx_images(3)).unwrap();
        write(&raw.with_extension("gz"), &encoder.finish().unwrap());
        fs::remove_file(&raw).unwrap();
        assert!(is_present(DatasetId::Mnist, root.path()));
        assert_eq!(load(DatasetId::Mnist, root.path()).unwrap().checksum, data.checksum);
    }

    #[test]
    fn the_test_images_of_a_folder_are_read_without_the_others() {
        let root = tempfile::tempdir().unwrap();
        let (id, folder) = (DatasetId::Imagenet64, root.path().join("imagenet64"));
        for (name, grey) in [("train/n01/a.png", 1), ("train/n02/a.png", 2), ("val/n02/b.png", 3), ("val/n01/c.png", 4)]
        {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::from_pixel(64, 64, image::Rgb([grey; 3])).save(path).unwrap();
        }
        let data = load(id, root.path()).unwrap();
        assert_eq!((data.train.labels, data.test.labels.clone()), (vec![0, 1], vec![0, 1]));
        assert_eq!([data.test.images[0], data.test.images[id.pixels()]], [4, 3]);
        write(&folder.join("train/n01/a.png"), b"no picture");
        assert!(load(id, root.path()).is_err());
        assert_eq!(load_part(id, root.path(), Part::Test).unwrap(), data.test);
    }

    #[test]
    fn the_checksum_covers_pixels_labels_and_which_split_they_are_in() {
        let image = |pixel, label| Split { images: vec![pixel], labels: vec![label] };
        let checksum = |train, test| Dataset::new(DatasetId::Mnist, train, test).checksum;
        let of = [
            checksum(image(1, 2), image(3, 4)),
            checksum(image(3, 4), image(1, 2)),
            checksum(image(1, 2), image(3, 5)),
            checksum(Split { images: vec![1, 2], labels: vec![] }, image(3, 4)),
        ];
        assert!((0..4).all(|i| (0..i).all(|j| of[i] != of[j])), "{of:?}");
    }

    #[test]
    fn errors_name_the_file_and_what_to_do() {
        let root = small_mnist();
        let folder = root.path().join("mnist");
        let message = |id| load(id, root.path()).unwrap_err().to_string();

        write(&folder.join(idx::TEST[1]), &idx_labels(5));
        let error = message(DatasetId::Mnist);
        assert!(error.contains("images-idx3-ubyte holds 2 images") && error.contains("holds 5 labels"), "{error}");

        write(&folder.join(idx::TRAIN[0]), &idx_images(3)[..100]);
        let error = message(DatasetId::Mnist);
        assert!(error.contains("mnist/train-images-idx3-ubyte: it is truncated"), "{error}");

        fs::remove_file(folder.join(idx::TRAIN[1])).unwrap();
        let error = message(DatasetId::Mnist);
        let command = format!("run `linf-tui data fetch mnist --dir {}`", root.path().display());
        assert!(error.contains(idx::TRAIN[1]) && error.contains(&command), "{error}");
        assert!(!is_present(DatasetId::Mnist, root.path()));

        write(&root.path().join("cifar10/data_batch_1.bin"), &[]);
        let error = message(DatasetId::Cifar10);
        assert!(error.contains("there is no") && error.contains("cifar10/data_batch_2.bin"), "{error}");
    }

    #[test]
    fn the_synthetic_set_is_always_there() {
        assert!(is_present(DatasetId::Synthetic, Path::new("/nowhere")));
        let data = load(DatasetId::Synthetic, Path::new("/nowhere")).unwrap();
        // The same bits on every machine: a change of this number is a change of the data set.
        assert_eq!(data.checksum, "dbff7cb53e2709047b4cbb3f1453b97ce007416299c502e279b77013e39b255e");
    }
}
