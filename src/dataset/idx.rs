//! The IDX files of MNIST and Fashion-MNIST, raw or gzipped.
//!
//! An IDX file is a big-endian magic number, one big-endian `u32` per dimension, then the bytes. Two kinds occur here:
//! images (magic 0x803: count, rows, columns) and labels (magic 0x801: count).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::error::{DataError, Fault};
use super::{DatasetId, Split};
use crate::experiment::LabelWidth;

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;

/// Nothing we read unpacks to more: a longer stream is damage, and must not fill the memory.
const MOST_UNPACKED: u64 = 1 << 30;

/// The files of one split: images, labels. Each may also be there as `NAME.gz`.
pub(super) const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
pub(super) const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The raw file if it is there, else its gzipped form if that is.
pub(super) fn locate(dir: &Path, name: &str) -> Option<PathBuf> {
    [dir.join(name), dir.join(format!("{name}.gz"))].into_iter().find(|path| path.is_file())
}

/// Reads one split from two located files.
pub(super) fn read_split(id: DatasetId, image_file: &Path, label_file: &Path) -> Result<Split, DataError> {
    let malformed_images = DataError::malformed(image_file);
    let mut images = read(image_file)?;
    let header = parse_images(&images, id.height() as u32, id.width() as u32).map_err(malformed_images)?.0;
    images.drain(..header);

    let mut labels = read(label_file)?;
    let header = parse_labels(&labels, id.classes()).map_err(DataError::malformed(label_file))?.0;
    labels.drain(..header);

    let count = images.len() / id.pixels();
    if count != labels.len() {
        return Err(DataError::CountsDiffer {
            image_file: image_file.to_owned(),
            images: count,
            label_file: label_file.to_owned(),
            labels: labels.len(),
        });
    }
    Ok(Split { images, labels: LabelWidth::One.unpack(&labels) })
}

/// The bytes of a file, unpacked where its name ends in `.gz`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let file = File::open(path).map_err(DataError::io("open", path))?;
    if path.extension().is_some_and(|ending| ending == "gz") {
        return unpack(file).map_err(DataError::malformed(path));
    }
    let mut bytes = Vec::new();
    file.take(MOST_UNPACKED).read_to_end(&mut bytes).map_err(DataError::io("read", path))?;
    Ok(bytes)
}

/// Unpacks a gzip stream, checksum included.
pub(super) fn unpack(stream: impl Read) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(stream).take(MOST_UNPACKED).read_to_end(&mut bytes).map_err(Fault::Gzip)?;
    Ok(bytes)
}

/// Checks a whole file of images and splits it into the header's length and the pixels `[N, rows, columns]`.
fn parse_images(bytes: &[u8], rows: u32, columns: u32) -> Result<(usize, &[u8]), Fault> {
    let [magic, count, found_rows, found_columns] = header(bytes)?;
    check_magic(magic, IMAGES, "images")?;
    if (found_rows, found_columns) != (rows, columns) {
        return Err(Fault::Shape { found: (found_rows, found_columns), expected: (rows, columns) });
    }
    body(bytes, 16, count, u64::from(rows) * u64::from(columns), "images")
}

/// Checks a whole file of labels and splits it into the header's length and the labels.
fn parse_labels(bytes: &[u8], classes: usize) -> Result<(usize, &[u8]), Fault> {
    let [magic, count] = header(bytes)?;
    check_magic(magic, LABELS, "labels")?;
    let (header, labels) = body(bytes, 8, count, 1, "labels")?;
    Fault::check_labels(labels, classes)?;
    Ok((header, labels))
}

/// The first `N` big-endian words of the file.
fn header<const N: usize>(bytes: &[u8]) -> Result<[u32; N], Fault> {
    let mut words = [0; N];
    if bytes.len() < 4 * N {
        return Err(Fault::NoHeader { found: bytes.len(), header: 4 * N });
    }
    for (word, four) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = four.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    Ok(words)
}

fn check_magic(found: u32, expected: u32, what: &'static str) -> Result<(), Fault> {
    if found == expected { Ok(()) } else { Err(Fault::Magic { what, found, expected }) }
}

/// What follows the header, if it is exactly `count` records of `size` bytes.
fn body<'a>(
    bytes: &'a [u8],
    header: usize,
    count: u32,
    size: u64,
    what: &'static str,
) -> Result<(usize, &'a [u8]), Fault> {
    let records = u64::from(count);
    Fault::check_length(bytes.len() as u64, header as u64 + records * size, records, what)?;
    if count == 0 { Err(Fault::Empty(what)) } else { Ok((header, &bytes[header..])) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    /// Three images of 2×3 and their labels.
    fn images() -> Vec<u8> {
        [&[0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3][..], &[7; 18]].concat()
    }

    fn labels() -> Vec<u8> {
        vec![0, 0, 8, 1, 0, 0, 0, 3, 0, 9, 4]
    }

    fn edited(mut bytes: Vec<u8>, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        edit(&mut bytes);
        bytes
    }

    #[test]
    fn whole_files_parse() {
        assert_eq!(parse_images(&images(), 2, 3).unwrap(), (16, &[7u8; 18][..]));
        assert_eq!(parse_labels(&labels(), 10).unwrap(), (8, &[0u8, 9, 4][..]));
    }

    #[test]
    fn each_fault_is_named() {
        let image_faults = [
            (vec![], "ends after 0 bytes, inside its header of 16"),
            (images()[..15].to_vec(), "ends after 15 bytes, inside its header of 16"),
            (edited(images(), |b| b[3] = 1), "magic number is 0x00000801 where IDX images have 0x00000803"),
            (edited(images(), |b| b[0] = 0x1f), "magic number is 0x1f000803"),
            (edited(images(), |b| b[11] = 28), "images are 28×3 where 2×3 are expected"),
            (edited(images(), |b| b.truncate(33)), "truncated: 33 bytes of the 34 that 3 images take"),
            (edited(images(), |b| b[4] = 0xff), "truncated: 34 bytes of the 25669140514 that 4278190083 images take"),
            (edited(images(), |b| b.extend([0, 0])), "2 bytes trail behind the 34 that 3 images take"),
            (edited(images(), |b| (b[7] = 0, b.truncate(16)).1), "holds no images"),
        ];
        for (bytes, expected) in image_faults {
            let error = parse_images(&bytes, 2, 3).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
        let label_faults = [
            (labels()[..7].to_vec(), "ends after 7 bytes, inside its header of 8"),
            (edited(labels(), |b| b[3] = 3), "magic number is 0x00000803 where IDX labels have 0x00000801"),
            (edited(labels(), |b| b.truncate(10)), "truncated: 10 bytes of the 11 that 3 labels take"),
            (edited(labels(), |b| b.push(1)), "1 bytes trail behind the 11 that 3 labels take"),
            (edited(labels(), |b| b[9] = 10), "label of sample 1 is 10, but there are only 10 classes"),
        ];
        for (bytes, expected) in label_faults {
            let error = parse_labels(&bytes, 10).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn gzip_damage_is_a_fault() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&images()).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpack(&packed[..]).unwrap(), images());
        for end in [0, 5, packed.len() - 1] {
            assert!(matches!(unpack(&packed[..end]), Err(Fault::Gzip(_))), "cut to {end} bytes");
        }
        let flipped = edited(packed, |b| *b.last_mut().unwrap() ^= 1);
        assert!(matches!(unpack(&flipped[..]), Err(Fault::Gzip(_))));
    }

    proptest! {
        #[test]
        fn corruption_never_panics(
            edits in prop::collection::vec((0usize..34, any::<u8>()), 0..6),
            length in 0usize..40,
            noise in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            for mut bytes in [images(), labels(), noise] {
                for &(at, value) in &edits {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = value;
                    }
                }
                bytes.resize(length, 0);
                if let Ok((header, pixels)) = parse_images(&bytes, 2, 3) {
                    prop_assert_eq!((header + pixels.len(), pixels.len() % 6), (bytes.len(), 0));
                }
                if let Ok((_, labels)) = parse_labels(&bytes, 10) {
                    prop_assert!(labels.iter().all(|&label| label < 10));
                }
                let _ = unpack(&bytes[..]);
            }
        }
    }
}
