//! Memory for the kernels in whole cache lines.

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes of a cache line of the processors there are kernels for.
pub(super) const LINE: usize = 64;
/// What is smaller is left as it is.
const LEAST: usize = 512;

/// The system's allocator, but that larger blocks start with a cache line. The system's own start 16 bytes into one, so that
/// every vector of 16 floats would lie in two lines, and tasks beside each other would write to a line they share:
/// `docs/benchmarks.md` says what that costs.
///
/// A program that runs the kernels takes it as its `#[global_allocator]`; results are the same without.
pub struct CacheLines;

fn lines(layout: Layout) -> Layout {
    if layout.size() < LEAST { layout } else { layout.align_to(LINE).unwrap_or(layout) }
}

// SAFETY: every block is the system's, asked for and given back with one layout, a function of the caller's, which is at
// least as aligned and as large as that one.
unsafe impl GlobalAlloc for CacheLines {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(lines(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(lines(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; `alloc` took the same layout.
        unsafe { System.dealloc(block, lines(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: `size` is not 0 and fits with the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if lines(layout).align() == lines(new).align() {
            // SAFETY: the caller's promise; the block's layout stays as aligned.
            return unsafe { System.realloc(block, lines(layout), size) };
        }
        // SAFETY: the caller's promise; both blocks have the lesser of the two sizes.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_blocks_are_lines_and_keep_what_they_hold() {
        let sizes = [1, 17, 511, 512, 513, 4096, 100_003, 4096, 600, 100, 7, 3000];
        // SAFETY: sizes are not 0, every block is used within its size and given back once, with its last layout.
        unsafe {
            let mut layout = Layout::from_size_align(sizes[0], 4).unwrap();
            let mut block = CacheLines.alloc_zeroed(layout);
            assert_eq!(*block, 0);
            *block = 77;
            for size in sizes {
                block = CacheLines.realloc(block, layout, size);
                layout = Layout::from_size_align(size, 4).unwrap();
                assert_eq!(*block, 77, "{size} bytes");
                assert!(size < LEAST || (block as usize).is_multiple_of(LINE), "{size} bytes");
                block.add(size - 1).write(77);
            }
            CacheLines.dealloc(block, layout);
        }
        // SAFETY: as above.
        unsafe {
            let layout = Layout::from_size_align(5000, 4096).unwrap();
            let block = CacheLines.alloc_zeroed(layout);
            assert!((block as usize).is_multiple_of(4096) && (0..5000).all(|byte| *block.add(byte) == 0));
            CacheLines.dealloc(block, layout);
        }
    }
}
