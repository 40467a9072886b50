//! Checkpoints: whole or not at all, checked when they are read, and the one before where the newest is damaged.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use linf::store::{
    CheckpointKind, StoreError,
    checkpoint::{self, OwnedData, OwnedTensor, Tensor, TensorData},
};
use proptest::prelude::*;

use crate::example;

fn write(dir: &Path, values: &[f32]) -> checkpoint::Written {
    let tensors = [
        Tensor { name: "w", shape: vec![values.len()], data: TensorData::F32(values) },
        Tensor { name: "moment", shape: vec![2, 1], data: TensorData::F64(&[0.5, f64::NAN]) },
        Tensor { name: "count", shape: vec![], data: TensorData::U64(&[u64::MAX]) },
        Tensor { name: "none", shape: vec![0, 3], data: TensorData::F32(&[]) },
    ];
    checkpoint::write(dir, 7, r#"{"epoch": 1.5}"#, &tensors).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let written = write(dir.path(), &[1.0, -0.0, f32::INFINITY]);
    let path = checkpoint::file(dir.path(), &written.file);
    let loaded = checkpoint::read(&path).unwrap();
    assert_eq!((loaded.step, loaded.meta_json.as_str(), &loaded.hash), (7, r#"{"epoch": 1.5}"#, &written.hash));
    assert_eq!(
        loaded.tensors["w"],
        OwnedTensor { shape: vec![3], data: OwnedData::F32(vec![1.0, -0.0, f32::INFINITY]) }
    );
    assert!(loaded.tensors["w"].f32().unwrap()[1].is_sign_negative());
    let moment = loaded.tensors["moment"].f64().unwrap();
    assert_eq!((moment[0], moment[1].to_bits()), (0.5, f64::NAN.to_bits()));
    assert_eq!(loaded.tensors["count"].u64(), Some(&[u64::MAX][..]));
    assert_eq!(loaded.tensors["none"].shape, [0, 3]);
    assert_eq!(written.bytes, path.metadata().unwrap().len());
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [written.file.as_str()], "one file: no journal, no temporary name");
}

#[test]
fn the_hash_tells_the_bits_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let hash = |tensors: &[Tensor], meta: &str| checkpoint::write(dir.path(), 1, meta, tensors).unwrap().hash;
    fn tensor<'a>(name: &'a str, shape: &[usize], values: &'a [f32]) -> Tensor<'a> {
        Tensor { name, shape: shape.to_vec(), data: TensorData::F32(values) }
    }
    let a = tensor("a", &[2], &[1.0, 2.0]);
    let b = tensor("b", &[1], &[3.0]);
    let base = hash(&[a.clone(), b.clone()], "{}");
    assert_eq!(hash(&[b.clone(), a.clone()], "{\"other\": 1}"), base, "neither order nor meta data count");
    for other in [
        vec![a.clone()],
        vec![tensor("a", &[2], &[1.0, 2.5]), b.clone()],
        vec![tensor("a", &[1, 2], &[1.0, 2.0]), b.clone()],
        vec![tensor("c", &[2], &[1.0, 2.0]), b.clone()],
        vec![tensor("a", &[1], &[-0.0]), tensor("b", &[1], &[3.0])],
    ] {
        assert_ne!(hash(&other, "{}"), base);
    }
}

#[test]
fn a_tensor_of_several_pieces_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    // One element more than two pieces of 32 MiB.
    let values: Vec<f32> = (0..(16 << 20) + 1).map(|i| i as f32).collect();
    let written = write(dir.path(), &values);
    let loaded = checkpoint::read(&checkpoint::file(dir.path(), &written.file)).unwrap();
    assert!(loaded.tensors["w"].f32() == Some(&values[..]));
}

#[test]
fn a_tensor_that_does_not_fit_its_shape_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let tensors = [Tensor { name: "w", shape: vec![2, 2], data: TensorData::F32(&[1.0]) }];
    let error = checkpoint::write(dir.path(), 1, "{}", &tensors).unwrap_err();
    assert!(error.to_string().contains("\"w\""), "{error}");
    assert_eq!(fs::read_dir(dir.path().join("checkpoints")).unwrap().count(), 0);
}

#[tokio::test]
async fn inside_a_runtime_it_works_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let written = write(dir.path(), &[1.0]);
    checkpoint::read(&checkpoint::file(dir.path(), &written.file)).unwrap();
}

#[test]
fn what_a_killed_worker_left_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("checkpoints");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("00000003.db.part"), "half").unwrap();
    write(dir.path(), &[1.0]);
    assert!(!folder.join("00000003.db.part").exists());
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (1..=5).map(|step| example::checkpoint(dir.path(), step, CheckpointKind::Phase)).collect();
    let path = |i: usize| checkpoint::file(dir.path(), &rows[i].file);
    fs::remove_file(path(4)).unwrap();
    OpenOptions::new().write(true).open(path(3)).unwrap().set_len(1000).unwrap();
    flip_a_byte_of_the_weights(&path(2));
    fs::copy(path(0), path(1)).unwrap();
    let (good, skipped) = checkpoint::newest_good(dir.path(), &rows);
    let good = good.unwrap();
    assert_eq!((good.row.step, good.loaded.step, &good.loaded.hash), (1, 1, &rows[0].hash));
    assert_eq!(skipped.iter().map(|s| s.step).collect::<Vec<_>>(), [5, 4, 3, 2]);
    for (skipped, reason) in skipped.iter().zip(["missing", "malformed", "\"weight\"", "not the one"]) {
        assert!(skipped.reason.contains(reason), "{}", skipped.reason);
        assert!(skipped.reason.contains(&format!("{:08}.db", skipped.step)), "{}", skipped.reason);
    }
    fs::remove_file(path(0)).unwrap();
    let (good, skipped) = checkpoint::newest_good(dir.path(), &rows);
    assert_eq!((good, skipped.len()), (None, 5));
}

/// Finds the weights (their first value is sin(step)) in the file and changes one bit of them.
fn flip_a_byte_of_the_weights(path: &Path) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let first = 3f32.sin().to_le_bytes();
    let at = bytes.windows(4).position(|window| window == first).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[first[0] ^ 1]).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// A byte changed anywhere either does not matter to what is read, or is noticed: never a wrong weight.
    #[test]
    fn a_garbled_file_never_gives_wrong_weights(place in 0.0f64..1.0, byte: u8) {
        let dir = tempfile::tempdir().unwrap();
        let row = example::checkpoint(dir.path(), 3, CheckpointKind::Periodic);
        let path = checkpoint::file(dir.path(), &row.file);
        let good = checkpoint::read(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = (place * bytes.len() as f64) as usize;
        bytes[at] = byte;
        fs::write(&path, &bytes).unwrap();
        match checkpoint::read(&path) {
            Ok(loaded) => prop_assert_eq!(loaded.tensors, good.tensors),
            Err(error) => prop_assert!(error.to_string().contains(&row.file), "{}", error),
        }
    }

    #[test]
    fn a_file_cut_short_is_noticed(place in 0.0f64..0.999) {
        let dir = tempfile::tempdir().unwrap();
        let row = example::checkpoint(dir.path(), 3, CheckpointKind::Periodic);
        let path = checkpoint::file(dir.path(), &row.file);
        let length = path.metadata().unwrap().len() as f64;
        OpenOptions::new().write(true).open(&path).unwrap().set_len((place * length) as u64).unwrap();
        let error = checkpoint::read(&path).unwrap_err();
        prop_assert!(matches!(error, StoreError::Damaged { .. } | StoreError::Foreign { .. }), "{}", error);
    }
}
