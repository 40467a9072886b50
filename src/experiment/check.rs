//! Which values of a config are possible, each and together.

use super::{Config, Epsilon, Loss, LossKind, Model, ModelKind, View};

/// A value that has the right type and is impossible all the same.
pub(super) struct Fault {
    pub key: &'static str,
    pub found: String,
}

fn within(key: &'static str, found: f64, low: f64, high: f64) -> Result<(), Fault> {
    if found >= low && found <= high { Ok(()) } else { Err(Fault { key, found: found.to_string() }) }
}

/// Whether a run with this config can be trained.
pub(super) fn check(config: &Config) -> Result<(), Fault> {
    let Config { run, data, model, train, schedule, loss, eval, resources } = config;
    let above = |key, found: f64, low: f64, high: f64| {
        if found > low { within(key, found, low, high) } else { Err(Fault { key, found: found.to_string() }) }
    };
    let radius = |key, found: Epsilon| {
        if found.numerator() > 0 { Ok(()) } else { Err(Fault { key, found: found.to_string() }) }
    };
    if let Some(published) = &run.published {
        within("run.published.certified", published.certified, 0.0, 1.0)?;
        within("run.published.clean", published.clean.unwrap_or(0.0), 0.0, 1.0)?;
        let (certified, attacked) = (published.certified, published.attacked);
        within("run.published.attacked", attacked.unwrap_or(certified), certified, 1.0)?;
    }
    let side = data.dataset.height().min(data.dataset.width()) as f64;
    within("data.crop", data.crop.map_or(side, |crop| crop as f64), 1.0, side)?;
    within("data.augment.pad", data.augment.pad as f64, 0.0, 16.0)?;
    within("data.augment.warp", data.augment.warp, 0.0, 0.5)?;
    within("data.augment.bend", data.augment.bend, 0.0, 8.0)?;
    within("data.train_limit", data.train_limit.unwrap_or(1) as f64, 1.0, 1e12)?;
    within("data.test_limit", data.test_limit.unwrap_or(1) as f64, 1.0, 1e12)?;
    within("data.validation", data.validation as f64, 0.0, 1e12)?;
    above("data.extra.share", data.extra.as_ref().map_or(1.0, |extra| extra.share), 0.0, 1.0)?;
    check_model(model, data.view())?;
    within("train.epochs", f64::from(train.epochs), 1.0, 100_000.0)?;
    within("train.batch_size", train.batch_size as f64, 1.0, 65536.0)?;
    above("train.lr", train.lr, 0.0, 10.0)?;
    within("train.lr_hold", train.lr_hold, 0.0, f64::from(train.epochs).next_down())?;
    within("train.scalar_lr", train.scalar_lr(), 0.0, 10.0)?;
    within("train.adam.beta1", train.adam.beta1, 0.0, 1.0 - f64::EPSILON)?;
    within("train.adam.beta2", train.adam.beta2, 0.0, 1.0 - f64::EPSILON)?;
    within("train.adam.eps", train.adam.eps, 1e-37, 1e-6)?;
    within("train.adam.dist_decay", train.adam.dist_decay, 0.0, 1.0)?;
    within("train.adam.head_decay", train.adam.head_decay, 0.0, 1.0)?;
    within("train.ema", train.ema.unwrap_or(0.5), f64::MIN_POSITIVE, 1.0 - f64::EPSILON)?;
    if ![4, 8, 16, 24].contains(&train.bits) {
        return Err(Fault { key: "train.bits", found: train.bits.to_string() });
    }
    above("train.gradient_share", train.gradient_share, 0.0, 1.0)?;
    within("schedule.p_start", schedule.p_start, 1.0, 1000.0)?;
    within("schedule.p_end", schedule.p_end, schedule.p_start, 1e6)?;
    within("schedule.ramp_end", schedule.ramp_end, 0.0, f64::from(train.epochs))?;
    within("schedule.ramp_start", schedule.ramp_start, 0.0, schedule.ramp_end)?;
    within("schedule.eps_end", schedule.eps_end, 0.0, f64::from(train.epochs))?;
    within("schedule.eps_start", schedule.eps_start, 0.0, schedule.eps_end)?;
    within("schedule.eps_smooth", schedule.eps_smooth, 0.0, 1.0 - f64::EPSILON)?;
    check_loss(loss)?;
    radius("loss.eps_train", loss.eps_train)?;
    radius("loss.eps_train_end", loss.eps_train_end.unwrap_or(loss.eps_train))?;
    within("loss.eps_train_hold", loss.eps_train_hold, 0.0, schedule.ramp_end)?;
    within("eval.every", f64::from(eval.every), 1.0, f64::from(u32::MAX))?;
    within("eval.mean_samples", eval.mean_samples as f64, 1.0, 1e12)?;
    if let Some(attack) = &eval.attack {
        let number = f64::from;
        within("eval.attack.pgd_steps", number(attack.pgd_steps), 0.0, 1e5)?;
        within("eval.attack.steps", number(attack.steps), 1.0, 1e5)?;
        within("eval.attack.restarts", number(attack.restarts), 0.0, 1e4)?;
        within("eval.attack.targets", number(attack.targets), 0.0, 255.0)?;
        within("eval.attack.samples", attack.samples.unwrap_or(1) as f64, 1.0, 1e12)?;
    }
    within("resources.threads", resources.threads as f64, 0.0, 1024.0)?;
    within("resources.checkpoint_seconds", resources.checkpoint_seconds as f64, 1.0, 1e9)?;
    within("resources.keep_checkpoints", resources.keep_checkpoints as f64, 1.0, 1e6)?;
    within("resources.milestone_epochs", f64::from(resources.milestone_epochs), 0.0, f64::from(u32::MAX))?;
    within("resources.retries", f64::from(resources.retries), 0.0, 1000.0)?;
    within("resources.time_limit_seconds", resources.time_limit_seconds as f64, 0.0, 1e9)
}

/// Whether the sizes are some, the keys go together, and each layer fits on the one before.
fn check_model(model: &Model, data: View) -> Result<(), Fault> {
    // Without a head the last dense layer gives the classes, and one layer alone is no net.
    let least = match (model.hidden, model.conv.is_empty()) {
        (None, true) => 2.0,
        (None, false) | (Some(_), true) => 1.0,
        (Some(_), false) => 0.0,
    };
    within("model.depth", model.depth as f64, least, 64.0)?;
    within("model.width", model.width as f64, 1.0, 65536.0)?;
    within("model.hidden", model.hidden.unwrap_or(1) as f64, 1.0, 65536.0)?;
    within("model.groups", model.groups as f64, 1.0, model.width as f64)?;
    within("model.identity_init", model.identity_init.unwrap_or(1.0), f64::MIN_POSITIVE, 1000.0)?;
    for conv in &model.conv {
        let sizes = [conv.outputs, conv.kernel, conv.stride, conv.dilation, conv.groups, conv.repeat];
        if sizes.contains(&0) || sizes.iter().chain([&conv.pad]).any(|&size| size > 65536) || conv.repeat > 64 {
            return Err(Fault { key: "model.conv", found: format!("{conv:?}") });
        }
    }
    check_fit(model, data)?;
    match (model.kind, model.keep) {
        (ModelKind::SortNet, Some(keep)) => within("model.keep", keep, 1e-9, 1.0)?,
        (ModelKind::LinfDist, None) => {}
        (ModelKind::SortNet, None) => return Err(Fault { key: "model.keep", found: "nothing".into() }),
        (ModelKind::LinfDist, Some(keep)) => return Err(Fault { key: "model.keep", found: keep.to_string() }),
    }
    // SortNet's sort layers look at one position, and dropout's masks are made for that.
    let wide = model.conv.iter().skip(1).chain(model.conv.iter().filter(|conv| conv.repeat > 1));
    match wide.into_iter().find(|conv| model.keep.is_some() && (conv.kernel > 1 || conv.groups > 1)) {
        Some(conv) => Err(Fault { key: "model.conv", found: format!("{conv:?} with sort neurons") }),
        None if model.keep.is_some() => within("model.groups", model.groups as f64, 1.0, 1.0),
        None => Ok(()),
    }
}

/// Whether windows fit the planes they look at, and groups divide channels.
fn check_fit(model: &Model, data: View) -> Result<(), Fault> {
    let (mut channels, mut height, mut width) = (data.channels(), data.height(), data.width());
    for conv in model.conv.iter().flat_map(|conv| std::iter::repeat_n(conv, conv.repeat)) {
        let found = |what: &str| Fault {
            key: "model.conv",
            found: format!("{conv:?} on {channels}×{height}×{width}: {what}"),
        };
        if !channels.is_multiple_of(conv.groups) || !conv.outputs.is_multiple_of(conv.groups) {
            return Err(found("with groups that do not divide the channels"));
        }
        let span = conv.dilation * (conv.kernel - 1) + 1;
        let outputs = |side: usize| (side + 2 * conv.pad).checked_sub(span).map(|room| room / conv.stride + 1);
        let (Some(down), Some(across)) = (outputs(height), outputs(width)) else {
            return Err(found("with a window that does not fit"));
        };
        (channels, height, width) = (conv.outputs, down, across);
    }
    if !model.width.is_multiple_of(model.groups) {
        return Err(Fault { key: "model.groups", found: model.groups.to_string() });
    }
    Ok(())
}

/// Whether the loss has the keys of its kind and no others.
fn check_loss(loss: &Loss) -> Result<(), Fault> {
    let between = |key, found: Option<f64>, low, high| found.map_or(Ok(()), |found| within(key, found, low, high));
    let (least, most) = if loss.kind.has_lambda() { (f64::MIN_POSITIVE, 1000.0) } else { (0.0, 0.0) };
    between("loss.lambda", Some(loss.lambda), least, most)?;
    between("loss.lambda_end", loss.lambda_end, least, most)?;
    let of = |has: bool| if has { (0.0, 1.0) } else { (f64::INFINITY, f64::INFINITY) };
    let (low, high) = of(loss.kind == LossKind::Hinge);
    between("loss.mix", loss.mix, low, high)?;
    let (low, high) = of(matches!(loss.kind, LossKind::Hinge | LossKind::CrossEntropy));
    between("loss.kappa", loss.kappa, low, high)
}
