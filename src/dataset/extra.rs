//! More training images beside a data set's own: a folder of one folder a class, or an `.npz` file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::npz::NpzArchive;
use npyz::{DType, NpyFile, Order};

use super::error::{DataError, Fault};
use super::{DatasetId, Label, Split, folder};

/// Reads the images of `path` in the shape of the data set. A folder's classes are in alphabetical order; an `.npz`
/// holds `image` `[N, H, W, C]` of bytes and `label` `[N]` of integers.
///
/// # Errors
/// If they are not of the data set's size or name a class that it has not.
pub fn read_extra(id: DatasetId, path: &Path) -> Result<Split, DataError> {
    let split =
        if path.is_dir() { folder::read_split(id, path, &folder::classes(path)?)? } else { read_npz(id, path)? };
    if split.is_empty() { Err(DataError::unusable(path)(Fault::Empty("images"))) } else { Ok(split) }
}

fn read_npz(id: DatasetId, path: &Path) -> Result<Split, DataError> {
    let file = File::open(path).map_err(DataError::io("open", path))?;
    read_arrays(id, BufReader::new(file)).map_err(DataError::unusable(path))
}

fn read_arrays(id: DatasetId, file: impl Read + std::io::Seek) -> Result<Split, Fault> {
    let mut arrays = NpzArchive::new(file).map_err(Fault::Npz)?;
    let labels = labels(by_name(&mut arrays, "label")?)?;
    let images = by_name(&mut arrays, "image")?;
    let [channels, height, width] = [id.channels(), id.height(), id.width()];
    let expected = [labels.len(), height, width, channels].map(|size| size as u64);
    if images.shape() != expected || images.order() != Order::C {
        return Err(Fault::Array { name: "image", expected: format!("a C-ordered array {expected:?}") });
    }
    let bytes: Vec<u8> = whole(images, "image", "bytes")?;
    let plane = height * width;
    let mut split = Split { images: vec![0; bytes.len()], labels };
    for (image, out) in bytes.chunks_exact(id.pixels()).zip(split.images.chunks_exact_mut(id.pixels())) {
        for (at, pixel) in image.chunks_exact(channels).enumerate() {
            for (channel, &value) in pixel.iter().enumerate() {
                out[channel * plane + at] = value;
            }
        }
    }
    Fault::check_labels(&split.labels, id.classes())?;
    Ok(split)
}

fn by_name<'a, R: Read + std::io::Seek>(
    arrays: &'a mut NpzArchive<R>,
    name: &'static str,
) -> Result<NpyFile<impl Read + use<'a, R>>, Fault> {
    arrays.by_name(name).map_err(Fault::Npz)?.ok_or(Fault::Array { name, expected: "there".into() })
}

fn labels(array: NpyFile<impl Read>) -> Result<Vec<Label>, Fault> {
    let DType::Plain(kind) = array.dtype() else {
        return Err(Fault::Array { name: "label", expected: INTEGERS.into() });
    };
    let narrow =
        |labels: Vec<i64>| labels.into_iter().map(|label| Label::try_from(label).unwrap_or(Label::MAX)).collect();
    match kind.to_string().trim_start_matches(['<', '>', '=', '|', '\'']).trim_end_matches('\'') {
        "u1" => whole::<u8>(array, "label", INTEGERS).map(|labels| labels.into_iter().map(Label::from).collect()),
        "u2" => whole(array, "label", INTEGERS),
        "i4" => {
            whole::<i32>(array, "label", INTEGERS).map(|labels| narrow(labels.into_iter().map(i64::from).collect()))
        }
        _ => whole::<i64>(array, "label", INTEGERS).map(narrow),
    }
}

const INTEGERS: &str = "integers";

fn whole<T: npyz::Deserialize>(array: NpyFile<impl Read>, name: &'static str, expected: &str) -> Result<Vec<T>, Fault> {
    let wrong = |_| Fault::Array { name, expected: expected.into() };
    array.data::<T>().map_err(wrong)?.collect::<Result<_, _>>().map_err(Fault::Npz)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use npyz::WriterBuilder;
    use npyz::npz::NpzWriter;

    use super::*;

    fn npz<T: npyz::AutoSerialize + Copy>(shape: &[u64], pixels: &[u8], labels: &[T]) -> Cursor<Vec<u8>> {
        let mut file = Cursor::new(Vec::new());
        let mut archive = NpzWriter::new(&mut file);
        let options = Default::default();
        let mut array = archive.array("image", options).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
        array.extend(pixels.iter().copied()).unwrap();
        array.finish().unwrap();
        let shape = [labels.len() as u64];
        let mut array = archive.array("label", options).unwrap().default_dtype().shape(&shape).begin_nd().unwrap();
        array.extend(labels.iter().copied()).unwrap();
        array.finish().unwrap();
        drop(archive);
        file.set_position(0);
        file
    }

    #[test]
    fn arrays_become_planes_and_labels_of_any_width() {
        let pixels: Vec<u8> = (0..2 * 3072).map(|i| (i % 251) as u8).collect();
        let shape = [2, 32, 32, 3];
        let split = read_arrays(DatasetId::Cifar10, npz(&shape, &pixels, &[3i64, 9])).unwrap();
        assert_eq!(split.labels, [3, 9]);
        // Pixel 7 of image 1, green.
        assert_eq!(split.images[3072 + 1024 + 7], pixels[3072 + 7 * 3 + 1]);
        for other in [
            read_arrays(DatasetId::Cifar10, npz(&shape, &pixels, &[3u8, 9])),
            read_arrays(DatasetId::Cifar10, npz(&shape, &pixels, &[3u16, 9])),
            read_arrays(DatasetId::Cifar10, npz(&shape, &pixels, &[3i32, 9])),
        ] {
            assert_eq!(other.unwrap(), split);
        }
    }

    #[test]
    fn each_fault_is_named() {
        let pixels = vec![0; 3072];
        let fault = |shape: &[u64], label: i64| {
            read_arrays(DatasetId::Cifar10, npz(shape, &pixels, &[label])).unwrap_err().to_string()
        };
        assert!(fault(&[1, 32, 32, 3], 10).contains("label of sample 0 is 10"));
        assert!(fault(&[1, 32, 32, 3], -1).contains("label of sample 0 is 65535"));
        assert!(fault(&[1, 3, 32, 32], 1).contains("image"));
        assert!(read_arrays(DatasetId::Cifar10, Cursor::new(b"PK no archive".to_vec())).is_err());
    }
}
