//! The format since PyTorch 1.6: a zip archive with one folder, in which `data.pkl` is the object and `data/<key>` a
//! storage, none of them compressed.

use std::{
    io::{self, Read, Seek},
    ops::RangeInclusive,
};

use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::error::{Fault, damaged, shown};
use super::gather::Bytes;
use super::heap::{Heap, Id, Storage};
use super::machine::{self, MOST_PICKLE};

/// The newest version of the format that PyTorch itself reads.
const NEWEST: u32 = 10;

/// The most bytes of the small files beside the object.
const MOST_NOTE: u64 = 64;

pub(super) struct Archive<R> {
    zip: ZipArchive<R>,
    /// The folder, `/` and all.
    folder: String,
    /// Bytes of the file.
    length: u64,
}

impl<R: Read + Seek> Archive<R> {
    pub fn open(reader: R, length: u64) -> Result<(Archive<R>, Heap, Id), Fault> {
        let zip = ZipArchive::new(reader).map_err(broken)?;
        let folder = folder(&zip)?;
        let mut archive = Archive { zip, folder, length };
        archive.check_notes()?;
        let Some(pickle) = archive.entry("data.pkl", 0..=MOST_PICKLE)? else {
            return damaged("data.pkl is missing");
        };
        let (heap, root) = machine::run(&mut pickle.as_slice())?;
        Ok((archive, heap, root))
    }

    fn check_notes(&mut self) -> Result<(), Fault> {
        // PyTorch before 2.1 wrote no byteorder: it was little then.
        if let Some(order) = self.entry("byteorder", 0..=MOST_NOTE)?
            && order.trim_ascii() != b"little"
        {
            return Err(Fault::Unsupported("numbers in big-endian order".into()));
        }
        if let Some(version) = self.entry("version", 0..=MOST_NOTE)? {
            let number = String::from_utf8_lossy(&version);
            match number.trim().parse::<u32>() {
                Ok(0..=NEWEST) => {}
                Ok(newer) => return Err(Fault::Unsupported(format!("version {newer} of the format"))),
                Err(_) => return damaged("its version is no number"),
            }
        }
        Ok(())
    }

    /// A file of the archive, if it is there. Its size must be of `sizes`, and is looked at before memory is taken.
    fn entry(&mut self, name: &str, sizes: RangeInclusive<u64>) -> Result<Option<Vec<u8>>, Fault> {
        let Some(index) = self.zip.index_for_name(&format!("{}{name}", self.folder)) else { return Ok(None) };
        let about = self.zip.by_index_data(index).map_err(broken)?;
        let size = about.size();
        if about.encrypted() || about.compression() != CompressionMethod::Stored {
            // What torch.save writes never is, and what is may be a bomb.
            return Err(Fault::Unsupported(format!("{} compressed or encrypted", shown(name))));
        }
        if about.compressed_size() != size || size > self.length || !sizes.contains(&size) {
            let (name, least, most) = (shown(name), sizes.start(), sizes.end());
            return damaged(format!("{name} has {size} bytes, which should be {least} to {most}"));
        }
        // It fits in the file, so that this memory is no more than the file's length.
        let mut bytes = Vec::with_capacity(size as usize);
        // One byte more: the checksum is compared when the end is found.
        let read = self.zip.by_index(index).map_err(broken)?.take(size + 1).read_to_end(&mut bytes);
        match read {
            Ok(read) if read as u64 == size => Ok(Some(bytes)),
            Ok(_) => damaged(format!("{} has another length than it says", shown(name))),
            // The checksum of the archive is wrong, or its end is missing.
            Err(error) => damaged(format!("{}: {error}", shown(name))),
        }
    }
}

impl<R: Read + Seek> Bytes for Archive<R> {
    fn read(&mut self, storage: &Storage) -> Result<Vec<u8>, Fault> {
        let bytes = storage.count * storage.kind.size();
        match self.entry(&format!("data/{}", storage.key), bytes..=bytes)? {
            Some(bytes) => Ok(bytes),
            None => damaged(format!("storage {} is missing", shown(&storage.key))),
        }
    }
}

/// The folder that holds the object.
fn folder<R: Read + Seek>(zip: &ZipArchive<R>) -> Result<String, Fault> {
    let mut folders = zip.file_names_raw().filter_map(|name| {
        let folder = std::str::from_utf8(name).ok()?.strip_suffix("data.pkl")?;
        folder.strip_suffix('/').filter(|name| !name.contains('/')).map(|_| folder.to_owned())
    });
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder),
        (Some(_), Some(_)) => damaged("it holds more than one data.pkl"),
        (None, _) => Err(Fault::Foreign {
            found: "it is a zip archive without a data.pkl",
            remedy: "If the .pth file is within, unpack that",
        }),
    }
}

fn broken(error: ZipError) -> Fault {
    match error {
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => Fault::Io(error),
        other => Fault::Damaged(other.to_string()),
    }
}
