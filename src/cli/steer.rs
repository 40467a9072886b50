//! `linf-tui steer`: changes a run under way.

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{
    Exit, Place,
    place::{json, line},
};
use crate::{
    dispatch::nonce,
    experiment::{Order, Steering},
    store::RunReader,
};

/// Change a run under way: learning rate, λ, the end of ε, the climb of p; or have a checkpoint or an evaluation now.
///
/// An order takes force between two steps. It is written down with that step and done again at the same step wherever
/// the run is resumed, so a steered run ends with the same bits however often it was interrupted. Without an order, says
/// what was changed so far.
#[derive(Debug, Args)]
#[command(after_help = "Orders:
  lr-factor=X      both learning rates are those of the schedule times X from now on
  lambda=X         λ is X from now on; lambda=schedule gives it back to the schedule
  eps-end=X        ε_train goes from where it is to X (0.1 or 16/255) at the end of the ramp
  p=hold, p=go     p, λ and ε_train stand still; they go on so as to end with the ramp
  checkpoint, eval do it now")]
pub struct SteerArgs {
    /// The run.
    run: String,
    /// What to change; see below.
    #[arg(value_name = "ORDER", value_parser = |text: &str| text.parse::<Steering>())]
    orders: Vec<Steering>,
    /// Not before so many steps are done.
    #[arg(long, value_name = "STEP", requires = "orders")]
    at_step: Option<u64>,
    /// Print what was changed so far as JSON.
    #[arg(long, conflicts_with = "orders")]
    json: bool,
}

pub async fn run(args: SteerArgs, place: &Place) -> Result<Exit> {
    let store = place.existing().await?;
    let row = store.catalog().find(&args.run).await?;
    if args.orders.is_empty() {
        let steered = match RunReader::open(&store.run_dir(row.id)).await? {
            Some(reader) => reader.steering().await?,
            None => Vec::new(),
        };
        if args.json {
            json(&steered)?;
            return Ok(Exit::Done);
        }
        let asked = store.catalog().steering(row.id).await?;
        if steered.is_empty() && asked.is_empty() {
            line(&format!("#{} {}: nothing was changed; `linf-tui steer --help` lists what can be", row.id, row.name))?;
        }
        for steered in &steered {
            line(&format!("from step {} on: {}", steered.step + 1, steered.what))?;
        }
        for order in asked {
            if steered.iter().all(|steered| steered.key != order.key) {
                let when = order.at_step.map_or_else(|| "asked for".into(), |step| format!("not before step {step}"));
                line(&format!("{when}: {}", order.what))?;
            }
        }
        return Ok(Exit::Done);
    }
    if row.state.is_over() {
        bail!("{} is {}: resume it first, or fork it with another config", row.name, row.state.word());
    }
    let mut orders = Vec::with_capacity(args.orders.len());
    for what in args.orders {
        let key = nonce().context("cannot draw a number for the order")?;
        orders.push(Order { key, at_step: args.at_step, what });
    }
    store.catalog().steer(row.id, &orders).await?;
    let when = match args.at_step {
        Some(step) => format!("after step {step}"),
        None if row.state.holds_a_slot() => "after the step under way".to_owned(),
        None => "as soon as it trains".to_owned(),
    };
    for order in orders {
        line(&format!("#{} {}: {} {when}", row.id, row.name, order.what))?;
    }
    Ok(Exit::Done)
}
