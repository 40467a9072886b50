//! The SHA-256 of every file of every data set.
//!
//! The pins are of the files as we keep them: IDX unpacked, CIFAR-10 as binary batches. The MNIST files were checked
//! against the MD5 sums published with them, and the Fashion-MNIST files against the published MD5 sums of their gzip
//! form. CIFAR-10 came from a package that carries it as pictures; the pinned batches have 5 000 (1 000) images a class
//! and the published channel means.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::{DataError, DatasetId, idx};

/// A file with the content it must have.
#[derive(Debug, PartialEq, Eq)]
pub struct Pin {
    /// The name in the data set's folder.
    pub name: &'static str,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: &'static str,
}

/// How a file on disk compares with its pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Not there.
    Missing,
    /// There, raw or gzipped, with the pinned content.
    Good,
    /// There, with other content.
    Different,
}

impl Pin {
    /// Whether `content` is what the file must hold; otherwise its SHA-256.
    pub(super) fn verify(&self, content: &[u8]) -> Result<(), String> {
        let found = format!("{:x}", Sha256::digest(content));
        if found == self.sha256 { Ok(()) } else { Err(found) }
    }
}

/// Compares every file of a data set with its pin; reads them whole.
///
/// # Errors
/// If a file cannot be read at all.
pub fn check(id: DatasetId, dir: &Path) -> Result<Vec<(&'static Pin, FileState)>, DataError> {
    let folder = dir.join(id.name());
    pins(id).iter().map(|pin| Ok((pin, state(&folder, pin)?))).collect()
}

pub(super) fn state(folder: &Path, pin: &Pin) -> Result<FileState, DataError> {
    let Some(path) = idx::locate(folder, pin.name) else { return Ok(FileState::Missing) };
    match idx::read(&path) {
        Ok(content) if pin.verify(&content).is_ok() => Ok(FileState::Good),
        Ok(_) | Err(DataError::Malformed { .. }) => Ok(FileState::Different),
        Err(error) => Err(error),
    }
}

/// The files of a data set; none for one that is drawn, or that is not fetched.
pub fn pins(id: DatasetId) -> &'static [Pin] {
    match id {
        DatasetId::Mnist => &MNIST,
        DatasetId::FashionMnist => &FASHION_MNIST,
        DatasetId::Cifar10 => &CIFAR10,
        DatasetId::Cifar100 | DatasetId::TinyImagenet | DatasetId::Imagenet64 | DatasetId::Synthetic => &[],
    }
}

const fn pin(name: &'static str, bytes: u64, sha256: &'static str) -> Pin {
    Pin { name, bytes, sha256 }
}

static MNIST: [Pin; 4] = [
    pin(idx::TRAIN[0], 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    pin(idx::TRAIN[1], 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    pin(idx::TEST[0], 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    pin(idx::TEST[1], 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];

static FASHION_MNIST: [Pin; 4] = [
    pin(idx::TRAIN[0], 47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    pin(idx::TRAIN[1], 60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    pin(idx::TEST[0], 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    pin(idx::TEST[1], 10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
];

static CIFAR10: [Pin; 6] = [
    pin("data_batch_1.bin", 30_730_000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    pin("data_batch_2.bin", 30_730_000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
    pin("data_batch_3.bin", 30_730_000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
    pin("data_batch_4.bin", 30_730_000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
    pin("data_batch_5.bin", 30_730_000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    pin("test_batch.bin", 30_730_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
];

#[cfg(test)]
mod tests {
    use super::super::by_hand;
    use super::*;

    #[test]
    fn every_file_of_every_data_set_has_a_pin() {
        for id in DatasetId::ALL.into_iter().filter(|&id| !by_hand(id)) {
            assert_eq!(pins(id).iter().map(|pin| pin.name).collect::<Vec<_>>(), super::super::super::files(id));
            for pin in pins(id) {
                assert!(pin.sha256.len() == 64 && pin.sha256.bytes().all(|c| c.is_ascii_hexdigit()), "{}", pin.name);
            }
        }
    }
}
