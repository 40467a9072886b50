//! Which runs a list shows: a few words that must all hold.

use crate::store::RunRow;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// `state:running`; `state:live` is whatever holds a slot.
    State(String),
    /// `tag:word`.
    Tag(String),
    /// `group:name`.
    Group(String),
    /// `data:mnist`.
    Data(String),
    /// `certified>0.9`.
    Figure(Figure, Ordering, f64),
    /// Any other word: part of the name, group, variant, a tag or the note.
    Word(String),
}

/// A figure that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Certified accuracy of the last evaluation.
    Certified,
    /// Clean accuracy of the last evaluation.
    Clean,
    /// Loss of the last epoch.
    Loss,
    /// Epochs done.
    Epoch,
}

/// Above or below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// `>`
    Above,
    /// `<`
    Below,
}

impl std::str::FromStr for Filter {
    type Err = String;

    fn from_str(word: &str) -> Result<Filter, String> {
        if let Some(at) = word.find(['>', '<']) {
            let ordering = if word[at..].starts_with('>') { Ordering::Above } else { Ordering::Below };
            let figure = match &word[..at] {
                "certified" => Figure::Certified,
                "clean" => Figure::Clean,
                "loss" => Figure::Loss,
                "epoch" => Figure::Epoch,
                other => {
                    return Err(format!("\"{other}\" cannot be compared: allowed are certified, clean, loss and epoch"));
                }
            };
            let value = word[at + 1..].parse().map_err(|_| format!("\"{}\" is no number", &word[at + 1..]))?;
            return Ok(Filter::Figure(figure, ordering, value));
        }
        Ok(match word.split_once(':') {
            Some(("state", state)) => Filter::State(state.to_owned()),
            Some(("tag", tag)) => Filter::Tag(tag.to_owned()),
            Some(("group", group)) => Filter::Group(group.to_owned()),
            Some(("data", data)) => Filter::Data(data.to_owned()),
            Some((key, _)) => {
                return Err(format!("\"{key}:\" is no filter: allowed are state:, tag:, group: and data:"));
            }
            None => Filter::Word(word.to_owned()),
        })
    }
}

impl Filter {
    /// Whether the run meets the condition. A figure that is not there yet is neither above nor below.
    pub fn holds(&self, row: &RunRow) -> bool {
        match self {
            Filter::State(state) => row.state.word() == state || state == "live" && row.state.holds_a_slot(),
            Filter::Tag(tag) => row.tags.contains(tag),
            Filter::Group(group) => row.group.as_ref() == Some(group),
            Filter::Data(data) => row.config.data.dataset.name() == data,
            Filter::Figure(figure, ordering, bound) => figure.of(row).is_some_and(|value| match ordering {
                Ordering::Above => value > *bound,
                Ordering::Below => value < *bound,
            }),
            Filter::Word(word) => {
                let texts = [&row.name, &row.variant, &row.note, &row.config.run.title];
                texts.into_iter().chain(&row.group).chain(&row.tags).any(|text| text.contains(word.as_str()))
            }
        }
    }
}

impl Figure {
    fn of(self, row: &RunRow) -> Option<f64> {
        match self {
            Figure::Certified => row.summary.certified,
            Figure::Clean => row.summary.clean,
            Figure::Loss => row.summary.loss,
            Figure::Epoch => Some(row.summary.epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_comparisons() {
        assert_eq!("state:live".parse(), Ok(Filter::State("live".into())));
        assert_eq!("certified>0.9".parse(), Ok(Filter::Figure(Figure::Certified, Ordering::Above, 0.9)));
        assert_eq!("otter".parse(), Ok(Filter::Word("otter".into())));
    }

    #[test]
    fn what_is_no_filter_is_refused_by_name() {
        for word in ["colour:red", "certified>high", "speed<3"] {
            let error = word.parse::<Filter>().unwrap_err();
            assert!(error.starts_with('"'), "{error}");
        }
    }
}
