//! `linf-tui chart`: a chart of runs as a picture in a file.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{
    Exit, Place,
    place::{find, line},
};
use crate::tui::drawing::{AxisX, Drawing, Gather, LARGEST, SMALLEST, Shows};

/// Draw a chart of runs as SVG, for papers and pages: the charts of the full-screen view, with lines in place of dots.
///
/// One run: its accuracies, or another of its charts. Several: their certified accuracy, or another measure, in one chart,
/// with --together seeds as mean, ± σ and range. Accuracies of evaluations are at p = ∞. `inkscape`, `rsvg-convert` and
/// browsers make PDF or PNG of it; `linf-tui metrics` has the figures.
#[derive(Debug, Args)]
pub struct ChartArgs {
    /// The runs; a group's name means all of its runs.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
    /// The file to write; without it the picture goes to stdout.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which chart; by default accuracy of one run, certified of several.
    #[arg(long, value_enum, value_name = "CHART")]
    show: Option<Shows>,
    /// The x axis.
    #[arg(long, value_enum, default_value_t, value_name = "AXIS")]
    along: AxisX,
    /// Which runs are drawn as one.
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    together: Gather,
    /// What the runs are called in the legend, in their order, by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    labels: Vec<String>,
    /// Show these epochs only: 10..60.
    #[arg(long, value_name = "FROM..TO", value_parser = epochs)]
    epochs: Option<(f64, f64)>,
    /// Smooth curves: the weight of the past in a moving average, 0 to 1.
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, value_parser = weight)]
    smooth: f64,
    /// Let the axis of accuracies span the curves only, and not 0 to 1.
    #[arg(long)]
    fit: bool,
    /// Put losses on an even axis and not on a logarithmic one.
    #[arg(long)]
    even: bool,
    /// Draw for a dark background.
    #[arg(long)]
    dark: bool,
    /// Width and height in pixels.
    #[arg(long, value_name = "WxH", default_value = "720x420", value_parser = size)]
    size: [u32; 2],
}

pub async fn run(args: ChartArgs, place: &Place) -> Result<Exit> {
    if let Some(other) = args.output.as_ref().and_then(|file| file.extension()).filter(|end| *end != "svg") {
        bail!("the picture is SVG: give the file that ending, not .{}", other.display());
    }
    let store = place.look().await?;
    let rows = find(&store, &args.runs).await?;
    let drawing = Drawing {
        shows: args.show,
        along: args.along,
        gather: args.together,
        labels: args.labels,
        epochs: args.epochs,
        smooth: args.smooth,
        fit: args.fit,
        even: args.even,
        dark: args.dark,
        size: args.size.map(f64::from),
    };
    let picture = drawing.draw(&store, rows).await?;
    match args.output {
        Some(file) => fs::write(&file, picture).with_context(|| format!("cannot write {}", file.display()))?,
        None => line(picture.trim_end())?,
    }
    Ok(Exit::Done)
}

fn epochs(text: &str) -> Result<(f64, f64), String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let in_order = |&(from, to): &(f64, f64)| from >= 0.0 && from < to && to.is_finite();
    ends.filter(in_order).ok_or_else(|| "write two epochs, the lower one first: 10..60".into())
}

fn weight(text: &str) -> Result<f64, String> {
    let weight = text.parse().ok().filter(|weight| (0.0..1.0).contains(weight));
    weight.ok_or_else(|| "write a number from 0 to below 1".into())
}

fn size(text: &str) -> Result<[u32; 2], String> {
    let size = text.split_once('x').and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    let fits = |size: &[u32; 2]| {
        size.iter().zip(SMALLEST).all(|(pixels, least)| (least..=LARGEST).contains(&f64::from(*pixels)))
    };
    let [width, height] = SMALLEST;
    size.filter(fits).ok_or_else(|| format!("write {width}x{height} pixels or more, up to {LARGEST} either way"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert_eq!(epochs("10..60.5"), Ok((10.0, 60.5)));
        for wrong in ["", "10", "60..10", "10..10", "-1..5", "a..b", "1..inf", "NaN..3"] {
            assert!(epochs(wrong).is_err(), "{wrong}");
        }
        assert_eq!(weight("0.9"), Ok(0.9));
        for wrong in ["1", "-0.1", "NaN", "much"] {
            assert!(weight(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size("720x420"), Ok([720, 420]));
        for wrong in ["720", "720x", "239x420", "720x159", "720x20001", "-3x5"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
