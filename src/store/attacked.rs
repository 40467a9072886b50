//! An attack on the net of a run that is over, kept with the run.

use super::{AttackRow, Findings, RunRow, Store, StoreError, layout, reindex, run_writer};
use crate::experiment::Schedules;

impl Store {
    /// Keeps an attack with its run, in the place of an earlier one on the same net, and among the run's figures. For
    /// whoever holds the run's lock.
    ///
    /// # Errors
    /// The run file or the catalog cannot be written.
    pub async fn keep_attack(&self, run: &RunRow, row: &AttackRow, found: &Findings) -> Result<(), StoreError> {
        self.catalog().check_writable()?;
        let folder = self.run_dir(run.id);
        run_writer::add_attack(&layout::run_file(&folder), row, found).await?;
        reindex::refresh(self.catalog(), run.id, &folder, &Schedules::new(&run.config)).await
    }
}
