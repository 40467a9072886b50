//! Further nets that answer together with the one that is measured.

use anyhow::{Context, Result, bail};

use super::{Place, measure::Measured, weights::WeightsArgs};
use crate::{experiment::Config, net::NetState};

/// A further net.
pub struct Member {
    /// Its run's name, or its file's.
    pub name: String,
    /// With its means at p = ∞ and its steps.
    pub net: NetState,
}

/// Reads the nets that words name, each as RUN or RUN@STEP.
///
/// # Errors
/// If one cannot be read, or does not see the images that `first` sees.
pub async fn read(words: &[String], first: &mut Measured, place: &Place) -> Result<Vec<Member>> {
    let mut members = Vec::with_capacity(words.len());
    for word in words {
        let weights = WeightsArgs::of(word).read(place).await.with_context(|| format!("--with {word}"))?;
        same_images((&first.name, &first.config), (word, &weights.config))?;
        let mut net = weights.net;
        if !weights.is_settled {
            same_training((&first.name, &first.config), (word, &weights.config))?;
            first.load_train()?;
            net = first.evaluator.with_means_at_infinity(&net, &first.train, first.train.len());
        }
        members.push(Member { name: weights.name, net });
    }
    Ok(members)
}

/// Refuses nets that do not see the same numbers of the same images.
fn same_images(first: (&str, &Config), other: (&str, &Config)) -> Result<()> {
    let seen = |config: &Config| {
        let view = config.data.view();
        let window = view.crop().map_or_else(String::new, |side| format!(" (data.crop = {side})"));
        format!("{}{window}", view.id)
    };
    if first.1.data.view() == other.1.data.view() {
        return Ok(());
    }
    bail!(
        "--with {}: it sees {} and {} sees {}: nets answer together only about the same images",
        other.0,
        seen(other.1),
        first.0,
        seen(first.1)
    )
}

/// Refuses a net whose means would have to be computed from images that are not those of the first net.
fn same_training(first: (&str, &Config), other: (&str, &Config)) -> Result<()> {
    let of = |config: &Config| (config.data.validation, config.data.train_limit);
    if of(first.1) == of(other.1) {
        return Ok(());
    }
    bail!(
        "--with {}: this checkpoint has no means at p = ∞, and its run trains on other images than {} does \
         (data.validation, data.train_limit): name a checkpoint that was evaluated, such as the run's last",
        other.0,
        first.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;

    fn config(data: &str) -> Config {
        parse(&format!(
            "data = {{ {data} }}\nmodel = {{ depth = 2, width = 8 }}\n\
             train = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
             loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
        ))
        .unwrap()
    }

    #[test]
    fn nets_of_other_images_or_windows_are_refused_by_name() {
        let first = config("dataset = 'mnist'");
        let refused = |data: &str| {
            same_images(("calm-heron", &first), ("brisk-otter@7", &config(data))).map_err(|error| error.to_string())
        };
        assert_eq!(refused("dataset = 'mnist', augment = { pad = 1 }, validation = 5000"), Ok(()));
        let error = refused("dataset = 'fashion-mnist'").unwrap_err();
        assert!(error.contains("brisk-otter@7: it sees fashion-mnist and calm-heron sees mnist"), "{error}");
        let error = refused("dataset = 'mnist', crop = 24").unwrap_err();
        assert!(error.contains("it sees mnist (data.crop = 24) and calm-heron sees mnist"), "{error}");
        assert_eq!(refused("dataset = 'mnist', crop = 28"), Ok(()));
    }

    #[test]
    fn means_are_not_computed_from_images_of_another_run() {
        let (first, other) = (config("dataset = 'mnist'"), config("dataset = 'mnist', validation = 5000"));
        assert!(same_training(("a", &first), ("b", &first)).is_ok());
        let error = same_training(("a", &first), ("b", &other)).unwrap_err().to_string();
        assert!(error.contains("--with b") && error.contains("data.validation"), "{error}");
    }
}
