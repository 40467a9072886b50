//! Draws a screen of a store as an SVG picture, for the docs:
//! `cargo run --release --no-default-features --example screenshot -- runs docs/img/runs.svg --keys j --size 120x36`
//!
//! Keys are letters as they are, and `<enter>`, `<esc>`, `<tab>`, `<left>`, `<right>`, `<up>`, `<down>` by name.

mod svg;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use linf::tui::{
    look::{Depth, Look, Plot},
    picture,
};

#[derive(Parser)]
struct Args {
    /// The store's folder.
    store: PathBuf,
    /// The picture to write.
    file: PathBuf,
    /// The keys to press before the picture is taken.
    #[arg(long, default_value = "")]
    keys: String,
    /// Columns and rows.
    #[arg(long, default_value = "120x36")]
    size: String,
    /// What the header calls the store.
    #[arg(long, default_value = "mnist-lab")]
    name: String,
    /// The palette for a light background.
    #[arg(long)]
    light: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let size = args.size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let size = size.context("--size wants COLUMNSxROWS")?;
    let look = Look { plot: Plot::Braille, unicode: true, depth: Depth::True, light: args.light };
    let keys = keys(&args.keys)?;
    let buffer = picture(&args.store, &args.name, look, size, &keys).await?;
    fs::write(&args.file, svg::write(&buffer, args.light))
        .with_context(|| format!("cannot write {}", args.file.display()))
}

fn keys(text: &str) -> Result<Vec<KeyEvent>> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|inner| inner.split_once('>'));
        let code = match named {
            Some(("enter", _)) => KeyCode::Enter,
            Some(("esc", _)) => KeyCode::Esc,
            Some(("tab", _)) => KeyCode::Tab,
            Some(("left", _)) => KeyCode::Left,
            Some(("right", _)) => KeyCode::Right,
            Some(("up", _)) => KeyCode::Up,
            Some(("down", _)) => KeyCode::Down,
            Some((name, _)) => anyhow::bail!("no key is called <{name}>"),
            None => KeyCode::Char(first),
        };
        keys.push(KeyEvent::new(code, KeyModifiers::NONE));
        rest = named.map_or(&rest[first.len_utf8()..], |(_, rest)| rest);
    }
    Ok(keys)
}
