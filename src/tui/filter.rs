//! The filter language of the runs list: `state:live tag:paper certified>0.9 -fashion or /^bold-/`.
//!
//! Words side by side must all hold; `or` separates alternatives; `-` turns a word round; what stands between slashes is a
//! regular expression.

use regex_lite::{Regex, RegexBuilder};

use crate::{
    experiment::{DatasetId, ModelKind, RunState},
    store::RunRow,
    tui::{columns::Column, wording},
};

/// The tag of runs that are put away. They pass only where the filter asks for the tag.
pub const ARCHIVED: &str = "archived";

/// Whether a run is put away.
pub fn is_archived(row: &RunRow) -> bool {
    row.tags.iter().any(|tag| tag == ARCHIVED)
}

/// The tag of runs that stand above all others, whatever the list is sorted by, and are drawn over them in comparisons.
pub const PINNED: &str = "pinned";

/// Whether a run is pinned.
pub fn is_pinned(row: &RunRow) -> bool {
    row.tags.iter().any(|tag| tag == PINNED)
}

/// A filter; empty lets everything through but what is archived.
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
    /// A regular expression that finds something in one of them.
    Pattern(Pattern),
    /// `field:text`.
    Field(Field, String),
    /// `number>0.9`.
    Figure(Figure, Order, f64),
}

/// A regular expression; two are the same where they were written the same.
#[derive(Clone, Debug)]
struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// What is asked for by `field:text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Field {
    State,
    Tag,
    Group,
    Data,
    Net,
    Model,
    Name,
    Note,
}

/// The fields, by name.
pub const FIELDS: [(&str, Field); 8] = [
    ("state", Field::State),
    ("tag", Field::Tag),
    ("group", Field::Group),
    ("data", Field::Data),
    ("net", Field::Net),
    ("model", Field::Model),
    ("name", Field::Name),
    ("note", Field::Note),
];

/// What is compared by `figure>number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Figure {
    Measure(Column),
    Epoch,
    P,
    Eps,
    Lambda,
    Lr,
    Seed,
    Id,
}

/// The figures, by name.
pub const FIGURES: [(&str, Figure); 14] = [
    ("certified", Figure::Measure(Column::Certified)),
    ("clean", Figure::Measure(Column::Clean)),
    ("attacked", Figure::Measure(Column::Attacked)),
    ("best", Figure::Measure(Column::Best)),
    ("surrogate", Figure::Measure(Column::Surrogate)),
    ("train", Figure::Measure(Column::Train)),
    ("loss", Figure::Measure(Column::Loss)),
    ("epoch", Figure::Epoch),
    ("p", Figure::P),
    ("eps", Figure::Eps),
    ("lambda", Figure::Lambda),
    ("lr", Figure::Lr),
    ("seed", Figure::Seed),
    ("id", Figure::Id),
];

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
    #[error("no field \"{0}\": allowed are {fields}", fields = FIELDS.map(|(name, _)| name).join(", "))]
    Field(String),
    /// `size>3`.
    #[error("no figure \"{0}\": allowed are {figures}", figures = FIGURES.map(|(name, _)| name).join(", "))]
    Figure(String),
    /// `certified>high`.
    #[error("\"{0}\" is no number")]
    Number(String),
    /// `state:runing`.
    #[error("no state \"{0}\": allowed are {words}, live, over and done", words = RunState::WORDS.join(", "))]
    State(String),
    /// `/(/`.
    #[error("/{0}/ is no regular expression: {1}")]
    Pattern(String, String),
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

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.alternatives.is_empty()
    }

    /// Whether a run passes.
    pub fn passes(&self, row: &RunRow) -> bool {
        let archived = is_archived(row);
        let asks = |terms: &Vec<Term>| terms.iter().any(Term::asks_for_archived);
        match self.alternatives.as_slice() {
            [] => !archived,
            some => some.iter().any(|terms| (!archived || asks(terms)) && terms.iter().all(|term| term.holds(row))),
        }
    }

    /// Whether a run passes, put away or not.
    pub fn passes_archived_too(&self, row: &RunRow) -> bool {
        self.is_empty() || self.alternatives.iter().any(|terms| terms.iter().all(|term| term.holds(row)))
    }
}

impl Term {
    fn parse(word: &str) -> Result<Term, FilterError> {
        let (negated, word) = match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, word),
        };
        if let Some(pattern) = word.strip_prefix('/').filter(|pattern| !pattern.is_empty()) {
            // The slash at its end is still to be typed, perhaps.
            let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
            let regex = RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build();
            let regex = regex.map_err(|error| FilterError::Pattern(pattern.to_owned(), error.to_string()))?;
            return Ok(Term { negated, test: Test::Pattern(Pattern(regex)) });
        }
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
            match (field(name), figure(name)) {
                // `eps:0.1` means what `eps=0.1` does.
                (Err(_), Ok(figure)) => Test::Figure(figure, Order::Equal, number(value)?),
                (Ok(Field::State), _) => Test::Field(Field::State, state(value)?),
                (field, _) => Test::Field(field?, value.to_owned()),
            }
        } else {
            Test::Word(word)
        };
        Ok(Term { negated, test })
    }

    fn asks_for_archived(&self) -> bool {
        matches!(&self.test, Test::Field(Field::Tag, text) if text == ARCHIVED)
    }

    fn holds(&self, row: &RunRow) -> bool {
        let holds = match &self.test {
            Test::Word(word) => words(row).any(|text| text.to_lowercase().contains(word)),
            Test::Pattern(Pattern(regex)) => words(row).any(|text| regex.is_match(text)),
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

/// The texts of a run in which a word is looked for.
fn words(row: &RunRow) -> impl Iterator<Item = &String> {
    [&row.name, &row.variant, &row.note, &row.config.run.title].into_iter().chain(&row.group).chain(&row.tags)
}

fn field(name: &str) -> Result<Field, FilterError> {
    let name = if name == "sweep" { "group" } else { name };
    let found = FIELDS.iter().find(|(known, _)| *known == name);
    found.map(|(_, field)| *field).ok_or_else(|| FilterError::Field(name.to_owned()))
}

/// A beginning is enough, of a word that may still be typed too.
fn state(text: &str) -> Result<String, FilterError> {
    let known = RunState::WORDS.iter().chain(&["live", "over", "done"]).any(|word| word.starts_with(text));
    if known { Ok(text.to_owned()) } else { Err(FilterError::State(text.to_owned())) }
}

fn figure(name: &str) -> Result<Figure, FilterError> {
    let name = match name {
        "cert" => "certified",
        "ε" => "eps",
        "λ" => "lambda",
        name => name,
    };
    let found = FIGURES.iter().find(|(known, _)| *known == name);
    found.map(|(_, figure)| *figure).ok_or_else(|| FilterError::Figure(name.to_owned()))
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
    /// What a run has of it, as it may be written in a filter.
    pub fn values(self, row: &RunRow) -> Vec<String> {
        match self {
            Field::State => vec![row.state.word().to_owned()],
            Field::Tag => row.tags.clone(),
            Field::Group => row.group.iter().cloned().collect(),
            Field::Data => vec![row.config.data.dataset.name().to_owned()],
            Field::Net => vec![wording::net(row).replace('×', "x")],
            Field::Model => vec![model(row).to_owned()],
            Field::Name => vec![row.name.clone()],
            Field::Note => Vec::new(),
        }
    }

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
            Field::Data => {
                // A whole name is that data set's alone: cifar10 is the beginning of another.
                let names = |id: DatasetId| [id.name(), wording::dataset(id)];
                match DatasetId::ALL.into_iter().find(|id| names(*id).contains(&text)) {
                    Some(id) => row.config.data.dataset == id,
                    None => names(row.config.data.dataset).into_iter().any(contains),
                }
            }
            Field::Net => contains(&wording::net(row)) || contains(&wording::net(row).replace('×', "x")),
            Field::Model => contains(model(row)),
            Field::Name => contains(&row.name),
            Field::Note => contains(&row.note),
        }
    }
}

/// The kind of net, as its config writes it.
fn model(row: &RunRow) -> &'static str {
    match row.config.model.kind {
        ModelKind::LinfDist => "linf-dist",
        ModelKind::SortNet => "sort-net",
    }
}

impl Figure {
    fn of(self, row: &RunRow) -> Option<f64> {
        match self {
            Figure::Measure(column) => column.measure(row),
            Figure::Epoch => Some(row.summary.epoch),
            Figure::P => row.summary.p.map(|p| p.get()),
            Figure::Eps => Some(row.config.eval.eps.to_f64()),
            Figure::Lambda => Some(row.config.loss.lambda),
            Figure::Lr => Some(row.config.train.lr),
            Figure::Seed => Some(row.config.train.seed as f64),
            Figure::Id => Some(row.id.0 as f64),
        }
    }
}
