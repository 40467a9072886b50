//! `linf-tui import`: takes in runs from elsewhere.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{
    Exit, Place,
    place::{line, present},
};
use crate::{
    dispatch::{ensure_dispatcher, needs_a_dispatcher},
    report::standing::standing,
    store::now_ms,
};

/// Copy runs from other stores or other machines into this one.
///
/// FOLDER is a run's folder, such as other/runs/17; it is complete in itself. Each copy gets a number of this store.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The runs' folders.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
}

pub async fn run(args: ImportArgs, place: &Place) -> Result<Exit> {
    let store = place.open().await?;
    let mut restless = false;
    for folder in args.folders {
        let id = store.import(&folder).await?;
        let row = present(&store, id).await?;
        restless |= needs_a_dispatcher(&row);
        line(&format!("#{id} {}: {}", row.name, standing(&row, now_ms(), |_| None)))?;
    }
    if restless {
        ensure_dispatcher(place.root())?;
    }
    Ok(Exit::Done)
}
