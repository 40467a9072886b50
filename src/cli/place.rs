//! Where a verb works: the store, and the runs that its words mean.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    dispatch::identity,
    experiment::RunId,
    report::figures::bytes,
    store::{RunRow, Space, Store, StoreError},
};

/// The store that a verb works on, not yet opened.
#[derive(Clone, Debug)]
pub struct Place {
    root: PathBuf,
}

impl Place {
    /// The store at `root`; made absolute, because processes that are detached live in `/`.
    pub fn new(root: &Path) -> Result<Place> {
        let root = std::path::absolute(root).with_context(|| format!("cannot find the folder {}", root.display()))?;
        Ok(Place { root })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens the store, and makes it where there is none.
    pub async fn open(&self) -> Result<Store> {
        Ok(Store::open(&self.root).await?)
    }

    /// Opens the store that must be there.
    pub async fn existing(&self) -> Result<Store> {
        Ok(Store::open_existing(&self.root).await?)
    }

    /// Opens the store; `None` where there is none.
    pub async fn if_any(&self) -> Result<Option<Store>> {
        match Store::open_existing(&self.root).await {
            Err(StoreError::NoStore(_)) => Ok(None),
            store => Ok(Some(store?)),
        }
    }

    /// Opens the store to look at it. One whose catalog is damaged is shown as its runs' folders say, which stderr hears.
    pub async fn look(&self) -> Result<Store> {
        let opened = match Store::open_existing(&self.root).await {
            // A damage inside the file shows only where it is read.
            Ok(store) => store.catalog().runs().await.map(|_| store),
            error => error,
        };
        let damage = match opened {
            Err(error) if error.is_damage() => error,
            other => return Ok(other?),
        };
        let alive = |worker: &_| identity::alive(worker).unwrap_or(false);
        let (store, rescue) = Store::rescue(&self.root, &damage, &alive).await?;
        warn(&rescue.damage);
        warn("what follows is read from the runs' folders; nothing can be changed before that");
        if let Some(copy) = rescue.copy {
            warn(&format!("a copy of the catalog lies in {}", copy.display()));
        }
        for (path, why) in rescue.unreadable {
            warn(&format!("left out: {}: {why}", path.display()));
        }
        Ok(store)
    }

    /// Says on stderr that the disk is full, where it is.
    pub fn warn_of_a_full_disk(&self) {
        if let Some(space) = Space::at(&self.root).filter(|space| space.is_low()) {
            let left = bytes(space.free);
            warn(&format!(
                "the disk of {} has {left} left: training goes on and keeps what it cannot write; checkpoints wait for room",
                self.root.display()
            ));
        }
    }
}

/// A line for stderr; with stderr gone there is nobody left to tell.
pub fn warn(text: &str) {
    use io::Write;
    let _ = writeln!(io::stderr(), "linf-tui: {text}");
}

/// The runs that the words mean, each once, in the order given; a group's name means all of its runs. All words are looked up
/// before anything is done to a run.
pub async fn find(store: &Store, words: &[String]) -> Result<Vec<RunRow>> {
    find_those(store, words, |_| true).await
}

/// As [`find`]; a group's name means those of its runs that something applies to.
pub async fn find_those(store: &Store, words: &[String], applies: impl Fn(&RunRow) -> bool) -> Result<Vec<RunRow>> {
    let mut rows: Vec<RunRow> = Vec::with_capacity(words.len());
    for word in words {
        for row in meant(store, word, &applies).await? {
            if rows.iter().all(|known| known.id != row.id) {
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

/// A run of just this number or name, else the runs of a group of this name, else the run whose name begins so.
async fn meant(store: &Store, word: &str, applies: &impl Fn(&RunRow) -> bool) -> Result<Vec<RunRow>> {
    let found = store.catalog().find(word).await;
    match &found {
        Ok(row) if row.name == word || row.id.to_string() == word.trim_start_matches('#') => return Ok(vec![found?]),
        Ok(_) | Err(StoreError::NoSuchRun { .. } | StoreError::Ambiguous { .. }) => {}
        Err(_) => return Ok(vec![found?]),
    }
    let mut of_group = store.catalog().runs().await?;
    of_group.retain(|row| row.group.as_deref() == Some(word));
    if of_group.is_empty() {
        return Ok(vec![found?]);
    }
    of_group.retain(applies);
    if of_group.is_empty() {
        bail!("no run of the group {word} is in a state for this");
    }
    Ok(of_group)
}

/// The present row of a run that was there a moment ago.
pub async fn present(store: &Store, id: RunId) -> Result<RunRow> {
    store.catalog().run(id).await?.with_context(|| format!("run #{id} was removed meanwhile"))
}

/// Writes a line to stdout; a reader that has gone away is an error that [`super::exit::report`] takes for the end.
pub fn line(text: &str) -> io::Result<()> {
    use io::Write;
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes a value as JSON to stdout, and nothing else.
pub fn json(value: &impl serde::Serialize) -> Result<()> {
    Ok(line(&serde_json::to_string_pretty(value).context("cannot write the answer as JSON")?)?)
}
