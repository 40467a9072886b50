//! Files that PyTorch 1.6.0 and 2.15.0 wrote (`tests/torch_file/make.py`), and what is left of them after damage.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use proptest::prelude::*;

use super::heap::Value;
use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torch_file")
}

fn fixture(name: &str) -> Result<Tensors, TorchFileError> {
    read(&folder().join(format!("{name}.pth")))
}

/// Both versions' file of that name.
fn both(name: &str) -> [Tensors; 2] {
    ["v16", "v215"].map(|version| fixture(&format!("{version}_{name}")).unwrap())
}

/// What is said of a file after its path.
fn refusal(name: &str) -> String {
    let error = fixture(name).unwrap_err().to_string();
    let (_, said) = error.split_once(".pth ").unwrap();
    said.to_owned()
}

fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32 / 4.0 - 1.0).collect()
}

fn tensor(shape: &[usize], data: impl Into<Vec<f32>>) -> Tensor {
    Tensor { shape: shape.to_vec(), data: data.into() }
}

fn net() -> Vec<(String, Tensor)> {
    let named = |(name, tensor): (&str, Tensor)| (name.to_owned(), tensor);
    [
        ("scalar", tensor(&[1], [1.0])),
        ("fc_dist.0.weight", tensor(&[3, 4], ramp(12))),
        ("fc_dist.0.mean_shift.running_mean", tensor(&[3], ramp(3))),
        ("fc_dist.1.weight", tensor(&[2, 3], ramp(6))),
        ("fc_dist.1.bias", tensor(&[2], ramp(2))),
    ]
    .map(named)
    .to_vec()
}

#[test]
fn a_state_dict_is_read_in_its_order() {
    for name in ["state_dict", "protocol4", "parallel"] {
        for found in both(name) {
            assert_eq!(found, Tensors { tensors: net(), beside: Vec::new(), others: Vec::new() }, "{name}");
        }
    }
}

/// An Adam step of 1e-3 with zero gradients leaves the net as it was.
#[test]
fn an_optimizer_and_numbers_may_lie_beside_it() {
    for name in ["nested", "legacy_nested"] {
        for found in both(name) {
            assert_eq!(found.tensors, net(), "{name}");
            let beside = [
                ("epoch", Plain::Int(7)),
                ("arch", Plain::Text("MLPModel".into())),
                ("best", Plain::Float(0.5)),
                ("done", Plain::Bool(true)),
            ];
            assert_eq!(found.beside, beside.map(|(name, value)| (name.to_owned(), value)), "{name}");
            assert_eq!(found.others, ["optimizer"], "{name}");
        }
    }
}

#[test]
fn all_types_of_numbers_become_float32() {
    for name in ["kinds", "legacy_kinds"] {
        for found in both(name) {
            for float in ["float32", "float64", "float16", "bfloat16"] {
                assert_eq!(found.get(float), Some(&tensor(&[5], ramp(5))), "{name} {float}");
            }
            assert_eq!(found.get("int64"), Some(&tensor(&[3], [-3.0, 16_777_216.0, 5.0])));
            assert_eq!(found.get("int32"), Some(&tensor(&[2], [-3.0, 4.0])));
            assert_eq!(found.get("uint8"), Some(&tensor(&[2], [0.0, 255.0])));
            assert_eq!(found.get("bool"), Some(&tensor(&[3], [1.0, 0.0, 1.0])));
            assert_eq!(found.get("number"), Some(&tensor(&[], [2.5])));
        }
    }
}

#[test]
fn any_view_becomes_row_major() {
    for name in ["views", "legacy_views"] {
        for found in both(name) {
            let at = |row: usize, column: usize| ramp(12)[4 * row + column];
            let gathered = |rows: &[usize], columns: &[usize]| -> Vec<f32> {
                rows.iter().flat_map(|&row| columns.iter().map(move |&column| at(row, column))).collect()
            };
            let transposed: Vec<f32> = (0..4).flat_map(|column| (0..3).map(move |row| at(row, column))).collect();
            let expected = [
                ("base", tensor(&[3, 4], ramp(12))),
                ("transposed", tensor(&[4, 3], transposed)),
                ("slice", tensor(&[2, 2], gathered(&[1, 2], &[1, 2]))),
                ("every_other", tensor(&[3, 2], gathered(&[0, 1, 2], &[0, 2]))),
                ("expanded", tensor(&[2, 3], [ramp(3), ramp(3)].concat())),
                ("empty", tensor(&[0, 3], [])),
                ("tied", tensor(&[3, 4], ramp(12))),
                ("parameter", tensor(&[2], ramp(2))),
            ];
            assert_eq!(found.tensors, expected.map(|(key, value)| (key.to_owned(), value)), "{name}");
        }
    }
}

#[test]
fn the_first_programs_modules_in_its_optimizer_are_passed_over() {
    for name in ["v16_first_program", "v215_first_program", "v16_legacy_first_program"] {
        let found = fixture(name).unwrap();
        let expected = [
            ("feature.0.weight", tensor(&[2, 3, 1, 1], ramp(6))),
            ("feature.0.normalize.running_mean", tensor(&[2], ramp(2))),
            ("predictor.0.weight", tensor(&[2, 2], ramp(4))),
            ("predictor.0.bias", tensor(&[2], ramp(2))),
        ];
        assert_eq!(found.tensors, expected.map(|(key, value)| (key.to_owned(), value)), "{name}");
    }
}

#[test]
fn a_call_is_refused_by_its_name() {
    for version in ["v16", "v215"] {
        for name in ["evil_system", "evil_beside", "legacy_evil"] {
            let said = refusal(&format!("{version}_{name}"));
            let expected = "wants to call posix.system: refused; only tensors are read.";
            assert!(said.starts_with(expected), "{name}: {said}");
        }
        let said = refusal(&format!("{version}_evil_eval"));
        assert!(said.starts_with("wants to call __builtin__.eval: refused"), "{said}");
        let said = refusal(&format!("{version}_whole_net"));
        assert!(said.starts_with("wants to call __main__.Net: refused"), "{said}");
    }
}

#[test]
fn other_files_are_refused_with_their_reason() {
    for (name, expected) in [
        ("v16_list", "holds no state dict but a list."),
        ("v16_no_tensors", "holds no state dict but a dict of 1 entries (epoch)."),
        ("v215_bad_big_endian", "has numbers in big-endian order, which is not read here."),
        ("v215_bad_deflated", "has byteorder compressed or encrypted"),
        ("v215_bad_missing", "is damaged (storage 0 is missing)."),
        ("v215_bad_short", "is damaged (data/0 has 0 bytes, which should be 4 to 4)."),
        ("v215_bad_version", "has version 99 of the format, which is not read here."),
    ] {
        let said = refusal(name);
        assert!(said.starts_with(expected), "{name}: {said}");
    }
    let error = read(&folder().join("make.py")).unwrap_err().to_string();
    assert!(error.contains("make.py is no file of torch.save: its first bytes are of neither format"), "{error}");
    let error = read(Path::new("/nowhere/model.pth")).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/model.pth cannot be read: "), "{error}");
}

#[test]
fn what_a_download_leaves_instead_is_named() {
    for (bytes, expected) in [
        (b"".as_slice(), "it is empty"),
        (b"7z\xbc\xaf\x27\x1c\0\x04rest", "it is a 7z archive"),
        (b"\x1f\x8b\x08", "it is compressed with gzip"),
        (b"\n<!DOCTYPE html>", "it is a web page"),
        (b"\x80\x02K\x01.", "it is a pickle of something else"),
    ] {
        let said = from_bytes(bytes).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
}

fn from_bytes(bytes: &[u8]) -> Result<Tensors, Fault> {
    read_from(Cursor::new(bytes), MOST_BYTES)
}

/// Runs a pickle of protocol 2.
fn run(code: &[u8]) -> Result<(heap::Heap, heap::Id), Fault> {
    machine::run(&mut [b"\x80\x02", code].concat().as_slice())
}

#[test]
fn a_flipped_bit_in_a_storage_is_noticed() {
    let mut bytes = fs::read(folder().join("v16_state_dict.pth")).unwrap();
    let one = 1f32.to_le_bytes();
    let place = bytes.windows(8).position(|window| window == [one, 1.25f32.to_le_bytes()].concat()).unwrap();
    bytes[place] ^= 1;
    let said = from_bytes(&bytes).unwrap_err().to_string();
    assert!(said.contains("checksum"), "{said}");
}

#[test]
fn every_truncation_is_an_error() {
    for name in ["v16_state_dict", "v215_nested", "v16_legacy_nested"] {
        let bytes = fs::read(folder().join(format!("{name}.pth"))).unwrap();
        for length in 0..bytes.len() {
            assert!(from_bytes(&bytes[..length]).is_err(), "{name} of {length} bytes");
        }
    }
}

#[test]
fn depth_and_cycles_cost_no_stack() {
    // 500 000 lists, each in the one before.
    let deep = [&b"]".repeat(500_000)[..], &b"a".repeat(499_999), b"."].concat();
    assert!(matches!(run(&deep), Ok((heap, root)) if matches!(heap.get(root), Value::List(_))));
    // A list in itself.
    assert!(run(b"]q\x00h\x00a.").is_ok());
}

#[test]
fn memory_is_bounded() {
    let many = [&b"N".repeat(super::machine::MOST_PICKLE as usize)[..], b"."].concat();
    let said = run(&many).unwrap_err().to_string();
    assert!(said.contains("more than 1048576 Python objects"), "{said}");
    // Recalling makes nothing new, so that only the length bounds it.
    let long = [b"Nq\x00", &b"h\x00".repeat(super::machine::MOST_PICKLE as usize)[..], b"."].concat();
    let said = run(&long).unwrap_err().to_string();
    assert!(said.contains("a pickle of more than 4194304 bytes"), "{said}");
    // 4 GiB of text are promised, 3 bytes are there.
    assert!(matches!(run(b"X\xff\xff\xff\xffabc"), Err(Fault::Unsupported(_))));
    assert!(matches!(run(b"X\xff\xff\x00\x00abc"), Err(Fault::Damaged(_))));
}

/// A storage `0` of `count` floats, and a tensor of it.
fn tensor_code(count: u8, offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let storage =
        [b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK".as_slice(), &[count], b"tQ"];
    [b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice(), &storage.concat(), offset, shape, strides, b"\x89}tR."]
        .concat()
}

#[test]
fn a_tensor_stays_within_its_storage() {
    let said = |code: &[u8]| run(code).map(drop).unwrap_err().to_string();
    assert!(run(&tensor_code(12, b"K\0", b"K\x03K\x04\x86", b"K\x04K\x01\x86")).is_ok());
    for (offset, shape, strides) in [
        (&b"K\x01"[..], &b"K\x03K\x04\x86"[..], &b"K\x04K\x01\x86"[..]),
        (b"K\0", b"K\x03K\x04\x86", b"K\x05K\x01\x86"),
        (b"K\x0c", b")", b")"),
        // 2^62 in steps of 2^62.
        (b"K\0", b"\x8a\x08\0\0\0\0\0\0\0\x40\x85", b"\x8a\x08\0\0\0\0\0\0\0\x40\x85"),
    ] {
        assert!(said(&tensor_code(12, offset, shape, strides)).contains("reaches beyond its storage 0"));
    }
    assert!(said(&tensor_code(12, b"K\0", b"J\xff\xff\xff\xff\x85", b"K\x01\x85")).contains("the size -1"));
    assert!(said(&tensor_code(12, b"K\0", b"K\x03\x85", b")")).contains("another number of strides"));
    let (shape, strides) =
        ([b"(", &b"K\x01".repeat(65)[..], b"t"].concat(), [b"(", &b"K\0".repeat(65)[..], b"t"].concat());
    assert!(said(&tensor_code(12, b"K\0", &shape, &strides)).contains("65 sides"));
}

#[test]
fn a_stride_of_zero_makes_no_flood() {
    let mut bytes = fs::read(folder().join("v16_legacy_views.pth")).unwrap();
    // The shape (2, 3) with strides (0, 1), of which the 2 becomes 255.
    let place = bytes.windows(8).position(|window| window.starts_with(b"K\x02K\x03\x86") && window[5] == b'q').unwrap();
    bytes[place + 1] = 255;
    let found = from_bytes(&bytes).unwrap();
    assert_eq!(found.get("expanded").map(|tensor| tensor.data.len()), Some(765));
    let said = read_from(Cursor::new(&bytes), 2000).unwrap_err().to_string();
    assert!(said.contains("2000 are allowed"), "{said}");
}

#[test]
fn names_are_shown_tamely() {
    let code = [b"c\x1b[2J".as_slice(), &b"x".repeat(200), b"\nf\n."].concat();
    let said = run(&code).unwrap_err().to_string();
    assert!(said.contains("\\u{1b}[2Jxxx") && said.contains("…") && said.len() < 300, "{said}");
}

static FIXTURES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "pth"));
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
});

const OPERATIONS: &[u8] = b"()]}NKMJGXUTCBtasuecRbQqrhj\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95\0\x01\x02\n.";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Some bytes changed, some cut out, the end cut off: an error or tensors within the bound.
    #[test]
    fn damage_never_panics(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of((any::<prop::sample::Index>(), 1usize..40)),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = which.get(&FIXTURES).clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some((place, length)) = cut {
            let place = place.index(bytes.len());
            bytes.drain(place..bytes.len().min(place + length));
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len() + 1));
        }
        if let Ok(found) = from_bytes(&bytes) {
            let values: usize = found.tensors.iter().map(|(_, tensor)| tensor.data.len()).sum();
            prop_assert!(values * 4 <= 64 * bytes.len());
            for (_, tensor) in &found.tensors {
                prop_assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len());
            }
        }
    }

    /// Any operations in any order: what the checksum of a zip archive keeps the test above from reaching.
    #[test]
    fn no_pickle_panics(
        code in prop::collection::vec(prop::sample::select(OPERATIONS), 0..200)
    ) {
        let _ = run(&code);
    }

    /// A whole pickle of PyTorch with bytes changed, in which the rest still makes sense.
    #[test]
    fn no_changed_pickle_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = fs::read(folder().join("v16_legacy_first_program.pth")).unwrap();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let _ = from_bytes(&bytes);
    }
}
