//! CIFAR's binary batches: records of a label, then 1024 red, 1024 green and 1024 blue bytes. CIFAR-100 puts the label of
//! the coarse class before that of the class.

use std::path::Path;

use super::error::{DataError, Fault};
use super::{DatasetId, Label, Split, idx};

/// The files of the training split, in order.
pub(super) const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
/// The file of the test split.
pub(super) const TEST: [&str; 1] = ["test_batch.bin"];

/// CIFAR-100's training split and its test split: a file each.
pub(super) const TRAIN_100: [&str; 1] = ["train.bin"];
pub(super) const TEST_100: [&str; 1] = ["test.bin"];

/// Images in every batch file of CIFAR-10. The format has no header, so a file cut at a record's end is known by this alone.
pub(super) const BATCH: usize = 10_000;

/// Reads CIFAR-10's batch files one behind the other into one split.
pub(super) fn read_split(dir: &Path, files: &[&str]) -> Result<Split, DataError> {
    read_files(DatasetId::Cifar10, dir, files, BATCH)
}

/// Reads a file of CIFAR-100.
pub(super) fn read_split_100(dir: &Path, files: &[&str], records: usize) -> Result<Split, DataError> {
    read_files(DatasetId::Cifar100, dir, files, records)
}

fn read_files(id: DatasetId, dir: &Path, files: &[&str], records: usize) -> Result<Split, DataError> {
    let mut split = Split {
        images: Vec::with_capacity(files.len() * records * id.pixels()),
        labels: Vec::with_capacity(files.len() * records),
    };
    for file in files {
        let path = dir.join(file);
        let appended = append(&mut split, id, &idx::read(&path)?, records);
        match id {
            DatasetId::Cifar100 => appended.map_err(DataError::unusable(&path))?,
            _ => appended.map_err(DataError::malformed(&path))?,
        }
    }
    Ok(split)
}

/// Appends a file of exactly `records` images in the layout `[N, C, H, W]`.
fn append(split: &mut Split, id: DatasetId, bytes: &[u8], records: usize) -> Result<(), Fault> {
    let labels = if id == DatasetId::Cifar100 { 2 } else { 1 };
    let record = labels + id.pixels();
    Fault::check_length(bytes.len() as u64, (record * records) as u64, records as u64, "records")?;
    let first = split.labels.len();
    split.labels.extend(bytes[labels - 1..].iter().step_by(record).map(|&label| Label::from(label)));
    Fault::check_labels(&split.labels[first..], id.classes())?;
    for record in bytes.chunks_exact(record) {
        split.images.extend_from_slice(&record[labels..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn empty() -> Split {
        Split { images: vec![], labels: vec![] }
    }

    fn batch() -> Vec<u8> {
        [[vec![3], vec![10; 3072]].concat(), [vec![9], vec![20; 3072]].concat()].concat()
    }

    #[test]
    fn records_become_labels_and_planes() {
        let mut split = empty();
        append(&mut split, DatasetId::Cifar10, &batch(), 2).unwrap();
        append(&mut split, DatasetId::Cifar10, &batch(), 2).unwrap();
        assert_eq!(split.labels, [3, 9, 3, 9]);
        assert_eq!(split.images, [[10; 3072], [20; 3072], [10; 3072], [20; 3072]].concat());
    }

    #[test]
    fn of_two_labels_the_fine_one_counts() {
        let bytes = [[vec![7, 93], vec![10; 3072]].concat(), [vec![3, 0], vec![20; 3072]].concat()].concat();
        let mut split = empty();
        append(&mut split, DatasetId::Cifar100, &bytes, 2).unwrap();
        assert_eq!(split.labels, [93, 0]);
        assert_eq!(split.images, [[10; 3072], [20; 3072]].concat());
        assert!(append(&mut empty(), DatasetId::Cifar100, &bytes[..6147], 2).is_err());
    }

    #[test]
    fn each_fault_is_named() {
        let mut wrong_label = batch();
        wrong_label[3073] = 200;
        let faults = [
            (vec![], "truncated: 0 bytes of the 6146 that 2 records take"),
            (batch()[..3073].to_vec(), "truncated: 3073 bytes"),
            ([batch(), vec![0]].concat(), "1 bytes trail behind the 6146 that 2 records take"),
            (wrong_label, "label of sample 1 is 200, but there are only 10 classes"),
        ];
        for (bytes, expected) in faults {
            let error = append(&mut empty(), DatasetId::Cifar10, &bytes, 2).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    proptest! {
        #[test]
        fn corruption_never_panics(at in 0usize..6146, value: u8, length in 0usize..9300) {
            let mut bytes = batch();
            bytes[at] = value;
            bytes.resize(length, 0);
            let mut split = empty();
            if append(&mut split, DatasetId::Cifar10, &bytes, 2).is_ok() {
                prop_assert_eq!((split.labels.len(), split.images.len()), (2, 6144));
            }
        }
    }
}
