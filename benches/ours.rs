//! Our side of `benches/vs_pytorch`, which talks to it line by line; `benches/vs_pytorch --help` says more.
//!
//! * `simd` → its name
//! * `fresh B I O FILE` writes operands as before training
//! * `train P EPOCHS IMAGES FILE` trains 784-1024-1024-10 at p, B = 512, on the first so many images of MNIST where it is
//!   at hand and else of the synthetic digits, and writes the operands of its second layer → the data set and the
//!   training accuracy of the last epoch
//! * `load B I O FILE` takes operands
//! * `evaluate P`, `forward P`, `both P` run once → nanoseconds and the path taken

mod operands;

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use linf::dataset::{self, DatasetId, Normalizer};
use linf::dist::{DistOp, Pool, Shape, Simd, mean_shift_forward};
use linf::experiment::{Config, PNorm, parse};
use linf::net::{Batch, CpuEngine, Engine, NetShape, NetState, Objective, StepPoint};
use operands::Operands;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BATCH: usize = 512;

fn main() -> Result<()> {
    let threads = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(2);
    let mut ours = Ours { pool: Pool::new(threads), simd: Simd::detect()?, loaded: None };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = ours.answer(&line.split_whitespace().collect::<Vec<_>>())?;
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

struct Ours {
    pool: Pool,
    simd: Simd,
    loaded: Option<Loaded>,
}

struct Loaded {
    operands: Operands,
    op: DistOp,
    y: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

impl Ours {
    fn answer(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["simd"] => Ok(self.simd.name().to_owned()),
            ["fresh", b, i, o, file] => {
                Operands::fresh(shape(b, i, o)?).write(Path::new(file))?;
                Ok("written".into())
            }
            ["train", p, epochs, images, file] => {
                self.train(p.parse()?, epochs.parse()?, images.parse()?, Path::new(file))
            }
            ["load", b, i, o, file] => {
                let operands = Operands::read(Path::new(file), shape(b, i, o)?)?;
                let (y, dx, dw) =
                    (vec![0.0; operands.g.len()], vec![0.0; operands.x.len()], vec![0.0; operands.w.len()]);
                self.loaded = Some(Loaded { operands, op: DistOp::new(self.simd), y, dx, dw });
                Ok("loaded".into())
            }
            [direction @ ("evaluate" | "forward" | "both"), p] => self.time(direction, p.parse()?),
            _ => Err(format!("no such order: {}", words.join(" ")).into()),
        }
    }

    fn time(&mut self, direction: &str, p: f64) -> Result<String> {
        let Some(Loaded { operands: Operands { shape, x, w, g }, op, y, dx, dw }) = &mut self.loaded else {
            return Err("nothing loaded".into());
        };
        let start = Instant::now();
        op.forward(&self.pool, *shape, p, x, w, y, direction != "evaluate");
        if direction == "both" {
            op.backward(&self.pool, x, w, g, Some(dx), Some(dw));
        }
        Ok(format!("{} {:?}", start.elapsed().as_nanos(), op.stats().path))
    }

    fn train(&self, p: f64, epochs: u64, images: usize, file: &Path) -> Result<String> {
        let config = parse(
            "data.dataset = 'synthetic'\nmodel = { depth = 3, width = 1024 }\n\
             train = { epochs = 1, batch_size = 512, lr = 0.03 }\nschedule = { ramp_start = 0, ramp_end = 1 }\n\
             loss = { lambda = 0.05, eps_train = 0.4 }\neval.eps = 0.3",
        )?;
        let root = dataset::default_root();
        let id = if dataset::is_present(DatasetId::Mnist, &root) { DatasetId::Mnist } else { DatasetId::Synthetic };
        let data = dataset::load(id, &root)?.train;
        let threads = self.pool.threads();
        let mut engine =
            CpuEngine::new(NetState::init(&NetShape::new(&config), 1, None), config.train.adam, threads, self.simd);
        let normalizer = Normalizer::new(id);
        let taken = images.min(data.len());
        let steps = (taken / BATCH) as u64;
        let (mut images, mut labels) = (vec![0.0; BATCH * id.pixels()], Vec::new());
        let mut correct = 0;
        for epoch in 0..epochs {
            let order = dataset::epoch_order(1, epoch, taken);
            correct = 0;
            for (step, chunk) in (0..).zip(order.chunks_exact(BATCH)) {
                let mut indices = chunk.to_vec();
                indices.sort_by_key(|&index| data.labels[index as usize]);
                dataset::fill_batch(&data, id, &normalizer, &indices, None, &mut images, &mut labels);
                let done = (epoch * steps + step) as f64 / (epochs * steps) as f64;
                correct += engine.step(Batch { images: &images, labels: &labels }, &point(&config, p, done)?)?.correct;
            }
        }
        self.second_layer(engine.state()?, p, &images).write(file)?;
        Ok(format!("{} {:.4}", id.name(), f64::from(correct) / (steps * BATCH as u64) as f64))
    }

    /// The second layer of `net` at p, on a batch of images.
    fn second_layer(&self, net: &NetState, p: f64, images: &[f32]) -> Operands {
        let (first, second) = (&net.layers[0], &net.layers[1]);
        let batch = images.len() / first.shape.inputs();
        let mut x = vec![0.0; batch * first.shape.outputs()];
        let shape = Shape { batch, inputs: first.shape.inputs(), outputs: first.shape.outputs() };
        DistOp::new(self.simd).forward(&self.pool, shape, p, images, &first.weight.value, &mut x, false);
        mean_shift_forward(&self.pool, self.simd, batch, &mut x, &mut vec![0.0; first.shape.outputs()]);
        let shape = Shape { batch, inputs: second.shape.inputs(), outputs: second.shape.outputs() };
        Operands::of(shape, x, second.weight.value.clone())
    }
}

/// The learning rate falls by a cosine; all else stands.
fn point(config: &Config, p: f64, done: f64) -> Result<StepPoint> {
    let lr = config.train.lr * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    let eps = config.loss.eps_train.to_f64() / DatasetId::Synthetic.std();
    let p = PNorm::new(p).ok_or("p must be at least 1")?;
    Ok(StepPoint { p, lr, scalar_lr: lr / 5.0, objective: Objective::Mixture { lambda: config.loss.lambda }, eps })
}

fn shape(batch: &str, inputs: &str, outputs: &str) -> Result<Shape> {
    Ok(Shape { batch: batch.parse()?, inputs: inputs.parse()?, outputs: outputs.parse()? })
}
