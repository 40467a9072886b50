//! What a run exports, judged by the checker that shares no code with us.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{add, place, support::python};

/// Runs `tools/verify_certificate.py`; gives whether it was content, and all it said.
fn verify(args: &[&Path]) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = python()
        .arg(root.join("tools/verify_certificate.py"))
        .args(args)
        .env("PYTHONPATH", root.join(".numpy"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("No module named 'numpy'"), "numpy is missing: scripts/fetch-numpy gets it");
    assert!(!said.contains("Traceback"), "{said}");
    (output.status.success(), said)
}

/// What differs from the small dense net.
const KINDS: [&[&str]; 3] = [
    &[],
    &["model.kind=sort-net", "model.keep=0.7", "train.epochs=12", "schedule.ramp_start=2", "schedule.ramp_end=10"],
    &["model.hidden=16", "model.groups=2", "train.epochs=12", "schedule.ramp_start=2", "schedule.ramp_end=10"],
];

#[test]
fn a_certificate_holds_before_a_stranger_and_a_changed_one_does_not() {
    let place = place();
    let file = |name: &str| -> PathBuf { place.dir().join(name) };
    let runs = KINDS.map(|kind| add(&place, kind).to_string());
    for (run, threat) in runs.iter().zip(["real", "8-bit", "real"]) {
        place.until_word(run.parse().unwrap(), "completed");
        let to = file(&format!("{run}.certificate"));
        let images = file("images.npz");
        let (certificate, images) = (to.to_str().unwrap(), images.to_str().unwrap());
        let said = place.good(&["export", run, "--certificate", certificate, "--threat", threat, "--images", images]);
        assert!(said.contains("200 test images") && said.contains(threat), "{said}");
        let (holds, said) = verify(&[&to, Path::new("--images"), &file("images.npz")]);
        assert!(holds && said.contains("the certificate holds"), "{said}");

        // One bit of the last claim's radius.
        let mut bytes = fs::read(&to).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let text = String::from_utf8(bytes[8..8 + header].to_vec()).unwrap();
        let names: serde_json::Value = serde_json::from_str(&text).unwrap();
        let from = names["claim.radius"]["data_offsets"][0].as_u64().unwrap() as usize;
        let right = (0..200).find(|&sample| bytes[8 + header + from + 4 * sample + 3] == 0).unwrap();
        bytes[8 + header + from + 4 * right + 1] ^= 0x80;
        let changed = file("changed.certificate");
        fs::write(&changed, bytes).unwrap();
        let (holds, said) = verify(&[&changed, Path::new("--images"), &file("images.npz")]);
        assert!(!holds && said.contains("radius"), "{said}");
    }
    // What was asked for is checked before anything is computed.
    let run = &runs[0];
    let nowhere = file("nowhere/x");
    let wrong = place.bad(1, &["export", run, "--certificate", nowhere.to_str().unwrap()]);
    assert!(wrong.contains("no folder"), "{wrong}");
    let to = file("x");
    let wrong = place.bad(1, &["export", run, "--certificate", to.to_str().unwrap(), "--eps", "0.1,0.2"]);
    assert!(wrong.contains("one ε"), "{wrong}");
}

#[test]
fn a_net_is_measured_wherever_it_lies() {
    let place = place();
    let id = add(&place, &["train.epochs=4", "schedule.ramp_start=1", "schedule.ramp_end=3"]);
    let run = id.to_string();
    place.until_word(id, "completed");
    let value = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&place.good(&[&["certify"], args, &["--json"]].concat())).unwrap()
    };
    let expected = value(&[&run]);
    assert!(expected[0]["clean"].as_f64().unwrap() > 0.1, "{expected}");

    let folder = place.run_dir(id);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(value(&[&text(&folder)]), expected);
    let newest = fs::read_dir(folder.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    assert_eq!(value(&[&text(&newest)]), expected);
    let config = text(&folder.join("config.toml"));
    assert_eq!(value(&[&text(&newest), "--config", &config]), expected);
    let certificate = text(&place.dir().join("net.certificate"));
    place.good(&["export", &run, "--certificate", &certificate]);
    assert_eq!(value(&[&certificate, "--config", &config]), expected);
    let attacked = place.good(&["attack", &certificate, "--config", &config, "--samples", "20", "--steps", "5"]);
    assert!(attacked.contains("under all"), "{attacked}");

    // What is not there, not enough, or not this net, is said.
    let bad = |args: &[&str]| place.bad(1, &[&["certify"], args].concat());
    assert!(bad(&[&certificate]).contains("--config FILE.toml says what net it is"));
    assert!(bad(&["./nothing/here"]).contains("there is no ./nothing/here"));
    let other = bad(&[&certificate, "--config", &config, "--set", "model.width=17"]);
    assert!(other.contains("its layers are not those of 784-17"), "{other}");
    let damaged = place.dir().join("damaged");
    let mut bytes = fs::read(&certificate).unwrap();
    let last = bytes.len() - 1;
    bytes.truncate(last);
    fs::write(&damaged, bytes).unwrap();
    let damaged = bad(&[&text(&damaged), "--config", &config]);
    assert!(damaged.contains("damaged") && damaged.contains("safetensors"), "{damaged}");
}
