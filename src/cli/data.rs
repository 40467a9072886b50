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
use crate::dataset::{self, DataError, DatasetId, Origin, Part, Progress, Split, View};
use crate::experiment::parse_with;

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
    #[command(alias = "list")]
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an image in the terminal, or what training makes of it
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Which one
    #[arg(value_parser = dataset_parser())]
    dataset: DatasetId,
    /// Which image, counted from 0
    #[arg(long, default_value_t = 0, value_name = "N")]
    index: usize,
    /// Which split it is taken from
    #[arg(long, value_enum, default_value_t = Which::Test)]
    split: Which,
    /// Show a training image as it is and as the first epochs of this config see it: cropped, mirrored, warped, bent
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    config: Option<PathBuf>,
    /// Override one key of the config
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    overrides: Vec<String>,
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
        DataCommand::Show(show) => {
            let text = match &show.config {
                None => image(show, ink(), &root)?,
                Some(config) => epochs(show, config, ink(), &root)?,
            };
            std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")
        }
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

/// An image as it is.
fn image(args: &ShowArgs, ink: Ink, root: &Path) -> anyhow::Result<String> {
    let (part, name) = match args.split {
        Which::Train => (Part::Train, "training"),
        Which::Test => (Part::Test, "test"),
    };
    let split = dataset::load_part(args.dataset, root, part)?;
    let label = label(args, &split, name)?;
    let view = View::from(args.dataset);
    let picture = picture::lines(&split.image(view, args.index), view, ink).join("\n");
    Ok(format!("{picture}\n{}, {name} image {} of {}: {label}\n", args.dataset.title(), args.index, split.len()))
}

/// An image of a config's training, as it is and as the first epochs see it.
fn epochs(args: &ShowArgs, file: &Path, ink: Ink, root: &Path) -> anyhow::Result<String> {
    const EPOCHS: u64 = 3;
    let name = file.display().to_string();
    let config = parse_with(&super::config::read(file)?, &name, &args.overrides)?;
    let id = args.dataset;
    if config.data.dataset != id {
        bail!("{name} trains on {}, not on {}", config.data.dataset.title(), id.title());
    }
    let (split, _) = dataset::load_part(id, root, Part::Train)?.for_training(&config.data);
    if split.is_empty() {
        bail!("{name} holds out all of its training images");
    }
    let label = label(args, &split, "training")?;
    let view = config.data.view();
    let whole = View::from(id);
    let mut pictures =
        vec![(picture::columns(whole, ink), picture::lines(&split.image(whole, args.index), whole, ink))];
    for epoch in 0..EPOCHS {
        let augment = config.data.variation().map(|augment| (augment, config.train.seed, epoch));
        for drawn in dataset::draw(view, &[args.index as u32], augment) {
            pictures
                .push((picture::columns(view, ink), picture::lines(&dataset::seen(&split, view, drawn), view, ink)));
        }
    }
    let width = crossterm::terminal::size().map_or(80, |(width, _)| usize::from(width));
    Ok(format!(
        "{}{}, image {} of {} that {name} trains on: {label}; as it is, and in the first {EPOCHS} epochs\n",
        side_by_side(&pictures, width),
        id.title(),
        args.index,
        split.len()
    ))
}

/// What the image that is asked for shows.
fn label(args: &ShowArgs, split: &Split, name: &str) -> anyhow::Result<String> {
    let Some(&label) = split.labels.get(args.index) else {
        bail!(
            "{} has {} {name} images, so --index goes from 0 to {}",
            args.dataset.title(),
            split.len(),
            split.len() - 1
        );
    };
    let class = args.dataset.class_name(label);
    Ok(if class == label.to_string() { format!("class {label}") } else { format!("class {label} ({class})") })
}

/// Pictures of so many columns beside each other, as many in a row as `width` columns hold.
fn side_by_side(pictures: &[(usize, Vec<String>)], width: usize) -> String {
    const GAP: usize = 2;
    let mut text = String::new();
    let mut rest = pictures;
    while let Some((first, _)) = rest.first() {
        let mut used = *first;
        let more = rest[1..].iter().take_while(|(columns, _)| {
            used += GAP + columns;
            used <= width
        });
        let (row, below) = rest.split_at(1 + more.count());
        for y in 0..row.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0) {
            for (at, (columns, lines)) in row.iter().enumerate() {
                let line = lines.get(y).map_or_else(|| " ".repeat(*columns), String::clone);
                text += &if at == 0 { line } else { " ".repeat(GAP) + &line };
            }
            text.push('\n');
        }
        rest = below;
    }
    text
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
        let DataCommand::Show(show) = line.command else { panic!("{line:?}") };
        assert_eq!((show.dataset, show.index), (DatasetId::FashionMnist, 0));
        assert!(matches!(show.split, Which::Train) && show.config.is_none());
        for wrong in [
            &["data", "fetch"][..],
            &["data", "show", "all"],
            &["data", "fetch", "mnits"],
            &["data", "show", "mnist", "--split", "test", "--config", "c.toml"],
            &["data", "show", "mnist", "--set", "train.seed=1"],
        ] {
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

    #[test]
    fn pictures_stand_side_by_side_as_far_as_the_terminal_goes() {
        let picture = |columns: usize, rows| (columns, vec!["x".repeat(columns); rows]);
        let pictures = [picture(4, 2), picture(3, 1), picture(3, 1)];
        assert_eq!(side_by_side(&pictures, 14), "xxxx  xxx  xxx\nxxxx          \n");
        assert_eq!(side_by_side(&pictures, 13), "xxxx  xxx\nxxxx     \nxxx\n");
        assert_eq!(side_by_side(&pictures, 1), "xxxx\nxxxx\nxxx\nxxx\n");
    }

    #[test]
    fn what_training_makes_of_an_image_stands_beside_it() {
        const REST: &str = "model = { depth = 2, width = 9 }\n\
                            train = { epochs = 1, batch_size = 8, lr = 0.1 }\n\
                            schedule = { ramp_start = 0, ramp_end = 1 }\n\
                            loss = { lambda = 0.1, eps_train = 0.1 }\n\
                            eval.eps = 0.1";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        let file = file.to_str().unwrap();
        let shown = |dataset: &str, data: &str, more: &[&str]| {
            std::fs::write(file, format!("data = {{ dataset = 'synthetic', {data} }}\n{REST}")).unwrap();
            let line = [&["data", "show", dataset, "--index", "7", "--config", file], more].concat();
            let DataCommand::Show(args) = Line::try_parse_from(line).unwrap().data.command else { panic!() };
            epochs(&args, Path::new(file), Ink::Ascii, folder.path()).map_err(|error| error.to_string())
        };
        // Without a terminal, 80 columns hold one picture.
        let pictures = |text: &str| {
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            assert_eq!(lines.len(), 4 * 28 + 1, "{text}");
            lines.chunks_exact(28).map(<[String]>::to_vec).collect::<Vec<_>>()
        };
        let same = shown("synthetic", "train_limit = 50", &[]).unwrap();
        assert!(same.contains("image 7 of 50 that"), "{same}");
        assert!(pictures(&same).iter().all(|picture| *picture == pictures(&same)[0]));
        let warped = shown("synthetic", "augment = { warp = 0.3 }", &[]).unwrap();
        let of_warped = pictures(&warped);
        assert_eq!(of_warped[0], pictures(&same)[0], "the first is the image itself");
        assert!((0..4).all(|a| (0..a).all(|b| of_warped[a] != of_warped[b])), "{warped}");
        assert_eq!(
            shown("synthetic", "augment = { warp = 0.3 }", &["--set", "data.augment.warp=0"]).unwrap().lines().count(),
            113
        );
        let refused = shown("mnist", "train_limit = 50", &[]).unwrap_err();
        assert!(refused.ends_with("trains on synthetic digits, not on MNIST"), "{refused}");
        let refused = shown("synthetic", "validation = 6000", &[]).unwrap_err();
        assert!(refused.ends_with("holds out all of its training images"), "{refused}");
    }
}
