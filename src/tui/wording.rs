//! Numbers, durations and sentences as the screens show them.

use unicode_width::UnicodeWidthStr;

use crate::{
    experiment::{DatasetId, Phase, WaitReason},
    store::RunRow,
};

/// An accuracy with four digits, or a dash.
pub fn accuracy(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "–".into(), |value| format!("{value:.4}"))
}

/// A count with its thousands set apart.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A duration in at most eight columns: `45 s`, `21 min`, `3 h 10 m`, `2 d 4 h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min", (whole + 30) / 60),
        3600..86_400 => format!("{} h {:02} m", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A duration on an axis: `0`, `30s`, `5m`, `1h30`, `2d`.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0 => "0".into(),
        1..60 => format!("{whole}s"),
        60..3600 if whole.is_multiple_of(60) => format!("{}m", whole / 60),
        60..3600 => format!("{}m{:02}", whole / 60, whole % 60),
        3600..172_800 if whole.is_multiple_of(3600) => format!("{}h", whole / 3600),
        3600..172_800 => format!("{}h{:02}", whole / 3600, whole % 3600 / 60),
        _ => format!("{:.0}d", seconds / 86_400.0),
    }
}

/// A size in bytes.
pub fn bytes(value: u64) -> String {
    match value {
        0..1024 => format!("{value} B"),
        1024..1_048_576 => format!("{:.0} KiB", value as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", value as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", value as f64 / 1_073_741_824.0),
    }
}

/// Four significant digits, or an exponent where they would not show.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => value.to_string(),
        0.0 => "0".into(),
        _ if !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        _ if size >= 1000.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// A number as it was written, or four significant digits where that is long.
pub fn short(value: f64) -> String {
    let text = value.to_string();
    if text.len() <= 7 { text } else { figure(value) }
}

/// `step 3 611/7 080 · 4.9 steps/s`.
pub fn pace(row: &RunRow) -> String {
    let summary = &row.summary;
    if summary.step == 0 {
        return String::new();
    }
    let mut words = format!("step {}", count(summary.step));
    if summary.steps > 0 {
        words.push_str(&format!("/{}", count(summary.steps)));
    }
    if let Some(rate) = summary.steps_per_second.filter(|_| row.state.holds_a_slot()) {
        words.push_str(&format!(" · {rate:.1} steps/s"));
    }
    words
}

/// What differs inside a group, without the sections of its keys.
pub fn variant(variant: &str) -> String {
    let short = |pair: &str| match pair.split_once('=') {
        Some((key, value)) => format!("{}={value}", key.rsplit('.').next().unwrap_or(key)),
        None => pair.to_owned(),
    };
    variant.split_whitespace().map(short).collect::<Vec<_>>().join(" ")
}

/// The same in so many columns, without what runs of one sweep have in common; `None` where even that is cut.
pub fn variant_within(variant: &str, width: usize) -> Option<String> {
    let whole = self::variant(variant);
    let values = variant.split_whitespace().map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let values = values.collect::<Vec<_>>().join(" ");
    [whole, values].into_iter().find(|text| text.width() <= width)
}

/// The short name of a dataset.
pub fn dataset(id: DatasetId) -> &'static str {
    match id {
        DatasetId::Mnist => "mnist",
        DatasetId::FashionMnist => "fashion",
        DatasetId::Cifar10 => "cifar10",
        DatasetId::Cifar100 => "cifar100",
        DatasetId::TinyImagenet => "tiny-in",
        DatasetId::Imagenet64 => "in64",
        DatasetId::Synthetic => "synthetic",
    }
}

/// The net's layers.
pub fn net(row: &RunRow) -> String {
    row.config.model.label()
}

/// A phase in at most four columns.
pub fn phase(phase: Phase, p_start: f64) -> String {
    match phase {
        Phase::Start => format!("p={p_start:.0}"),
        Phase::Ramp => "ramp".into(),
        Phase::End => "p=∞".into(),
    }
}

/// Why a queued run waits. `name` finds a run's row.
pub fn wait_reason<'a>(
    reason: &WaitReason,
    now_ms: i64,
    name: impl Fn(crate::experiment::RunId) -> Option<&'a RunRow>,
) -> String {
    match reason {
        WaitReason::New => "waits for the dispatcher to look at it".into(),
        WaitReason::Slot { held_by } => {
            let holders: Vec<String> = held_by
                .iter()
                .filter_map(|id| {
                    let row = name(*id)?;
                    let left = row.summary.eta_seconds.map(|left| format!(", {} left", duration(left)));
                    Some(format!("{}{}", row.name, left.unwrap_or_default()))
                })
                .collect();
            if holders.is_empty() {
                "waits for a slot".into()
            } else {
                format!("waits for a slot ({})", holders.join("; "))
            }
        }
        WaitReason::StartAt { .. } | WaitReason::After { .. } | WaitReason::Group { .. } | WaitReason::Busy { .. } => {
            crate::report::standing::waiting(reason, now_ms, name)
        }
        WaitReason::Retry { attempt, at_ms, lost } => {
            let wait = duration((at_ms - now_ms).max(0) as f64 / 1000.0);
            format!("{lost}; retry {attempt} in {wait}")
        }
    }
}

/// Values from 0 to the largest as a line of block characters, oldest first; thinned out to `width`.
pub fn sparkline(values: &[f32], width: usize) -> String {
    let values: Vec<f32> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let Some(last) = values.len().checked_sub(1) else { return String::new() };
    let width = width.min(values.len());
    let top = values.iter().copied().fold(0.0_f32, f32::max).max(f32::MIN_POSITIVE);
    (0..width)
        .map(|column| {
            let index = if width == 1 { last } else { column * last / (width - 1) };
            block(f64::from(values[index] / top))
        })
        .collect()
}

/// The newest shares from 0 to 1 as such a line, oldest first.
pub fn shares(values: impl DoubleEndedIterator<Item = f64>, width: usize) -> String {
    let newest: Vec<char> = values.rev().take(width).map(block).collect();
    newest.into_iter().rev().collect()
}

/// A block as high as a share from 0 to 1.
fn block(share: f64) -> char {
    // Not the full block: the lines of a list would grow together.
    const BLOCKS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
    BLOCKS[((share.max(0.0) * 6.0).round() as usize).min(6)]
}

/// Mean and standard deviation (of the sample) of what is there.
pub fn mean_deviation(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Some((mean, variance.sqrt()))
}

/// A moment in a time zone, `22 Nov 14:02`.
pub fn moment(time_ms: i64, zone: &jiff::tz::TimeZone) -> String {
    jiff::Timestamp::from_millisecond(time_ms)
        .map(|stamp| stamp.to_zoned(zone.clone()).strftime("%d %b %H:%M").to_string())
        .unwrap_or_else(|_| "–".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_runs_of_a_sweep_apart_is_not_cut() {
        let within = |width| variant_within("train.seed=3 train.lr=0.03", width);
        assert_eq!(within(14).unwrap(), "seed=3 lr=0.03");
        assert_eq!(within(13).unwrap(), "3 0.03");
        assert_eq!(within(5), None);
    }

    #[test]
    fn durations_fit_eight_columns() {
        for (seconds, text) in [
            (0.4, "0 s"),
            (59.4, "59 s"),
            (60.0, "1 min"),
            (1260.0, "21 min"),
            (11_400.0, "3 h 10 m"),
            (200_000.0, "2 d 7 h"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(duration(seconds), text);
            assert!(text.chars().count() <= 8);
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(7), "7");
        assert_eq!(count(3611), "3 611");
        assert_eq!(count(1_000_000), "1 000 000");
    }

    #[test]
    fn shares_are_those_of_late() {
        assert_eq!(shares([0.9, 0.0, 0.5, 1.0].into_iter(), 3), "▁▄▇");
        assert_eq!(shares([f64::NAN, 7.0].into_iter(), 3), "▁▇");
    }

    #[test]
    fn a_sparkline_keeps_first_and_last() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0], 8), "▁▄▇");
        assert_eq!(sparkline(&[f32::NAN], 8), "");
        assert_eq!(sparkline(&[0.0; 40], 6).chars().count(), 6);
        assert!(sparkline(&(0..40).map(|i| i as f32).collect::<Vec<_>>(), 5).ends_with('▇'));
    }

    #[test]
    fn one_value_has_no_deviation() {
        assert_eq!(mean_deviation([0.5].into_iter()), Some((0.5, 0.0)));
        assert_eq!(mean_deviation(std::iter::empty()), None);
        let (mean, deviation) = mean_deviation([0.9, 1.0].into_iter()).unwrap();
        assert!((mean - 0.95).abs() < 1e-12 && (deviation - 0.070_710_678).abs() < 1e-6);
    }
}
