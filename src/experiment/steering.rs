//! Changes to a run under way: what its user may turn while it trains, as words and as data.
//!
//! An order takes force between two steps and is written down with that step, so that a run that was steered is as
//! reproducible as one that was not: its config and its steering decide every bit.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Epsilon;

/// One order to a run under way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "steer", content = "to", rename_all = "kebab-case")]
pub enum Steering {
    /// From now on both learning rates are those of the schedule times this (not times an earlier factor).
    LrFactor(f64),
    /// From now on λ is this; `None` gives it back to the schedule.
    Lambda(Option<f64>),
    /// From now on ε_train goes in a line from where it is to this at the end of the ramp, on the clock of p; after the
    /// ramp it is this at once. In pixels.
    EpsEnd(Epsilon),
    /// The clock of p (and of λ and ε_train) stands still, or goes on so that it still ends with the ramp.
    HoldP(bool),
    /// Write a checkpoint now.
    Checkpoint,
    /// Evaluate at p = ∞ now.
    Evaluate,
}

/// An order as its user gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Drawn anew for each order, so that none is obeyed twice.
    pub key: String,
    /// Not before so many steps are done; `None`: at once.
    pub at_step: Option<u64>,
    /// What.
    pub what: Steering,
}

/// An order that took force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Steered {
    /// Of the order.
    pub key: String,
    /// Steps done when it took force: the next step is the first that it changes.
    pub step: u64,
    /// The same as a fractional epoch.
    pub epoch: f64,
    /// What.
    pub what: Steering,
}

impl Steering {
    /// Whether the training is another from then on.
    pub fn changes_training(&self) -> bool {
        !matches!(self, Steering::Checkpoint | Steering::Evaluate)
    }
}

impl FromStr for Steering {
    type Err = String;

    /// `lr-factor=0.5`, `lambda=0.01`, `lambda=schedule`, `eps-end=16/255`, `p=hold`, `p=go`, `checkpoint`, `eval`.
    fn from_str(text: &str) -> Result<Steering, String> {
        let number = |name: &str, value: &str, above: f64| -> Result<f64, String> {
            let allowed = format!("{name} is \"{value}\": allowed is a number above {above}, at most 1000");
            match value.parse::<f64>() {
                Ok(number) if number > above && number <= 1000.0 => Ok(number),
                _ => Err(allowed),
            }
        };
        match text.split_once('=') {
            None if text == "checkpoint" => Ok(Steering::Checkpoint),
            None if text == "eval" => Ok(Steering::Evaluate),
            Some(("lr-factor", value)) => Ok(Steering::LrFactor(number("lr-factor", value, 0.0)?)),
            Some(("lambda", "schedule")) => Ok(Steering::Lambda(None)),
            Some(("lambda", "0")) => Ok(Steering::Lambda(Some(0.0))),
            Some(("lambda", value)) => Ok(Steering::Lambda(Some(number("lambda", value, 0.0)?))),
            Some(("eps-end", value)) => {
                let eps: Epsilon = value.parse().map_err(|error| format!("eps-end: {error}"))?;
                let allowed = eps.to_f64() > 0.0;
                allowed.then_some(Steering::EpsEnd(eps)).ok_or_else(|| "eps-end must be above 0".to_owned())
            }
            Some(("p", "hold")) => Ok(Steering::HoldP(true)),
            Some(("p", "go")) => Ok(Steering::HoldP(false)),
            _ => Err(format!(
                "\"{text}\" is no order: allowed are lr-factor=X, lambda=X, lambda=schedule, eps-end=X, p=hold, p=go, \
                 checkpoint and eval"
            )),
        }
    }
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Steering::LrFactor(factor) => write!(f, "lr-factor={factor}"),
            Steering::Lambda(Some(lambda)) => write!(f, "lambda={lambda}"),
            Steering::Lambda(None) => f.write_str("lambda=schedule"),
            Steering::EpsEnd(eps) => write!(f, "eps-end={eps}"),
            Steering::HoldP(true) => f.write_str("p=hold"),
            Steering::HoldP(false) => f.write_str("p=go"),
            Steering::Checkpoint => f.write_str("checkpoint"),
            Steering::Evaluate => f.write_str("eval"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_as_it_is_written() {
        let words = "lr-factor=0.5 lambda=0.01 lambda=0 lambda=schedule eps-end=16/255 p=hold p=go checkpoint eval";
        for word in words.split(' ') {
            let order: Steering = word.parse().unwrap();
            assert_eq!(order.to_string(), word);
            let json = serde_json::to_string(&order).unwrap();
            assert_eq!(serde_json::from_str::<Steering>(&json).unwrap(), order, "{json}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_is_allowed() {
        for word in ["lr-factor=0", "lr-factor=NaN", "lr-factor=-1", "lambda=x", "eps-end=0", "p=9", "stop", "eval=1"] {
            let error = word.parse::<Steering>().unwrap_err();
            assert!(error.contains("allowed") || error.contains("eps-end"), "{word}: {error}");
        }
    }
}
