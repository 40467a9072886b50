//! What is done with the chosen checkpoint of a run: fork, export, certify, and resume where it is the last one.

use std::path::PathBuf;

use super::{
    dialogs::{Dialog, Prompt, Purpose},
    keys::Action,
    measuring::{Figures, Measurement},
    message::Effect,
    model::{Model, Screen},
    screens::run::Tab,
    update::notice,
    wording,
};
use crate::{
    experiment::RunId,
    store::{CheckpointRow, NewRun, RunRow},
};

/// The run in front and its chosen checkpoint, where the checkpoints are in front.
fn chosen(model: &Model) -> Option<(&RunRow, &CheckpointRow)> {
    let Screen::Run(screen) = &model.screen else { return None };
    let row = model.known.rows.get(&screen.run).filter(|_| screen.tab == Tab::Checkpoints)?;
    Some((row, screen.checkpoints.chosen(screen.run, &model.known)?))
}

/// Does what a key asks of the chosen checkpoint.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some((row, checkpoint)) = chosen(model) else {
        return notice(model, "no checkpoint has been written yet".into(), true);
    };
    let (run, step) = (row.id, checkpoint.step);
    match action {
        Action::Copy => {
            let hash = checkpoint.hash.clone();
            let mut effects = notice(model, format!("copied the hash of step {}", wording::count(step)), false);
            effects.push(Effect::Copy(hash));
            effects
        }
        Action::Fork => {
            model.dialog = Some(Dialog::Prompt(Prompt::new(Purpose::Fork { run, step }, String::new())));
            Vec::new()
        }
        Action::Export => {
            let file = format!("{}-{step}.safetensors", row.name);
            model.dialog = Some(Dialog::Prompt(Prompt::new(Purpose::Export { run, step }, file)));
            Vec::new()
        }
        Action::Certify => certify(model, run, step),
        _ => Vec::new(),
    }
}

fn certify(model: &mut Model, run: RunId, step: u64) -> Vec<Effect> {
    if !model.known.measuring.insert((run, step)) {
        return notice(model, "it is being certified already".into(), true);
    }
    let text = format!("certifying step {}, at low priority; leaving the program breaks it off", wording::count(step));
    let mut effects = notice(model, text, false);
    effects.push(Effect::Measure(run, step, Measurement::Certify));
    effects
}

/// A certification has ended.
pub fn certified(model: &mut Model, run: RunId, step: u64, found: Result<Figures, String>) -> Vec<Effect> {
    model.known.measuring.remove(&(run, step));
    let name = model.known.rows.get(&run).map_or_else(|| format!("#{run}"), |row| row.name.clone());
    let name = format!("{name}, step {}", wording::count(step));
    match found {
        Err(why) => notice(model, format!("{name}: {why}"), true),
        Ok(found) => {
            model.known.certified.insert((run, step), found);
            let Figures { eps, samples, clean, certified } = found;
            let samples = wording::count(samples.into());
            let text =
                format!("{name}: clean {clean:.4}, certified {certified:.4} at ε = {eps}, of {samples} test images");
            notice(model, text, false)
        }
    }
}

/// What is to be done where the run is to go on from the chosen checkpoint; `None` where that is no question: it is the last
/// one, or nothing was chosen.
pub fn not_the_last(model: &Model) -> Option<String> {
    let (row, checkpoint) = chosen(model)?;
    let last = model.known.data(row.id)?.checkpoints.iter().map(|checkpoint| checkpoint.step).max()?;
    let key = model.key_of(Action::Fork);
    let how = if key.is_empty() { String::new() } else { format!(" ({key})") };
    (checkpoint.step != last).then(|| {
        let (name, step, last) = (&row.name, wording::count(checkpoint.step), wording::count(last));
        format!("{name} goes on from its last checkpoint, step {last}; from step {step} on a fork does{how}")
    })
}

/// Forks with changes `key=value`, with blanks between them; or what is wrong with them.
pub fn fork(model: &Model, run: RunId, step: u64, changes: &str) -> Result<Vec<Effect>, String> {
    let row = model.known.rows.get(&run).ok_or("the run is no longer in the store")?;
    let overrides: Vec<String> = changes.split_whitespace().map(str::to_owned).collect();
    let text = toml::to_string(&row.config).map_err(|error| error.to_string())?;
    NewRun::forked(row, step, text, &overrides).map_err(|error| error.to_string())?;
    Ok(vec![Effect::Fork { run, step, overrides }])
}

/// Exports into a file; or why that is none.
pub fn export(model: &mut Model, run: RunId, step: u64, file: &str) -> Result<Vec<Effect>, String> {
    if file.is_empty() || file.ends_with('/') {
        return Err("name the file to write".into());
    }
    let mut effects = notice(model, format!("exporting step {}, at low priority", wording::count(step)), false);
    effects.push(Effect::Measure(run, step, Measurement::Export(PathBuf::from(file))));
    Ok(effects)
}
