//! Numbers, durations, sizes and times as people read them.

use jiff::{Timestamp, tz::TimeZone};

use crate::experiment::Config;

/// An accuracy with four digits; a dash where there is none.
pub fn accuracy(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "–".into(), |value| format!("{value:.4}"))
}

/// Of which images a run's best figure is, where that is not the test set.
pub fn of_held_out(config: &Config) -> &'static str {
    if config.data.validation > 0 { " of the held-out images" } else { "" }
}

/// A duration in at most eight columns: `45 s`, `21 min`, `3 h 10 m`, `2 d 4 h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3570 => format!("{} min", (whole + 30) / 60),
        3570..86_400 => {
            let minutes = (whole + 30) / 60;
            format!("{} h {:02} m", minutes / 60, minutes % 60)
        }
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A size in bytes.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut size = value as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// A moment in the local time zone: `2026-11-22 11:40:07`.
pub fn time(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(moment) => moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "–".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fit_eight_columns() {
        let cases = [
            (0.4, "0 s"),
            (59.4, "59 s"),
            (60.0, "1 min"),
            (3569.0, "59 min"),
            (3599.0, "1 h 00 m"),
            (11_400.0, "3 h 10 m"),
            (187_200.0, "2 d 4 h"),
            (f64::NAN, "–"),
            (-1.0, "–"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn sizes_carry_their_unit() {
        let cases =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB"), (5_368_709_120, "5.0 GiB")];
        for (value, text) in cases {
            assert_eq!(bytes(value), text);
        }
    }

    #[test]
    fn no_accuracy_is_a_dash() {
        assert_eq!(accuracy(Some(0.91234)), "0.9123");
        assert_eq!(accuracy(None), "–");
        assert_eq!(accuracy(Some(f64::NAN)), "–");
    }
}
