//! Reads and checks a config. Every error names the file, the line, the key, what was found and what is allowed.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::check::{Fault, check};
use super::explain::{explain, keys, nearest};

/// Why a config cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {}{message}", key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default())]
pub struct ConfigError {
    /// `configs/mnist.toml:12`, or `--set train.lr=x`.
    pub place: String,
    /// The key, where the fault lies with one.
    pub key: Option<String>,
    /// What was found and what is allowed.
    pub message: String,
}

/// Reads and checks a config from text, with no name and no overrides.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, "config", &[])
}

/// Reads a config called `name`, applies `key=value` overrides in order, and checks the whole. Where they change the data or the
/// ε, its title and its published row are of another experiment, and are left out unless they are overridden too.
pub fn parse_with(text: &str, name: &str, overrides: &[String]) -> Result<Config, ConfigError> {
    let source = Source { text, name };
    let spans = DeTable::parse(text).map_err(|error| source.syntax(&error))?;
    let mut config: Config = toml::from_str(text).map_err(|error| source.value(&error, spans.get_ref()))?;
    check(&config).map_err(|fault| source.fault(fault, spans.get_ref()))?;
    if overrides.is_empty() {
        return Ok(config);
    }
    let written = config.clone();
    let mut table: toml::Table = toml::from_str(text).map_err(|error| source.syntax(&error))?;
    for (index, text) in overrides.iter().enumerate() {
        let place = format!("--set {text}");
        let (key, value) = text.split_once('=').ok_or_else(|| ConfigError {
            place: place.clone(),
            key: None,
            message: "write KEY=VALUE, such as train.lr=0.01".into(),
        })?;
        let key = key.trim();
        set(&mut table, key, value.trim()).map_err(|message| ConfigError {
            place: place.clone(),
            key: Some(key.into()),
            message,
        })?;
        // Two overrides may be right only together: a table wants all of its keys, and ranges depend on each other
        // (ramp_end and epochs). What one alone cannot show is checked after the last.
        let is_last = index + 1 == overrides.len();
        match table.clone().try_into() {
            Ok(read) => config = read,
            Err(error) if !is_last && is_incomplete(&error) => {}
            Err(error) => {
                let message = with_allowed(key, &tidy(error.message()));
                return Err(ConfigError { place, key: Some(key.into()), message });
            }
        }
        if is_last {
            check(&config).map_err(|fault| ConfigError {
                place: "--set".into(),
                key: Some(fault.key.into()),
                message: impossible(&fault),
            })?;
        }
    }
    if (config.data.dataset, config.eval.eps) != (written.data.dataset, written.eval.eps) {
        let says = |key: &str| overrides.iter().any(|set| set.trim_start().starts_with(key));
        if !says("run.title") {
            config.run.title.clear();
        }
        if !says("run.published") {
            config.run.published = None;
        }
    }
    Ok(config)
}

/// A config with its overrides as TOML, and a comment that says where it comes from.
pub fn resolved(config: &Config, name: &str, overrides: &[String]) -> Result<String, toml::ser::Error> {
    let body = toml::to_string(config)?;
    let sets: String = overrides.iter().map(|set| format!(" --set {set}")).collect();
    Ok(format!("# {name}{sets}\n{body}"))
}

/// Whether all that is wrong is a key that is not there.
fn is_incomplete(error: &toml::de::Error) -> bool {
    error.message().starts_with("missing field")
}

/// Puts one value at a dotted path. The value is read as TOML, and as plain text where it is none (`mnist`, `8/255`).
fn set(table: &mut toml::Table, key: &str, value: &str) -> Result<(), String> {
    let value = format!("v = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    if explain(key).is_none() {
        return Err(unknown(key));
    }
    let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut table = table;
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        table = table
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| format!("{part} is no table"))?;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

fn unknown(key: &str) -> String {
    match nearest(key) {
        Some(known) => format!("unknown key; did you mean {known}?"),
        None => "unknown key; `linf-tui config keys` lists all".into(),
    }
}

fn with_allowed(key: &str, message: &str) -> String {
    match explain(key) {
        Some(doc) => format!("{message}; allowed: {}", doc.allowed),
        None => message.to_owned(),
    }
}

/// Takes the Rust out of serde's words.
fn tidy(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    for (theirs, ours) in
        [("usize", "a whole number"), ("u32", "a whole number"), ("u64", "a whole number"), ("f64", "a number")]
    {
        if let Some(start) = message.strip_suffix(&format!("expected {theirs}")) {
            return format!("{start}expected {ours}");
        }
    }
    message.to_owned()
}

struct Source<'a> {
    text: &'a str,
    name: &'a str,
}

impl Source<'_> {
    fn line(&self, span: &Range<usize>) -> String {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        format!("{}:{}", self.name, before.iter().filter(|&&byte| byte == b'\n').count() + 1)
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let place = error.span().map_or(self.name.to_owned(), |span| self.line(&span));
        ConfigError {
            place,
            key: None,
            message: format!("not TOML: {}", error.message().lines().next().unwrap_or_default()),
        }
    }

    fn value(&self, error: &toml::de::Error, spans: &DeTable<'_>) -> ConfigError {
        let Some(span) = error.span() else {
            return ConfigError { place: self.name.into(), key: None, message: tidy(error.message()) };
        };
        let key = key_at(spans, &span, "");
        if let Some(fault) = self.missing(error.message(), &span, key.as_deref()) {
            return fault;
        }
        let message = match (&key, error.message()) {
            // Inside a list of tables the fault lies deeper than the known key.
            (Some(key), message) if message.starts_with("unknown field") && explain(key).is_none() => unknown(key),
            (Some(key), message) => with_allowed(key, &tidy(message)),
            (None, message) => tidy(message),
        };
        ConfigError { place: self.line(&span), key, message }
    }

    /// A key or a section that is not there. Of what lacks it serde gives the place where it begins, for the whole file as for
    /// a section at its top.
    fn missing(&self, message: &str, span: &Range<usize>, within: Option<&str>) -> Option<ConfigError> {
        let field = message.strip_prefix("missing field `")?.split('`').next()?;
        let key = within.map(|table| format!("{table}.{field}"));
        if let Some(doc) = key.as_deref().and_then(explain) {
            let message = format!("it is missing; allowed: {}", doc.allowed);
            return Some(ConfigError { place: self.line(span), key, message });
        }
        let is_section = keys().iter().any(|doc| doc.key.split('.').next() == Some(field));
        let message = format!("the section [{field}] is missing");
        is_section.then(|| ConfigError { place: self.name.into(), key: None, message })
    }

    fn fault(&self, fault: Fault, spans: &DeTable<'_>) -> ConfigError {
        let place = span_of(spans, fault.key).map_or(self.name.to_owned(), |span| self.line(&span));
        ConfigError { place, key: Some(fault.key.into()), message: impossible(&fault) }
    }
}

/// The dotted path of the key or value that covers `span`.
fn key_at(table: &DeTable<'_>, span: &Range<usize>, prefix: &str) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let covers = |range: Range<usize>| range.start <= span.start && span.end <= range.end;
        match value.get_ref() {
            // A table's own span is its header, or the braces; its keys may lie elsewhere, so look inside first.
            DeValue::Table(inner) => {
                key_at(inner, span, &path).or_else(|| (covers(key.span()) || covers(value.span())).then_some(path))
            }
            _ => (covers(key.span()) || covers(value.span())).then_some(path),
        }
    })
}

fn impossible(Fault { key, found }: &Fault) -> String {
    with_allowed(key, &format!("{found} is impossible"))
}

fn span_of(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let (key, value): (_, &Spanned<DeValue<'_>>) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    match (rest, value.get_ref()) {
        (None, _) => Some(key.span()),
        (Some(rest), DeValue::Table(inner)) => span_of(inner, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::config::Run, *};

    const GOOD: &str = "\
[data]
dataset = \"mnist\"
[model]
depth = 5
width = 512
[train]
epochs = 30
batch_size = 256
lr = 0.045
[schedule]
ramp_start = 3.6
ramp_end = 26.7
[loss]
lambda = 0.05
eps_train = 0.45
[eval]
eps = 0.3
";

    fn error(text: &str) -> String {
        parse_with(text, "c.toml", &[]).unwrap_err().to_string()
    }

    fn override_error(overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        parse_with(GOOD, "c.toml", &overrides).unwrap_err().to_string()
    }

    #[test]
    fn a_good_config_reads() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.model.width, 512);
        assert_eq!(config.train.scalar_lr(), 0.009);
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_likely_one() {
        assert_eq!(
            error(&GOOD.replace("width", "widht")),
            "c.toml:5: model.widht: unknown key; did you mean model.width?"
        );
    }

    #[test]
    fn a_wrong_type_names_what_is_allowed() {
        let message = error(&GOOD.replace("depth = 5", "depth = \"five\""));
        assert_eq!(
            message,
            "c.toml:4: model.depth: invalid type: string \"five\", expected a whole number; allowed: 2 to 64; 1 with a \
             head or convolutions, 0 with both"
        );
        let message = error(&GOOD.replace("\"mnist\"", "\"mnits\""));
        assert!(message.starts_with("c.toml:2: data.dataset: unknown variant `mnits`"), "{message}");
    }

    #[test]
    fn what_is_missing_is_named_with_its_place() {
        let without = |section: &str| {
            let lines = GOOD.lines().scan(false, |inside, line| {
                *inside = if line.starts_with('[') { line == section } else { *inside };
                Some(if *inside { "" } else { line })
            });
            error(&lines.collect::<Vec<_>>().join("\n"))
        };
        assert_eq!(without("[train]"), "c.toml: the section [train] is missing");
        assert_eq!(without("[data]"), "c.toml: the section [data] is missing");
        let message = error(&GOOD.replace("dataset = \"mnist\"", ""));
        assert!(message.starts_with("c.toml:1: data.dataset: it is missing; allowed: "), "{message}");
    }

    #[test]
    fn an_impossible_value_names_its_line() {
        let message = error(&GOOD.replace("lr = 0.045", "lr = -1"));
        assert_eq!(message, "c.toml:9: train.lr: -1 is impossible; allowed: above 0, up to 10");
        let message = error(&GOOD.replace("ramp_end = 26.7", "ramp_end = 31"));
        assert!(message.starts_with("c.toml:12: schedule.ramp_end: 31 is impossible"), "{message}");
        let message = error(&GOOD.replace("eps = 0.3", "eps = \"300/255\""));
        assert!(message.starts_with("c.toml:17: eval.eps: \"300/255\" is not a radius"), "{message}");
        let message = error(&GOOD.replace("lr = 0.045", "lr = nan"));
        assert!(message.starts_with("c.toml:9: train.lr: NaN"), "{message}");
        for (side, good) in [(0, false), (1, true), (28, true), (29, false)] {
            let text = GOOD.replace("dataset = \"mnist\"", &format!("dataset = \"mnist\"\ncrop = {side}"));
            assert!(text != GOOD && parse(&text).is_ok() == good, "a window of {side} pixels");
        }
    }

    #[test]
    fn a_missing_key_and_broken_toml_name_their_place() {
        let message = error(&GOOD.replace("lr = 0.045\n", ""));
        assert!(message.starts_with("c.toml:6: train.lr: it is missing; allowed: "), "{message}");
        let message = error(&GOOD.replace("depth = 5", "depth = = 5"));
        assert!(message.starts_with("c.toml:4: not TOML"), "{message}");
    }

    #[test]
    fn sums_have_the_bits_that_there_are_kernels_for() {
        for bits in 0..=32 {
            let read = parse_with(GOOD, "c.toml", &[format!("train.bits={bits}")]);
            assert_eq!(read.is_ok(), crate::dist::Precision::of_bits(bits).is_some(), "{bits}");
        }
        assert_eq!(override_error(&["train.bits=12"]), "--set: train.bits: 12 is impossible; allowed: 4, 8, 16 or 24");
    }

    #[test]
    fn a_loss_takes_the_keys_of_its_kind_alone() {
        let with = |lines: &str| GOOD.replace("lambda = 0.05", lines);
        for good in ["lambda = 1", "kind = 'hinge'\nmix = 0.75", "kind = 'cross-entropy'\nkappa = 0.5"] {
            assert!(parse(&with(good)).is_ok(), "{good}");
        }
        for (bad, key) in [
            ("", "loss.lambda"),
            ("lambda = 0", "loss.lambda"),
            ("lambda = 1\nlambda_end = 0", "loss.lambda_end"),
            ("lambda = 1\nmix = 0.5", "loss.mix"),
            ("lambda = 1\nkappa = 0.5", "loss.kappa"),
            ("kind = 'hinge'\nlambda = 1", "loss.lambda"),
            ("kind = 'hinge'\nkappa = 1.5", "loss.kappa"),
            ("kind = 'cross-entropy'\nmix = 0.5", "loss.mix"),
            ("kind = 'ce-hinge'", "loss.lambda"),
        ] {
            let message = error(&with(bad));
            assert!(message.contains(key) && message.contains("impossible; allowed"), "{bad}: {message}");
        }
    }

    #[test]
    fn a_model_takes_the_sizes_that_go_together() {
        let with = |lines: &str| GOOD.replace("depth = 5\nwidth = 512", lines);
        for good in [
            "depth = 1\nwidth = 8\nhidden = 4",
            "depth = 0\nwidth = 8\nhidden = 4\nconv = [{ outputs = 3, kernel = 3 }]",
            "depth = 5\nwidth = 8\nkind = 'sort-net'\nkeep = 0.7",
            "depth = 5\nwidth = 8\ngroups = 4",
        ] {
            assert!(parse(&with(good)).is_ok(), "{good}: {}", error(&with(good)));
        }
        for (bad, message) in [
            ("depth = 1\nwidth = 8", "model.depth: 1 is impossible"),
            ("depth = 0\nwidth = 8\nhidden = 4", "model.depth: 0 is impossible"),
            ("depth = 5\nwidth = 8\nkeep = 0.7", "model.keep: 0.7 is impossible"),
            ("depth = 5\nwidth = 8\nkind = 'sort-net'", "model.keep: nothing is impossible"),
            ("depth = 5\nwidth = 8\nkind = 'sort-net'\nkeep = 0", "model.keep: 0 is impossible"),
            ("depth = 5\nwidth = 8\nkind = 'sort-net'\nkeep = 0.5\ngroups = 2", "model.groups: 2 is impossible"),
            ("depth = 5\nwidth = 8\nconv = [{ outputs = 0, kernel = 3 }]", "model.conv: Conv { outputs: 0"),
            ("depth = 5\nwidth = 8\nconv = [{ outputs = 1, kernle = 3 }]", "model.conv: unknown field `kernle`"),
            (
                "depth = 5\nwidth = 8\nkind = 'sort-net'\nkeep = 0.5\nconv = [{ outputs = 1, kernel = 3, repeat = 2 }]",
                "with sort neurons is impossible",
            ),
        ] {
            let found = error(&with(bad));
            assert!(found.contains(message), "{bad}: {found}");
        }
    }

    #[test]
    fn fewer_images_are_right_under_attack_than_are_certified_by_mistake_alone() {
        let published = |attacked: f64| {
            let row = format!("[run]\npublished = {{ source = 's', certified = 0.9, attacked = {attacked} }}\n");
            parse(&format!("{GOOD}\n{row}")).map(|config| config.run.published.and_then(|row| row.attacked))
        };
        assert_eq!(published(0.92), Ok(Some(0.92)));
        let error = published(0.89).unwrap_err().to_string();
        assert!(error.contains("run.published.attacked: 0.89") && error.contains("run.published.certified"), "{error}");
    }

    #[test]
    fn a_published_row_is_left_out_where_the_data_or_the_radius_are_others() {
        let text = format!("{GOOD}\n[run]\ntitle = 'MNIST'\npublished = {{ source = 's', certified = 0.9 }}\n");
        let with = |overrides: &[&str]| {
            let overrides: Vec<String> = overrides.iter().map(|set| (*set).to_owned()).collect();
            parse_with(&text, "c.toml", &overrides).unwrap().run
        };
        for kept in [&["train.lr=0.01"][..], &["data.dataset=mnist"], &["eval.eps=3/10"]] {
            assert!(with(kept).published.is_some() && with(kept).title == "MNIST", "{kept:?}");
        }
        for dropped in ["data.dataset=fashion-mnist", "eval.eps=0.1"] {
            assert_eq!(with(&[dropped]), Run::default(), "{dropped}");
            let said = with(&[dropped, "run.title=mine", "run.published.certified=0.5"]);
            assert_eq!((said.title.as_str(), said.published.map(|row| row.certified)), ("mine", Some(0.5)));
        }
    }

    #[test]
    fn overrides_win_in_order() {
        let overrides =
            ["train.lr=0.1", "data.dataset=cifar10", "loss.eps_train=24/255", "data.augment.pad=3", "train.lr=0.2"]
                .map(String::from);
        let config = parse_with(GOOD, "c.toml", &overrides).unwrap();
        assert_eq!(config.train.lr, 0.2);
        assert_eq!(config.loss.eps_train.to_string(), "24/255");
        assert_eq!(config.data.augment.pad, 3);
    }

    #[test]
    fn two_overrides_may_be_right_only_together() {
        let overrides = ["schedule.ramp_end=100", "train.epochs=120"].map(String::from);
        assert!(parse_with(GOOD, "c.toml", &overrides).is_ok());
        let overrides = ["data.extra.path=more.npz", "data.extra.share=0.3"].map(String::from);
        assert!(parse_with(GOOD, "c.toml", &overrides).unwrap().data.extra.is_some());
        assert!(override_error(&["data.extra.path=more.npz"]).contains("missing field `share`"));
    }

    #[test]
    fn a_wrong_override_is_named() {
        assert_eq!(override_error(&["train.lr"]), "--set train.lr: write KEY=VALUE, such as train.lr=0.01");
        assert_eq!(
            override_error(&["train.batchsize=1"]),
            "--set train.batchsize=1: train.batchsize: unknown key; did you mean train.batch_size?"
        );
        assert!(override_error(&["train.lr=fast"]).contains("allowed: above 0, up to 10"));
        assert_eq!(override_error(&["train.lr=11"]), "--set: train.lr: 11 is impossible; allowed: above 0, up to 10");
    }
}
