//! The format before PyTorch 1.6: five pickles — a magic number, the format's version, the machine's, the object, the
//! storages' names — and then the storages, each behind its count.

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom},
};

use super::error::{Fault, cut_short, damaged, shown};
use super::gather::Bytes;
use super::heap::{Heap, Id, Storage, Value};
use super::machine;

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

const VERSION: i128 = 1001;

pub(super) struct Legacy<R> {
    reader: R,
    /// Where the bytes of each storage begin.
    places: HashMap<String, u64>,
}

impl<R: Read + Seek> Legacy<R> {
    pub fn open(mut reader: R, length: u64) -> Result<(Legacy<R>, Heap, Id), Fault> {
        if number(&mut reader)? != Some(MAGIC) {
            return Err(Fault::Foreign {
                found: "it is a pickle of something else",
                remedy: "See that this is the file you mean",
            });
        }
        match number(&mut reader)? {
            Some(VERSION) => {}
            Some(other) => return Err(Fault::Unsupported(format!("version {other} of the old format"))),
            None => return damaged("its version is no number"),
        }
        check_machine(&mut reader)?;
        let (heap, root) = machine::run(&mut reader)?;
        let places = places(&mut reader, &heap, length)?;
        Ok((Legacy { reader, places }, heap, root))
    }
}

impl<R: Read + Seek> Bytes for Legacy<R> {
    fn read(&mut self, storage: &Storage) -> Result<Vec<u8>, Fault> {
        let Some(&place) = self.places.get(&storage.key) else {
            return damaged(format!("storage {} is missing", shown(&storage.key)));
        };
        self.reader.seek(SeekFrom::Start(place))?;
        // `places` saw that the file has them.
        let mut bytes = vec![0; (storage.count * storage.kind.size()) as usize];
        self.reader.read_exact(&mut bytes).map_err(cut_short)?;
        Ok(bytes)
    }
}

fn number<R: Read>(reader: &mut R) -> Result<Option<i128>, Fault> {
    let (heap, root) = machine::run(reader)?;
    match heap.get(root) {
        Value::Int(value) => Ok(Some(*value)),
        _ => Ok(None),
    }
}

fn check_machine<R: Read>(reader: &mut R) -> Result<(), Fault> {
    let (heap, root) = machine::run(reader)?;
    let Value::Dict(facts) = heap.get(root) else { return damaged("it does not tell of its machine") };
    let order = facts.iter().find(|(key, _)| heap.text(*key) == Some("little_endian"));
    match order.map(|&(_, value)| heap.get(value)) {
        Some(Value::Bool(false)) => Err(Fault::Unsupported("numbers in big-endian order".into())),
        _ => Ok(()),
    }
}

fn places<R: Read + Seek>(reader: &mut R, heap: &Heap, length: u64) -> Result<HashMap<String, u64>, Fault> {
    let (names, root) = machine::run(reader)?;
    let Value::List(list) = names.get(root) else { return damaged("the names of its storages are no list") };
    let mut known: HashMap<&str, &Storage> = HashMap::new();
    for storage in heap.storages() {
        if known.insert(&storage.key, storage).is_some_and(|other| other != storage) {
            return damaged(format!("storage {} has two types or two sizes", shown(&storage.key)));
        }
    }
    let mut places = HashMap::new();
    for &name in list {
        let Some(storage) = names.text(name).and_then(|name| known.get(name)) else {
            return damaged("it has a storage that nothing is made of");
        };
        let mut count = [0; 8];
        reader.read_exact(&mut count).map_err(cut_short)?;
        let place = reader.stream_position()?;
        let end = place.saturating_add(storage.count * storage.kind.size());
        if u64::from_le_bytes(count) != storage.count || end > length {
            return damaged(format!("storage {} should have {} numbers", shown(&storage.key), storage.count));
        }
        if places.insert(storage.key.clone(), place).is_some() {
            return damaged(format!("storage {} is there twice", shown(&storage.key)));
        }
        reader.seek(SeekFrom::Start(end))?;
    }
    Ok(places)
}
