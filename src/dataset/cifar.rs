//! CIFAR-10's binary batches: records of one label byte, then 1024 red, 1024 green and 1024 blue bytes.

use std::path::Path;

use super::error::{DataError, Fault};
use super::{DatasetId, Split, idx};

/// The files of the training split, in order.
pub(super) const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
/// The file of the test split.
pub(super) const TEST: [&str; 1] = ["test_batch.bin"];

/// Images in every batch file. The format has no header, so a file cut at a record's end is known by this alone.
pub(super) const BATCH: usize = 10_000;

/// Reads batch files one behind the other into one split.
pub(super) fn read_split(dir: &Path, files: &[&str]) -> Result<Split, DataError> {
    let pixels = DatasetId::Cifar10.pixels();
    let mut split = Split {
        images: Vec::with_capacity(files.len() * BATCH * pixels),
        labels: Vec::with_capacity(files.len() * BATCH),
    };
    for file in files {
        let path = dir.join(file);
        append(&mut split, &idx::read(&path)?, BATCH).map_err(DataError::malformed(&path))?;
    }
    Ok(split)
}

/// Appends a batch of exactly `records` images in the layout `[N, C, H, W]`.
fn append(split: &mut Split, bytes: &[u8], records: usize) -> Result<(), Fault> {
    let record = 1 + DatasetId::Cifar10.pixels();
    Fault::check_length(bytes.len() as u64, (record * records) as u64, records as u64, "records")?;
    let first = split.labels.len();
    split.labels.extend(bytes.iter().step_by(record));
    Fault::check_labels(&split.labels[first..], DatasetId::Cifar10.classes())?;
    for record in bytes.chunks_exact(record) {
        split.images.extend_from_slice(&record[1..]);
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
        append(&mut split, &batch(), 2).unwrap();
        append(&mut split, &batch(), 2).unwrap();
        assert_eq!(split.labels, [3, 9, 3, 9]);
        assert_eq!(split.images, [[10; 3072], [20; 3072], [10; 3072], [20; 3072]].concat());
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
            let error = append(&mut empty(), &bytes, 2).unwrap_err().to_string();
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
            if append(&mut split, &bytes, 2).is_ok() {
                prop_assert_eq!((split.labels.len(), split.images.len()), (2, 6144));
            }
        }
    }
}
