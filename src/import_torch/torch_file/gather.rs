//! From descriptions of tensors to their values.

use std::collections::HashMap;

use super::Tensor;
use super::error::{Fault, damaged, shown};
use super::heap::{Heap, Id, Storage, Value, View};

/// The most bytes of tensors for each byte of the file: tensors may share a storage, and numbers of one byte take four.
const MOST_GROWTH: u64 = 64;

/// The most sides of a tensor: PyTorch's own limit.
const MOST_SIDES: usize = 64;

/// Where the bytes of storages come from.
pub(super) trait Bytes {
    /// All bytes of a storage. Checks their number against the file before it takes memory for them.
    fn read(&mut self, storage: &Storage) -> Result<Vec<u8>, Fault>;
}

/// What bounds the memory.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the file.
    pub file: u64,
    /// The most bytes of all tensors.
    pub most: u64,
}

impl View {
    /// Sees that every number of the tensor lies in its storage.
    pub fn check(&self, storage: &Storage) -> Result<(), Fault> {
        if self.shape.len() != self.strides.len() {
            return damaged("a tensor has another number of strides than of sides");
        }
        if self.shape.len() > MOST_SIDES {
            return damaged(format!("a tensor has {} sides", self.shape.len()));
        }
        let beyond = || Fault::Damaged(format!("a tensor reaches beyond its storage {}", shown(&storage.key)));
        if self.shape.contains(&0) {
            return Ok(());
        }
        let mut last = self.offset;
        for (&side, &stride) in self.shape.iter().zip(&self.strides) {
            let step = (side - 1).checked_mul(stride).ok_or_else(beyond)?;
            last = last.checked_add(step).ok_or_else(beyond)?;
        }
        if (last as u64) < storage.count { Ok(()) } else { Err(beyond()) }
    }

    /// Numbers in it; `None` if those are too many to count.
    fn count(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side))
    }

    /// Whether it is row-major without gaps.
    fn is_plain(&self) -> bool {
        let mut expected = 1usize;
        self.shape.iter().zip(&self.strides).rev().all(|(&side, &stride)| {
            // The stride of a side of 1 is never used, and PyTorch leaves anything there.
            let fits = side == 1 || stride == expected;
            expected = expected.saturating_mul(side);
            fits
        })
    }

    fn collect(&self, values: &[f32], count: usize) -> Vec<f32> {
        if count == 0 {
            return Vec::new();
        }
        if self.is_plain() {
            return values[self.offset..self.offset + count].to_vec();
        }
        let mut data = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        loop {
            data.push(values[at]);
            // Counts on like an odometer: the last side first.
            let Some(side) = (0..index.len()).rev().find(|&side| index[side] + 1 < self.shape[side]) else {
                return data;
            };
            for (index, stride) in index.iter_mut().zip(&self.strides).skip(side + 1) {
                at -= *index * stride;
                *index = 0;
            }
            index[side] += 1;
            at += self.strides[side];
        }
    }
}

/// Reads the tensors, storage by storage, each once.
pub(super) fn all(
    heap: &Heap,
    tensors: &[(String, Id)],
    bytes: &mut impl Bytes,
    limits: Limits,
) -> Result<Vec<Tensor>, Fault> {
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of: HashMap<&str, usize> = HashMap::new();
    let (mut stored, mut largest, mut needed) = (0u64, 0u64, 0u64);
    for (place, (_, id)) in tensors.iter().enumerate() {
        let Value::Tensor(view) = heap.get(*id) else { return damaged("a tensor is none") };
        let storage = heap.storage(view.storage)?;
        let group = *group_of.entry(&storage.key).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Group { storage, members: Vec::new() });
            stored = stored.saturating_add(storage.count * storage.kind.size());
            largest = largest.max(storage.count.saturating_mul(4));
        } else if groups[group].storage != storage {
            return damaged(format!("storage {} has two types or two sizes", shown(&storage.key)));
        }
        let count = view.count();
        let total = count.map_or(u64::MAX, |count| (count as u64).saturating_mul(4));
        groups[group].members.push((place, view, count.unwrap_or(usize::MAX)));
        needed = needed.saturating_add(total);
    }
    // Storages do not overlap, so that more bytes than the file has means that it lies.
    if stored > limits.file {
        return damaged(format!("its storages should take {stored} bytes, the whole file has {}", limits.file));
    }
    let limit = limits.most.min(limits.file.saturating_mul(MOST_GROWTH));
    // A storage is made float32 as a whole, even if a tensor is but a part of it.
    if needed.max(largest) > limit {
        return Err(Fault::TooLarge { needed: needed.max(largest), limit });
    }
    let mut found: Vec<Option<Tensor>> = vec![None; tensors.len()];
    for Group { storage, members } in groups {
        let mut values = storage.kind.values(&bytes.read(storage)?);
        let alone = members.len() == 1;
        for (place, view, count) in members {
            let whole = alone && view.offset == 0 && count == values.len() && view.is_plain();
            let data = if whole { std::mem::take(&mut values) } else { view.collect(&values, count) };
            found[place] = Some(Tensor { shape: view.shape.clone(), data });
        }
    }
    match found.into_iter().collect() {
        Some(found) => Ok(found),
        None => damaged("a tensor has no storage"),
    }
}

/// The tensors of one storage, each with its place among all and its count.
struct Group<'a> {
    storage: &'a Storage,
    members: Vec<(usize, &'a View, usize)>,
}
