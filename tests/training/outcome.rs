//! What a run comes to: a net that has learnt, or a reason why not.

use linf::experiment::{Fate, RunState};
use linf::store::{CheckpointKind, EvalSplit, RunReader};

use crate::{add, place};

#[test]
fn a_run_learns_and_its_margins_give_its_certified_accuracy() {
    let place = place();
    let attack = ["eval.attack.steps=8", "eval.attack.restarts=1", "eval.attack.targets=1", "eval.attack.samples=150"];
    let id = add(&place, &attack);
    let row = place.until_word(id, "completed");
    let summary = row.summary;
    let (clean, certified) = (summary.clean.unwrap(), summary.certified.unwrap());
    assert!(clean > 0.5, "clean accuracy {clean}: chance is 0.1");
    assert!(certified > 0.2 && certified <= clean, "certified {certified}, clean {clean}");
    assert_eq!(summary.step, 48 * 20);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let under_all = runtime.block_on(async {
        let reader = RunReader::open(&place.run_dir(id)).await.unwrap().unwrap();
        let evals = reader.evals(0).await.unwrap();
        assert_eq!(evals.iter().map(|eval| eval.epoch).collect::<Vec<_>>(), [8.0, 16.0, 24.0, 32.0, 40.0, 48.0]);
        let last = evals.last().unwrap();
        assert!(last.train_p.is_infinite() && last.surrogate_clean.is_none(), "at p = ∞ nothing is surrogate");
        assert!(evals[0].surrogate_clean.is_some());
        let margins = reader.margins(last.id).await.unwrap().unwrap();
        let share = |test: &dyn Fn(usize) -> bool| (0..200).filter(|&i| test(i)).count() as f64 / 200.0;
        assert_eq!(share(&|i| margins.label[i] == margins.prediction[i]), last.clean);
        assert_eq!(share(&|i| margins.certified[i]), last.certified);
        assert_eq!(share(&|i| f64::from(margins.margin[i]) > 0.2), last.certified_margin);
        // The result alone has the largest certified radius of each image.
        assert!(reader.margins(evals[0].id).await.unwrap().unwrap().radius.is_empty());
        assert_eq!(margins.radius.len(), 200);
        for (radius, certified) in margins.radius.iter().zip(&margins.certified) {
            assert_eq!(f64::from(*radius) > 0.1, *certified, "{radius}");
        }
        let kinds: Vec<_> = reader.checkpoints().await.unwrap().into_iter().map(|row| row.kind).collect();
        assert_eq!(kinds.iter().filter(|&&kind| kind == CheckpointKind::Phase).count(), 2);
        assert_eq!(kinds.last(), Some(&CheckpointKind::Final));
        let loss = reader.series("loss", 0, u64::MAX, 10_000).await.unwrap();
        assert_eq!(loss.len(), 48 * 20, "every step is logged once");

        let (events, _) = reader.events(0).await.unwrap();
        let kernels: Vec<_> = events.iter().filter(|event| event.kind == "kernels").map(|event| &event.text).collect();
        assert_eq!(kernels[0], "p = 8.00: layer 1 by products; layer 2 by products; layer 3 by products");
        let at_end = kernels.last().unwrap();
        assert!(at_end.starts_with("p = ∞: layer 1 by ") && !at_end.contains("products"), "{at_end}");

        let attack = reader.attack().await.unwrap().unwrap();
        let found = reader.findings(attack.step).await.unwrap().unwrap();
        assert_eq!((attack.step, attack.samples, found.fates.len()), (last.step, 150, 150));
        assert_eq!(summary.attacked, Some((attack.under_all, 150)));
        assert!(attack.under_all <= attack.under_pgd, "{attack:?}");
        for (index, fate) in found.fates.iter().enumerate() {
            let is_right = margins.label[index] == margins.prediction[index];
            assert_eq!(*fate == Fate::Misclassified, !is_right, "sample {index}");
            assert!(!(margins.certified[index] && fate.is_broken()), "sample {index} was certified and broken");
        }
        assert!(!found.examples.is_empty(), "nothing broken: {attack:?}");

        // The verbs measure the same net, and come to the same figures.
        let run = id.to_string();
        let value = |args: &[&str]| -> serde_json::Value { serde_json::from_str(&place.good(args)).unwrap() };
        let file = place.dir().join("images.csv");
        let certify = ["certify", &run, "--eps", "0.1,0,1", "--json", "--save", file.to_str().unwrap()];
        let certified = value(&certify);
        assert_eq!(certified[0]["certified"], last.certified);
        assert_eq!((&certified[1]["certified"], &certified[1]["clean"]), (&last.clean.into(), &last.clean.into()));
        assert_eq!(certified[2]["certified"], 0.0);
        let lines = std::fs::read_to_string(file).unwrap();
        let (head, rows) = lines.split_once('\n').unwrap();
        assert_eq!(head, "sample,label,prediction,margin,certified at 0.1,certified at 0,certified at 1,fate at 0.1");
        assert_eq!(rows.lines().count(), 200);
        let plain = value(&["certify", &run, "--plain", "--json"]);
        assert_eq!((&plain[0]["by_margin"], plain[0].get("certified")), (&last.certified_margin.into(), None));
        let sound = value(&["certify", &run, "--sound", "--json"]);
        assert_eq!((&sound[0]["certified"], sound[0].get("by_margin")), (&last.certified.into(), None));
        // Nets that answer together: three times the same one is that one, and with an earlier one it is another.
        let thrice = value(&["certify", &run, "--with", &format!("{run},{run}"), "--json"]);
        assert_eq!((&thrice[0]["certified"], &thrice[0]["clean"]), (&last.certified.into(), &last.clean.into()));
        assert_eq!(thrice[0]["nets"].as_array().unwrap().len(), 3);
        let earlier = reader.checkpoints().await.unwrap()[0].step;
        let both = value(&["certify", &run, "--with", &format!("{run}@{earlier}"), "--samples", "50", "--json"]);
        assert!(both[0]["nets"][1].as_str().unwrap().ends_with(&format!("step {earlier}")), "{both}");
        assert!(both[0]["certified"].as_f64().unwrap() <= both[0]["clean"].as_f64().unwrap(), "{both}");
        let wrong = place.bad(1, &["certify", &run, "--with", &format!("{run}@7")]);
        assert!(wrong.contains(&format!("--with {run}@7")) && wrong.contains("no checkpoint of step 7"), "{wrong}");
        // With the radius of each image: certified at ε wherever that is reached.
        for name in ["radii.jsonl", "radii.npz"] {
            let file = place.dir().join(name);
            let certify = ["certify", &run, "--radius", "--samples", "60", "--json", "--save", file.to_str().unwrap()];
            assert!(value(&certify)[0]["radius"]["p50"].as_f64().unwrap() > 0.0);
        }
        let lines = std::fs::read_to_string(place.dir().join("radii.jsonl")).unwrap();
        let records: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let radii: Vec<f64> = records.iter().map(|record| record["radius"].as_f64().unwrap()).collect();
        for (record, radius) in records.iter().zip(&radii) {
            assert_eq!(record["certified"]["0.1"].as_bool().unwrap(), *radius > 0.1, "{record}");
            let fate = record["fate"]["0.1"].as_str().unwrap();
            assert!(*radius < 0.1 || fate == "survived", "{record}");
            assert_eq!(*radius < 0.0, fate == "misclassified", "{record}");
            // Half the margin forgets that the box is cut off at black and white.
            assert!(record["radius_by_margin"].as_f64().unwrap() < radius + 1e-4, "{record}");
        }
        let file = std::fs::File::open(place.dir().join("radii.npz")).unwrap();
        let mut arrays = npyz::npz::NpzArchive::new(file).unwrap();
        assert_eq!(arrays.by_name("radius").unwrap().unwrap().into_vec::<f64>().unwrap(), radii);
        assert!(arrays.by_name("certified at 0.1").unwrap().is_some());

        let file = place.dir().join("broken.npz");
        let attacked = value(&["attack", &run, "--samples", "150", "--json", "--save", file.to_str().unwrap()]);
        let mut arrays = npyz::npz::NpzArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
        let broken = arrays.by_name("broken at 0.1").unwrap().unwrap().into_vec::<u32>().unwrap();
        assert_eq!(broken.len(), found.fates.iter().filter(|fate| fate.is_broken()).count());
        assert_eq!(arrays.by_name("image at 0.1").unwrap().unwrap().shape(), [broken.len() as u64, 784]);
        let gap = value(&["attack", &run, "--samples", "40", "--gap", "--steps", "20", "--restarts", "1", "--json"]);
        assert_eq!(gap["false_certificates"], serde_json::json!([]));
        assert!(gap["broken"].as_u64().unwrap() > 10 && gap["ratio"][0].as_f64().unwrap() >= 1.0, "{gap}");
        assert_eq!(
            (&attacked[0]["under_pgd"], &attacked[0]["under_all"]),
            (&attack.under_pgd.into(), &attack.under_all.into())
        );
        assert_eq!(attacked[0]["false_certificates"], serde_json::json!([]));
        let wrong = place.bad(1, &["certify", &run, "--checkpoint", "7"]);
        assert!(wrong.contains("no checkpoint of step 7") && wrong.contains("linf-tui checkpoints"), "{wrong}");
        let wrong = place.bad(1, &["certify", &run, "--device", "cuda:99"]);
        assert!(wrong.contains("opening cuda:99: "), "{wrong}");
        let wrong = place.bad(1, &["certify", &run, "--device", "auto"]);
        assert!(wrong.contains("cpu or cuda:N, not auto"), "{wrong}");
        let wrong = place.bad(1, &["certify", &run, "--images", "held-out"]);
        assert!(wrong.contains("holds no images out: data.validation is 0"), "{wrong}");
        let wrong = place.bad(1, &["certify", &run, "--save", "images.txt"]);
        assert!(wrong.contains(".csv, .jsonl or .npz"), "{wrong}");

        // An attack on fewer images leaves the run's own in its place, one on more of them takes it.
        let told = |more: &[&str]| {
            let output = place.say(&[&["attack", &run, "--steps", "3", "--restarts", "1", "--json"], more].concat());
            assert!(output.status.success());
            String::from_utf8(output.stderr).unwrap()
        };
        let fewer = told(&["--samples", "20"]);
        assert!(fewer.contains("keeps its earlier attack, on 150 images"), "{fewer}");
        assert_eq!(told(&["--samples", "170", "--eps", "0.05"]), "", "another ε than the run's");
        let more = told(&["--samples", "160"]);
        assert!(more.contains("kept with"), "{more}");
        let kept = reader.attack().await.unwrap().unwrap();
        assert_eq!((kept.step, kept.samples), (last.step, 160));
        assert_eq!(reader.findings(kept.step).await.unwrap().unwrap().fates.len(), 160);
        kept.under_all
    });
    assert_eq!(place.row(id).summary.attacked, Some((under_all, 160)));
}

#[test]
fn libtorch_trains_the_same_net() {
    let place = place();
    let small = ["train.epochs=6", "schedule.ramp_start=1", "schedule.ramp_end=5", "data.train_limit=500"];
    let ours = add(&place, &small);
    let theirs = add(&place, &[&small[..], &["resources.device=libtorch-cpu"]].concat());
    place.until_word(ours, "completed");
    let row = place.until_word(theirs, "completed");
    assert_eq!(row.summary.device, "CPU, libtorch");
    let first = |id| place.epochs(id)[0].clone();
    let (ours, theirs) = (first(ours), first(theirs));
    assert!((ours.loss - theirs.loss).abs() < 5e-3, "after one epoch at p = 8: {} and {}", ours.loss, theirs.loss);
}

#[test]
fn a_run_that_cannot_begin_says_why() {
    let place = place();
    let cuda = add(&place, &["resources.device=cuda:99"]);
    let data = add(&place, &["data.dataset=cifar10"]);
    let reason = |id| match place.until_word(id, "failed").state {
        RunState::Failed { reason } => reason.to_string(),
        other => panic!("{other:?}"),
    };
    let (cuda, data) = (reason(cuda), reason(data));
    assert!(cuda.contains("no NVIDIA driver") || cuda.contains("does not exist"), "{cuda}");
    assert!(data.contains("linf-tui data fetch cifar10"), "{data}");
    assert!(place.checkpoints(linf::experiment::RunId(1)).is_empty());
}

#[test]
fn what_is_held_out_chooses_the_net_and_the_test_set_is_measured_once() {
    let place = place();
    let images = place.dir().join("more");
    for (class, shade) in [("0", 20u8), ("1", 200)] {
        std::fs::create_dir_all(images.join(class)).unwrap();
        let picture = image::GrayImage::from_pixel(28, 28, image::Luma([shade]));
        picture.save(images.join(class).join("1.png")).unwrap();
    }
    let extra = format!("data.extra.path={}", images.display());
    let wanted = ["data.validation=400", "train.ema=0.9", &extra, "data.extra.share=0.05"];
    let id = add(&place, &wanted);
    let row = place.until_word(id, "completed");
    assert_eq!(row.summary.step, 48 * 20, "an epoch is as long as without the extra images");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reader = RunReader::open(&place.run_dir(id)).await.unwrap().unwrap();
        let evals = reader.evals(0).await.unwrap();
        let (last, held_out) = evals.split_last().unwrap();
        assert_eq!(held_out.len(), 6);
        assert!(held_out.iter().all(|eval| (eval.split, eval.samples) == (EvalSplit::Validation, 400)));
        assert_eq!((last.split, last.samples), (EvalSplit::Test, 200));
        let best = held_out.iter().map(|eval| eval.certified).fold(0.0, f64::max);
        let first_best = held_out.iter().find(|eval| eval.certified == best).unwrap();
        assert_eq!(last.step, first_best.step, "the test set is measured with the net that was best");
        assert_eq!(row.summary.best_certified, Some((best, first_best.epoch)));
        assert_eq!(row.summary.certified, Some(last.certified));
        assert!(last.clean > 0.4, "clean accuracy {}: chance is 0.1", last.clean);
        let checkpoints = reader.checkpoints().await.unwrap();
        assert!(checkpoints.iter().any(|row| row.step == last.step), "the best net is kept: {checkpoints:?}");
        // One that was the best at a phase switch or at the end is kept as that.
        let best = checkpoints.iter().filter(|row| row.kind == CheckpointKind::Best).count();
        assert!(best <= 1, "of those that were the best one is kept: {checkpoints:?}");
        // The same net on the images that chose it, and on those that it was trained on.
        let run = id.to_string();
        let on = |images: &str| -> serde_json::Value {
            serde_json::from_str(&place.good(&["certify", &run, "--images", images, "--json"])).unwrap()
        };
        let (held_out, train) = (on("held-out"), on("train"));
        assert_eq!((&held_out[0]["samples"], &held_out[0]["images"]), (&400.into(), &"held-out".into()));
        assert_eq!(held_out[0]["certified"], first_best.certified);
        assert_eq!(held_out[0]["clean"], first_best.clean);
        assert_eq!((&train[0]["samples"], &train[0]["images"]), (&2000.into(), &"train".into()));
        assert!(train[0]["certified"].as_f64().unwrap() > 0.2, "{train}");
    });
}
