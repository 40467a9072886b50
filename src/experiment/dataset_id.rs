//! Which data sets there are, and the constants of each.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Label;

/// A data set that the program can read; written `mnist`, `fashion-mnist`, `cifar10`, `cifar100`, `tiny-imagenet`,
/// `imagenet64` or `synthetic` everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetId {
    /// Handwritten digits, 60 000 + 10 000 grey images of 28×28.
    Mnist,
    /// Zalando's clothing, in the shape of MNIST.
    FashionMnist,
    /// Tiny photographs, 50 000 + 10 000 colour images of 32×32.
    Cifar10,
    /// The same with 100 classes.
    Cifar100,
    /// 200 classes of ImageNet, 100 000 + 10 000 colour images of 64×64; the validation images serve as test images.
    TinyImagenet,
    /// ImageNet at 64×64 (arXiv 1707.08819): 1 281 167 + 50 000 colour images of 1000 classes; the validation images serve
    /// as test images.
    Imagenet64,
    /// Digits drawn by the program itself (see [`crate::dataset::synthetic`]): for tests and machines with no network.
    Synthetic,
}

impl DatasetId {
    /// Every data set, in the order in which they are listed.
    pub const ALL: [Self; 7] = [
        Self::Mnist,
        Self::FashionMnist,
        Self::Cifar10,
        Self::Cifar100,
        Self::TinyImagenet,
        Self::Imagenet64,
        Self::Synthetic,
    ];

    /// The name in configs, on the command line and of the folder on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::TinyImagenet => "tiny-imagenet",
            Self::Imagenet64 => "imagenet64",
            Self::Synthetic => "synthetic",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
            Self::Cifar10 => "CIFAR-10",
            Self::Cifar100 => "CIFAR-100",
            Self::TinyImagenet => "TinyImageNet",
            Self::Imagenet64 => "ImageNet64",
            Self::Synthetic => "synthetic digits",
        }
    }

    /// Colour channels of an image: 1 or 3.
    pub fn channels(self) -> usize {
        self.mean().len()
    }

    /// Rows of an image.
    pub fn height(self) -> usize {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Synthetic => 28,
            Self::Cifar10 | Self::Cifar100 => 32,
            Self::TinyImagenet | Self::Imagenet64 => 64,
        }
    }

    /// Columns of an image; every data set here is square.
    pub fn width(self) -> usize {
        self.height()
    }

    /// Values of an image: channels × height × width.
    pub fn pixels(self) -> usize {
        self.channels() * self.height() * self.width()
    }

    /// Images to train on.
    pub fn train_images(self) -> usize {
        match self {
            Self::Mnist | Self::FashionMnist => 60_000,
            Self::Cifar10 | Self::Cifar100 => 50_000,
            Self::TinyImagenet => 100_000,
            Self::Imagenet64 => 1_281_167,
            Self::Synthetic => 6_000,
        }
    }

    /// Number of classes; labels are `0..classes()`.
    pub fn classes(self) -> usize {
        match self {
            Self::Cifar100 => 100,
            Self::TinyImagenet => 200,
            Self::Imagenet64 => 1000,
            _ => 10,
        }
    }

    /// Mean of each channel for pixels in [0, 1], as the papers' code has it.
    pub fn mean(self) -> &'static [f64] {
        match self {
            Self::Mnist | Self::Synthetic => &[0.1307],
            Self::FashionMnist => &[0.2860],
            Self::Cifar10 => &[0.4914, 0.4822, 0.4465],
            Self::Cifar100 => &[0.5071, 0.4867, 0.4408],
            Self::TinyImagenet => &[0.4802, 0.4481, 0.3975],
            Self::Imagenet64 => &[0.4815, 0.4578, 0.4082],
        }
    }

    /// The one standard deviation for all channels: a scalar, so that the ℓ∞ ball stays a cube after normalisation.
    pub fn std(self) -> f64 {
        match self {
            Self::Mnist | Self::Synthetic => 0.3081,
            Self::FashionMnist => 0.3520,
            Self::Cifar10 => 0.2009,
            Self::Cifar100 => 0.2667,
            Self::TinyImagenet => 0.2276,
            Self::Imagenet64 => 0.2128,
        }
    }

    /// What a label stands for; the label itself where the names are not known to the program.
    pub fn class_name(self, label: Label) -> Cow<'static, str> {
        let names: &[&str] = match self {
            Self::Mnist | Self::Synthetic | Self::TinyImagenet | Self::Imagenet64 => &[],
            Self::FashionMnist => &FASHION,
            Self::Cifar10 => &CIFAR_10,
            Self::Cifar100 => &CIFAR_100,
        };
        names.get(usize::from(label)).map_or_else(|| Cow::Owned(label.to_string()), |&name| Cow::Borrowed(name))
    }
}

const FASHION: [&str; 10] =
    ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

const CIFAR_10: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

#[rustfmt::skip]
const CIFAR_100: [&str; 100] = [
    "apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn mower", "leopard", "lion", "lizard", "lobster", "man", "maple tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak tree", "orange", "orchid", "otter", "palm tree", "pear", "pickup truck", "pine tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow tree", "wolf", "woman", "worm",
];

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no data set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no data set is called {0:?}; there are mnist, fashion-mnist, cifar10, cifar100, tiny-imagenet, imagenet64 and synthetic"
)]
pub struct UnknownDataset(pub String);

impl FromStr for DatasetId {
    type Err = UnknownDataset;

    fn from_str(name: &str) -> Result<Self, UnknownDataset> {
        Self::ALL.into_iter().find(|id| id.name() == name).ok_or_else(|| UnknownDataset(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_serves_display_parsing_and_serde() {
        for id in DatasetId::ALL {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        }
        let error = "mnits".parse::<DatasetId>().unwrap_err().to_string();
        assert!(error.contains("\"mnits\"") && DatasetId::ALL.iter().all(|id| error.contains(id.name())), "{error}");
    }

    #[test]
    fn labels_have_names_where_they_are_known() {
        assert_eq!(DatasetId::Cifar10.class_name(9), "truck");
        assert_eq!(DatasetId::Cifar100.class_name(99), "worm");
        assert!(CIFAR_100.is_sorted(), "CIFAR-100 numbers its classes by name");
        assert_eq!(DatasetId::TinyImagenet.class_name(199), "199");
    }

    #[test]
    fn images_have_the_published_sizes() {
        assert_eq!(DatasetId::ALL.map(DatasetId::pixels), [784, 784, 3072, 3072, 12288, 12288, 784]);
    }
}
