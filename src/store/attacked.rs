//! An attack on the net of a run that is over, kept with the run.

use super::{AttackRow, Findings, RunReader, RunRow, Store, StoreError, layout, run_writer};
use crate::experiment::Schedules;

impl Store {
    /// Keeps an attack with its run, in the place of an earlier one on the same net, and among the run's figures. Of the
    /// adversarial images the first [`AttackRow::KEPT_EXAMPLES`] are kept. For whoever holds the run's lock.
    ///
    /// # Errors
    /// The run file or the catalog cannot be written.
    pub async fn keep_attack(&self, run: &RunRow, row: &AttackRow, mut found: Findings) -> Result<(), StoreError> {
        self.catalog().check_writable()?;
        found.examples.truncate(AttackRow::KEPT_EXAMPLES);
        let folder = self.run_dir(run.id);
        run_writer::add_attack(&layout::run_file(&folder), row, &found).await?;
        match RunReader::open(&folder).await? {
            Some(reader) => {
                let summary = reader.summary(&Schedules::new(&run.config)).await?;
                self.catalog().set_summary(run.id, &summary).await
            }
            None => Ok(()),
        }
    }
}
