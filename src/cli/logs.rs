//! `linf-tui logs`: what a run's workers printed.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use anyhow::{Context, Result};
use clap::Args;

use super::{Exit, Place, follow::Follow, place::line, wait::ended};

/// Print the log of a run: what its workers wrote to stdout and stderr, all attempts in one file.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The run.
    run: String,
    /// Go on printing until the run has ended.
    #[arg(long, short)]
    follow: bool,
    /// The last so many lines only.
    #[arg(long, short = 'n', value_name = "LINES")]
    lines: Option<usize>,
}

pub async fn run(args: LogsArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let id = store.catalog().find(&args.run).await?.id;
    let path = store.run_dir(id).join("train.log");
    let mut at = args.lines.map_or(Ok(0), |lines| last_lines(&path, lines))?;
    if !args.follow {
        if !path.exists() {
            line("no log yet: no worker has started on this run")?;
        }
        copy_from(&path, at)?;
        return Ok(Exit::Done);
    }
    let mut follow = Follow::new(&store, &[id]).await?;
    loop {
        // The state first: what is copied after a run was seen ended is all there is.
        let over = follow.rows.values().all(|row| ended(row).is_some());
        at = copy_from(&path, at)?;
        if over {
            return Ok(Exit::Done);
        }
        follow.next().await?;
    }
}

/// Copies the file to stdout from this byte on; gives the byte after the last one.
fn copy_from(path: &Path, at: u64) -> Result<u64> {
    let Some(mut file) = open(path)? else { return Ok(at) };
    file.seek(SeekFrom::Start(at)).with_context(|| format!("cannot read {}", path.display()))?;
    let mut out = io::stdout().lock();
    let copied = io::copy(&mut file, &mut out)?;
    out.flush()?;
    Ok(at + copied)
}

/// Where the last lines of the file begin.
fn last_lines(path: &Path, lines: usize) -> Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let Some(mut file) = open(path)? else { return Ok(0) };
    let mut end = file.metadata()?.len();
    // The newline that ends the last line does not begin another.
    let mut wanted = lines;
    let mut last = true;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        Read::by_ref(&mut file).take(end - begin).read_to_end(&mut block)?;
        for (offset, byte) in block.iter().enumerate().rev() {
            if *byte == b'\n' && !std::mem::take(&mut last) {
                if wanted <= 1 {
                    return Ok(begin + offset as u64 + 1);
                }
                wanted -= 1;
            }
            last = false;
        }
        end = begin;
    }
    Ok(0)
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_begin_where_they_begin() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.log");
        assert_eq!(last_lines(&path, 3).unwrap(), 0);
        for (text, lines, rest) in [
            ("a\nb\nc\n", 1, "c\n"),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 1, "c"),
            ("a\nb\n", 9, "a\nb\n"),
            ("", 1, ""),
            ("\n\n", 1, "\n"),
        ] {
            std::fs::write(&path, text).unwrap();
            let at = last_lines(&path, lines).unwrap() as usize;
            assert_eq!(&text[at..], rest, "{text:?}, {lines}");
        }
        let long = "x".repeat(100_000) + "\nend\n";
        std::fs::write(&path, &long).unwrap();
        assert_eq!(last_lines(&path, 1).unwrap(), 100_001);
        assert_eq!(last_lines(&path, 2).unwrap(), 0);
    }
}
