//! The config of one run, as written in TOML. Every key is explained by `explain.rs`; values are checked by `parse.rs`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{DatasetId, Epsilon, View};

/// One experiment: everything that decides the bits of the trained net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it is called and compared with.
    #[serde(default)]
    pub run: Run,
    /// Images and their augmentation.
    pub data: Data,
    /// The net.
    pub model: Model,
    /// Epochs, batch, rates, seed.
    pub train: Train,
    /// The p-norm schedule.
    pub schedule: Schedule,
    /// The training loss.
    pub loss: Loss,
    /// What is measured, and when.
    pub eval: Eval,
    /// The device and its share.
    #[serde(default)]
    pub resources: Resources,
}

/// `[run]`: words for people; nothing here changes a bit of the net.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// A line about the experiment.
    pub title: String,
    /// Words to filter by.
    pub tags: Vec<String>,
    /// The published row to compare with.
    pub published: Option<Published>,
}

/// A published result on the test set, drawn as a reference line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Where it stands, e.g. `ICLR 2022, 5×5120`.
    pub source: String,
    /// Certified accuracy, from 0 to 1.
    pub certified: f64,
    /// Clean accuracy, from 0 to 1.
    pub clean: Option<f64>,
    /// Accuracy under the papers' PGD, from 0 to 1: no less than what is certified.
    pub attacked: Option<f64>,
}

/// `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Which images.
    pub dataset: DatasetId,
    /// The side of the square window that a net sees of each image, in pixels: a random one of a training image, the
    /// middle of any other; `None`: the whole image.
    #[serde(default)]
    pub crop: Option<usize>,
    /// Random crop and flip of training images; tests are never augmented.
    #[serde(default)]
    pub augment: Augmentation,
    /// Train on the first so many images only.
    #[serde(default)]
    pub train_limit: Option<usize>,
    /// Measure on the first so many test images only.
    #[serde(default)]
    pub test_limit: Option<usize>,
    /// Training images held out, the same ones for every seed. Evaluations under way are on them and the best one is
    /// chosen by them; the test set gives the last figure alone. 0: evaluations under way are on the test set.
    #[serde(default)]
    pub validation: usize,
    /// More images to train on.
    #[serde(default)]
    pub extra: Option<Extra>,
}

impl Data {
    /// What the net sees of the images.
    ///
    /// # Panics
    /// If the config was not checked: parsing refuses windows that do not fit.
    pub fn view(&self) -> View {
        View::new(self.dataset, self.crop)
    }

    /// How training images are varied; `None` where they are taken as they are.
    pub fn variation(&self) -> Option<&Augmentation> {
        (self.augment != Augmentation::default() || self.view().crop().is_some()).then_some(&self.augment)
    }
}

/// `[data.extra]`: images beside the data set's own, such as generated ones. They are neither tested on nor held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// Relative to the data root. A folder of one folder a class, or an `.npz` file with arrays `image` `[N, H, W, C]` and
    /// `label` `[N]`.
    pub path: PathBuf,
    /// The share of each epoch's images that are drawn from them. An epoch stays as long as it was.
    pub share: f64,
}

/// How training images are varied: a random linear map near the identity, small displacements beside, a random crop of the size
/// that the net sees after padding every side, then a mirror image for every second one. All of it works on raw pixels, before
/// normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Pixels added on every side; the crop's offset is uniform both ways: in `0..=2·pad` where the net sees whole images.
    pub pad: usize,
    /// What the padding holds.
    pub pad_mode: PadMode,
    /// Mirror left to right with probability ½.
    pub flip: bool,
    /// How far a random linear map of the image is from the identity: each of its four entries by up to so much. Images
    /// are turned, slanted, stretched and shrunk a little; every pixel is the nearest one of the image.
    pub warp: f64,
    /// How far, in pixels, the nodes of a grid are displaced at random, up or down and left or right; nodes are 8 pixels apart, and
    /// pixels in between follow them. Every pixel is the nearest one of the image here as well.
    pub bend: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Augmentation { pad: 0, pad_mode: PadMode::Edge, flip: false, warp: 0.0, bend: 0.0 }
    }
}

/// What padding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PadMode {
    /// The border repeated (2022 and later).
    Edge,
    /// Black (2021).
    Zero,
}

/// `[model]`: convolutions, then dense layers, then a head, each where it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What the neurons are.
    #[serde(default)]
    pub kind: ModelKind,
    /// Dense distance layers, the output layer included where there is no head.
    pub depth: usize,
    /// Neurons of each hidden dense layer.
    pub width: usize,
    /// Units with tanh between the two linear layers of a head (arXiv 2102.05363 §5); absent: no head, the last distance
    /// layer gives the classes.
    #[serde(default)]
    pub hidden: Option<usize>,
    /// Share q of the inputs that every layer of sort neurons keeps in training (arXiv 2210.01787 §4.2).
    #[serde(default)]
    pub keep: Option<f64>,
    /// Blocks of neurons that see only the block before them, in layers between hidden dense layers.
    #[serde(default = "one")]
    pub groups: usize,
    /// w[o, o mod inputs] starts at minus this where inputs ≤ outputs (the papers take 10), in a convolution at the
    /// window's centre; absent: plain N(0, 1).
    #[serde(default)]
    pub identity_init: Option<f64>,
    /// Convolutions before the dense layers, first to last.
    #[serde(default)]
    pub conv: Vec<Conv>,
}

impl Model {
    /// In a few characters: depth × width of the dense layers, the number of convolutions before them, and whether a head
    /// follows: `5×512`, `1c+4×512`, `5×512+h`.
    pub fn label(&self) -> String {
        let convolutions: usize = self.conv.iter().map(|conv| conv.repeat).sum();
        let before = if convolutions > 0 { format!("{convolutions}c+") } else { String::new() };
        let after = if self.hidden.is_some() { "+h" } else { "" };
        format!("{before}{}×{}{after}", self.depth, self.width)
    }
}

impl Default for Model {
    fn default() -> Self {
        Model {
            kind: ModelKind::LinfDist,
            depth: 5,
            width: 5120,
            hidden: None,
            keep: None,
            groups: 1,
            conv: Vec::new(),
            identity_init: None,
        }
    }
}

/// A convolutional distance layer, or several alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Channels out.
    pub outputs: usize,
    /// Side of the window.
    pub kernel: usize,
    /// Positions between neighbouring outputs.
    #[serde(default = "one")]
    pub stride: usize,
    /// Positions of value 0, in normalised units, added on every side.
    #[serde(default)]
    pub pad: usize,
    /// Positions between neighbours in the window.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Blocks of channels that do not see one another.
    #[serde(default = "one")]
    pub groups: usize,
    /// How many such layers follow one another.
    #[serde(default = "one")]
    pub repeat: usize,
}

impl Default for Conv {
    fn default() -> Self {
        Conv { outputs: 1, kernel: 1, stride: 1, pad: 0, dilation: 1, groups: 1, repeat: 1 }
    }
}

fn one() -> usize {
    1
}

/// What the neurons of all layers but the first are; those of the first are plain distances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// ℓ∞ distances (arXiv 2102.05363).
    #[default]
    LinfDist,
    /// Weighted sums of the largest differences, trained by dropout (arXiv 2210.01787).
    SortNet,
}

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Passes over the training images.
    pub epochs: u32,
    /// Images a step; the last, smaller batch of an epoch is kept.
    pub batch_size: usize,
    /// Learning rate of weights and bias at step 0; a cosine takes it to 0 at the end.
    pub lr: f64,
    /// Epoch up to which every learning rate stays as it is at step 0; the cosine begins there.
    #[serde(default)]
    pub lr_hold: f64,
    /// Learning rate of the scalar that scales the logits in the cross-entropy; same cosine. Absent: a fifth of `lr`.
    #[serde(default)]
    pub scalar_lr: Option<f64>,
    /// Moments of the optimizer.
    #[serde(default)]
    pub adam: Adam,
    /// Decay a step of an exponential moving average of the parameters; evaluations are of the average. Absent: none.
    #[serde(default)]
    pub ema: Option<f64>,
    /// What the CPU's pruned kernels leave out of each sum of powers at finite p is below 2⁻ᵇⁱᵗˢ of it: 4, 8, 16 or 24.
    #[serde(default = "sixteen")]
    pub bits: u32,
    /// Share of each batch's gradients that the CPU's backward pass takes through a layer: the largest, and of the others a draw
    /// in their place. 1 takes all.
    #[serde(default = "whole")]
    pub gradient_share: f64,
    /// Decides initial weights, data order and augmentation.
    #[serde(default)]
    pub seed: u64,
}

impl Train {
    /// The scalar's learning rate at step 0 (the published recipes take lr/5: 0.006 beside 0.03).
    pub fn scalar_lr(&self) -> f64 {
        self.scalar_lr.unwrap_or(self.lr / 5.0)
    }
}

/// Adam's constants. An eps above 1e-10 freezes training at large p, where nearly all gradients are tiny.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment; small, because p drifts and old moments become stale.
    pub beta2: f64,
    /// Added to the root of the second moment, after bias correction.
    pub eps: f64,
    /// ℓp weight decay of each row of the distance layers, decoupled, times the learning rate: the decay of ½‖w_o‖_p²
    /// at the step's p (arXiv 2102.05363). A bias decays as rows of one value.
    pub dist_decay: f64,
    /// Weight decay of everything else, the linear head and the scalar, decoupled, times the learning rate (AdamW).
    pub head_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { beta1: 0.9, beta2: 0.99, eps: 1e-10, dist_decay: 0.0, head_decay: 0.0 }
    }
}

/// `[schedule]`: p stays at `p_start`, climbs geometrically between the two epochs, then is ∞. ε_train climbs from 0 over
/// a window of its own, where one is given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The first exponent.
    #[serde(default = "eight")]
    pub p_start: f64,
    /// The last finite exponent; ∞ follows where it is at least 100.
    #[serde(default = "thousand")]
    pub p_end: f64,
    /// Epoch at which p begins to climb.
    pub ramp_start: f64,
    /// Epoch at which p reaches `p_end` and becomes ∞.
    pub ramp_end: f64,
    /// Whether p below 68 takes every value or only cheap integers.
    #[serde(default)]
    pub p_steps: PSteps,
    /// Epoch at which ε_train begins to climb from 0.
    #[serde(default)]
    pub eps_start: f64,
    /// Epoch at which it is whole. Not above `eps_start`: it is whole from the first step.
    #[serde(default)]
    pub eps_end: f64,
    /// The first share of that climb that goes with the fourth power, before the straight rest; 0: all straight.
    #[serde(default)]
    pub eps_smooth: f64,
}

fn eight() -> f64 {
    8.0
}

fn whole() -> f64 {
    1.0
}

fn sixteen() -> u32 {
    16
}

fn thousand() -> f64 {
    1000.0
}

/// How p moves below 68.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PSteps {
    /// p changes every step, as published.
    #[default]
    Exact,
    /// p is rounded in log space to integers that need few multiplications: the same accuracy, up to twice as fast on
    /// a CPU.
    Ladder,
}

/// `[loss]`. Logits are z (−distance in a distance net); W_j bounds z_j − z_y from above for inputs within ε_train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Which loss.
    #[serde(default)]
    pub kind: LossKind,
    /// Weight of the cross-entropy while p = p_start; of `mixture` and `ce-hinge`, which need it, alone.
    #[serde(default)]
    pub lambda: f64,
    /// Weight once p = ∞; geometric in between, on the clock of p. Absent: constant.
    #[serde(default)]
    pub lambda_end: Option<f64>,
    /// Share of the largest margin in `hinge`, beside the mean over the classes. Absent: 1.
    #[serde(default)]
    pub mix: Option<f64>,
    /// Share of the worst case in `hinge` and `cross-entropy`, beside the clean images. Absent: 1.
    #[serde(default)]
    pub kappa: Option<f64>,
    /// Half the hinge threshold θ, in pixels; larger than the ε that is certified.
    pub eps_train: Epsilon,
    /// The same once p = ∞; linear in between, on the clock of p. Absent: constant.
    #[serde(default)]
    pub eps_train_end: Option<Epsilon>,
    /// Epoch up to which it stays as it is at step 0; from there it goes to `eps_train_end`.
    #[serde(default)]
    pub eps_train_hold: f64,
}

/// The training loss; each is a mean over the batch. Formulas: `Objective` in the net.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Clipped hinge + λ·cross-entropy of the scaled logits (arXiv 2110.06850).
    #[default]
    Mixture,
    /// Hinge on the worst case, of the largest margin and the mean (arXiv 2102.05363, distance nets).
    Hinge,
    /// Cross-entropy of the worst case (arXiv 2102.05363, nets with a linear head).
    CrossEntropy,
    /// Hinge of the samples that are right + λ·cross-entropy of the scaled logits (arXiv 2210.01787, linear heads).
    CeHinge,
}

impl LossKind {
    /// Whether λ·cross-entropy of the scaled logits is part of it.
    pub fn has_lambda(self) -> bool {
        matches!(self, LossKind::Mixture | LossKind::CeHinge)
    }
}

/// `[eval]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// The certified radius, in pixels.
    pub eps: Epsilon,
    /// Epochs between evaluations at p = ∞ on the test set; the last epoch is always evaluated.
    #[serde(default = "five")]
    pub every: u32,
    /// Training images that re-estimate the running means at p = ∞ before an evaluation under way; the last
    /// evaluation takes all.
    #[serde(default = "ten_thousand")]
    pub mean_samples: usize,
    /// What the finished net is attacked with; absent: nothing.
    #[serde(default)]
    pub attack: Option<Attack>,
}

/// `[eval.attack]`: how hard the finished net is attacked, inside the box of radius `eval.eps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attack {
    /// Steps of the papers' PGD at p = ∞; 0: none.
    pub pgd_steps: u32,
    /// Steps of each APGD whose gradients are taken at a finite p.
    pub steps: u32,
    /// Random starts of each APGD; 0: PGD alone.
    pub restarts: u32,
    /// Rival classes that each sample is driven to one by one, after the attack that takes any.
    pub targets: u32,
    /// Attack the first so many samples only.
    pub samples: Option<usize>,
}

impl Default for Attack {
    fn default() -> Self {
        Attack { pgd_steps: 20, steps: 50, restarts: 2, targets: 3, samples: None }
    }
}

fn five() -> u32 {
    5
}

fn ten_thousand() -> usize {
    10_000
}

/// `[resources]`: nothing here changes a bit of a net trained on the CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Where it trains.
    pub device: Device,
    /// CPU threads; 0 takes all cores.
    pub threads: usize,
    /// Seconds between checkpoints under way. One is always written on pause, at phase switches and at the end.
    pub checkpoint_seconds: u64,
    /// How many checkpoints under way are kept; phase switches and the last are always kept.
    pub keep_checkpoints: usize,
    /// Epochs between checkpoints that are kept for ever, beside those at phase switches; 0: no others.
    pub milestone_epochs: u32,
    /// How often in a row a run whose worker vanished is resumed by itself; a new checkpoint begins the count anew.
    pub retries: u32,
    /// Seconds that a worker may train; then it writes a checkpoint and the run has failed, to be resumed by hand. 0: no
    /// limit.
    pub time_limit_seconds: u64,
    /// Whether its GPU may take further runs that say so too.
    pub share_gpu: bool,
}

impl Default for Resources {
    fn default() -> Self {
        Resources {
            device: Device::Auto,
            threads: 0,
            checkpoint_seconds: 60,
            keep_checkpoints: 2,
            milestone_epochs: 0,
            retries: 5,
            time_limit_seconds: 0,
            share_gpu: false,
        }
    }
}

/// Where a run trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// A free CUDA device where there is one, else the CPU.
    #[default]
    Auto,
    /// Our own kernels for the CPU.
    Cpu,
    /// Our own kernels for CUDA, on this device.
    Cuda(usize),
    /// libtorch's operations on the CPU: slow; the independent check of our kernels.
    LibtorchCpu,
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Device::Auto => f.pad("auto"),
            Device::Cpu => f.pad("cpu"),
            Device::Cuda(index) => f.pad(&format!("cuda:{index}")),
            Device::LibtorchCpu => f.pad("libtorch-cpu"),
        }
    }
}

impl std::str::FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "libtorch-cpu" => Ok(Device::LibtorchCpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Device::Cuda)
                .ok_or_else(|| format!("\"{text}\" is no device: allowed are auto, cpu, cuda:N and libtorch-cpu")),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_is_named_by_its_parts() {
        let dense = Model { depth: 5, width: 512, ..Model::default() };
        assert_eq!(dense.label(), "5×512");
        assert_eq!(Model { hidden: Some(64), ..dense.clone() }.label(), "5×512+h");
        let conv = vec![Conv::default(), Conv { repeat: 4, ..Conv::default() }];
        assert_eq!(Model { conv, depth: 1, ..dense }.label(), "5c+1×512");
    }
}
