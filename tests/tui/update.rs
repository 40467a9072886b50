//! The model as a state machine: keys and news in, effects out.

use std::sync::Arc;

use linf::experiment::{Desired, RunId, RunState};
use linf::store::EventRow;
use linf::tui::alert::Alert;
use linf::tui::known::RunData;
use linf::tui::message::{Effect, Interest, Msg};
use linf::tui::model::{Model, Screen};
use linf::tui::update::update;
use ratatui::style::Color;

use crate::fixture::{NOW_MS, RICH, configs, model, press, screen, store};

fn fresh() -> Model {
    model(RICH, (120, 40))
}

fn desires(effects: &[Effect]) -> Vec<(Vec<i64>, Desired)> {
    let desire = |effect: &Effect| match effect {
        Effect::Desire(runs, desired) => Some((runs.iter().map(|id| id.0).collect(), *desired)),
        _ => None,
    };
    effects.iter().filter_map(desire).collect()
}

#[test]
fn pause_is_for_what_runs_or_waits() {
    assert_eq!(desires(&press(&mut fresh(), "p")), [(vec![1], Desired::Pause)]);
    assert_eq!(desires(&press(&mut fresh(), "jjp")), [(vec![3], Desired::Pause)]);
    let mut paused = fresh();
    assert_eq!(desires(&press(&mut paused, "jjjp")), []);
    assert!(screen(&paused).contains("nothing to pause"));
}

#[test]
fn resume_is_for_what_stands_still() {
    assert_eq!(desires(&press(&mut fresh(), "jjjr")), [(vec![8], Desired::Run)]);
    assert_eq!(desires(&press(&mut fresh(), "r")), []);
}

#[test]
fn cancel_asks_first() {
    let mut model = fresh();
    assert_eq!(desires(&press(&mut model, "x")), []);
    assert!(screen(&model).contains("Cancel brisk-otter?"));
    assert_eq!(desires(&press(&mut model, "n")), []);
    assert!(!screen(&model).contains("Cancel brisk-otter?"));
    assert_eq!(desires(&press(&mut model, "xy")), [(vec![1], Desired::Cancel)]);
}

#[test]
fn a_second_cancel_is_now() {
    let mut model = fresh();
    let mut row = store().swap_remove(0).0;
    let identity = row.state.identity().unwrap().clone();
    row.state = RunState::Cancelling { identity, now: false };
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    assert_eq!(desires(&press(&mut model, "gx<enter>")), [(vec![1], Desired::CancelNow)]);
}

#[test]
fn marks_decide_what_is_meant() {
    let mut model = fresh();
    assert_eq!(desires(&press(&mut model, "  p")), [(vec![1, 2], Desired::Pause)]);
    assert!(model.list.marked.is_empty(), "what was done is no longer marked");
    press(&mut model, "*");
    assert_eq!(model.list.marked.len(), 10);
    press(&mut model, "<esc>");
    assert!(model.list.marked.is_empty());
}

#[test]
fn a_groups_heading_means_all_of_it() {
    let mut model = fresh();
    press(&mut model, "jjjjjjc");
    assert!(matches!(&model.screen, Screen::Compare(screen) if screen.runs.len() == 4));
}

#[test]
fn what_is_looked_at_is_followed() {
    let mut model = fresh();
    assert_eq!(model.following.runs, [RunId(1)]);
    let effects = press(&mut model, "j");
    assert!(matches!(&effects[..], [Effect::Follow(interest)] if interest.runs == [RunId(2)]));
    press(&mut model, "<enter>6");
    assert_eq!(model.following, Interest { runs: vec![RunId(2)], log: Some(RunId(2)), ..Interest::default() });
    press(&mut model, "2");
    assert_eq!(model.following.certificates, Some(RunId(2)));
    press(&mut model, "<esc>m");
    assert!(model.following.machine);
    assert_eq!(model.following.runs, [RunId(1), RunId(2)], "those that hold a slot");
}

#[test]
fn a_zoom_asks_for_the_steps_in_sight() {
    let mut model = fresh();
    press(&mut model, "<enter>+");
    let (from, to) = model.following.steps.unwrap();
    assert!(from > 0 && to < 28_200, "{from}..{to}");
    press(&mut model, "<esc>");
    assert_eq!(model.following.steps, None);
    assert!(matches!(model.screen, Screen::Run(_)), "the first escape gave up the zoom only");
    press(&mut model, "<esc>");
    assert!(matches!(model.screen, Screen::Runs));
}

#[test]
fn the_cursor_stays_on_its_run() {
    let mut model = fresh();
    press(&mut model, "j");
    let mut row = store().swap_remove(0).0;
    row.state = RunState::Completed;
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    assert_eq!(model.list.selected_run(), Some(RunId(2)));
    update(&mut model, Msg::Removed(vec![RunId(2)]));
    assert!(model.list.selected_run().is_some());
}

#[test]
fn a_run_that_ends_is_announced() {
    let mut model = fresh();
    let mut row = store().swap_remove(0).0;
    row.state = RunState::Completed;
    let effects = update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    let number = effects.iter().find_map(|effect| match effect {
        Effect::ExpireNotice(number) => Some(*number),
        _ => None,
    });
    assert!(screen(&model).contains("brisk-otter is complete: certified 0.7949"));
    update(&mut model, Msg::NoticeOver(number.unwrap()));
    assert!(!screen(&model).contains("brisk-otter is complete"));
}

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

#[test]
fn a_sweep_is_queued_as_one_group() {
    let mut model = fresh();
    let effects = press(&mut model, "aj<enter>loss.lam<tab>=0.02,0.05<enter>train.seed=1..3<enter><enter>");
    let runs = effects.iter().find_map(|effect| match effect {
        Effect::Add(runs) => Some(runs),
        _ => None,
    });
    let runs = runs.unwrap();
    assert_eq!(runs.len(), 6);
    // A group called mnist-cpu is in the store already.
    assert!(runs.iter().all(|run| run.group.as_deref() == Some("mnist-cpu-2")));
    assert_eq!(runs[5].variant, "loss.lambda=0.05 train.seed=3");
    assert_eq!((runs[5].config.loss.lambda, runs[5].config.train.seed), (0.05, 3));
    assert_eq!(linf::experiment::parse_with(&runs[5].config_text, "text", &[]).unwrap(), runs[5].config);
}

#[test]
fn a_config_that_is_wrong_is_not_queued() {
    let mut model = fresh();
    let effects = press(&mut model, "aj<enter>train.lr=fast<^s>");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Add(_))));
    assert!(screen(&model).contains("train.lr"), "{}", screen(&model));
    assert!(model.dialog.is_some());
}

#[test]
fn the_palette_and_the_help_do_what_they_name() {
    let mut model = fresh();
    press(&mut model, ":queue and machine<enter>");
    assert!(matches!(model.screen, Screen::Queue(_)));
    press(&mut model, "<esc>?bottom<enter>");
    assert!(model.dialog.is_none());
    assert_eq!(model.list.selected_run(), Some(RunId(4)));
}

#[test]
fn a_typed_radius_moves_the_slider() {
    let mut model = fresh();
    press(&mut model, "<enter>2e8/255<enter>");
    assert!(screen(&model).contains("at ε = 0.0314"), "{}", screen(&model));
    press(&mut model, "e2<enter>");
    assert!(screen(&model).contains("is not a radius"));
}

#[test]
fn the_log_is_searched() {
    let mut model = fresh();
    let log =
        linf::tui::known::LogTail::from_bytes("line\n".repeat(200).replacen("line", "needle", 1).as_bytes(), false);
    update(&mut model, Msg::Log(RunId(1), Arc::new(log)));
    press(&mut model, "<enter>6/needle<enter>");
    assert!(screen(&model).contains("line 1 of 200"), "{}", screen(&model));
    press(&mut model, "/haystack<enter>");
    assert!(screen(&model).contains("nothing in the log matches"));
}

#[test]
fn a_certified_accuracy_above_the_clean_one_is_an_alarm() {
    let mut model = fresh();
    let mut data = RunData { evals: store()[0].1.evals(), ..RunData::default() };
    data.evals[3].certified = data.evals[3].clean + 0.01;
    update(&mut model, Msg::Run(RunId(1), Arc::new(data)));
    press(&mut model, "<enter>");
    assert!(screen(&model).contains("ALARM at epoch 20.0"));
}

#[test]
fn a_false_certificate_is_an_alarm_on_every_tab() {
    let mut model = fresh();
    let event = EventRow { time_ms: 1, step: None, kind: EventRow::UNSOUND.into(), text: "image 7 changed".into() };
    update(&mut model, Msg::Run(RunId(1), Arc::new(RunData { events: vec![event], ..RunData::default() })));
    press(&mut model, "<enter>");
    for tab in 1..=7 {
        press(&mut model, &tab.to_string());
        assert!(screen(&model).contains("ALARM image 7 changed"), "tab {tab}: {}", screen(&model));
    }
}

#[test]
fn a_lost_store_is_a_banner() {
    let mut model = fresh();
    update(&mut model, Msg::Trouble("the catalog cannot be read".into()));
    assert!(screen(&model).contains("the catalog cannot be read"));
    update(&mut model, Msg::Catalog { rows: Vec::new(), now_ms: NOW_MS });
    assert!(!screen(&model).contains("the catalog cannot be read"));
    assert!(screen(&model).contains("brisk-otter"));
}

#[test]
fn tags_and_notes_are_written() {
    let mut model = fresh();
    let effects = press(&mut model, "t paper<enter>");
    assert!(
        matches!(&effects[..], [Effect::SetTags(runs, _)] if runs == &[(RunId(1), vec!["cpu".to_owned(), "paper".to_owned()])])
    );
    let effects = press(&mut model, "nfine<enter>");
    assert!(matches!(&effects[..], [Effect::SetNote(RunId(1), note)] if note == "fine"));
}

#[test]
fn copying_the_comparison_gives_markdown() {
    let mut model = fresh();
    let effects = press(&mut model, "  cY");
    let text = effects.iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text),
        _ => None,
    });
    assert!(text.unwrap().contains("| brisk-otter |  | 0.9642 | – | 0.7949 |"));
}

#[test]
fn quitting_and_stopping_are_effects() {
    assert!(matches!(press(&mut fresh(), "q")[..], [Effect::Quit]));
    assert!(matches!(press(&mut fresh(), "<^z>")[..], [Effect::Suspend]));
    assert!(matches!(press(&mut fresh(), "?<^c><^c>")[..], [Effect::Quit]));
}

/// Whose turn changed, with priority and place.
fn turns(effects: &[Effect]) -> Vec<(i64, i32, Option<f64>)> {
    let turn = |effect: &Effect| match effect {
        Effect::SetTurn(id, turn, _) => Some((id.0, turn.priority, turn.place)),
        _ => None,
    };
    effects.iter().filter_map(turn).collect()
}

#[test]
fn the_queue_stands_in_its_order_and_is_reordered_by_keys() {
    let mut model = fresh();
    let queued = store().into_iter().find(|(row, _)| matches!(row.state, RunState::Queued { .. })).unwrap().0;
    let rows: Vec<_> = (101..=103)
        .map(|id| linf::store::RunRow { id: RunId(id), name: format!("late-{id}"), ..queued.clone() })
        .collect();
    update(&mut model, Msg::Catalog { rows, now_ms: NOW_MS });
    // Below them stands what is paused.
    press(&mut model, "mGk");
    assert_eq!(turns(&press(&mut model, "J")), [], "the last one cannot go further");
    assert!(screen(&model).contains("stands there already"));
    assert_eq!(turns(&press(&mut model, "+")), [(103, 1, None)]);
    let effects = press(&mut model, "K");
    assert_eq!(turns(&effects), [(103, 0, Some(101.5))]);
    // The store answers; the cursor is on the run still.
    let Some(Effect::SetTurn(_, turn, _)) = effects.into_iter().next() else { panic!() };
    let mut moved = model.known.rows[&RunId(103)].clone();
    moved.turn = turn;
    update(&mut model, Msg::Catalog { rows: vec![moved], now_ms: NOW_MS });
    let shown = screen(&model);
    let at = |name: &str| shown.lines().position(|line| line.contains(name)).unwrap();
    assert!(at("late-101") < at("late-103") && at("late-103") < at("late-102"), "{shown}");
    assert!(shown.lines().nth(at("late-103")).unwrap().contains('▸'), "{shown}");
    press(&mut model, "g");
    assert_eq!(turns(&press(&mut model, "K")), [], "what trains has no place in the queue");
}

#[test]
fn a_full_disk_is_said_above_everything_until_there_is_room() {
    let mut model = fresh();
    update(&mut model, Msg::FullDisk(true));
    assert!(screen(&model).contains("the disk is full: training goes on"));
    // News do not take it away.
    update(&mut model, Msg::Catalog { rows: Vec::new(), now_ms: NOW_MS });
    assert!(screen(&model).contains("the disk is full"));
    update(&mut model, Msg::FullDisk(false));
    assert!(!screen(&model).contains("the disk is full"));
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

/// Whose tags are set to what.
fn tags(effects: &[Effect]) -> Vec<(i64, Vec<String>)> {
    let tags = |effect: &Effect| match effect {
        Effect::SetTags(runs, _) => Some(runs.iter().map(|(id, tags)| (id.0, tags.clone())).collect::<Vec<_>>()),
        _ => None,
    };
    effects.iter().find_map(tags).unwrap_or_default()
}

/// The store answers that the tags are set.
fn answer(model: &mut Model, effects: &[Effect]) {
    let rows = tags(effects)
        .into_iter()
        .map(|(id, tags)| linf::store::RunRow { tags, ..model.known.rows[&RunId(id)].clone() });
    let rows = rows.collect();
    update(model, Msg::Catalog { rows, now_ms: NOW_MS });
}

#[test]
fn what_is_archived_is_out_of_sight_until_it_is_asked_for_or_taken_back() {
    let mut model = fresh();
    assert!(tags(&press(&mut model, "A")).is_empty(), "it trains");
    assert!(screen(&model).contains("nothing to archive"));
    // The heading of the group: its four runs are over.
    let effects = press(&mut model, "jjjjjjA");
    assert_eq!(tags(&effects).len(), 4);
    answer(&mut model, &effects);
    assert!(!screen(&model).contains("rapid-dove") && screen(&model).contains("4 archived"), "{}", screen(&model));
    press(&mut model, "/tag:archived name:dove<enter>");
    assert!(screen(&model).contains("rapid-dove"));
    let effects = press(&mut model, "A");
    assert_eq!(tags(&effects), [(5, vec!["cpu".to_owned()])], "again, and it is back");
    answer(&mut model, &effects);
    let effects = press(&mut model, "<esc>u");
    assert_eq!(tags(&effects), [(5, vec!["cpu".to_owned(), "archived".to_owned()])]);
    answer(&mut model, &effects);
    let effects = press(&mut model, "u");
    assert_eq!(tags(&effects).len(), 4);
    assert!(tags(&effects).iter().all(|(_, tags)| !tags.contains(&"archived".to_owned())));
    answer(&mut model, &effects);
    assert!(screen(&model).contains("rapid-dove"));
    press(&mut model, "u");
    assert!(screen(&model).contains("nothing to take back"));
}

#[test]
fn a_deleted_run_is_removed_when_its_time_is_over_and_not_before() {
    let removed =
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Remove(runs) if runs == &[RunId(9)]));
    let mut model = fresh();
    press(&mut model, "D");
    assert!(model.dialog.is_none() && screen(&model).contains("nothing to delete"));
    let effects = press(&mut model, "jjjjjDy");
    let reminder = |effect: &Effect| match effect {
        Effect::RemindOfRemoval(number) => Some(*number),
        _ => None,
    };
    let number = effects.iter().find_map(reminder).unwrap();
    assert!(!removed(&effects) && !screen(&model).contains("⊘ kind-lynx"));
    assert!(screen(&model).contains("1 about to be deleted, u takes it back"));
    press(&mut model, "u");
    assert_eq!(model.list.selected_run(), Some(RunId(9)));
    assert!(update(&mut model, Msg::RemovalDue(number)).is_empty(), "it was taken back");
    // Once more, and for good.
    let number = press(&mut model, "Dy").iter().find_map(reminder).unwrap();
    assert!(removed(&update(&mut model, Msg::RemovalDue(number))));
    press(&mut model, "u");
    assert!(!screen(&model).contains("⊘ kind-lynx") && screen(&model).contains("nothing to take back"));
    // The store refuses: there it is again.
    update(&mut model, Msg::NotRemoved(RunId(9), "#9 was not deleted: it is at work".into()));
    assert!(screen(&model).contains("⊘ kind-lynx") && screen(&model).contains("was not deleted"));
    assert!(removed(&press(&mut model, "kDyDnq")), "who leaves has no second thoughts");
}

#[test]
fn a_queued_run_that_was_cancelled_waits_again() {
    let mut model = fresh();
    assert_eq!(desires(&press(&mut model, "jjxy")), [(vec![3], Desired::Cancel)]);
    let row =
        linf::store::RunRow { state: RunState::Cancelled { checkpoint: None }, ..model.known.rows[&RunId(3)].clone() };
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    assert_eq!(desires(&press(&mut model, "u")), [(vec![3], Desired::Run)]);
    assert_eq!(desires(&press(&mut model, "u")), []);
    // What trained stops at a checkpoint; that is not taken back.
    press(&mut model, "gxyu");
    assert!(screen(&model).contains("nothing to take back"));
}

#[test]
fn what_is_on_hold_stands_in_the_queue_and_has_no_place_in_it() {
    let mut model = fresh();
    press(&mut model, "mG");
    let shown = screen(&model);
    assert!(shown.contains("2 running · 1 waiting · 1 on hold"), "{shown}");
    assert!(shown.contains("paused at epoch 488/1300: waits until r lets it go on"), "{shown}");
    assert_eq!(turns(&press(&mut model, "K")), [], "it is not in the queue");
    assert_eq!(desires(&press(&mut model, "r")), [(vec![8], Desired::Run)]);
    let held =
        linf::store::RunRow { state: RunState::Paused { checkpoint: None }, ..model.known.rows[&RunId(8)].clone() };
    update(&mut model, Msg::Catalog { rows: vec![held], now_ms: NOW_MS });
    assert!(screen(&model).contains("on hold: waits until r"));
}

#[test]
fn a_p_held_beyond_its_ramp_promises_no_infinity() {
    let mut model = fresh();
    assert!(screen(&model).contains("∞ in 3 min"));
    let mut row = model.known.rows[&RunId(1)].clone();
    (row.summary.step, row.summary.epoch) = (row.summary.steps - 100, 119.5);
    update(&mut model, Msg::Catalog { rows: vec![row], now_ms: NOW_MS });
    assert!(screen(&model).contains("p = 180.8, held beyond its ramp"), "{}", screen(&model));
}

#[test]
fn a_paused_run_about_to_be_deleted_is_on_no_screen() {
    let mut model = fresh();
    press(&mut model, "jjjDym");
    let shown = screen(&model);
    assert!(shown.contains("2 running · 1 waiting") && !shown.contains("on hold"), "{shown}");
    assert!(!shown.contains("sharp-bat") && !shown.contains("1 paused"), "{shown}");
    press(&mut model, "G");
    assert_eq!(desires(&press(&mut model, "r")), [], "the cursor is on what waits");
    press(&mut model, "u");
    assert!(screen(&model).contains("1 on hold") && screen(&model).contains("sharp-bat"));
}

#[test]
fn the_header_of_a_run_tells_its_figures_before_it_writes_words_out() {
    let header = |width: u16| {
        let mut model = model(RICH, (width, 30));
        press(&mut model, "/name:dove<enter><enter>");
        screen(&model).lines().nth(1).unwrap().to_owned()
    };
    let (narrow, middle, wide) = (header(80), header(120), header(160));
    assert!(wide.contains("completed") && wide.contains("Certificates"), "{wide}");
    for line in [wide, middle.clone()] {
        assert!(line.ends_with("attacked 0.9312  certified 0.9098"), "{line}");
    }
    assert!(middle.contains("2Certs") && !middle.contains("completed"), "{middle}");
    assert!(!narrow.contains("0.9312") && narrow.contains("7Events"), "{narrow}");
}

#[test]
fn a_dry_run_lists_what_would_be_queued_and_queues_nothing() {
    let mut model = fresh();
    let effects = press(&mut model, "aj<enter>train.epochs=130,240<^d>");
    let shown = screen(&model);
    assert!(shown.contains("Dry run: nothing is queued"), "{shown}");
    assert!(shown.contains("2 runs would be queued, as the group mnist-cpu-2"), "{shown}");
    assert!(shown.contains("30 550 to 56 400 steps each · about ") && shown.contains("86 950 steps in all"), "{shown}");
    assert!(
        shown.contains("by the pace of 3 runs, their median, of this store on cpu (AVX-512, 2 threads)"),
        "{shown}"
    );
    assert!(shown.contains("before them: 2 running, 1 waiting") && shown.contains("train.epochs=240"), "{shown}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Add(_))));
    let effects = press(&mut model, "<esc>");
    assert!(effects.is_empty() && screen(&model).contains("train.epochs=130,240"), "back to where it was");
    let effects = press(&mut model, "<^d><enter>");
    assert!(matches!(&effects[..], [Effect::Add(runs)] if runs.len() == 2));
    // What cannot be queued has no dry run.
    press(&mut model, "aj<enter>train.lr=fast<^d>");
    assert!(!screen(&model).contains("Dry run") && screen(&model).contains("train.lr"));
}

#[test]
fn how_long_is_not_known_before_a_run_was_trained() {
    let mut model = Model::new(RICH, jiff::tz::TimeZone::UTC, "new".into(), (120, 40));
    update(&mut model, Msg::Catalog { rows: Vec::new(), now_ms: NOW_MS });
    press(&mut model, "aj");
    let shown = screen(&model);
    assert!(shown.contains("28 200 steps") && shown.contains("how long is not known before a run"), "{shown}");
}

#[test]
fn a_config_is_opened_in_an_editor_and_stays_chosen() {
    let mut model = fresh();
    let effects = press(&mut model, "aje");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Edit(path) if path.ends_with("configs/mnist-cpu.toml")))
    );
    // It comes back broken, and another one has come before it.
    let mut files = configs();
    files[1].text = files[1].text.replace("width = 512", "width = \"wide\"");
    files[1].parsed = linf::experiment::parse_with(&files[1].text, &files[1].name, &[])
        .map(Box::new)
        .map_err(|error| error.to_string());
    assert!(files[1].parsed.is_err());
    files.insert(0, linf::tui::known::ConfigFile { name: "another.toml".into(), ..files[0].clone() });
    update(&mut model, Msg::Configs(files, "configs".into()));
    let shown = screen(&model);
    assert!(shown.contains("▸mnist-cpu") && shown.contains("mnist-cpu.toml:"), "{shown}");
    assert!(shown.contains("model.width"), "{shown}");
    // Where keys are typed, it is a letter.
    assert!(press(&mut model, "k<enter>e").is_empty());
}

#[test]
fn the_end_of_a_run_is_an_alert_where_the_settings_ask_for_one() {
    let ended = |ids: &[i64]| {
        let rows = store().into_iter().map(|(row, _)| row).filter(|row| ids.contains(&row.id.0));
        let rows = rows.map(|row| linf::store::RunRow { state: RunState::Completed, ..row }).collect();
        Msg::Catalog { rows, now_ms: NOW_MS }
    };
    let alerts = |effects: Vec<Effect>| {
        let alert = |effect: Effect| if let Effect::Alert(text) = effect { Some(text) } else { None };
        effects.into_iter().filter_map(alert).collect::<Vec<String>>()
    };
    assert!(alerts(update(&mut fresh(), ended(&[1]))).is_empty(), "off by default");
    let mut model = fresh();
    model.alert = Alert::Bell;
    assert_eq!(alerts(update(&mut model, ended(&[1]))), ["brisk-otter is complete: certified 0.7949"]);
    assert!(alerts(update(&mut model, ended(&[1]))).is_empty(), "it ends once");
    let mut model = fresh();
    model.alert = Alert::Both;
    assert_eq!(alerts(update(&mut model, ended(&[1, 2, 5]))), ["2 runs have ended"]);
    let mut new = Model::new(RICH, jiff::tz::TimeZone::UTC, "new".into(), (120, 40));
    new.alert = Alert::Bell;
    assert!(alerts(update(&mut new, ended(&[1]))).is_empty(), "what had ended before is no news");
}

#[test]
fn the_log_is_as_coloured_as_it_was_printed_and_does_nothing_else() {
    let mut model = fresh();
    let raw = b"plain \x1b[31mred\x1b[0m \x1b]52;c;AAAA\x07\x1b[2J\x1b[?1049lnothing\nfound here\n";
    let log = linf::tui::known::LogTail::from_bytes(raw, false);
    update(&mut model, Msg::Log(RunId(1), Arc::new(log)));
    press(&mut model, "<enter>6");
    assert!(screen(&model).contains("\n plain red nothing\n found here\n"), "{}", screen(&model));
    let cell = |model: &Model, x: u16, y: u16| crate::fixture::drawn(model)[(x, y)].clone();
    assert_eq!((cell(&model, 7, 3).symbol(), cell(&model, 7, 3).fg), ("r", Color::Red));
    assert_eq!(cell(&model, 1, 3).fg, Color::Reset);
    // What is found is laid on the selection, and keeps its colour.
    press(&mut model, "/red<enter>");
    assert_eq!(cell(&model, 7, 3).fg, Color::Red);
    assert_ne!(cell(&model, 7, 3).bg, Color::Reset);
}
