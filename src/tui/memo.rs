//! Results kept beside what they were made from, so that a frame makes only what has changed since the last one.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// The last results of something that is dear to make, each with the key it was made for. It is no part of the state of
/// what holds it: copies start empty, and all are equal.
pub struct Memo<K, V> {
    /// The latest last.
    held: Mutex<Vec<(K, V)>>,
    most: usize,
}

impl<K: PartialEq, V: Clone> Memo<K, V> {
    /// Of at most so many results.
    pub fn new(most: usize) -> Memo<K, V> {
        Memo { held: Mutex::new(Vec::new()), most }
    }

    /// The result for a key; made now where it is not held. Nothing is locked while it is made, so that it may look up
    /// others here.
    pub fn get(&self, key: K, make: impl FnOnce() -> V) -> V {
        let find = |held: &mut Vec<(K, V)>| {
            let at = held.iter().position(|(other, _)| *other == key)?;
            let found = held.remove(at);
            let value = found.1.clone();
            held.push(found);
            Some(value)
        };
        if let Some(value) = find(&mut self.lock()) {
            return value;
        }
        let value = make();
        let mut held = self.lock();
        if held.len() >= self.most {
            held.remove(0);
        }
        held.push((key, value.clone()));
        value
    }
}

impl<K, V> Memo<K, V> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(K, V)>> {
        // What a panic left here is whole: nothing is made under the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for Memo<K, V> {
    fn clone(&self) -> Self {
        Memo { held: Mutex::new(Vec::new()), most: self.most }
    }
}

impl<K, V> PartialEq for Memo<K, V> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<K, V> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo({} of {})", self.lock().len(), self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_kept() {
        let memo = Memo::new(2);
        assert_eq!(memo.get(1, || "one"), "one");
        assert_eq!(memo.get(2, || "two"), "two");
        assert_eq!(memo.get(1, || panic!("it is held")), "one");
        assert_eq!(memo.get(3, || "three"), "three");
        assert_eq!(memo.get(1, || panic!("it is held")), "one");
        assert_eq!(memo.get(2, || "two again"), "two again");
    }

    #[test]
    fn one_result_may_be_made_of_another() {
        let memo = Memo::new(2);
        assert_eq!(memo.get("double", || memo.get("single", || 4) * 2), 8);
        assert_eq!(memo.get("single", || panic!("it is held")), 4);
    }

    #[test]
    fn copies_start_empty() {
        let memo = Memo::new(2);
        memo.get(1, || 1);
        assert_eq!(memo.clone().get(1, || 2), 2);
        assert!(memo == memo.clone());
    }
}
