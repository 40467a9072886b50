//! Sweeps: `--sweep train.seed=1..5 --sweep loss.lambda=0.05,0.1` expands to a grid of overrides.

/// Why a sweep cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SweepError {
    /// No `=`, or nothing on one side of it.
    #[error("\"{0}\" is no sweep: write KEY=VALUE,VALUE,… or KEY=FROM..TO (both ends included)")]
    Form(String),
    /// The grid is larger than anybody means.
    #[error("this sweep has more than {0} runs")]
    TooMany(usize),
}

const MOST: usize = 10_000;

/// Every combination of the sweeps, the last one varying fastest; each is a list of `key=value` overrides.
pub fn expand(sweeps: &[String]) -> Result<Vec<Vec<String>>, SweepError> {
    let mut grid = vec![Vec::new()];
    for sweep in sweeps {
        let fail = || SweepError::Form(sweep.clone());
        let (key, values) = sweep.split_once('=').ok_or_else(fail)?;
        let values =
            values_of(values).filter(|values| !key.trim().is_empty() && !values.is_empty()).ok_or_else(fail)?;
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

fn values_of(text: &str) -> Option<Vec<String>> {
    if let Some((from, to)) = text.split_once("..") {
        let (from, to) = (from.trim().parse::<i64>().ok()?, to.trim().parse::<i64>().ok()?);
        return (from <= to && to - from < MOST as i64).then(|| (from..=to).map(|value| value.to_string()).collect());
    }
    text.split(',').map(|value| Some(value.trim().to_owned()).filter(|value| !value.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_every_combination() {
        let grid = expand(&["train.seed=1..3".into(), "loss.lambda=0.05, 0.1".into()]).unwrap();
        assert_eq!(grid.len(), 6);
        assert_eq!(grid[0], ["train.seed=1", "loss.lambda=0.05"]);
        assert_eq!(grid[5], ["train.seed=3", "loss.lambda=0.1"]);
        assert_eq!(expand(&[]).unwrap(), [Vec::<String>::new()]);
    }

    #[test]
    fn what_is_no_sweep_is_refused() {
        for text in ["train.seed", "=1", "a=", "a=1,,2", "a=5..1", "a=x..y"] {
            assert!(matches!(expand(&[text.into()]), Err(SweepError::Form(_))), "{text}");
        }
        assert!(matches!(expand(&["a=1..200".into(), "b=1..200".into()]), Err(SweepError::TooMany(_))));
    }
}
