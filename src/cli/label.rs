//! `linf-tui tag`, `note`: words that people put on runs.

use anyhow::Result;
use clap::Args;

use super::{Exit, Place, place::line};

/// Put words on a run to filter by, or take them off.
#[derive(Debug, Args)]
pub struct TagArgs {
    /// The run.
    run: String,
    /// The words.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Take the words off.
    #[arg(long)]
    remove: bool,
}

/// Write a line on a run, in place of the one it has; without words, print it.
#[derive(Debug, Args)]
pub struct NoteArgs {
    /// The run.
    run: String,
    /// The line.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Take the line off.
    #[arg(long, conflicts_with = "words")]
    remove: bool,
}

pub async fn tag(args: TagArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let row = store.catalog().find(&args.run).await?;
    let mut tags = row.tags;
    if args.remove {
        tags.retain(|tag| !args.words.contains(tag));
    } else {
        for word in args.words {
            if !tags.contains(&word) {
                tags.push(word);
            }
        }
    }
    store.catalog().set_tags(row.id, &tags).await?;
    line(&format!("#{} {}: {}", row.id, row.name, if tags.is_empty() { "no tags".into() } else { tags.join(" ") }))?;
    Ok(Exit::Done)
}

pub async fn note(args: NoteArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let row = store.catalog().find(&args.run).await?;
    let mut note = row.note;
    if args.remove || !args.words.is_empty() {
        note = args.words.join(" ");
        store.catalog().set_note(row.id, &note).await?;
    }
    line(&format!("#{} {}: {}", row.id, row.name, if note.is_empty() { "no note" } else { &note }))?;
    Ok(Exit::Done)
}
