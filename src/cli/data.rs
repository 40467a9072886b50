//! `linf-tui data`: fetch data sets, list them, look at their images.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::dataset::fetch::{self, FileState};
use crate::dataset::picture::{self, Ink};
use crate::dataset::{self, DataError, DatasetId, Origin, Part, Progress};

/// Arguments of `linf-tui data`.
#[derive(Debug, Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,

    /// The data root: a folder with one folder for each data set [default: $LINF_DATA, or data]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Download data sets, check them against their SHA-256, and keep what is already there and good
    Fetch {
        /// Which ones
        #[arg(required = true, value_name = "DATASET", value_parser = target_parser())]
        what: Vec<Target>,
    },
    /// List the data sets, with what is there of each and whether it is the published data
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an image in the terminal
    Show {
        /// Which one
        #[arg(value_parser = dataset_parser())]
        dataset: DatasetId,
        /// Which image, counted from 0
        #[arg(long, default_value_t = 0, value_name = "N")]
        index: usize,
        /// Which split it is taken from
        #[arg(long, value_enum, default_value_t = Which::Test)]
        split: Which,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    Train,
    Test,
}

/// What `fetch` is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    One(DatasetId),
    All,
}

fn dataset_parser() -> impl TypedValueParser<Value = DatasetId> {
    PossibleValuesParser::new(DatasetId::ALL.map(DatasetId::name)).try_map(|name| name.parse::<DatasetId>())
}

fn target_parser() -> impl TypedValueParser<Value = Target> {
    let names = DatasetId::ALL.map(DatasetId::name).into_iter().chain(["all"]);
    PossibleValuesParser::new(names).try_map(|name| match name.as_str() {
        "all" => Ok(Target::All),
        name => name.parse().map(Target::One),
    })
}

/// Runs the verb.
///
/// # Errors
/// Whatever went wrong, in words for the user.
pub fn run(args: &DataArgs) -> anyhow::Result<()> {
    let root = args.dir.clone().unwrap_or_else(dataset::default_root);
    match &args.command {
        DataCommand::Fetch { what } => fetch_all(what, &root),
        DataCommand::Ls { json } => list(&root, *json),
        DataCommand::Show { dataset, index, split } => show(*dataset, *index, *split, &root),
    }
}

fn fetch_all(what: &[Target], root: &Path) -> anyhow::Result<()> {
    let progress = Report::new()?;
    let mut failed = Vec::new();
    for id in DatasetId::ALL {
        // `all` is all that has to be fetched.
        let by_all = what.contains(&Target::All) && !fetch::pins(id).is_empty();
        if !by_all && !what.contains(&Target::One(id)) {
            continue;
        }
        match dataset::fetch(id, root, &progress) {
            Ok(fetched) => {
                let outcome = match &fetched.origin {
                    Origin::AlreadyThere => format!("complete in {}, SHA-256 checked", fetched.folder.display()),
                    Origin::ByHand => format!("there in {}, not checked", fetched.folder.display()),
                    Origin::Drawn => "drawn by the program itself, nothing to fetch".to_owned(),
                    Origin::Source(source) => format!(
                        "{} now in {}, SHA-256 checked, from the {source}",
                        match fetched.files.len() {
                            1 => "1 file".to_owned(),
                            count => format!("{count} files"),
                        },
                        fetched.folder.display()
                    ),
                };
                println!("{}: {outcome}", id.title());
            }
            Err(DataError::Stopped) => return Err(DataError::Stopped.into()),
            Err(error) => {
                eprintln!("error: {:#}", anyhow::Error::from(error));
                failed.push(id.title());
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("not fetched: {}", failed.join(", ")) }
}

/// One line of `data ls`.
#[derive(Debug, Serialize)]
struct Listing {
    dataset: DatasetId,
    state: State,
    /// What is wrong or to do, for people.
    remark: String,
    train: Option<usize>,
    test: Option<usize>,
    shape: [usize; 3],
    bytes: u64,
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Every file has its published SHA-256.
    Published,
    /// Readable, but not the published data.
    Different,
    /// Some file is missing or unreadable.
    Unusable,
    /// There, with nothing published to check it against; not read.
    Unchecked,
    /// Drawn by the program.
    Drawn,
}

fn list(root: &Path, json: bool) -> anyhow::Result<()> {
    let listings: Vec<Listing> =
        DatasetId::ALL.into_iter().map(|id| inspect(id, root)).collect::<Result<_, DataError>>()?;
    let mut text = String::new();
    if json {
        text = serde_json::to_string_pretty(&listings).context("cannot write JSON")?;
        text.push('\n');
    } else {
        writeln!(text, "{:<14} {:>7} {:>7}  {:<8} {:>9}  STATE", "DATA SET", "TRAIN", "TEST", "SHAPE", "ON DISK")?;
        for listing in &listings {
            let count = |count: Option<usize>| count.map_or("–".to_owned(), |count| count.to_string());
            let [channels, height, width] = listing.shape;
            writeln!(
                text,
                "{:<14} {:>7} {:>7}  {:<8} {:>6.1} MB  {}",
                listing.dataset,
                count(listing.train),
                count(listing.test),
                format!("{channels}×{height}×{width}"),
                listing.bytes as f64 / 1e6,
                listing.remark
            )?;
        }
        writeln!(text, "\nThe data root is {}.", root.display())?;
    }
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")
}

fn inspect(id: DatasetId, root: &Path) -> Result<Listing, DataError> {
    let checks = fetch::check(id, root)?;
    let all = |state| checks.iter().all(|(_, found)| *found == state);
    let any = |state| checks.iter().any(|(_, found)| *found == state);
    // Only what is complete is worth reading, and what is only listed is not worth decoding.
    let load = || dataset::load(id, root).map_err(|error| error.to_string());
    let (loaded, trouble) = match (!fetch::by_hand(id)).then(load) {
        None => (None, None),
        Some(Ok(loaded)) => (Some(loaded), None),
        Some(Err(trouble)) => (None, Some(trouble)),
    };
    let (state, remark) = match (&loaded, trouble) {
        _ if fetch::by_hand(id) && dataset::is_present(id, root) => (State::Unchecked, "there, not checked".to_owned()),
        _ if fetch::by_hand(id) => (State::Unusable, "not here, and not fetched by this program".to_owned()),
        (Some(_), _) if checks.is_empty() => (State::Drawn, "drawn by the program".to_owned()),
        (Some(_), _) if all(FileState::Good) => (State::Published, "complete, SHA-256 checked".to_owned()),
        (Some(_), _) => {
            let names: Vec<_> =
                checks.iter().filter(|(_, state)| *state == FileState::Different).map(|(pin, _)| pin.name).collect();
            (State::Different, format!("readable, but not the published data: {}", names.join(", ")))
        }
        (None, _) if !any(FileState::Good) && !any(FileState::Different) => {
            (State::Unusable, format!("not here; fetch it with `linf-tui data fetch {id}`"))
        }
        (None, trouble) => (State::Unusable, trouble.unwrap_or_default()),
    };
    let folder = (id != DatasetId::Synthetic).then(|| root.join(id.name()));
    Ok(Listing {
        dataset: id,
        state,
        remark,
        train: loaded.as_ref().map(|data| data.train.len()),
        test: loaded.as_ref().map(|data| data.test.len()),
        shape: [id.channels(), id.height(), id.width()],
        bytes: folder.as_deref().map_or(0, size_of_files),
        folder,
    })
}

fn size_of_files(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(|data| data.is_file())
        .map(|data| data.len())
        .sum()
}

fn show(id: DatasetId, index: usize, which: Which, root: &Path) -> anyhow::Result<()> {
    let (part, name) = match which {
        Which::Train => (Part::Train, "training"),
        Which::Test => (Part::Test, "test"),
    };
    let split = dataset::load_part(id, root, part)?;
    let Some(&label) = split.labels.get(index) else {
        bail!("{} has {} {name} images, so --index goes from 0 to {}", id.title(), split.len(), split.len() - 1);
    };
    let image = &split.images[index * id.pixels()..][..id.pixels()];
    let mut text = picture::lines(image, id, ink()).join("\n");
    let class = id.class_name(label);
    write!(text, "\n{}, {name} image {index} of {}: class {label}", id.title(), split.len())?;
    if class != label.to_string() {
        write!(text, " ({class})")?;
    }
    text.push('\n');
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")
}

/// What standard output can show.
fn ink() -> Ink {
    let variable = |name| std::env::var(name).unwrap_or_default();
    if !std::io::stdout().is_terminal() || !variable("NO_COLOR").is_empty() || variable("TERM") == "dumb" {
        Ink::Ascii
    } else if ["truecolor", "24bit"].contains(&variable("COLORTERM").as_str()) {
        Ink::Truecolor
    } else {
        Ink::Palette
    }
}

/// Progress on standard error: a bar on a terminal, else a line every few seconds.
struct Report {
    bar: RefCell<Option<ProgressBar>>,
    on_terminal: bool,
    last_line: Cell<Instant>,
    stop: Arc<AtomicBool>,
}

impl Report {
    /// From here on Ctrl-C and SIGTERM ask for a stop instead of killing the process. A hang-up still kills it, unless
    /// `nohup` says otherwise; the next fetch sweeps up.
    fn new() -> anyhow::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot watch for Ctrl-C")?;
        }
        let on_terminal = std::io::stderr().is_terminal();
        Ok(Self { bar: RefCell::new(None), on_terminal, last_line: Cell::new(Instant::now()), stop })
    }
}

impl Progress for Report {
    fn note(&self, line: &str) {
        match self.bar.borrow().as_ref() {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn bytes(&self, what: &str, done: u64, total: u64) {
        let total = total.max(done);
        if self.on_terminal {
            let mut bar = self.bar.borrow_mut();
            let bar = bar.get_or_insert_with(|| {
                // The template is a constant; should it ever be wrong, indicatif's own bar serves.
                let style = ProgressStyle::with_template(
                    "{msg:<24} {wide_bar} {decimal_bytes:>10} of {decimal_total_bytes:<10} {decimal_bytes_per_sec:>12}",
                );
                ProgressBar::new(total)
                    .with_message(what.to_owned())
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            });
            bar.set_length(total);
            bar.set_position(done);
        } else if self.last_line.get().elapsed() >= Duration::from_secs(3) {
            self.last_line.set(Instant::now());
            eprintln!("{what}: {:.1} of {:.1} MB", done as f64 / 1e6, total as f64 / 1e6);
        }
    }

    fn ended(&self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_line.set(Instant::now());
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        data: DataArgs,
    }

    #[test]
    fn the_command_line_is_understood() {
        Line::command().debug_assert();
        let line = Line::try_parse_from(["data", "fetch", "mnist", "all", "--dir", "d"]).unwrap().data;
        assert_eq!(line.dir, Some(PathBuf::from("d")));
        assert!(
            matches!(line.command, DataCommand::Fetch { what } if what == [Target::One(DatasetId::Mnist), Target::All])
        );

        let line = Line::try_parse_from(["data", "show", "fashion-mnist", "--split", "train"]).unwrap().data;
        assert!(matches!(
            line.command,
            DataCommand::Show { dataset: DatasetId::FashionMnist, index: 0, split: Which::Train }
        ));
        for wrong in [&["data", "fetch"][..], &["data", "show", "all"], &["data", "fetch", "mnits"]] {
            assert!(Line::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_listing_tells_absent_incomplete_and_drawn_apart() {
        let root = tempfile::tempdir().unwrap();
        let listing = |id| inspect(id, root.path()).unwrap();
        let absent = listing(DatasetId::Cifar10);
        assert_eq!((absent.state, absent.bytes), (State::Unusable, 0));
        assert!(absent.remark.contains("data fetch cifar10"), "{}", absent.remark);

        std::fs::create_dir(root.path().join("mnist")).unwrap();
        std::fs::write(root.path().join("mnist/train-images-idx3-ubyte"), "junk").unwrap();
        let incomplete = listing(DatasetId::Mnist);
        assert_eq!((incomplete.state, incomplete.bytes), (State::Unusable, 4));
        assert!(incomplete.remark.contains("train-labels-idx1-ubyte"), "{}", incomplete.remark);

        let drawn = listing(DatasetId::Synthetic);
        assert_eq!((drawn.state, drawn.train, drawn.test), (State::Drawn, Some(6000), Some(1000)));
    }
}
