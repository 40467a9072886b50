//! Accuracy under attack: in the chart, and in its order with what is right and what is certified.

use std::sync::Arc;

use linf::experiment::{Epsilon, RunId};
use linf::store::AttackRow;
use linf::tui::attacked::{Attacked, Shares};
use linf::tui::look::Look;
use linf::tui::message::Msg;
use linf::tui::model::Model;
use linf::tui::update::update;

use crate::fixture::{BARE, RICH, data, model, press, screen, store};

/// The charts of a complete run whose last net was attacked.
fn charts(look: Look, size: (u16, u16), under_all: f64, same_images: Option<Shares>) -> Model {
    let mut model = model(look, size);
    let (row, story) = store().swap_remove(4);
    let mut known = data(&story);
    let step = known.evals.last().unwrap().step;
    let eps = Epsilon::new(3, 10).unwrap();
    let row_of = |step, under_all| AttackRow {
        step,
        eps,
        samples: 1000,
        under_pgd: under_all,
        under_all,
        seconds: 1.0,
        time_ms: 1,
    };
    known.attacks = vec![Attacked { row: row_of(step, under_all), same_images }];
    update(&mut model, Msg::Run(RunId(row.id.0), Arc::new(known)));
    press(&mut model, "/name:dove<enter><enter>");
    model
}

#[test]
fn charts_attacked() {
    let same = Some(Shares { clean: 0.97, certified: 0.91 });
    for size in [(80, 24), (120, 40), (200, 60)] {
        for (look, kind) in [(RICH, "rich"), (BARE, "bare")] {
            let model = charts(look, size, 0.9312, same);
            insta::assert_snapshot!(format!("charts_attacked_{}x{}_{kind}", size.0, size.1), screen(&model));
        }
    }
}

#[test]
fn the_order_is_claimed_where_it_was_looked_at() {
    let shares = |clean, certified| Some(Shares { clean, certified });
    let holds = "clean ≥ attacked ≥ certified holds";
    let shown = screen(&charts(RICH, (120, 40), 0.9312, shares(0.97, 0.91)));
    assert!(shown.contains("attacked 0.9312") && shown.contains(holds), "{shown}");
    let shown = screen(&charts(RICH, (120, 40), 0.9312, None));
    assert!(!shown.contains(holds) && shown.contains("certified ≤ clean holds"), "{shown}");
    for (clean, certified, said) in
        [(0.93, 0.91, "attacked 0.9312 > clean 0.9300"), (0.97, 0.94, "certified 0.9400 > attacked 0.9312")]
    {
        let shown = screen(&charts(RICH, (120, 40), 0.9312, shares(clean, certified)));
        assert!(shown.contains("ALARM at step 28 200") && shown.contains(said), "{shown}");
        assert!(!shown.contains("holds"), "{shown}");
    }
}
