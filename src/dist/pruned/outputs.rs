//! The weight rows that a kernel treats.

/// Evenly spaced weight rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outputs {
    first: usize,
    step: usize,
    count: usize,
}

impl Outputs {
    /// All rows from `first` to before `end`.
    pub(super) fn block(first: usize, end: usize) -> Outputs {
        Outputs { first, step: 1, count: end - first }
    }

    /// About `count` of `outputs` rows, with a different start for each `phase`.
    pub(super) fn spread(outputs: usize, count: usize, phase: usize) -> Outputs {
        let step = outputs.div_ceil(count.min(outputs));
        // A step of the golden ratio, so that the phases differ as much as they can.
        let first = (phase as f64 * 0.618_033_988_75).fract() * step as f64;
        let first = (first as usize).min(outputs - 1);
        Outputs { first, step, count: (outputs - first).div_ceil(step) }
    }

    pub(super) fn len(self) -> usize {
        self.count
    }

    #[inline(always)]
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |k| self.first + k * self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_exist_and_are_spread() {
        for (outputs, count) in [(1, 16), (10, 16), (512, 16), (513, 16), (5120, 16)] {
            for phase in 0..9 {
                let rows: Vec<usize> = Outputs::spread(outputs, count, phase).iter().collect();
                assert!(!rows.is_empty() && rows.iter().all(|o| *o < outputs), "{outputs} {phase}: {rows:?}");
                assert!(rows.len() <= count && rows.len() + 2 >= count.min(outputs) / 2, "{outputs} {phase}: {rows:?}");
            }
        }
    }
}
