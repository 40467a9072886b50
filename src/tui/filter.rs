//! The filter language of the runs list: `state:live tag:paper certified>0.9 -fashion or lynx`.
//!
//! Words side by side must all hold; `or` separates alternatives; `-` turns a word round.

use crate::{store::RunRow, tui::wording};

/// A filter; empty lets everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    alternatives: Vec<Vec<Term>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// A part of the name, group, variant, tags, note or title.
    Word(String),
    /// `field:text`.
    Field(Field, String),
    /// `number>0.9`.
    Figure(Figure, Order, f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    State,
    Tag,
    Group,
    Data,
    Net,
    Name,
    Note,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Certified,
    Clean,
    Best,
    Epoch,
    P,
    Eps,
    Id,
    Loss,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// `colour:red`.
    #[error("no field \"{0}\": allowed are state, tag, group, data, net, name, note")]
    Field(String),
    /// `size>3`.
    #[error("no figure \"{0}\": allowed are certified, clean, best, epoch, p, eps, loss, id")]
    Figure(String),
    /// `certified>high`.
    #[error("\"{0}\" is no number")]
    Number(String),
}

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        let mut alternatives = vec![Vec::new()];
        for word in text.split_whitespace() {
            if word == "or" {
                alternatives.push(Vec::new());
            } else if let Some(terms) = alternatives.last_mut() {
                terms.push(Term::parse(word)?);
            }
        }
        // An alternative still to be typed (`lynx or`) lets nothing more through.
        alternatives.retain(|terms| !terms.is_empty());
        Ok(Filter { alternatives })
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.alternatives.is_empty()
    }

    /// Whether a run passes.
    pub fn passes(&self, row: &RunRow) -> bool {
        self.is_empty() || self.alternatives.iter().any(|terms| terms.iter().all(|term| term.holds(row)))
    }
}

impl Term {
    fn parse(word: &str) -> Result<Term, FilterError> {
        let (negated, word) = match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, word),
        };
        let word = word.to_lowercase();
        let orders = [
            (">=", Order::AtLeast),
            ("<=", Order::AtMost),
            (">", Order::More),
            ("<", Order::Less),
            ("=", Order::Equal),
        ];
        let compared = orders.into_iter().find_map(|(sign, order)| Some((word.split_once(sign)?, order)));
        let test = if let Some(((name, value), order)) = compared {
            Test::Figure(figure(name)?, order, number(value)?)
        } else if let Some((name, value)) = word.split_once(':') {
            Test::Field(field(name)?, value.to_owned())
        } else {
            Test::Word(word)
        };
        Ok(Term { negated, test })
    }

    fn holds(&self, row: &RunRow) -> bool {
        let holds = match &self.test {
            Test::Word(word) => [&row.name, &row.variant, &row.note, &row.config.run.title]
                .into_iter()
                .chain(&row.group)
                .chain(&row.tags)
                .any(|text| text.to_lowercase().contains(word)),
            Test::Field(field, text) => field.holds(row, text),
            Test::Figure(figure, order, value) => figure.of(row).is_some_and(|figure| match order {
                Order::Less => figure < *value,
                Order::AtMost => figure <= *value,
                Order::Equal => (figure - value).abs() < 1e-9 || figure == *value,
                Order::AtLeast => figure >= *value,
                Order::More => figure > *value,
            }),
        };
        holds != self.negated
    }
}

fn field(name: &str) -> Result<Field, FilterError> {
    Ok(match name {
        "state" => Field::State,
        "tag" => Field::Tag,
        "group" | "sweep" => Field::Group,
        "data" => Field::Data,
        "net" => Field::Net,
        "name" => Field::Name,
        "note" => Field::Note,
        _ => return Err(FilterError::Field(name.to_owned())),
    })
}

fn figure(name: &str) -> Result<Figure, FilterError> {
    Ok(match name {
        "certified" | "cert" => Figure::Certified,
        "clean" => Figure::Clean,
        "best" => Figure::Best,
        "epoch" => Figure::Epoch,
        "p" => Figure::P,
        "eps" | "ε" => Figure::Eps,
        "id" => Figure::Id,
        "loss" => Figure::Loss,
        _ => return Err(FilterError::Figure(name.to_owned())),
    })
}

fn number(text: &str) -> Result<f64, FilterError> {
    let value = match text.split_once('/') {
        Some((above, below)) => above.parse::<f64>().ok().zip(below.parse::<f64>().ok()).map(|(a, b)| a / b),
        None if text == "∞" => Some(f64::INFINITY),
        None => text.parse().ok(),
    };
    value.ok_or_else(|| FilterError::Number(text.to_owned()))
}

impl Field {
    fn holds(self, row: &RunRow, text: &str) -> bool {
        let contains = |value: &str| value.to_lowercase().contains(text);
        match self {
            Field::State => match text {
                "live" => row.state.holds_a_slot(),
                "over" => row.state.is_over(),
                "done" => row.state.word() == "completed",
                _ => row.state.word().starts_with(text),
            },
            Field::Tag => row.tags.iter().any(|tag| contains(tag)),
            Field::Group => row.group.as_deref().is_some_and(contains),
            Field::Data => contains(wording::dataset(row.config.data.dataset)),
            Field::Net => contains(&wording::net(row)) || contains(&wording::net(row).replace('×', "x")),
            Field::Name => contains(&row.name),
            Field::Note => contains(&row.note),
        }
    }
}

impl Figure {
    fn of(self, row: &RunRow) -> Option<f64> {
        match self {
            Figure::Certified => row.summary.certified,
            Figure::Clean => row.summary.clean,
            Figure::Best => row.summary.best_certified.map(|(certified, _)| certified),
            Figure::Epoch => Some(row.summary.epoch),
            Figure::P => row.summary.p.map(|p| p.get()),
            Figure::Eps => Some(row.config.eval.eps.to_f64()),
            Figure::Id => Some(row.id.0 as f64),
            Figure::Loss => row.summary.loss,
        }
    }
}
