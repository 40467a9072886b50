//! `linf-tui open`: the full-screen view, at one run.

use anyhow::Result;
use clap::Args;

use super::Place;
use crate::experiment::RunId;

/// Open the full-screen view, at one run where one is named.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The run.
    run: Option<String>,
}

/// The run that the view is to open at.
pub async fn run(args: OpenArgs, place: &Place) -> Result<Option<RunId>> {
    match args.run {
        Some(word) => Ok(Some(place.existing().await?.catalog().find(&word).await?.id)),
        None => Ok(None),
    }
}
