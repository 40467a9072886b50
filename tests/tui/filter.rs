//! The filter language and the order of the list.

use std::collections::BTreeMap;

use linf::experiment::RunId;
use linf::store::RunRow;
use linf::tui::columns::{Column, Columns};
use linf::tui::completion::{agreed, completions};
use linf::tui::filter::{Filter, FilterError};
use linf::tui::known::Known;
use linf::tui::run_list::{Arrangement, Entry, Sort};

use crate::fixture::store;

fn rows() -> BTreeMap<RunId, RunRow> {
    store().into_iter().map(|(row, _)| (row.id, row)).collect()
}

/// A store that holds these.
fn known(rows: BTreeMap<RunId, RunRow>) -> Known {
    Known { rows, ..Known::default() }
}

fn passing(text: &str) -> Vec<i64> {
    let filter = Filter::parse(text).unwrap();
    rows().values().filter(|row| filter.passes(row)).map(|row| row.id.0).collect()
}

#[test]
fn each_term_finds_its_runs() {
    assert_eq!(passing("state:live"), [1, 2]);
    assert_eq!(passing("state:done"), [4, 5, 6]);
    assert_eq!(passing("state:over"), [4, 5, 6, 7, 9, 10]);
    assert_eq!(passing("certified>=0.9"), [4, 5]);
    for data in ["data:fashion", "data:fashion-mnist", "data:fash"] {
        assert_eq!(passing(data), [2], "{data}");
    }
    assert_eq!(passing("data:cifar100"), [0; 0], "another than cifar10");
    assert_eq!(passing("net:5x1024"), [3]);
    assert_eq!(passing("eps=8/255"), [8]);
    assert_eq!(passing("p>=∞"), [4, 5, 6]);
    assert_eq!(passing("BASELINE"), [8]);
    assert_eq!(passing("group:mnist -state:done"), [7]);
    assert_eq!(passing("-state:over -data:mnist"), [2, 8]);
    assert_eq!(passing("").len(), 10);
    assert_eq!(passing("/^(QUIET|hardy)-/"), [2, 3]);
    assert_eq!(
        passing("-/a/ state:over"),
        passing("state:over").into_iter().filter(|id| !passing("/a/").contains(id)).collect::<Vec<_>>()
    );
    assert_eq!(passing("eps:8/255"), [8]);
    assert_eq!(passing("attacked>0.9"), [5]);
    assert_eq!(passing("lambda=0.5"), [7]);
    assert_eq!(passing("model:linf").len(), 10);
    assert_eq!(passing("model:sort").len(), 0);
}

#[test]
fn a_whole_name_of_a_data_set_means_no_other_that_begins_so() {
    let mut row = rows().remove(&RunId(8)).unwrap();
    row.config.data.dataset = linf::experiment::DatasetId::Cifar100;
    let passes = |text: &str| Filter::parse(text).unwrap().passes(&row);
    assert_eq!(["data:cifar", "data:cifar10", "data:cifar100"].map(passes), [true, false, true]);
}

#[test]
fn terms_side_by_side_must_all_hold_and_or_separates() {
    assert_eq!(passing("state:done certified>0.91"), [4]);
    assert_eq!(passing("state:queued or data:cifar"), [3, 8]);
    assert_eq!(passing("state:queued or"), [3]);
}

#[test]
fn what_is_no_filter_says_what_is_allowed() {
    assert_eq!(Filter::parse("colour:red"), Err(FilterError::Field("colour".into())));
    assert_eq!(Filter::parse("size>3"), Err(FilterError::Figure("size".into())));
    assert_eq!(Filter::parse("p>high"), Err(FilterError::Number("high".into())));
    assert!(Filter::parse("/(/").unwrap_err().to_string().starts_with("/(/ is no regular expression"));
    assert!(FilterError::Field("colour".into()).to_string().contains("net, model, name"));
}

#[test]
fn what_is_archived_passes_only_where_it_is_asked_for() {
    let mut rows = rows();
    rows.get_mut(&RunId(4)).unwrap().tags.push("archived".into());
    let passing = |text: &str| {
        let filter = Filter::parse(text).unwrap();
        rows.values().filter(|row| filter.passes(row)).map(|row| row.id.0).collect::<Vec<_>>()
    };
    assert_eq!(passing("").len(), 9);
    assert_eq!(passing("state:done"), [5, 6]);
    assert_eq!(passing("tag:archived"), [4]);
    assert_eq!(passing("state:queued or tag:archived certified>0.9"), [3, 4]);
    assert!(Filter::parse("state:done").unwrap().passes_archived_too(&rows[&RunId(4)]));
}

#[test]
fn the_last_word_is_completed_from_what_the_store_holds() {
    let rows = rows();
    let words = |text: &str| completions(text, rows.values()).into_iter().map(|found| found.word).collect::<Vec<_>>();
    assert_eq!(words("st"), ["state:"]);
    assert_eq!(words("state:done c"), ["certified>", "clean>"]);
    assert_eq!(words("state:c"), ["state:cancelled", "state:completed"]);
    assert_eq!(words("-tag:"), ["tag:cpu", "tag:iclr2022", "tag:published"]);
    assert_eq!(words("data:FA"), ["data:fashion-mnist"]);
    assert_eq!(words("net:6"), ["net:6x5120"]);
    assert_eq!(words("group:"), ["group:mnist-cpu"]);
    assert!(words("").len() > 20 && words("certified>0.").is_empty() && words("/st").is_empty());
    let found = completions("lynx -state:q", rows.values());
    assert_eq!(found[0].text, "lynx -state:queued ");
    assert_eq!(agreed("state:c", &completions("state:c", rows.values())), None, "cancelled, completed");
    assert_eq!(agreed("ta", &completions("ta", rows.values())).unwrap(), "tag:");
}

#[test]
fn a_group_stands_once_with_its_runs_below() {
    let entries = Arrangement::default().entries(&known(rows()));
    let group = entries.iter().position(|entry| *entry == Entry::Group("mnist-cpu".into())).unwrap();
    let indented = entries.iter().filter(|entry| matches!(entry, Entry::Run { indented: true, .. })).count();
    assert_eq!((indented, entries.len()), (4, 11));
    assert!(entries[group + 1..=group + 4].iter().all(|entry| matches!(entry, Entry::Run { indented: true, .. })));
}

#[test]
fn one_run_alone_is_no_group() {
    let arrangement = Arrangement { filter: Filter::parse("certified>0.91").unwrap(), ..Arrangement::default() };
    assert_eq!(arrangement.entries(&known(rows())), [Entry::Run { id: RunId(4), indented: false }]);
}

#[test]
fn a_folded_group_is_one_line() {
    let arrangement = Arrangement { folded: ["mnist-cpu".to_owned()].into(), ..Arrangement::default() };
    assert_eq!(arrangement.entries(&known(rows())).len(), 7);
}

#[test]
fn sorting_by_a_figure_puts_the_best_first_and_the_unknown_last() {
    let arrangement = Arrangement { sort: Sort::By(Column::Certified), ..Arrangement::default() };
    let mut known = known(rows());
    known.rows.values_mut().for_each(|row| row.group = None);
    let ids: Vec<i64> = arrangement
        .entries(&known)
        .iter()
        .filter_map(|entry| if let Entry::Run { id, .. } = entry { Some(id.0) } else { None })
        .collect();
    assert_eq!(ids[..3], [4, 5, 6]);
    assert_eq!(ids[8..], [9, 3]);
    let reversed = Arrangement { reversed: true, ..arrangement }.entries(&known);
    assert_eq!(reversed.len(), ids.len());
    assert_eq!(reversed[7], Entry::Run { id: RunId(4), indented: false });
    assert_eq!(reversed[9], Entry::Run { id: RunId(9), indented: false }, "nothing is known of it either way round");
}

#[test]
fn sorting_goes_round_the_columns_that_are_shown() {
    let columns = Columns::read(&["run", "seed", "trend", "certified"]).unwrap();
    let mut sort = Sort::State;
    let mut round = Vec::new();
    for _ in 0..4 {
        sort = sort.next(&columns);
        round.push(sort);
    }
    assert_eq!(round, [Sort::By(Column::Certified), Sort::By(Column::Seed), Sort::Name, Sort::State]);
    assert_eq!(Sort::By(Column::Loss).next(&columns), Sort::By(Column::Certified), "what is no longer shown");
}
