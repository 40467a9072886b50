//! What the list of runs shows: filters, columns, order.

use linf::experiment::RunId;
use linf::tui::message::Effect;

use crate::fixture::{fresh, press, screen};

#[test]
fn the_filter_holds_while_it_is_typed_and_escape_takes_it_back() {
    let mut model = fresh();
    press(&mut model, "/data:fash");
    assert!(screen(&model).contains("1 of 10 runs"));
    press(&mut model, "<esc>");
    assert!(!screen(&model).contains("of 10 runs"));
    press(&mut model, "/data:fash<enter>");
    assert_eq!(model.list.selected_run(), Some(RunId(2)));
    press(&mut model, "<esc>");
    assert!(screen(&model).contains("sharp-bat"));
}

fn kept(effects: &[Effect]) -> Option<Vec<String>> {
    effects.iter().find_map(|effect| match effect {
        Effect::KeepColumns(columns) => Some(columns.words()),
        _ => None,
    })
}

#[test]
fn columns_are_chosen_moved_and_sized_and_kept() {
    let mut model = fresh();
    press(&mut model, "C");
    // The second line is data; off it goes. Then the seed, from among those that are not shown.
    press(&mut model, "j ");
    let down = "j".repeat(model.list.columns.chosen().len() + 5);
    press(&mut model, &format!("g{down}"));
    let column = model.list.columns.others()[4];
    let effects = press(&mut model, " G<enter>");
    let words = kept(&effects).unwrap();
    assert!(!words.contains(&"data".to_owned()) && words.contains(&column.name().to_owned()), "{words:?}");
    assert!(model.dialog.is_none() && !screen(&model).lines().nth(2).unwrap().contains("data"));
    // The radius goes to the front and is made wider; escape takes all of it back.
    let before = model.list.columns.clone();
    press(&mut model, "CjjKlll");
    assert_eq!(model.list.columns.words()[1], "eps:9");
    assert!(kept(&press(&mut model, "s<esc>")).is_none());
    assert_eq!(model.list.columns, before);
    assert!(!screen(&model).contains("by ε"));
}

#[test]
fn the_list_is_sorted_by_the_column_under_the_cursor() {
    let mut model = fresh();
    // Certified accuracy.
    press(&mut model, "Cjjjjjjjs");
    assert!(screen(&model).contains("by certified ▾"), "{}", screen(&model));
    press(&mut model, "s<enter>g");
    assert!(screen(&model).contains("by certified ▴"));
    assert!(screen(&model).lines().skip(3).take(11).last().unwrap().contains("kind-lynx"), "no figure, so last");
}

#[test]
fn tab_completes_a_filter_and_goes_through_what_may_be_meant() {
    let mut model = fresh();
    press(&mut model, "/sta<tab>");
    assert!(screen(&model).contains("filter state: "), "{}", screen(&model));
    press(&mut model, "c");
    assert!(screen(&model).lines().last().unwrap().contains("state:cancelled  state:completed"));
    press(&mut model, "<tab>");
    assert!(screen(&model).contains("1 of 10 runs"));
    press(&mut model, "<tab>");
    assert!(screen(&model).contains("3 of 10 runs"));
    press(&mut model, "<tab>");
    assert!(screen(&model).contains("1 of 10 runs"), "round the end");
    let effects = press(&mut model, "best>0.1<enter>");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::KeepFilter(text) if text == "state:cancelled best>0.1"))
    );
}

#[test]
fn earlier_filters_come_back_and_so_does_what_was_typed() {
    let mut model = fresh();
    press(&mut model, "/data:fashion<enter><esc>/state:done<enter><esc>");
    press(&mut model, "/lynx<up>");
    assert!(screen(&model).contains("3 of 10 runs"));
    press(&mut model, "<up><up><up>");
    assert!(screen(&model).contains("1 of 10 runs") && screen(&model).contains("quiet-fox"));
    press(&mut model, "<down><down>");
    assert!(screen(&model).lines().last().unwrap().contains("filter lynx"));
    assert_eq!(model.filters, ["data:fashion", "state:done"]);
}
