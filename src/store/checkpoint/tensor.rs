//! Tensors as a checkpoint holds them: a shape and little-endian numbers.

use blake3::Hasher;

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Unique in its checkpoint: `layer3.weight`, `adam.layer3.weight.moment1`.
    pub name: &'a str,
    /// Its dimensions; empty for a scalar. Their product is the number of elements.
    pub shape: Vec<usize>,
    /// Its elements, the last dimension fastest.
    pub data: TensorData<'a>,
}

/// The elements of a tensor, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum TensorData<'a> {
    /// Weights and moments.
    F32(&'a [f32]),
    /// Sums that need it.
    F64(&'a [f64]),
    /// Counters and the state of random number generators.
    U64(&'a [u64]),
}

/// A tensor that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedTensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its elements, the last dimension fastest.
    pub data: OwnedData,
}

/// The elements of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedData {
    /// Weights and moments.
    F32(Vec<f32>),
    /// Sums that need it.
    F64(Vec<f64>),
    /// Counters and the state of random number generators.
    U64(Vec<u64>),
}

impl OwnedTensor {
    /// The elements, where they are `f32`.
    pub fn f32(&self) -> Option<&[f32]> {
        if let OwnedData::F32(values) = &self.data { Some(values) } else { None }
    }

    /// The elements, where they are `f64`.
    pub fn f64(&self) -> Option<&[f64]> {
        if let OwnedData::F64(values) = &self.data { Some(values) } else { None }
    }

    /// The elements, where they are `u64`.
    pub fn u64(&self) -> Option<&[u64]> {
        if let OwnedData::U64(values) = &self.data { Some(values) } else { None }
    }
}

/// Every type of element, with its name in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F32,
    F64,
    U64,
}

impl Dtype {
    pub(super) fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::F64 => "f64",
            Dtype::U64 => "u64",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Dtype> {
        [Dtype::F32, Dtype::F64, Dtype::U64].into_iter().find(|dtype| dtype.name() == name)
    }

    /// Room for so many elements.
    pub(super) fn empty(self, elements: usize) -> OwnedData {
        match self {
            Dtype::F32 => OwnedData::F32(Vec::with_capacity(elements)),
            Dtype::F64 => OwnedData::F64(Vec::with_capacity(elements)),
            Dtype::U64 => OwnedData::U64(Vec::with_capacity(elements)),
        }
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F64 | Dtype::U64 => 8,
        }
    }
}

impl TensorData<'_> {
    pub(super) fn dtype(self) -> Dtype {
        match self {
            TensorData::F32(_) => Dtype::F32,
            TensorData::F64(_) => Dtype::F64,
            TensorData::U64(_) => Dtype::U64,
        }
    }

    pub(super) fn len(self) -> usize {
        match self {
            TensorData::F32(values) => values.len(),
            TensorData::F64(values) => values.len(),
            TensorData::U64(values) => values.len(),
        }
    }

    /// The bytes of the elements from `from`, at most `most` elements.
    pub(super) fn bytes(self, from: usize, most: usize) -> Vec<u8> {
        fn part<T>(values: &[T], from: usize, most: usize) -> &[T] {
            &values[from..values.len().min(from + most)]
        }
        match self {
            TensorData::F32(values) => part(values, from, most).iter().flat_map(|v| v.to_le_bytes()).collect(),
            TensorData::F64(values) => part(values, from, most).iter().flat_map(|v| v.to_le_bytes()).collect(),
            TensorData::U64(values) => part(values, from, most).iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}

impl OwnedData {
    /// Appends elements; bytes that make no whole element are left out, which the length then tells.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        match self {
            OwnedData::F32(values) => values.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
            OwnedData::F64(values) => values.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b))),
            OwnedData::U64(values) => values.extend(bytes.as_chunks().0.iter().map(|&b| u64::from_le_bytes(b))),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            OwnedData::F32(values) => values.len(),
            OwnedData::F64(values) => values.len(),
            OwnedData::U64(values) => values.len(),
        }
    }
}

/// The hash of a whole checkpoint: BLAKE3 over name, type, shape and hash of each tensor, in the order of the names,
/// each length said before what it measures. Equal hashes mean bit-equal tensors.
#[derive(Default)]
pub(super) struct WholeHash(Hasher);

impl WholeHash {
    pub(super) fn add(&mut self, name: &str, dtype: Dtype, shape: &[usize], hash: &blake3::Hash) {
        let mut number = |n: usize| {
            self.0.update(&(n as u64).to_le_bytes());
        };
        number(name.len());
        number(shape.len());
        shape.iter().copied().for_each(&mut number);
        self.0.update(name.as_bytes()).update(dtype.name().as_bytes()).update(hash.as_bytes());
    }

    pub(super) fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}
