//! What the screens say of a run that was trained, and do with a checkpoint of it.

use linf::{
    experiment::RunId,
    store::{CheckpointKind, RunRow},
};

use crate::{
    add, place,
    terminal::{Terminal, linf_tui},
};

#[test]
fn accuracies_are_in_order_and_a_checkpoint_is_certified_exported_and_forked() {
    let place = place();
    let sets = [
        "train.epochs=4",
        "schedule.ramp_start=1",
        "schedule.ramp_end=3",
        "eval.every=4",
        "eval.attack.pgd_steps=3",
        "eval.attack.steps=3",
        "eval.attack.samples=20",
    ];
    let id = add(&place, &sets);
    let RunRow { name, .. } = place.until_word(id, "completed");
    // 20 steps an epoch; that p began to climb is a checkpoint which no evaluation is of.
    let rows = place.checkpoints(id);
    assert!(rows.iter().any(|row| (row.step, row.kind) == (20, CheckpointKind::Phase)), "{rows:?}");

    let mut command = linf_tui(&place.root());
    command.cwd(place.dir());
    command.env("LINF_TRAIN", env!("CARGO_BIN_EXE_linf-train"));
    let mut terminal = Terminal::start(command, 40, 160);
    terminal.wait_for_text(&name);
    terminal.type_keys("\r");
    // Twenty images of 200: the order is that of the same ones.
    terminal.wait_for_text("attacked ");
    terminal.wait_for_text("clean ≥ attacked ≥ certified holds");
    terminal.type_keys("4G");
    terminal.wait_for_text("step 20: not evaluated; c certifies it");
    terminal.type_keys("c");
    terminal.wait_for_text("step 20: clean 0.");
    terminal.wait_for_text("at ε = 0.1, of 200 test images");
    terminal.type_keys("e\x15net.safetensors\r");
    let file = place.dir().join("net.safetensors");
    terminal.wait_for("file", |_| file.is_file());
    terminal.wait_for_text(&format!("{name} at step 20, 200 test images, clean 0."));
    terminal.type_keys("e\x15net.safetensors\r");
    terminal.wait_for_text("is there already");
    terminal.type_keys("ftrain.epochs=5\r");
    terminal.wait_for_text(&format!("from {name} at step 20"));
    terminal.type_keys("q");
    assert_eq!(terminal.end(), 0);
    let child = place.until_word(RunId(id.0 + 1), "completed");
    assert_eq!((child.config.train.epochs, child.variant.as_str()), (5, "train.epochs=5"));
    assert_eq!(child.parent.map(|parent| (parent.run, parent.step)), Some((id, 20)));
}
