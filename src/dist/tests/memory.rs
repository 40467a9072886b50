//! The working memory of the distance op, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use linf_dist::{DistOp, Pool, Shape, Simd};

/// Counts bytes, and hands on to the system.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every method hands its arguments on to the system's allocator, whose promises are those asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All that an op holds and borrows in a forward and a backward pass stays below twice its operands, at every p, and below
/// three times where half of the samples have no gradient: there is never a temporary of [B, O, I]. The second step of the
/// same op allocates next to nothing.
#[test]
fn working_memory_is_below_a_few_times_the_operands() {
    let shape = Shape { batch: 192, inputs: 320, outputs: 256 };
    let Shape { batch, inputs, outputs } = shape;
    let numbers = |n: usize| (0..n).map(|k| ((k * 7919) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
    let (x, w, g) = (numbers(batch * inputs), numbers(outputs * inputs), numbers(batch * outputs));
    let (mut y, mut dx, mut dw) = (vec![0.0; g.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
    let pool = Pool::new(2);
    let mut half = g.clone();
    half.chunks_mut(2 * outputs).for_each(|rows| rows[..outputs].fill(0.0));
    let operands = 4 * (x.len() + w.len() + g.len());
    for p in [2.0, 8.0, 9.5, 16.0, 32.2, 47.0, 64.0, 93.7, 300.0, 1000.0, f64::INFINITY] {
        for (g, times) in [(&g, 2), (&half, 3)] {
            let mut op = DistOp::new(Simd::best());
            for step in 0..2 {
                let before = NOW.load(Ordering::Relaxed);
                PEAK.store(before, Ordering::Relaxed);
                op.forward(&pool, shape, p, &x, &w, &mut y, true);
                op.backward(&pool, &x, &w, g, Some(&mut dx), Some(&mut dw));
                let taken = PEAK.load(Ordering::Relaxed) - before;
                let allowed = if step == 0 { times * operands } else { operands / 4 };
                assert!(taken <= allowed, "p = {p}, step {step}: {taken} bytes beside {operands} of operands");
            }
        }
    }
}
