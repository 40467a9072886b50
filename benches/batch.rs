//! What a batch of augmented images costs beside the step it is for:
//! `cargo bench --no-default-features --bench batch -- [--rounds N]`.
//!
//! Prints, for each case, the least time of making a batch on one thread (random images; the time does not depend on
//! them), the least time of a step of a small net on all cores, and the ratio. A step on such a net is the shortest there
//! is, so the ratio is the worst case of a CPU.

use std::time::{Duration, Instant};

use linf::dataset::{Augmentation, DatasetId, Normalizer, PadMode, Split, epoch_order, fill_batch, random};
use linf::dist::Simd;
use linf::experiment::{Adam, Label, PNorm, parse};
use linf::net::{Batch, CpuEngine, Engine, NetShape, NetState, Objective, StepPoint};

fn main() {
    let mut rounds = 15;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next().and_then(|n| n.parse().ok())) {
            ("--rounds", Some(n)) => rounds = n,
            ("--bench", _) => {} // cargo passes it
            _ => {
                eprintln!("usage: batch [--rounds N]");
                std::process::exit(2);
            }
        }
    }
    println!("{:<58} {:>9} {:>9} {:>7}", "case", "batch ms", "step ms", "ratio");
    let edge = |pad, flip| Augmentation { pad, pad_mode: PadMode::Edge, flip, warp: 0.0, bend: 0.0 };
    let warped = |pad, flip| Augmentation { warp: 0.1, ..edge(pad, flip) };
    let bent = |pad, flip| Augmentation { bend: 1.0, ..warped(pad, flip) };
    for (id, batch, depth, width, augment) in [
        (DatasetId::Mnist, 256, 5, 512, edge(1, false)),
        (DatasetId::Mnist, 256, 5, 512, warped(1, false)),
        (DatasetId::Mnist, 256, 5, 512, bent(1, false)),
        (DatasetId::Cifar10, 256, 6, 512, edge(3, true)),
        (DatasetId::Cifar10, 512, 6, 1024, edge(3, true)),
        (DatasetId::TinyImagenet, 512, 6, 1024, edge(5, true)),
        (DatasetId::TinyImagenet, 512, 6, 1024, warped(5, true)),
        (DatasetId::TinyImagenet, 512, 6, 1024, bent(5, true)),
    ] {
        let made = least(rounds, batch_maker(id, batch, augment));
        let step = least(rounds.div_ceil(3), stepper(id, batch, depth, width));
        let warps = if augment.warp > 0.0 { ", warped" } else { "" };
        let bends = if augment.bend > 0.0 { ", bent" } else { "" };
        let name = format!("{id}, {batch} images{warps}{bends}, {depth}×{width}, p = 8");
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{name:<58} {:>9.3} {:>9.2} {:>6.1}%",
            ms(made),
            ms(step),
            100.0 * made.as_secs_f64() / step.as_secs_f64()
        );
    }
}

fn least(rounds: usize, mut work: impl FnMut()) -> Duration {
    work();
    let times = (0..rounds).map(|_| {
        let started = Instant::now();
        work();
        started.elapsed()
    });
    times.min().unwrap_or_default()
}

fn batch_maker(id: DatasetId, batch: usize, augment: Augmentation) -> impl FnMut() {
    let images = 4 * batch;
    let split = Split {
        images: (0..images * id.pixels()).map(|i| (i * 89 % 251) as u8).collect(),
        labels: (0..images).map(|i| (i % id.classes()) as Label).collect(),
    };
    let normalizer = Normalizer::new(id);
    let order = epoch_order(1, 0, images);
    let (mut out, mut labels, mut epoch) = (vec![0.0; batch * id.pixels()], Vec::new(), 0);
    move || {
        epoch += 1;
        fill_batch(&split, id, &normalizer, &order[..batch], Some((&augment, 1, epoch)), &mut out, &mut labels);
    }
}

fn stepper(id: DatasetId, batch: usize, depth: usize, width: usize) -> impl FnMut() {
    let text = format!(
        "data.dataset = '{id}'\nmodel = {{ depth = {depth}, width = {width} }}\n\
         train = {{ epochs = 1, batch_size = {batch}, lr = 0.03 }}\nschedule = {{ ramp_start = 0, ramp_end = 1 }}\n\
         loss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
    );
    let (Ok(config), Ok(simd), Some(p)) = (parse(&text), Simd::detect(), PNorm::new(8.0)) else {
        eprintln!("this machine cannot run the kernels");
        std::process::exit(2);
    };
    let shape = NetShape::new(&config);
    let mut engine = CpuEngine::new(NetState::init(&shape, 1, None), Adam::default(), 0, simd);
    let mut images = vec![0.0; batch * shape.inputs()];
    random::fill_normal(1, 0, &mut images);
    let labels: Vec<Label> = (0..batch).map(|i| (i % shape.classes()) as Label).collect();
    let objective = Objective::Mixture { lambda: 0.1 };
    let point = StepPoint { p, lr: 0.03, scalar_lr: 0.006, objective, eps: 0.3 };
    move || {
        if let Err(error) = engine.step(Batch { images: &images, labels: &labels }, &point) {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
