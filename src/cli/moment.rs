//! Moments and durations as people type them.

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// `90s`, `45m`, `2h`, `1h30m`, `1d` as seconds; at least one.
pub fn seconds(text: &str) -> Result<u64> {
    // A day is no unit of a duration to jiff, because of daylight saving; to us it is 24 hours.
    let (days, rest) = match text.split_once('d') {
        Some((days, rest)) => (days.trim().parse::<u64>().ok(), rest.trim()),
        None => (Some(0), text.trim()),
    };
    let clock = if rest.is_empty() { Some(SignedDuration::ZERO) } else { rest.parse::<SignedDuration>().ok() };
    let seconds = days
        .zip(clock)
        .and_then(|(days, clock)| days.checked_mul(86_400)?.checked_add(u64::try_from(clock.as_secs()).ok()?));
    match seconds {
        Some(seconds) if seconds > 0 => Ok(seconds),
        _ => bail!("\"{text}\" is no duration: write 90s, 45m, 2h, 1h30m or 1d"),
    }
}

/// `+2h` from now, or a local time such as `2026-11-26 08:00`, as milliseconds since the Unix epoch.
pub fn moment(text: &str, now_ms: i64) -> Result<i64> {
    if let Some(ahead) = text.strip_prefix('+') {
        let ahead = i64::try_from(seconds(ahead)?).ok().and_then(|seconds| seconds.checked_mul(1000));
        return ahead.and_then(|ahead| now_ms.checked_add(ahead)).context("that is too far ahead");
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    let local: DateTime = text
        .parse()
        .with_context(|| format!("\"{text}\" is no moment: write +2h, 2026-11-26 08:00 or 2026-11-26T08:00:00Z"))?;
    let zoned = local.to_zoned(TimeZone::system()).with_context(|| format!("{text} does not exist here"))?;
    Ok(zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [("90s", 90), ("45m", 2700), ("2h", 7200), ("1h30m", 5400), ("1h 30m", 5400), ("1d", 86_400)];
        for (text, expected) in cases {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
        assert_eq!(seconds("1d2h").unwrap(), 93_600);
        for text in ["", "0s", "-5m", "7", "soon", "d", "1d1d"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments() {
        assert_eq!(moment("+90s", 1000).unwrap(), 91_000);
        assert_eq!(moment("1970-01-01T00:01:00Z", 0).unwrap(), 60_000);
        let here = moment("2026-11-26 08:00", 0).unwrap();
        let there = moment("2026-11-26T08:00:00Z", 0).unwrap();
        assert!((here - there).abs() <= 14 * 3_600_000, "a time zone apart at most");
        assert!(moment("tomorrow", 0).is_err());
    }
}
