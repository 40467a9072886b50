//! `linf-tui import`: takes in runs from elsewhere.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::{
    Exit, Place, import_net,
    place::{line, present},
};
use crate::{
    dispatch::{ensure_dispatcher, needs_a_dispatcher},
    report::standing::standing,
    store::now_ms,
};

/// Copy runs from other stores or other machines into this one, or take in a net of the papers' own programs.
///
/// FROM is a run's folder, such as other/runs/17; it is complete in itself. Each copy gets a number of this store.
///
/// With --config FROM is a model.pth that one of the authors' PyTorch programs saved. The config says what such a file does
/// not: the images, the layers, and what share of inputs sort neurons keep; configs/ has those of the published nets. The
/// net is measured on the test set with the means it was saved with, and becomes a completed run that can be certified,
/// attacked and exported. Nothing in the file is run: it is read by a reader that knows tensors alone.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The runs' folders, or one model.pth.
    #[arg(required = true, value_name = "FROM")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    net: import_net::NetArgs,
}

pub async fn run(args: ImportArgs, place: &Place) -> Result<Exit> {
    if let [file] = args.from.as_slice()
        && args.net.config.is_some()
    {
        return import_net::run(file, args.net, place).await;
    }
    if args.net.config.is_some() {
        bail!("--config is for one model.pth at a time");
    }
    if let Some(file) = args.from.iter().find(|path| path.is_file()) {
        bail!(
            "{} is a file, and a run is a folder; of a net of the papers' programs say what it is: --config FILE.toml",
            file.display()
        );
    }
    let store = place.open().await?;
    let mut restless = false;
    for folder in args.from {
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
