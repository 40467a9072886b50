//! The datasets a config can name.

use serde::{Deserialize, Serialize};

/// Which images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetId {
    /// Handwritten digits, 1×28×28.
    Mnist,
    /// Clothes, 1×28×28.
    FashionMnist,
    /// Ten kinds of things, 3×32×32.
    Cifar10,
    /// Digits drawn by the program, for tests and for a machine without a network.
    Synthetic,
}
