//! Carries out what the user asks of the store.

use anyhow::Context;
use tokio::runtime::Handle;

use super::{
    columns::Columns,
    history,
    known::ConfigFile,
    message::{Effect, Msg},
    settings, wording,
};
use crate::{
    dispatch::{ask, ensure_dispatcher},
    experiment::{Desired, RunId},
    report::{
        recipes::{self, Recipe},
        trial::trial,
    },
    store::{NewRun, RunReader, Store},
};

/// Does it, and says how it went.
pub async fn carry_out(store: &Store, effect: Effect) -> Vec<Msg> {
    match effect {
        Effect::Desire(runs, desired) => desire(store, &runs, desired).await,
        Effect::SetTurn(id, turn, text) => said(store.catalog().set_turns(&[(id, turn)], &text).await, &text),
        Effect::Add(runs) => vec![add(store, runs).await],
        Effect::Fork { run, step, overrides } => {
            vec![fork(store.clone(), run, step, overrides).await.map_or_else(Msg::Failed, Msg::Done)]
        }
        Effect::SetTags(runs, text) => set_tags(store, &runs, text).await,
        Effect::Remove(runs) => remove(store, &runs).await,
        Effect::SetNote(id, note) => said(store.catalog().set_note(id, &note).await, "the note is written"),
        Effect::KeepColumns(columns) => vec![keep_columns(columns).await],
        Effect::KeepFilter(text) => keep_filter(text).await,
        Effect::LoadConfigs => vec![load_configs().await],
        Effect::MeasurePace => measure_pace().await,
        _ => Vec::new(),
    }
}

fn said<E: std::fmt::Display>(result: Result<(), E>, done: &str) -> Vec<Msg> {
    vec![result.map_or_else(|error| Msg::Failed(error.to_string()), |()| Msg::Done(done.into()))]
}

async fn desire(store: &Store, runs: &[RunId], desired: Desired) -> Vec<Msg> {
    let mut messages = Vec::new();
    let mut names = Vec::new();
    for id in runs {
        match ask(store, *id, desired).await {
            Ok(row) => names.push(row.name),
            Err(error) => messages.push(Msg::Failed(error.to_string())),
        }
    }
    if let Err(why) = wake(store).await {
        messages.push(Msg::Failed(why));
    }
    let what = match names.as_slice() {
        [] => return messages,
        [name] => name.clone(),
        several => format!("{} runs", several.len()),
    };
    let verb = match desired {
        Desired::Run => "goes on as soon as there is a slot",
        Desired::Pause => "pauses at a checkpoint",
        Desired::Cancel => "stops at a checkpoint",
        Desired::CancelNow => "stops at once",
    };
    messages.push(Msg::Done(format!("{what}: {verb}")));
    messages
}

async fn set_tags(store: &Store, runs: &[(RunId, Vec<String>)], text: String) -> Vec<Msg> {
    for (id, tags) in runs {
        if let Err(error) = store.catalog().set_tags(*id, tags).await {
            return vec![Msg::Failed(error.to_string())];
        }
    }
    vec![Msg::Done(text)]
}

/// Removes runs; the watcher sees that they are gone, so only what stays is said.
async fn remove(store: &Store, runs: &[RunId]) -> Vec<Msg> {
    let mut messages = Vec::new();
    for id in runs {
        if let Err(error) = store.catalog().remove(*id).await {
            messages.push(Msg::NotRemoved(*id, format!("#{id} was not deleted: {error}")));
        }
    }
    messages
}

async fn add(store: &Store, runs: Vec<NewRun>) -> Msg {
    let ids = match store.catalog().add_many(runs).await {
        Ok(ids) => ids,
        Err(error) => return Msg::Failed(format!("nothing was queued: {error}")),
    };
    if let Err(why) = wake(store).await {
        return Msg::Failed(format!("queued, but {why}"));
    }
    match ids.as_slice() {
        [id] => match store.catalog().run(*id).await {
            Ok(Some(row)) => Msg::Done(format!("queued {}", row.name)),
            _ => Msg::Done(format!("queued #{id}")),
        },
        ids => Msg::Done(format!("queued {} runs", ids.len())),
    }
}

/// Queues a run that begins at a checkpoint of another one; answers what it is called.
async fn fork(store: Store, run: RunId, step: u64, overrides: Vec<String>) -> Result<String, String> {
    let (handle, forking) = (Handle::current(), store.clone());
    // The whole checkpoint is read and checked, which is not for the thread that draws.
    let forked = tokio::task::spawn_blocking(move || handle.block_on(fork_now(&forking, run, step, &overrides)));
    let (parent, child) = match forked.await {
        Ok(forked) => forked.map_err(|error| format!("nothing was forked: {error:#}"))?,
        Err(error) => return Err(format!("nothing was forked: {error}")),
    };
    let text = format!("queued {child}, from {parent} at step {}", wording::count(step));
    wake(&store).await.map_err(|why| format!("{text}, but {why}"))?;
    Ok(text)
}

/// The names of the two runs.
async fn fork_now(store: &Store, run: RunId, step: u64, overrides: &[String]) -> anyhow::Result<(String, String)> {
    let parent = store.catalog().run(run).await?.context("the run was removed meanwhile")?;
    let text = store.catalog().config_text(run).await?.context("the run was removed meanwhile")?;
    let reader = RunReader::open(&store.run_dir(run)).await?.context("the run has not trained yet")?;
    let checkpoints = reader.checkpoints().await?;
    let at = checkpoints.iter().find(|checkpoint| checkpoint.step == step);
    let at = at.context("the checkpoint was removed meanwhile")?;
    let id = store.fork(run, at, NewRun::forked(&parent, step, text, overrides)?).await?;
    let child = store.catalog().run(id).await?.map_or_else(|| format!("#{id}"), |row| row.name);
    Ok((parent.name, child))
}

/// Sees that a dispatcher looks after the queue. Starting one takes a moment, so it is done off the UI's thread.
async fn wake(store: &Store) -> Result<(), String> {
    let root = store.root().to_owned();
    let started = tokio::task::spawn_blocking(move || ensure_dispatcher(&root)).await;
    match started {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("no dispatcher could be started: {error}")),
        Err(error) => Err(format!("no dispatcher could be started: {error}")),
    }
}

/// Writes the chosen columns into the settings; a disk may take its time.
async fn keep_columns(columns: Columns) -> Msg {
    match tokio::task::spawn_blocking(move || settings::keep_columns(&columns)).await {
        Ok(Ok(path)) => Msg::Done(format!("the columns are kept in {}", path.display())),
        Ok(Err(error)) => Msg::Failed(format!("the columns hold until you leave: {error:#}")),
        Err(error) => Msg::Failed(format!("the columns hold until you leave: {error}")),
    }
}

/// Adds a filter to those used before; said only where it fails.
async fn keep_filter(text: String) -> Vec<Msg> {
    let kept = tokio::task::spawn_blocking(move || history::keep(&text)).await;
    let why = match kept {
        Ok(Ok(())) => return Vec::new(),
        Ok(Err(error)) => format!("{error:#}"),
        Err(error) => error.to_string(),
    };
    vec![Msg::Failed(format!("the filter holds, but is not remembered: {why}"))]
}

/// Nothing where the CPU cannot train: then no time is shown.
async fn measure_pace() -> Vec<Msg> {
    let pace = tokio::task::spawn_blocking(trial).await;
    pace.ok().flatten().map(Msg::Pace).into_iter().collect()
}

/// The configs in `$LINF_CONFIGS`, else in `configs` in the current folder.
async fn load_configs() -> Msg {
    let folder = recipes::folder();
    let shown = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone()).display().to_string();
    // A folder that cannot be read has none, and the dialog says where it looked.
    let recipes = recipes::recipes(&folder).unwrap_or_default();
    let files = recipes.into_iter().filter_map(|Recipe { path, text, config }| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some(ConfigFile { path, name, text, parsed: config.map(Box::new).map_err(|error| error.to_string()) })
    });
    let files = files.collect();
    Msg::Configs(files, shown)
}
