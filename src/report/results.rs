//! What runs came to, a line for each experiment: runs that differ in their seed alone are one, with mean ± σ. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::table::{Side, Table};
use crate::experiment::{Config, Epsilon, Published, Resources, Run, RunState, differences};
use crate::net::NetShape;
use crate::store::RunRow;

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultRow {
    /// The config's title.
    pub title: String,
    /// The data set, for people.
    pub data: &'static str,
    /// The certified radius, in pixels.
    pub eps: Epsilon,
    /// The net's shape.
    pub net: String,
    /// What tells it from the others of this data set, ε and net: the keys of the config that differ, with its values, but
    /// for values that more than half of them have.
    pub differs: BTreeMap<String, String>,
    /// What its config does not say: where it was forked, that it was steered.
    pub origin: Option<String>,
    /// The runs by name, with their seeds.
    pub runs: Vec<(String, u64)>,
    /// Clean test accuracy at p = ∞.
    pub clean: Spread,
    /// Test accuracy under all attacks at ε, where every run was attacked.
    pub attacked: Option<Spread>,
    /// On how many test images, the first ones: the fewest of its runs.
    pub attacked_images: Option<u32>,
    /// Certified test accuracy at ε.
    pub certified: Spread,
    /// The published row of the config.
    pub published: Option<Published>,
}

/// A figure over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the sample (n − 1); none of one run.
    pub sigma: Option<f64>,
}

impl Spread {
    /// Of at least one figure.
    fn of(figures: &[f64]) -> Spread {
        let n = figures.len() as f64;
        let mean = figures.iter().sum::<f64>() / n;
        let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
        Spread { mean, sigma: (figures.len() > 1).then(|| (squares / (n - 1.0)).sqrt()) }
    }

    /// In percent, with `pm` between mean and deviation.
    fn percent(self, pm: &str) -> String {
        match self.sigma {
            Some(sigma) => format!("{:.2}{pm}{:.2}", 100.0 * self.mean, 100.0 * sigma),
            None => format!("{:.2}", 100.0 * self.mean),
        }
    }
}

/// The runs of one recipe, with their clean and certified accuracy.
struct Experiment<'a> {
    recipe: Config,
    runs: Vec<(&'a RunRow, f64, f64)>,
}

/// The experiments of the runs that are complete, in the order of their first runs.
pub fn results(rows: &[RunRow]) -> Vec<ResultRow> {
    let mut experiments: Vec<Experiment<'_>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.state == RunState::Completed) {
        let (Some(clean), Some(certified)) = (row.summary.clean, row.summary.certified) else { continue };
        let place = *places.entry(experiment(row)).or_insert_with(|| {
            experiments.push(Experiment { recipe: recipe(&row.config), runs: Vec::new() });
            experiments.len() - 1
        });
        // The same seed again is the same net again, or nearly: a copy, a repetition. Over seeds it counts once.
        let runs = &mut experiments[place].runs;
        if runs.iter().all(|(other, ..)| other.config.train.seed != row.config.train.seed) {
            runs.push((row, clean, certified));
        }
    }
    let differs = differing(&experiments.iter().map(|experiment| &experiment.recipe).collect::<Vec<_>>());
    let of_one = |(experiment, differs): (&Experiment<'_>, BTreeMap<String, String>)| {
        let runs = &experiment.runs;
        let (first, ..) = runs.first()?;
        let config = &first.config;
        let attacked: Option<Vec<(f64, u32)>> = runs.iter().map(|(row, ..)| row.summary.attacked).collect();
        let attacked_images = attacked.as_ref().and_then(|all| all.iter().map(|(_, images)| *images).min());
        let (data, eps, net) = task(config);
        Some(ResultRow {
            title: config.run.title.clone(),
            data,
            eps,
            net,
            differs,
            origin: origin(first),
            runs: runs.iter().map(|(row, ..)| (row.name.clone(), row.config.train.seed)).collect(),
            clean: Spread::of(&runs.iter().map(|run| run.1).collect::<Vec<_>>()),
            attacked: attacked.map(|all| Spread::of(&all.iter().map(|(share, _)| *share).collect::<Vec<_>>())),
            attacked_images,
            certified: Spread::of(&runs.iter().map(|run| run.2).collect::<Vec<_>>()),
            published: config.run.published.clone(),
        })
    };
    experiments.iter().zip(differs).filter_map(of_one).collect()
}

/// For each recipe what tells it from those of the same task: keys with its values, but for values that more than half of
/// them have.
fn differing(recipes: &[&Config]) -> Vec<BTreeMap<String, String>> {
    let mut tasks: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, recipe) in recipes.iter().enumerate() {
        tasks.entry(format!("{:?}", task(recipe))).or_default().push(place);
    }
    let mut differing = vec![BTreeMap::new(); recipes.len()];
    for places in tasks.values() {
        for (key, values) in differences(&places.iter().map(|&place| recipes[place]).collect::<Vec<_>>()) {
            let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
            values.iter().for_each(|value| *counts.entry(value).or_default() += 1);
            for (&place, value) in places.iter().zip(&values).filter(|(_, value)| 2 * counts[value] <= values.len()) {
                differing[place].insert(key.clone(), value.clone());
            }
        }
    }
    differing
}

/// The runs without those that repeat another one's experiment and seed: of such the first one with figures stays.
pub(crate) fn once_a_seed<'a>(rows: &[&'a RunRow]) -> Vec<&'a RunRow> {
    let mut seen: BTreeMap<(String, u64), usize> = BTreeMap::new();
    let mut once: Vec<&RunRow> = Vec::with_capacity(rows.len());
    for row in rows {
        let place = *seen.entry((experiment(row), row.config.train.seed)).or_insert(once.len());
        match once.get_mut(place) {
            None => once.push(row),
            Some(known) if known.summary.certified.is_none() => *known = row,
            Some(_) => {}
        }
    }
    once
}

/// What an experiment is, whatever its seed, its words and its machine. A run that was steered is one by itself.
pub(crate) fn experiment(row: &RunRow) -> String {
    let alone = row.summary.steered.then_some(row.id);
    format!("{:?} {:?} {alone:?}", recipe(&row.config), row.parent)
}

/// What the config of a run does not say of its training.
fn origin(row: &RunRow) -> Option<String> {
    let forked = row.parent.as_ref().map(|parent| format!("forked from {parent}"));
    let steered = row.summary.steered.then(|| "steered".to_owned());
    let words: Vec<String> = forked.into_iter().chain(steered).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// A config without its seed, its words and its machine.
fn recipe(config: &Config) -> Config {
    let mut config = config.clone();
    config.train.seed = 0;
    (config.run, config.resources) = (Run::default(), Resources::default());
    config
}

/// What the table says of a config by itself.
fn task(config: &Config) -> (&'static str, Epsilon, String) {
    (config.data.dataset.title(), config.eval.eps, NetShape::new(config).to_string())
}

/// How the table is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns that line up.
    #[default]
    Plain,
    /// A table of Markdown.
    Markdown,
    /// A tabular of LaTeX, with the rules of booktabs.
    Latex,
    /// Everything that is known, fractions instead of percents.
    Json,
}

const COLUMNS: usize = 10;
const HEADINGS: [&str; COLUMNS] =
    ["data", "ε", "net", "seeds", "clean", "attacked", "certified", "published", "of", "where configs differ"];

/// How many columns have something to say: the last one only where experiments would look alike without it.
fn columns(rows: &[ResultRow]) -> usize {
    let alike = |row: &ResultRow| row.differs.is_empty() && row.origin.is_none();
    if rows.iter().all(alike) { COLUMNS - 1 } else { COLUMNS }
}

fn cells(row: &ResultRow, pm: &str) -> [String; COLUMNS] {
    let published = row.published.as_ref();
    let percent = |value: f64| format!("{:.2}", 100.0 * value);
    let known = |value: Option<f64>| value.map_or_else(|| "–".into(), percent);
    let figures = published.map(|row| match (row.clean, row.attacked) {
        (None, None) => percent(row.certified),
        (clean, None) => format!("{} / {}", known(clean), percent(row.certified)),
        (clean, attacked) => format!("{} / {} / {}", known(clean), known(attacked), percent(row.certified)),
    });
    [
        row.data.to_owned(),
        row.eps.to_string(),
        row.net.clone(),
        row.runs.len().to_string(),
        row.clean.percent(pm),
        row.attacked
            .zip(row.attacked_images)
            .map_or_else(|| "–".into(), |(attacked, images)| format!("{} of {images}", attacked.percent(pm))),
        row.certified.percent(pm),
        figures.unwrap_or_else(|| "–".into()),
        published.map(|row| row.source.clone()).unwrap_or_default(),
        {
            let differs = row.differs.iter().map(|(key, value)| format!("{key}={value}"));
            differs.chain(row.origin.clone()).collect::<Vec<_>>().join(" ")
        },
    ]
}

/// The table as plain text, accuracies in percent; a published row is clean / certified, or clean / under PGD / certified.
pub fn plain(rows: &[ResultRow]) -> String {
    let mut sides = [Side::Right; COLUMNS];
    [sides[0], sides[2], sides[8], sides[9]] = [Side::Left; 4];
    let shown = columns(rows);
    let heading = |column: usize| if column < shown { HEADINGS[column] } else { "" };
    let mut table = Table::new(std::array::from_fn(|column| (heading(column), sides[column])));
    rows.iter().for_each(|row| table.row(cells(row, " ± ")));
    table.to_string()
}

/// The table in Markdown.
pub fn markdown(rows: &[ResultRow]) -> String {
    let line = |cells: &[String]| {
        format!("| {} |\n", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
    };
    let shown = columns(rows);
    let mut text = line(&HEADINGS.map(str::to_owned)[..shown]);
    text.push_str("|---|--:|---|--:|--:|--:|--:|--:|---|");
    text.push_str(if shown == COLUMNS { "---|\n" } else { "\n" });
    text.extend(rows.iter().map(|row| line(&cells(row, " ± ")[..shown])));
    text
}

/// The table in LaTeX; needs the package booktabs.
pub fn latex(rows: &[ResultRow]) -> String {
    let line =
        |cells: &[String]| format!("{} \\\\\n", cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" & "));
    let shown = columns(rows);
    let last = if shown == COLUMNS { "l" } else { "" };
    let mut text = format!("\\begin{{tabular}}{{lrlrrrrrl{last}}}\n\\toprule\n");
    text.push_str(&line(&HEADINGS.map(str::to_owned)[..shown]));
    text.push_str("\\midrule\n");
    text.extend(rows.iter().map(|row| line(&cells(row, "±")[..shown])));
    text.push_str("\\bottomrule\n\\end{tabular}\n");
    text
}

/// What LaTeX takes amiss is escaped, and what it may lack a glyph for is written as it writes it.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', character]),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '±' => out.push_str("$\\pm$"),
            'ε' => out.push_str("$\\varepsilon$"),
            'ℓ' => out.push_str("$\\ell$"),
            '∞' => out.push_str("$\\infty$"),
            'λ' => out.push_str("$\\lambda$"),
            '×' => out.push_str("$\\times$"),
            '–' => out.push_str("--"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::experiment::{Desired, Parent, RunId, parse};
    use crate::store::Summary;

    /// A complete run of a small experiment.
    pub fn run(seed: u64, clean: f64, certified: f64) -> RunRow {
        let text = format!(
            "run = {{ title = 'a & b', published = {{ source = 'ICLR 2022, 5_120', certified = 0.932, clean = 0.9856 }} }}\n\
             data.dataset = 'mnist'\nmodel = {{ depth = 2, width = 8 }}\n\
             train = {{ epochs = 10, batch_size = 8, lr = 0.03, seed = {seed} }}\n\
             schedule = {{ ramp_start = 2, ramp_end = 8 }}\nloss = {{ lambda = 0.1, eps_train = 0.4 }}\neval.eps = 0.3"
        );
        RunRow {
            id: RunId(seed as i64),
            name: format!("run-{seed}"),
            group: None,
            variant: String::new(),
            tags: vec![],
            note: String::new(),
            state: RunState::Completed,
            desired: Desired::Run,
            config: parse(&text).unwrap(),
            added_ms: 0,
            started_ms: None,
            ended_ms: None,
            attempts: 1,
            summary: Summary { clean: Some(clean), certified: Some(certified), ..Summary::default() },
            revision: 0,
            turn: crate::experiment::Turn::default(),
            parent: None,
            device: None,
        }
    }

    #[test]
    fn seeds_make_a_mean_and_a_deviation_and_other_configs_a_line_of_their_own() {
        let mut other = run(1, 0.99, 0.95);
        other.config.train.lr = 0.05;
        other.config.run.published = None;
        let mut unfinished = run(9, 0.1, 0.1);
        unfinished.state = RunState::Cancelled { checkpoint: None };
        let rows = results(&[run(1, 0.98, 0.90), other, run(2, 0.97, 0.91), unfinished, run(3, 0.99, 0.92)]);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].runs.iter().map(|run| run.1).collect::<Vec<_>>(), [1, 2, 3]);
        assert!((rows[0].clean.mean - 0.98).abs() < 1e-12 && (rows[0].clean.sigma.unwrap() - 0.01).abs() < 1e-12);
        assert!((rows[0].certified.mean - 0.91).abs() < 1e-12);
        assert_eq!((rows[1].certified.mean, rows[1].certified.sigma), (0.95, None));
        let differs = |row: &ResultRow| row.differs.clone().into_iter().collect::<Vec<_>>();
        assert_eq!(differs(&rows[0]), [("train.lr".to_owned(), "0.03".to_owned())]);
        assert_eq!(differs(&rows[1]), [("train.lr".to_owned(), "0.05".to_owned())]);

        let plain = plain(&rows);
        assert!(
            plain.contains("98.00 ± 1.00") && plain.contains("91.00 ± 1.00") && plain.contains("98.56 / 93.20"),
            "{plain}"
        );
        let markdown = markdown(&rows);
        assert_eq!(markdown.lines().count(), 4, "{markdown}");
        assert!(markdown.lines().all(|line| line.matches('|').count() == 11), "{markdown}");
        assert!(markdown.contains(" | train.lr=0.05 |"), "{markdown}");
        let latex = latex(&rows);
        assert!(latex.contains("98.00$\\pm$1.00 & -- & 91.00$\\pm$1.00") && latex.contains("5\\_120"), "{latex}");
        assert_eq!(latex.matches("\\\\\n").count(), 3);
        assert!(latex.is_ascii(), "{latex}");
    }

    #[test]
    fn forks_and_steered_runs_are_no_seeds_of_their_config() {
        let mut fork = run(5, 0.5, 0.4);
        fork.parent = Some(Parent { run: RunId(1), name: "one".into(), step: 47 });
        let sister = RunRow { id: RunId(6), config: run(6, 0.0, 0.0).config, ..fork.clone() };
        let mut steered = run(7, 0.3, 0.2);
        steered.summary.steered = true;
        let mut too = run(8, 0.3, 0.2);
        too.summary.steered = true;
        let all = [run(1, 0.98, 0.90), fork, run(2, 0.97, 0.91), sister, steered, too];
        let rows = results(&all);
        assert_eq!(rows.iter().map(|row| row.runs.len()).collect::<Vec<_>>(), [2, 2, 1, 1]);
        let text = plain(&rows);
        assert!(text.contains("forked from #1 one at step 47") && text.matches("steered").count() == 2, "{text}");
        let rows: Vec<&RunRow> = all.iter().collect();
        assert_eq!(once_a_seed(&rows).len(), 6);
    }

    #[test]
    fn attacks_say_on_how_many_images_they_were() {
        let attacked = |seed, share, images| {
            let mut row = run(seed, 0.99, 0.95);
            row.summary.attacked = Some((share, images));
            row
        };
        let text = plain(&results(&[attacked(1, 0.96, 500), attacked(2, 0.97, 1000)]));
        assert!(text.contains("96.50 ± 0.71 of 500"), "{text}");
        assert!(
            !plain(&results(&[attacked(1, 0.96, 500), run(2, 0.97, 0.9)])).contains(" of 500"),
            "one was not attacked"
        );
    }

    #[test]
    fn what_most_experiments_have_is_not_repeated() {
        let [mut faster, mut longer] = [run(1, 0.99, 0.95), run(1, 0.97, 0.93)];
        faster.config.train.lr = 0.05;
        longer.config.train.epochs = 20;
        let rows = results(&[run(1, 0.98, 0.90), faster, longer]);
        let differs = rows.iter().map(|row| row.differs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>());
        assert_eq!(
            differs.collect::<Vec<_>>(),
            [vec![], vec!["train.lr=0.05".to_owned()], vec!["train.epochs=20".into()]]
        );
    }

    #[test]
    fn where_configs_differ_is_a_column_only_where_experiments_would_look_alike() {
        let mut deeper = run(1, 0.99, 0.95);
        deeper.config.model.depth = 3;
        let rows = results(&[run(1, 0.98, 0.90), deeper]);
        assert!(rows.iter().all(|row| row.differs.is_empty()), "{rows:?}");
        assert!(plain(&rows).lines().all(|line| !line.contains("differ")));
        assert!(markdown(&rows).lines().all(|line| line.matches('|').count() == 10));
        assert!(latex(&rows).contains("{lrlrrrrrl}"));
    }
}
