//! Images in folders, one folder a class: PNG or JPEG, decoded to RGB (grey for a grey data set).
//!
//! A class's images lie in `CLASS/` or in `CLASS/images/`. The images come one of each class in turn, so that the first
//! so many of them are of all classes. JPEG leaves its last bits to the decoder: pixels may differ by a few units from
//! those that other programs read.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use image::ImageReader;

use super::error::{DataError, Fault};
use super::{DatasetId, Label, Split};

/// The names of the classes: the folders in `folder`, in alphabetical order. Label `i` is the `i`-th.
pub(super) fn classes(folder: &Path) -> Result<Vec<String>, DataError> {
    let names = list(folder, Path::is_dir)?.into_iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    Ok(names.collect())
}

/// Reads the images in the folders of these classes.
///
/// # Errors
/// If a class has no folder, or an image is not of the data set's size or cannot be decoded.
pub(super) fn read_split(id: DatasetId, folder: &Path, classes: &[String]) -> Result<Split, DataError> {
    if classes.len() > id.classes() {
        let fault = Fault::Classes { found: classes.len(), most: id.classes() };
        return Err(DataError::Unusable { path: folder.to_owned(), fault });
    }
    let mut by_class = Vec::new();
    for class in classes {
        let (direct, inner) = (folder.join(class), folder.join(class).join("images"));
        by_class.push(list(if inner.is_dir() { &inner } else { &direct }, is_image)?);
    }
    let most = by_class.iter().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..most).flat_map(|turn| {
        let of_turn = move |(label, files): (usize, &Vec<PathBuf>)| Some((files.get(turn)?.clone(), label as Label));
        by_class.iter().enumerate().filter_map(of_turn)
    });
    decode_all(id, folder, in_turn.collect())
}

/// Reads images whose classes a table gives: lines of file name, class name and more, parted by tabs.
pub(super) fn read_annotated(
    id: DatasetId,
    folder: &Path,
    annotations: &Path,
    classes: &[String],
) -> Result<Split, DataError> {
    let text = fs::read_to_string(annotations).map_err(DataError::io("read", annotations))?;
    let mut files = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split('\t');
        let label = |class: &str| classes.iter().position(|name| name == class);
        match (words.next(), words.next().and_then(label)) {
            (Some(file), Some(label)) => files.push((folder.join("images").join(file), label as Label)),
            _ => {
                let fault = Fault::Annotation { line: index + 1 };
                return Err(DataError::Unusable { path: annotations.to_owned(), fault });
            }
        }
    }
    decode_all(id, folder, files)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    ["png", "jpg", "jpeg"].contains(&extension.as_str())
}

/// What lies in a folder and passes, by name.
fn list(folder: &Path, passes: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, DataError> {
    let error = || DataError::io("list", folder);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(error())? {
        paths.push(entry.map_err(error())?.path());
    }
    paths.retain(|path| passes(path));
    paths.sort();
    Ok(paths)
}

/// Decodes all images on all cores, in their order.
fn decode_all(id: DatasetId, folder: &Path, files: Vec<(PathBuf, Label)>) -> Result<Split, DataError> {
    let needed = files.len() * id.pixels();
    check_memory(files.len(), needed as u64).map_err(DataError::unusable(folder))?;
    let mut images = vec![0; needed];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let each = files.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let parts = files.chunks(each).zip(images.chunks_mut(each * id.pixels()));
        let workers: Vec<_> = parts
            .map(|(files, images)| {
                scope.spawn(move || {
                    let mut both = files.iter().zip(images.chunks_exact_mut(id.pixels()));
                    both.try_for_each(|((path, _), image)| decode(id, path, image))
                })
            })
            .collect();
        // The error of the first image that has one, whatever the number of threads.
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(Split { images, labels: files.into_iter().map(|(_, label)| label).collect() })
}

/// Whether the system has so many bytes left. ImageNet64 is the first data set that many machines cannot hold, and a
/// process that takes more than there is is killed without a word.
fn check_memory(images: usize, needed: u64) -> Result<(), Fault> {
    // What the system does not tell cannot be checked.
    let Ok(mut system) = sysinfo::System::new() else { return Ok(()) };
    system.refresh_memory();
    let free = system.available_memory();
    if needed > free { Err(Fault::Memory { images, needed, free }) } else { Ok(()) }
}

fn decode(id: DatasetId, path: &Path, out: &mut [u8]) -> Result<(), DataError> {
    let broken = |error: &dyn std::fmt::Display| Fault::Picture(error.to_string());
    let picture = ImageReader::open(path)
        .map_err(DataError::io("open", path))?
        .decode()
        .map_err(|error| DataError::unusable(path)(broken(&error)))?;
    let (found, expected) = ((picture.height(), picture.width()), (id.height() as u32, id.width() as u32));
    if found != expected {
        return Err(DataError::unusable(path)(Fault::Shape { found, expected }));
    }
    let (bytes, channels) = match id.channels() {
        1 => (picture.into_luma8().into_raw(), 1),
        _ => (picture.into_rgb8().into_raw(), 3),
    };
    let plane = id.height() * id.width();
    for (at, pixel) in bytes.chunks_exact(channels).enumerate() {
        for (channel, &value) in pixel.iter().enumerate() {
            out[channel * plane + at] = value;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Rgb, RgbImage};

    use super::*;

    /// A picture whose pixels tell where they are.
    fn picture(seed: u8) -> RgbImage {
        RgbImage::from_fn(32, 32, |x, y| Rgb([seed, x as u8 * 8, y as u8 * 8]))
    }

    fn save(root: &Path, name: &str, seed: u8) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture(seed).save(path).unwrap();
    }

    fn read(root: &Path) -> Result<Split, DataError> {
        read_split(DatasetId::Cifar10, root, &classes(root)?)
    }

    #[test]
    fn classes_are_folders_and_their_images_come_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        for (name, seed) in
            [("b/2.png", 22), ("b/1.png", 21), ("a/images/x.png", 11), ("c/z.png", 31), ("b/notes.txt.png", 23)]
        {
            save(dir.path(), name, seed);
        }
        fs::write(dir.path().join("a/boxes.txt"), "no image").unwrap();
        fs::write(dir.path().join("words.txt"), "no class").unwrap();
        let split = read(dir.path()).unwrap();
        assert_eq!(split.labels, [0, 1, 2, 1, 1]);
        let seeds: Vec<u8> = split.images.chunks(3072).map(|image| image[0]).collect();
        assert_eq!(seeds, [11, 21, 31, 22, 23]);
        let image = &split.images[..3072];
        assert_eq!((image[1024 + 5], image[2048 + 32 * 3], image[1024 + 32 * 3]), (40, 24, 0), "planes of rows");
    }

    #[test]
    fn a_table_gives_the_classes_of_what_lies_together() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), "images/val_0.png", 1);
        save(dir.path(), "images/val_1.png", 2);
        let table = dir.path().join("annotations.txt");
        fs::write(&table, "val_1.png\tn02\t0\t0\t9\t9\nval_0.png\tn01\t0\t0\t9\t9\n").unwrap();
        let classes = ["n01".to_owned(), "n02".to_owned()];
        let split = read_annotated(DatasetId::Cifar10, dir.path(), &table, &classes).unwrap();
        assert_eq!((split.labels, split.images[0], split.images[3072]), (vec![1, 0], 2, 1));
        fs::write(&table, "val_1.png\tn02\t0\nval_0.png\tn99\t0\n").unwrap();
        let error = read_annotated(DatasetId::Cifar10, dir.path(), &table, &classes).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn jpeg_is_nearly_the_picture_and_grey_becomes_three_channels() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), "a/1.jpg", 100);
        fs::create_dir_all(dir.path().join("b")).unwrap();
        GrayImage::from_pixel(32, 32, image::Luma([77])).save(dir.path().join("b/1.JPEG")).unwrap();
        let split = read(dir.path()).unwrap();
        let mut planes = split.images[..3072].chunks(1024);
        let red = planes.next().unwrap();
        let off = red.iter().map(|&value| f64::from(value.abs_diff(100))).sum::<f64>() / 1024.0;
        assert!(off < 8.0, "the red plane is off by {off} on average");
        assert!(split.images[3072..].iter().all(|&value| value.abs_diff(77) <= 1));
    }

    #[test]
    fn more_images_than_memory_are_refused_before_any_is_read() {
        check_memory(1, 12_288).unwrap();
        let error = check_memory(1_281_167, u64::MAX).unwrap_err().to_string();
        assert!(error.contains("1281167 images take") && error.contains("are free"), "{error}");
    }

    #[test]
    fn labels_go_beyond_a_byte() {
        let dir = tempfile::tempdir().unwrap();
        let classes: Vec<String> = (0..=300).map(|class| format!("n{class:08}")).collect();
        for class in [0, 255, 256, 300] {
            let path = dir.path().join(&classes[class]).join("1.png");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_pixel(64, 64, Rgb([class as u8; 3])).save(path).unwrap();
        }
        for class in classes.iter() {
            fs::create_dir_all(dir.path().join(class)).unwrap();
        }
        let split = read_split(DatasetId::Imagenet64, dir.path(), &classes).unwrap();
        assert_eq!(split.labels, [0, 255, 256, 300]);
        assert_eq!(split.class_counts(1000).iter().sum::<usize>(), 4);
    }

    #[test]
    fn faults_name_the_picture() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), "a/1.png", 1);
        RgbImage::new(31, 32).save(dir.path().join("a/2.png")).unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("a/2.png") && error.contains("32×31 where 32×32"), "{error}");
        fs::write(dir.path().join("a/2.png"), "not a picture").unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("a/2.png") && error.contains("cannot be decoded"), "{error}");
        fs::remove_file(dir.path().join("a/2.png")).unwrap();
        for class in 0..10 {
            save(dir.path(), &format!("class{class}/1.png"), 1);
        }
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("11 classes") && error.contains("10"), "{error}");
    }
}
