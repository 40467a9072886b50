//! Reads the tensors out of a file of `torch.save`, and nothing else: no Python runs, and nothing that the file asks
//! for is called.
//!
//! Such a file is a pickle, which is a program for a stack machine that may import and call any function of Python. The
//! machine here knows a fixed list of names (`global.rs`), makes dicts, lists, numbers and descriptions of tensors, and
//! refuses everything else by name. Only the tensors of the state dict are then read from the file; an optimizer beside
//! it costs no memory.
//!
//! Whatever the bytes, the memory used stays within a fixed multiple of the file's length.

mod archive;
mod choose;
mod convert;
mod error;
mod gather;
mod global;
mod heap;
mod legacy;
mod machine;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

pub use choose::Plain;
pub use error::{Fault, TorchFileError};

use archive::Archive;
use choose::choose;
use gather::{Bytes, Limits};
use legacy::Legacy;

/// The most bytes that the tensors of a file may take as float32: 4 GiB, 5 times the largest net of the papers.
pub const MOST_BYTES: u64 = 4 << 30;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensors {
    /// The tensors of the state dict in its order, each with its name. A `module.` that all names begin with, which
    /// data-parallel training adds, is taken off.
    pub tensors: Vec<(String, Tensor)>,
    /// Numbers, texts and truth values beside the state dict, such as `epoch`.
    pub beside: Vec<(String, Plain)>,
    /// Names of what else lies there, such as `optimizer`: it was passed over.
    pub others: Vec<String>,
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its sides; empty for a single number.
    pub shape: Vec<usize>,
    /// Its values, row-major, whatever order the file has them in. Doubles and integers are rounded to the nearest
    /// float32 (a double beyond its range becomes infinite), halves are exact, truth values become 0 and 1.
    pub data: Vec<f32>,
}

impl Tensors {
    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor)
    }
}

/// Reads a file of `torch.save`, of the present format (a zip archive, since PyTorch 1.6) or the one before.
///
/// The state dict may be the whole object or lie in it under `state_dict`, `model_state_dict`, `model` or `net`.
///
/// # Errors
/// If the file is no such file, is damaged, asks for more than tensors, or holds more than [`MOST_BYTES`].
pub fn read(path: &Path) -> Result<Tensors, TorchFileError> {
    let result = File::open(path).map_err(Fault::from).and_then(|file| read_from(BufReader::new(file), MOST_BYTES));
    result.map_err(|fault| TorchFileError { path: path.to_owned(), fault })
}

fn read_from<R: Read + Seek>(mut reader: R, most: u64) -> Result<Tensors, Fault> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.rewind()?;
    let mut start = Vec::new();
    reader.by_ref().take(16).read_to_end(&mut start)?;
    reader.rewind()?;
    let limits = Limits { file: length, most };
    match start.as_slice() {
        [b'P', b'K', 3, 4, ..] => finish(Archive::open(reader, length)?, limits),
        [0x80, ..] => finish(Legacy::open(reader, length)?, limits),
        other => Err(error::foreign(other)),
    }
}

fn finish<B: Bytes>((mut bytes, heap, root): (B, heap::Heap, heap::Id), limits: Limits) -> Result<Tensors, Fault> {
    let chosen = choose(&heap, root)?;
    let data = gather::all(&heap, &chosen.tensors, &mut bytes, limits)?;
    let tensors = chosen.tensors.into_iter().zip(data).map(|((name, _), tensor)| (name, tensor)).collect();
    Ok(Tensors { tensors, beside: chosen.beside, others: chosen.others })
}
