//! What every config key means: the source of `config --explain`, of `docs/config.md` and of what errors call allowed.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct KeyDoc {
    /// Its dotted path.
    pub key: &'static str,
    /// What it may be.
    pub allowed: &'static str,
    /// What holds where it is absent; `None` where it must be given.
    pub default: Option<&'static str>,
    /// What it does.
    pub text: &'static str,
}

const fn key(key: &'static str, allowed: &'static str, default: Option<&'static str>, text: &'static str) -> KeyDoc {
    KeyDoc { key, allowed, default, text }
}

const KEYS: &[KeyDoc] = &[
    key("run.title", "text", Some("empty"), "A line about the experiment, shown where configs are listed."),
    key("run.tags", "list of words", Some("none"), "Words to filter runs by."),
    key("run.published.source", "text", None, "Where the published result stands, e.g. \"ICLR 2022, 5×5120\"."),
    key(
        "run.published.certified",
        "0 to 1",
        None,
        "Published certified accuracy; drawn as a reference line. Overrides of data.dataset or eval.eps leave the published row out.",
    ),
    key("run.published.clean", "0 to 1", Some("none"), "Published clean accuracy."),
    key(
        "run.published.attacked",
        "run.published.certified to 1",
        Some("none"),
        "Published accuracy under attack: PGD of 20 steps in 2021, of 100 in 2022.",
    ),
    key(
        "data.dataset",
        "mnist, fashion-mnist, cifar10, cifar100, tiny-imagenet, imagenet64 or synthetic",
        None,
        "The images. The first three are fetched by `linf-tui data fetch`; cifar100, tiny-imagenet and imagenet64 are put there by hand.",
    ),
    key(
        "data.crop",
        "1 to the side of the images, in pixels",
        Some("whole images"),
        "The net sees a square of so many pixels a side: a random one of a training image, the middle of every other.",
    ),
    key(
        "data.augment.pad",
        "0 to 16 pixels",
        Some("0"),
        "Training images are padded so much on every side, then cropped at random to the size that the net sees; 0 turns it off.",
    ),
    key(
        "data.augment.pad_mode",
        "edge or zero",
        Some("edge"),
        "What the padding holds: the border repeated, or black.",
    ),
    key(
        "data.augment.flip",
        "true or false",
        Some("false"),
        "Mirror training images left to right with probability ½.",
    ),
    key(
        "data.augment.warp",
        "0 to 0.5",
        Some("0"),
        "Turn, slant, stretch and shrink training images a little at random: every entry of a linear map is off the identity's by up to so much.",
    ),
    key(
        "data.augment.bend",
        "0 to 8",
        Some("0"),
        "Bend training images a little at random, as on rubber: nodes of a grid, 8 pixels apart, are displaced by up to so many pixels each way, and what lies between follows.",
    ),
    key("data.train_limit", "1 or more", Some("all"), "Train on the first so many images only."),
    key("data.test_limit", "1 or more", Some("all"), "Measure on the first so many test images only."),
    key(
        "data.validation",
        "0 or more",
        Some("0"),
        "Training images held out, the same ones for every seed. Evaluations under way are on them and the best is \
         chosen by them, so nothing is chosen on the test set, which gives the last figure alone; 0 evaluates on the \
         test set throughout.",
    ),
    key(
        "data.extra.path",
        "a folder or a .npz file; relative to the data root",
        None,
        "More images to train on, such as generated ones: a folder of one folder a class, or an .npz file with arrays \
         image [N, H, W, C] and label [N] of bytes and integers. Never tested on, never held out.",
    ),
    key(
        "data.extra.share",
        "above 0, up to 1",
        None,
        "The share of each epoch's images that are drawn from them; an epoch stays as long as it was.",
    ),
    key(
        "model.kind",
        "linf-dist or sort-net",
        Some("linf-dist"),
        "What the neurons of all layers but the first are: ℓ∞ distances, or SortNet's weighted sums of the ten largest \
         differences, which training sees as distances under dropout.",
    ),
    key(
        "model.depth",
        "2 to 64; 1 with a head or convolutions, 0 with both",
        None,
        "Dense distance layers, the output layer included where there is no head: 784-512×4-10 is depth 5. The papers' \
         HybridModel(depth=7) is depth 5 with a head.",
    ),
    key("model.width", "1 to 65536", None, "Neurons of each hidden dense layer."),
    key(
        "model.hidden",
        "1 to 65536",
        Some("no head"),
        "A head of two linear layers with so many tanh units between them makes the logits. Training \
         bounds their margins over the box of features within ε_train.",
    ),
    key(
        "model.keep",
        "1e-9 to 1; with sort-net, and only there",
        None,
        "Share q of the inputs that dropout keeps, one mask for 32 consecutive samples; the neuron's weights are q·(1 − q)^k.",
    ),
    key(
        "model.groups",
        "a divisor of model.width; 1 with sort-net",
        Some("1"),
        "Blocks of neurons that see only the block before them, in layers between hidden dense layers.",
    ),
    key(
        "model.conv",
        "a list of { outputs, kernel, stride = 1, pad = 0, dilation = 1, groups = 1, repeat = 1 }; with sort-net kernel 1 \
         after the first layer",
        Some("none"),
        "Convolutional distance layers before the dense ones. pad adds value 0 in normalised units; repeat makes several \
         layers alike.",
    ),
    key(
        "model.identity_init",
        "above 0, up to 1000",
        Some("none"),
        "Start w[o, o mod inputs] at minus this where a layer has no more inputs (input channels, at the window's centre) \
         than outputs, so that it begins as an identity; the 2022 recipes take 10. Small nets do better without.",
    ),
    key("train.epochs", "1 to 100000", None, "Passes over the training images."),
    key("train.batch_size", "1 to 65536", None, "Images a step. The last, smaller batch of an epoch is kept."),
    key("train.lr", "above 0, up to 10", None, "Learning rate at step 0; a cosine takes it to 0 at the end."),
    key(
        "train.lr_hold",
        "0 to train.epochs, the end excluded",
        Some("0"),
        "Epoch up to which the learning rates stay as they are at step 0; the cosine begins there. The 2021 recipes hold \
         them until p climbs.",
    ),
    key(
        "train.scalar_lr",
        "0 to 10",
        Some("train.lr / 5"),
        "Learning rate of the scalar s that scales the logits inside the cross-entropy; same cosine.",
    ),
    key("train.adam.beta1", "0 to 1, 1 excluded", Some("0.9"), "Decay of Adam's first moment."),
    key(
        "train.adam.beta2",
        "0 to 1, 1 excluded",
        Some("0.99"),
        "Decay of Adam's second moment; p drifts, so it is short.",
    ),
    key(
        "train.adam.eps",
        "1e-37 to 1e-6",
        Some("1e-10"),
        "Adam's ε. Above 1e-10 it freezes training at large p, where nearly all gradients are tiny.",
    ),
    key(
        "train.adam.dist_decay",
        "0 to 1",
        Some("0"),
        "Weight decay of the distance layers, decoupled, times the learning rate: of each row's ½‖w‖² in the norm of the \
         step's p, as in the 2021 recipes (0.005). The bias decays as rows of one value.",
    ),
    key(
        "train.adam.head_decay",
        "0 to 1",
        Some("0"),
        "Weight decay of a linear head and of the scalar s, decoupled, times the learning rate: 0.02 in SortNet, 0.005 \
         in 2021.",
    ),
    key(
        "train.ema",
        "0 to 1, both excluded",
        Some("none"),
        "Decay a step of an exponential moving average of the parameters, e.g. 0.999; evaluations are of the average. \
         On CUDA the net is copied to the host at every step for it. The small nets measured so far gain nothing from it: the cosine averages already.",
    ),
    key(
        "train.bits",
        "4, 8, 16 or 24",
        Some("16"),
        "What the CPU's pruned kernels leave out of each sum of powers is below 2^-bits of it, at finite p. 16 is below the \
         rounding of f32 from p = 256 on. With 4 they take over near p = 16 instead of 40, and a recipe takes a sixth less \
         time; nets of 30 epochs certify as much. At p = ∞, in certificates above all, nothing is left out.",
    ),
    key(
        "train.gradient_share",
        "above 0, up to 1",
        Some("1"),
        "Share of each batch's gradients that a layer's backward pass on the CPU takes: the largest as they are, of the others a \
         draw, scaled so that the mean over draws is the whole gradient. Most samples soon have the margin they should \
         have, and half of a batch does: nets of 30 epochs certify as much, for a sixth less time.",
    ),
    key("train.seed", "0 or more", Some("0"), "Decides initial weights, data order and augmentation."),
    key("schedule.p_start", "1 to 1000", Some("8"), "The exponent before the ramp."),
    key(
        "schedule.p_end",
        "p_start to 1000000",
        Some("1000"),
        "The exponent at the end of the ramp; from 100 on it is followed by ∞.",
    ),
    key("schedule.ramp_start", "0 to ramp_end", None, "Epoch (fractions allowed) at which p begins to climb."),
    key(
        "schedule.ramp_end",
        "ramp_start to train.epochs",
        None,
        "Epoch at which p becomes ∞. Leave some epochs after it, so that the running means settle.",
    ),
    key(
        "schedule.p_steps",
        "exact or ladder",
        Some("exact"),
        "exact changes p at every step, as published; ladder rounds p below 68 to integers of few multiplications: the \
         same accuracy, up to twice as fast on a CPU.",
    ),
    key(
        "schedule.eps_start",
        "0 to eps_end",
        Some("0"),
        "Epoch at which ε_train begins to climb from 0, where eps_end is given.",
    ),
    key(
        "schedule.eps_end",
        "eps_start to train.epochs",
        Some("0"),
        "Epoch at which ε_train is whole. The same as eps_start: it is whole from the first step.",
    ),
    key(
        "schedule.eps_smooth",
        "0 to 1, 1 excluded",
        Some("0"),
        "The first share of the climb of ε_train that goes with the fourth power of time, before the straight rest; \
         SortNet's nets with a head take 0.4.",
    ),
    key(
        "loss.kind",
        "mixture, hinge, cross-entropy or ce-hinge",
        Some("mixture"),
        "With logits z and W_j, the most that z_j − z_y can be within ε_train (z_j − z_y + 2ε in a distance net), batch \
         mean of: mixture clamp(max W/2ε, 0, 1) + λ·CE(s·z, y); hinge κ·H(W) + (1 − κ)·H(z − z_y), where H(m) = \
         mix·max m⁺ + (1 − mix)·mean m⁺; cross-entropy κ·CE(W, y) + (1 − κ)·CE(z, y); ce-hinge (1 + max W)⁺ where z is \
         right, + λ·CE(s·z, y).",
    ),
    key(
        "loss.lambda",
        "above 0, up to 1000, for mixture and ce-hinge; 0 otherwise",
        Some("0"),
        "Weight λ of the cross-entropy while p = p_start. Without it nothing recovers a misclassified sample.",
    ),
    key(
        "loss.lambda_end",
        "above 0, up to 1000",
        Some("loss.lambda"),
        "λ once p = ∞; geometric in between, on the clock of p.",
    ),
    key(
        "loss.mix",
        "0 to 1, for hinge",
        Some("1"),
        "Share of the largest margin in the hinge, beside the mean over all classes; 0.75 in 2021.",
    ),
    key(
        "loss.kappa",
        "0 to 1, for hinge and cross-entropy",
        Some("1"),
        "Share κ of the worst case, beside the clean images.",
    ),
    key(
        "loss.eps_train",
        "a radius such as 0.45 or \"24/255\", above 0",
        None,
        "Half the hinge threshold θ, in pixels: the radius of W. Larger than eval.eps: 1.5 times on MNIST 0.3, 3 times on CIFAR-10 8/255.",
    ),
    key(
        "loss.eps_train_end",
        "a radius such as 0.37, above 0",
        Some("loss.eps_train"),
        "The same once p = ∞; linear in between, on the clock of p.",
    ),
    key(
        "loss.eps_train_hold",
        "0 to schedule.ramp_end",
        Some("0"),
        "Epoch up to which ε_train stays loss.eps_train, if p has begun to climb by then. A wide ε_train to near the end of \
         the climb keeps a small net from learning its training images by heart.",
    ),
    key("eval.eps", "a radius such as 0.3 or \"8/255\"", None, "The radius that is certified, in pixels; kept exact."),
    key(
        "eval.every",
        "1 or more epochs",
        Some("5"),
        "Epochs between evaluations at p = ∞ on the test set. The last epoch is always evaluated.",
    ),
    key(
        "eval.mean_samples",
        "1 or more",
        Some("10000"),
        "Training images that re-estimate the running means at p = ∞ before an evaluation under way; the last one takes \
         all of them.",
    ),
    key(
        "eval.attack.pgd_steps",
        "0 or more",
        Some("20, where [eval.attack] is there"),
        "Steps of the papers' PGD on the finished net at p = ∞, of ε/4 each: 20 in 2021, 100 in 2022. Without [eval.attack] \
         nothing is attacked.",
    ),
    key(
        "eval.attack.steps",
        "1 or more",
        Some("50"),
        "Steps of each APGD, whose gradients are taken through the net at a finite p; found is what the net at p = ∞ \
         misclassifies.",
    ),
    key("eval.attack.restarts", "0 or more", Some("2"), "Random starts of each APGD, each at another p; 0: PGD alone."),
    key(
        "eval.attack.targets",
        "0 to 255",
        Some("3"),
        "Rival classes that APGD drives each sample to one by one, the likeliest first, after the attack that takes any.",
    ),
    key("eval.attack.samples", "1 or more", Some("all"), "Attack the first so many test images only."),
    key("resources.device", "auto, cpu, cuda:N or libtorch-cpu", Some("auto"), "Where it trains."),
    key(
        "resources.threads",
        "0 to 1024",
        Some("0"),
        "CPU threads; 0 takes all cores. The net's bits do not depend on it.",
    ),
    key("resources.checkpoint_seconds", "1 or more", Some("60"), "Seconds of training between checkpoints under way."),
    key(
        "resources.keep_checkpoints",
        "1 or more",
        Some("2"),
        "How many checkpoints under way, on pause among them, are kept; the best one, milestones, those at phase switches and \
         the last are kept besides.",
    ),
    key(
        "resources.milestone_epochs",
        "0 or more",
        Some("0"),
        "Epochs between checkpoints that are kept for ever, beside those at phase switches and the best one; 0: no \
         others.",
    ),
    key(
        "resources.retries",
        "0 to 1000",
        Some("5"),
        "How often in a row a run whose worker vanished is resumed from its last checkpoint by itself; a new checkpoint \
         begins the count anew.",
    ),
    key(
        "resources.time_limit_seconds",
        "0 or more",
        Some("0"),
        "How long a worker may train. Then it writes a checkpoint and the run counts as failed; `linf-tui retry` gives it \
         as long again. 0: no limit.",
    ),
    key(
        "resources.share_gpu",
        "true or false",
        Some("false"),
        "Whether its GPU may take further runs that say so too.",
    ),
];

/// All keys, in the order of the file's sections.
pub fn keys() -> &'static [KeyDoc] {
    KEYS
}

/// The documentation of one key.
pub fn explain(key: &str) -> Option<&'static KeyDoc> {
    KEYS.iter().find(|doc| doc.key == key)
}

/// The known key that looks most like this one, if any does.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let last = |key: &'_ str| key.rsplit('.').next().unwrap_or_default().to_owned();
    KEYS.iter()
        .map(|doc| (edits(doc.key, key).min(edits(&last(doc.key), &last(key)) + 1), doc.key))
        .min()
        .filter(|&(distance, _)| distance <= 3)
        .map(|(_, key)| key)
}

/// The one of `known` that was most likely meant by a word that is none of them.
pub fn nearest_of<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known.iter().map(|name| (edits(name, word), *name)).min();
    // Of a short word nearly every letter would have to change.
    near.filter(|&(distance, name)| distance <= 3 && distance * 2 <= name.len()).map(|(_, name)| name)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;

    const EVERY_KEY: &str = r#"
        [run]
        title = "t"
        tags = ["a"]
        published = { source = "s", certified = 0.9, clean = 0.9, attacked = 0.9 }
        [data]
        dataset = "mnist"
        crop = 24
        augment = { pad = 1, pad_mode = "zero", flip = true, warp = 0.1, bend = 1 }
        train_limit = 1
        test_limit = 1
        validation = 1
        extra = { path = "more.npz", share = 0.5 }
        [model]
        kind = "sort-net"
        depth = 2
        width = 2
        hidden = 2
        keep = 0.5
        groups = 1
        conv = [{ outputs = 1, kernel = 1 }]
        identity_init = 10
        [train]
        epochs = 2
        batch_size = 2
        lr = 0.1
        lr_hold = 1
        scalar_lr = 0.1
        adam = { beta1 = 0.9, beta2 = 0.9, eps = 1e-10, dist_decay = 0.1, head_decay = 0.1 }
        ema = 0.5
        bits = 8
        gradient_share = 0.5
        seed = 1
        [schedule]
        p_start = 8
        p_end = 1000
        ramp_start = 1
        ramp_end = 2
        p_steps = "ladder"
        eps_start = 0
        eps_end = 1
        eps_smooth = 0.4
        [loss]
        kind = "mixture"
        lambda = 1
        lambda_end = 0.5
        eps_train = 0.4
        eps_train_end = 0.4
        eps_train_hold = 1
        [eval]
        eps = 0.3
        every = 1
        mean_samples = 1
        attack = { pgd_steps = 1, steps = 1, restarts = 1, targets = 1, samples = 1 }
        [resources]
        device = "cpu"
        threads = 1
        checkpoint_seconds = 1
        keep_checkpoints = 1
        milestone_epochs = 1
        retries = 1
        time_limit_seconds = 1
        share_gpu = true
    "#;

    fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(inner) => flatten(&path, inner, out),
                _ => out.push(path),
            }
        }
    }

    #[test]
    fn every_key_of_the_config_is_explained_and_no_other() {
        // No loss has every key of the losses.
        let hinge = ["kind = \"hinge\"", "mix = 0.5", "kappa = 0.5"].join("\n");
        let other = EVERY_KEY.replace("kind = \"mixture\"\n        lambda = 1\n        lambda_end = 0.5", &hinge);
        let mut found = Vec::new();
        for text in [EVERY_KEY, &other] {
            flatten("", &toml::Table::try_from(parse(text).unwrap()).unwrap(), &mut found);
        }
        found.sort();
        found.dedup();
        let mut known: Vec<_> = KEYS.iter().map(|doc| doc.key.to_owned()).collect();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        assert_eq!(nearest("train.batchsize"), Some("train.batch_size"));
        assert_eq!(nearest("loss.lamda"), Some("loss.lambda"));
        assert_eq!(nearest("train.lambda"), Some("loss.lambda"));
        assert_eq!(nearest("entirely.different"), None);
    }
}
