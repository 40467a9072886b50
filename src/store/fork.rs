//! A new run that begins at a checkpoint of another one.

use std::fs;

use super::{
    CheckpointRow, NewRun, RunReader, Store, StoreError, Summary,
    about::About,
    catalog::Entry,
    checkpoint,
    clock::now_ms,
    filesystem::{copy_private, create_private_dir, io_error, replace, sync},
    layout, run_writer,
};
use crate::experiment::{RunId, RunState, Schedules};

impl Store {
    /// Adds a run that goes on where `parent` stood at the checkpoint `at`: with its net, optimizer, curves and orders up
    /// to there, and with a config of its own. The checkpoint is checked first, and the folder is complete before the
    /// catalog knows of it.
    pub async fn fork(&self, parent: RunId, at: &CheckpointRow, run: NewRun) -> Result<RunId, StoreError> {
        let from = self.run_dir(parent);
        let source = checkpoint::file(&from, &at.file);
        let loaded = checkpoint::read(&source)?;
        if loaded.hash != at.hash {
            return Err(checkpoint::damaged(&source, "it is not the one that the run file speaks of"));
        }
        drop(loaded);
        if let Some(name) = &run.name {
            self.catalog().check_free(name).await?;
        }
        let id = self.catalog().reserve().await?;
        let mut about = About {
            name: run.name.clone().unwrap_or_default(),
            group: run.group.clone(),
            variant: run.variant.clone(),
            tags: run.tags.clone(),
            note: run.note.clone(),
            added_ms: now_ms(),
            turn: run.turn.clone(),
            parent: run.parent.clone(),
        };
        let part = self.root().join(format!(".fork-{id}"));
        let summary = match self.fill(parent, at, &run, &about, &part).await {
            Ok(summary) => summary,
            Err(error) => {
                // Best effort: the error that brought us here is what the user must hear of.
                let _ = fs::remove_dir_all(&part);
                return Err(error);
            }
        };
        let to = self.run_dir(id);
        fs::rename(&part, &to).map_err(io_error("rename", &part))?;
        let text = run.parent.as_ref().map_or_else(|| "forked".to_owned(), |parent| format!("forked from {parent}"));
        let mut entry = Entry { summary, ..Entry::queued(run.config, run.config_text, about.clone()) };
        if run.held {
            entry.state = RunState::Paused { checkpoint: Some(at.step) };
        }
        let names = self.catalog().adopt(vec![(id, entry)], &text).await?;
        about.name = names.concat();
        about.write(&to)?;
        Ok(id)
    }

    /// What the new run's file says of it comes back.
    async fn fill(
        &self,
        parent: RunId,
        at: &CheckpointRow,
        run: &NewRun,
        about: &About,
        part: &std::path::Path,
    ) -> Result<Summary, StoreError> {
        let from = self.run_dir(parent);
        create_private_dir(&layout::checkpoint_dir(part))?;
        replace(&layout::config_file(part), run.config_text.as_bytes())?;
        about.write(part)?;
        let reader = RunReader::open(&from).await?.ok_or_else(|| StoreError::NoRunThere(from.clone()))?;
        let file = layout::run_file(part);
        reader.copy_to(&file).await?;
        run_writer::cut(&file, at, run, &run.parent.as_ref().map(ToString::to_string).unwrap_or_default()).await?;
        let (source, copy) = (checkpoint::file(&from, &at.file), checkpoint::file(part, &at.file));
        // A checkpoint never changes once it has its name, so both runs may have the same file.
        if fs::hard_link(&source, &copy).is_err() {
            copy_private(&source, &copy)?;
        }
        let summary = match RunReader::open(part).await? {
            Some(cut) => cut.summary(&Schedules::new(&run.config)).await?,
            None => Summary::default(),
        };
        sync(&layout::checkpoint_dir(part))?;
        sync(part)?;
        Ok(summary)
    }
}
