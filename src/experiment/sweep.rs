//! Sweeps: `--sweep train.seed=1..5 --sweep loss.lambda=0.05,0.1` expands to a grid of overrides.

use std::collections::BTreeSet;

/// Why a sweep cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SweepError {
    /// No `=`, or nothing on one side of it.
    #[error("\"{0}\" is no sweep: write KEY=VALUE,VALUE,… or KEY=FROM..TO (both ends included)")]
    Form(String),
    /// The grid is larger than anybody means.
    #[error("this sweep has more than {0} runs")]
    TooMany(usize),
    /// One value would be overridden by the other, or one run be another's copy.
    #[error("{0} is given twice: each key may be swept once, over values that differ, and not be set beside")]
    Twice(String),
}

const MOST: usize = 10_000;

/// Every combination of the sweeps, the last one varying fastest; each is a list of `key=value` overrides. `fixed` are the
/// overrides that all of them have.
pub fn expand(sweeps: &[String], fixed: &[String]) -> Result<Vec<Vec<String>>, SweepError> {
    let mut grid = vec![Vec::new()];
    let mut keys: Vec<&str> = fixed.iter().filter_map(|set| Some(set.split_once('=')?.0.trim())).collect();
    for sweep in sweeps {
        let fail = || SweepError::Form(sweep.clone());
        let (key, values) = sweep.split_once('=').ok_or_else(fail)?;
        let values = values_of(values)?;
        let values = values.filter(|values| !key.trim().is_empty() && !values.is_empty()).ok_or_else(fail)?;
        // 0.1 and 0.10 are one value, whatever the key: as words they could only be two of a name, which no key of numbers takes.
        let number = |value: &String| value.parse::<f64>().ok().map(f64::to_bits);
        let distinct: BTreeSet<_> = values.iter().map(|value| number(value).ok_or(value)).collect();
        if keys.contains(&key.trim()) || distinct.len() < values.len() {
            return Err(SweepError::Twice(key.trim().to_owned()));
        }
        keys.push(key.trim());
        if grid.len() * values.len() > MOST {
            return Err(SweepError::TooMany(MOST));
        }
        grid = grid
            .into_iter()
            .flat_map(|row: Vec<String>| {
                values.iter().map(move |value| row.iter().cloned().chain([format!("{}={value}", key.trim())]).collect())
            })
            .collect();
    }
    Ok(grid)
}

/// The values of a sweep; `None` where the text has another form.
fn values_of(text: &str) -> Result<Option<Vec<String>>, SweepError> {
    if let Some((from, to)) = text.split_once("..") {
        let (Ok(from), Ok(to)) = (from.trim().parse::<i64>(), to.trim().parse::<i64>()) else { return Ok(None) };
        if to.saturating_sub(from) >= MOST as i64 {
            return Err(SweepError::TooMany(MOST));
        }
        return Ok((from <= to).then(|| (from..=to).map(|value| value.to_string()).collect()));
    }
    Ok(text.split(',').map(|value| Some(value.trim().to_owned()).filter(|value| !value.is_empty())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_every_combination() {
        let fixed = ["train.lr=0.1".to_owned()];
        let grid = expand(&["train.seed=1..3".into(), "loss.lambda=0.05, 0.1".into()], &fixed).unwrap();
        assert_eq!(grid.len(), 6);
        assert_eq!(grid[0], ["train.seed=1", "loss.lambda=0.05"]);
        assert_eq!(grid[5], ["train.seed=3", "loss.lambda=0.1"]);
        assert_eq!(expand(&[], &fixed).unwrap(), [Vec::<String>::new()]);
    }

    #[test]
    fn what_is_no_sweep_is_refused() {
        for text in ["train.seed", "=1", "a=", "a=1,,2", "a=5..1", "a=x..y"] {
            assert!(matches!(expand(&[text.into()], &[]), Err(SweepError::Form(_))), "{text}");
        }
        for sweeps in [&["a=1..200".into(), "b=1..200".into()][..], &["a=1..1000000".into()], &["a=-9..99999".into()]] {
            assert!(matches!(expand(sweeps, &[]), Err(SweepError::TooMany(_))), "{sweeps:?}");
        }
    }

    #[test]
    fn no_value_is_overridden_by_another_and_no_run_comes_twice() {
        let twice = |sweeps: &[&str], fixed: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            expand(&owned(sweeps), &owned(fixed))
        };
        let error = Err(SweepError::Twice("train.lr".into()));
        assert_eq!(twice(&["train.lr=0.02", "train.lr=0.03"], &[]), error);
        assert_eq!(twice(&["train.lr=0.02,0.03, 0.020"], &[]), error);
        assert_eq!(twice(&["train.seed=1..3", "train.lr=0.02,0.03"], &["train.lr =0.1"]), error);
    }
}
