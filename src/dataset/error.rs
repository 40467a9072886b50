//! What can be wrong with data on disk.

use std::io;
use std::path::{Path, PathBuf};

use super::{DatasetId, Label, default_root};

/// Why a data set could not be read or fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// None of a data set's files, or not all, are there.
    #[error("{} is missing or incomplete: there is no {}; {}", id.title(), file.display(), remedy(*id, root))]
    Missing {
        /// The data set asked for.
        id: DatasetId,
        /// The first file that is missing.
        file: PathBuf,
        /// The data root that was looked in.
        root: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// A verb: read, write, create …
        action: &'static str,
        /// What the verb was done to.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is there but is not what it should be.
    #[error("{}: {fault}; `linf-tui data fetch` replaces files that are damaged", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        fault: Fault,
    },
    /// The same of what the user put there.
    #[error("{}: {fault}", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong in it.
        fault: Fault,
    },
    /// Images and labels of one split do not belong together.
    #[error("{} holds {images} images, but {} holds {labels} labels", image_file.display(), label_file.display())]
    CountsDiffer {
        /// The file of images.
        image_file: PathBuf,
        /// How many images it holds.
        images: usize,
        /// The file of labels.
        label_file: PathBuf,
        /// How many labels it holds.
        labels: usize,
    },
    /// No source had the data set.
    #[error("{} could not be fetched from anywhere:\n  {}\n(the data set `synthetic` needs no network)", id.title(), tried.join("\n  "))]
    NoSource {
        /// The data set asked for.
        id: DatasetId,
        /// What came of each source, a line each.
        tried: Vec<String>,
    },
    /// The user stopped a fetch.
    #[error("stopped; files that were whole are kept, nothing else is")]
    Stopped,
}

impl DataError {
    /// For `map_err` on file operations.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err` on what the user put there.
    pub(super) fn unusable(path: &Path) -> impl FnOnce(Fault) -> Self {
        let path = path.to_owned();
        move |fault| Self::Unusable { path, fault }
    }

    /// For `map_err` on parsers of what is fetched.
    pub(super) fn malformed(path: &Path) -> impl FnOnce(Fault) -> Self {
        let path = path.to_owned();
        move |fault| Self::Malformed { path, fault }
    }
}

/// What is wrong inside a data file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends inside its header.
    #[error("it ends after {found} bytes, inside its header of {header} bytes")]
    NoHeader {
        /// Bytes there are.
        found: usize,
        /// Bytes a header takes.
        header: usize,
    },
    /// It is some other kind of file.
    #[error("its magic number is {found:#010x} where IDX {what} have {expected:#010x}")]
    Magic {
        /// Images or labels.
        what: &'static str,
        /// The number read.
        found: u32,
        /// The number of this kind of file.
        expected: u32,
    },
    /// Images of another size.
    #[error("its images are {}×{} where {}×{} are expected", found.0, found.1, expected.0, expected.1)]
    Shape {
        /// Rows and columns in the header.
        found: (u32, u32),
        /// Rows and columns of the data set.
        expected: (u32, u32),
    },
    /// Fewer bytes than promised.
    #[error("it is truncated: {found} bytes of the {expected} that {records} {what} take")]
    Truncated {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
        /// Images, labels or records.
        what: &'static str,
        /// How many of them there should be.
        records: u64,
    },
    /// More bytes than promised.
    #[error("{extra} bytes trail behind the {expected} that {records} {what} take")]
    Trailing {
        /// Bytes too many.
        extra: u64,
        /// Bytes there should be.
        expected: u64,
        /// Images, labels or records.
        what: &'static str,
        /// How many of them there should be.
        records: u64,
    },
    /// A file of nothing.
    #[error("it holds no {0}")]
    Empty(&'static str),
    /// A label that names no class.
    #[error("the label of sample {sample} is {label}, but there are only {classes} classes")]
    Label {
        /// Position in the file.
        sample: usize,
        /// The label read.
        label: Label,
        /// Number of classes.
        classes: usize,
    },
    /// A folder of one folder a class has too many.
    #[error("it has {found} classes, but the data set has only {most}")]
    Classes {
        /// Folders there are.
        found: usize,
        /// Classes of the data set.
        most: usize,
    },
    /// A line of a table that should name a file and its class does not.
    #[error("line {line} does not name a file and one of the classes")]
    Annotation {
        /// From 1.
        line: usize,
    },
    /// The images are more than the memory that is free.
    #[error(
        "its {images} images take {} GB of memory, and {} GB are free: they are held in memory whole, so take a machine that has more",
        gigabytes(*needed), gigabytes(*free)
    )]
    Memory {
        /// How many there are.
        images: usize,
        /// Bytes they take.
        needed: u64,
        /// Bytes that the system has left.
        free: u64,
    },
    /// A picture is broken.
    #[error("it cannot be decoded ({0})")]
    Picture(String),
    /// An `.npz` archive is broken.
    #[error("it cannot be read as an .npz archive ({0})")]
    Npz(io::Error),
    /// An array of an `.npz` archive is not what is needed.
    #[error("its array \"{name}\" should be {expected}")]
    Array {
        /// Which.
        name: &'static str,
        /// What it should be.
        expected: String,
    },
    /// The compressed stream is broken.
    #[error("it cannot be decompressed ({0})")]
    Gzip(io::Error),
}

impl Fault {
    /// Compares a file's length with the `expected` bytes that `records` of `what` take.
    pub(super) fn check_length(found: u64, expected: u64, records: u64, what: &'static str) -> Result<(), Self> {
        match found.checked_sub(expected) {
            Some(0) => Ok(()),
            Some(extra) => Err(Self::Trailing { extra, expected, what, records }),
            None => Err(Self::Truncated { found, expected, what, records }),
        }
    }

    /// Finds the first of the `labels` that names none of the `classes`.
    pub(super) fn check_labels<T: Copy + Into<Label>>(labels: &[T], classes: usize) -> Result<(), Self> {
        let mut labels = labels.iter().map(|&label| label.into()).enumerate();
        match labels.find(|&(_, label)| usize::from(label) >= classes) {
            Some((sample, label)) => Err(Self::Label { sample, label, classes }),
            None => Ok(()),
        }
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e9)
}

/// How a missing data set is brought.
fn remedy(id: DatasetId, root: &Path) -> String {
    let folder = root.join(id.name());
    match id {
        DatasetId::Cifar100 => {
            format!("unpack cifar-100-binary.tar.gz, which is not fetched by this program, into {}", folder.display())
        }
        DatasetId::Imagenet64 => format!(
            "put its images, which are not fetched by this program, as folders train and val of one folder a class into \
             {}",
            folder.display()
        ),
        DatasetId::TinyImagenet => format!(
            "unpack tiny-imagenet-200.zip, which is not fetched by this program, so that its folders train and val lie \
             in {}",
            folder.display()
        ),
        _ => format!("run `{}`", fetch_command(id, root)),
    }
}

/// The command that would fetch a missing data set, with `--dir` where the root is not the default one.
fn fetch_command(id: DatasetId, root: &Path) -> String {
    if root == default_root() {
        format!("linf-tui data fetch {id}")
    } else {
        format!("linf-tui data fetch {id} --dir {}", root.display())
    }
}
