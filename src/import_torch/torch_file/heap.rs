//! What the pickle machine makes. Values name each other by number, so that a file with cycles or a million nested
//! lists costs no recursion.

use super::convert::Kind;
use super::error::{Fault, damaged};
use super::global::Global;

/// The most values of one file. A state dict takes some 20 for each tensor.
const MOST_VALUES: usize = 1 << 20;

/// Names a value.
pub(super) type Id = usize;

/// What Python would hold.
#[derive(Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    /// Of up to 16 bytes: the format's own magic number has 10.
    Int(i128),
    Float(f64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(View),
    /// Something that was known to be no tensor, and not made.
    Blank,
}

/// A stretch of numbers in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// Its name in the file.
    pub key: String,
    pub kind: Kind,
    /// Numbers in it.
    pub count: u64,
}

/// A tensor: some numbers of a storage.
#[derive(Debug)]
pub(super) struct View {
    pub storage: Id,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// All values of a file.
#[derive(Default, Debug)]
pub(super) struct Heap {
    values: Vec<Value>,
}

impl Heap {
    pub fn add(&mut self, value: Value) -> Result<Id, Fault> {
        if self.values.len() == MOST_VALUES {
            return Err(Fault::Unsupported(format!("more than {MOST_VALUES} Python objects")));
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    /// # Panics
    /// If the number is of another heap.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    pub fn get_mut(&mut self, id: Id) -> &mut Value {
        &mut self.values[id]
    }

    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A size, an offset and the like.
    pub fn size(&self, id: Id) -> Result<usize, Fault> {
        match self.get(id) {
            Value::Int(value) => usize::try_from(*value).or_else(|_| damaged(format!("a tensor has the size {value}"))),
            _ => damaged("a tensor's size is no number"),
        }
    }

    pub fn sizes(&self, id: Id) -> Result<Vec<usize>, Fault> {
        match self.get(id) {
            Value::Tuple(items) => items.iter().map(|&item| self.size(item)).collect(),
            _ => damaged("a tensor's shape is no tuple"),
        }
    }

    pub fn storage(&self, id: Id) -> Result<&Storage, Fault> {
        match self.get(id) {
            Value::Storage(storage) => Ok(storage),
            _ => damaged("a tensor is not made of a storage"),
        }
    }
}
