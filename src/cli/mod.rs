//! The command line: one file per verb, each with its arguments and what it does.

mod add;
mod ask;
mod attack;
mod certify;
mod chart;
mod checkpoints;
mod completions;
mod config;
pub mod data;
mod dispatch;
mod doctor;
mod exit;
mod export;
mod follow;
mod fork;
mod gap;
mod group;
mod import;
mod import_net;
mod kept_attack;
mod label;
mod logs;
mod ls;
mod man;
mod measure;
mod metrics;
mod moment;
mod open;
mod place;
mod queue;
mod reindex;
mod report;
mod rm;
mod samples;
mod settings;
mod show;
mod steer;
mod together;
mod turn;
mod wait;
mod watch;
mod weights;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use exit::EXIT_CODES;
pub use exit::Exit;
use place::Place;

use crate::experiment::RunId;

/// Queue, train, watch and certify ℓ∞-distance nets.
///
/// Without a verb, the full-screen view opens. Runs live in a store, a folder named `runs` unless --store or LINF_STORE
/// says otherwise. A dispatcher is started when there is work, trains what is queued, and leaves when nothing is left;
/// closing the terminal stops nothing.
///
/// RUN is a run's number (17 or #17), its name (brisk-otter), or the beginning of its name.
#[derive(Debug, Parser)]
#[command(name = "linf-tui", version = env!("LINF_VERSION"), after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    /// The store: the folder with the queue and the runs.
    #[arg(long, global = true, env = "LINF_STORE", value_name = "DIR", default_value = "runs")]
    store: PathBuf,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Open(open::OpenArgs),
    Add(add::AddArgs),
    Ls(ls::LsArgs),
    Queue(queue::QueueArgs),
    Show(show::ShowArgs),
    Watch(watch::WatchArgs),
    Logs(logs::LogsArgs),
    Metrics(metrics::MetricsArgs),
    Chart(chart::ChartArgs),
    Wait(wait::WaitArgs),
    Pause(ask::PauseArgs),
    Resume(ask::ResumeArgs),
    Cancel(ask::CancelArgs),
    Retry(ask::RetryArgs),
    Hold(ask::HoldArgs),
    Release(ask::ReleaseArgs),
    Fork(fork::ForkArgs),
    Steer(steer::SteerArgs),
    Move(turn::MoveArgs),
    Priority(turn::PriorityArgs),
    When(turn::WhenArgs),
    Group(group::GroupArgs),
    Rm(rm::RmArgs),
    Tag(label::TagArgs),
    Note(label::NoteArgs),
    Checkpoints(checkpoints::CheckpointsArgs),
    /// Fetch datasets, list them, look at their images.
    Data(data::DataArgs),
    Certify(certify::CertifyArgs),
    Attack(attack::AttackArgs),
    Export(export::ExportArgs),
    Report(report::ReportArgs),
    Config(config::ConfigArgs),
    Dispatch(dispatch::DispatchArgs),
    Import(import::ImportArgs),
    Reindex(reindex::ReindexArgs),
    Settings(settings::SettingsArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// What is left to do once the command line has been obeyed.
#[derive(Debug)]
pub enum Next {
    /// Nothing: this is how it ended.
    Leave(Exit),
    /// Open the full-screen view on a store.
    Screen {
        /// The store's folder, as an absolute path.
        store: PathBuf,
        /// The run to open it at.
        run: Option<RunId>,
    },
}

/// Obeys the command line. What goes wrong is said on stderr.
pub fn run(cli: Cli) -> Next {
    // One thread is enough for any verb.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let next = runtime.context("cannot start the asynchronous runtime").and_then(|runtime| runtime.block_on(obey(cli)));
    next.unwrap_or_else(|error| Next::Leave(exit::report(&error)))
}

async fn obey(cli: Cli) -> Result<Next> {
    let place = &Place::new(&cli.store)?;
    let screen = |run| Ok(Next::Screen { store: place.root().to_owned(), run });
    let exit = match cli.verb {
        None => return screen(None),
        Some(Verb::Open(args)) => return screen(open::run(args, place).await?),
        Some(Verb::Add(args)) => add::run(args, place).await?,
        Some(Verb::Ls(args)) => ls::run(args, place).await?,
        Some(Verb::Queue(args)) => queue::run(args, place).await?,
        Some(Verb::Show(args)) => show::run(args, place).await?,
        Some(Verb::Watch(args)) => watch::run(args, place).await?,
        Some(Verb::Logs(args)) => logs::run(args, place).await?,
        Some(Verb::Metrics(args)) => metrics::run(args, place).await?,
        Some(Verb::Chart(args)) => chart::run(args, place).await?,
        Some(Verb::Wait(args)) => wait::run(args, place).await?,
        Some(Verb::Pause(args)) => ask::pause(args, place).await?,
        Some(Verb::Resume(args)) => ask::resume(args, place).await?,
        Some(Verb::Cancel(args)) => ask::cancel_runs(args, place).await?,
        Some(Verb::Retry(args)) => ask::retry(args, place).await?,
        Some(Verb::Hold(args)) => ask::hold(args, place).await?,
        Some(Verb::Release(args)) => ask::release(args, place).await?,
        Some(Verb::Fork(args)) => fork::run(args, place).await?,
        Some(Verb::Steer(args)) => steer::run(args, place).await?,
        Some(Verb::Move(args)) => turn::move_run(args, place).await?,
        Some(Verb::Priority(args)) => turn::priority(args, place).await?,
        Some(Verb::When(args)) => turn::when(args, place).await?,
        Some(Verb::Group(args)) => group::run(args, place).await?,
        Some(Verb::Rm(args)) => rm::run(args, place).await?,
        Some(Verb::Tag(args)) => label::tag(args, place).await?,
        Some(Verb::Note(args)) => label::note(args, place).await?,
        Some(Verb::Checkpoints(args)) => checkpoints::run(args, place).await?,
        Some(Verb::Data(args)) => data::run(&args).map(|()| Exit::Done)?,
        Some(Verb::Certify(args)) => certify::run(args, place).await?,
        Some(Verb::Attack(args)) => attack::run(args, place).await?,
        Some(Verb::Export(args)) => export::run(args, place).await?,
        Some(Verb::Report(args)) => report::run(args, place).await?,
        Some(Verb::Config(args)) => config::run(args, place).await?,
        Some(Verb::Dispatch(args)) => dispatch::run(args, place).await?,
        Some(Verb::Import(args)) => import::run(args, place).await?,
        Some(Verb::Reindex(args)) => reindex::run(args, place).await?,
        Some(Verb::Settings(args)) => settings::run(args)?,
        Some(Verb::Doctor(args)) => doctor::run(args, place).await?,
        Some(Verb::Completions(args)) => completions::run(args)?,
        Some(Verb::Man(args)) => man::run(args)?,
    };
    Ok(Next::Leave(exit))
}
