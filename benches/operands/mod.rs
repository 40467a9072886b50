//! What the benches of the distance op work on: the operands of one layer.

#![allow(dead_code)] // each bench uses a part

use std::io;
use std::path::Path;

use linf_dist::Shape;

/// x [B, I], w [O, I] and the upstream gradient g [B, O] of one layer.
pub struct Operands {
    pub shape: Shape,
    pub x: Vec<f32>,
    pub w: Vec<f32>,
    pub g: Vec<f32>,
}

impl Operands {
    /// x uniform in [0, 1], w and g normal: a layer before training.
    pub fn fresh(shape: Shape) -> Operands {
        let mut random = Random(7);
        let x = (0..shape.batch * shape.inputs).map(|_| random.uniform()).collect();
        let w = (0..shape.outputs * shape.inputs).map(|_| random.normal()).collect();
        let g = (0..shape.batch * shape.outputs).map(|_| random.normal()).collect();
        Operands { shape, x, w, g }
    }

    /// A trained layer's x and w with the g of a fresh one: as dense as gradients get.
    pub fn of(shape: Shape, x: Vec<f32>, w: Vec<f32>) -> Operands {
        Operands { x, w, ..Operands::fresh(shape) }
    }

    /// x, w and g one after the other, little-endian floats.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let all = [&self.x, &self.w, &self.g];
        std::fs::write(path, all.into_iter().flatten().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// What [`write`](Self::write) wrote.
    pub fn read(path: &Path, shape: Shape) -> io::Result<Operands> {
        let bytes = std::fs::read(path)?;
        let floats: Vec<f32> = bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        let (x, w) = (shape.batch * shape.inputs, shape.outputs * shape.inputs);
        if floats.len() != x + w + shape.batch * shape.outputs {
            return Err(io::Error::other(format!("{} does not hold the operands of {shape:?}", path.display())));
        }
        Ok(Operands { shape, x: floats[..x].to_vec(), w: floats[x..x + w].to_vec(), g: floats[x + w..].to_vec() })
    }
}

/// A linear congruence: good enough for test data, the same everywhere.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}
