//! The kernels and their sources.

/// A file of kernels, compiled for one kind of p where it knows several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Module {
    /// In `kernels/`.
    pub file: &'static str,
    /// POWER: a whole p, 0 for a small real one, −1 for any with the largest difference as the reference.
    pub power: Option<i32>,
}

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Where it is defined.
    pub module: Module,
    /// Of its function.
    pub name: &'static str,
    /// Of a block.
    pub threads: u32,
}

/// The p that have kernels of their own: powers by multiplication. Beyond them sums of usual distances, about 10, leave
/// the range of float.
pub(crate) const WHOLE: [i32; 18] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 22, 24];

/// Every module.
pub fn modules() -> Vec<Module> {
    let by_power = ["sums.cu", "slopes.cu"];
    let plain = SOURCES.iter().map(|(file, _)| *file).filter(|file| !by_power.contains(file));
    let powers = WHOLE.into_iter().chain([0]).flat_map(|power| by_power.map(|file| of(file, Some(power))));
    plain.map(|file| of(file, None)).chain(powers).chain([of("slopes.cu", Some(-1))]).collect()
}

/// Those that trainings of p = 8 … 1000 and ∞ may need: all but those of small p and of the benches.
pub(crate) fn needed() -> impl Iterator<Item = Module> {
    let modules = modules().into_iter().filter(|module| module.file != "rates.cu");
    modules.filter(|module| module.power.is_none_or(|power| !(1..8).contains(&power)))
}

const fn of(file: &'static str, power: Option<i32>) -> Module {
    Module { file, power }
}

/// Headers of all files.
pub(crate) const HEADERS: [(&str, &str); 3] = [
    ("copy.cuh", include_str!("kernels/copy.cuh")),
    ("power.cuh", include_str!("kernels/power.cuh")),
    ("tile.cuh", include_str!("kernels/tile.cuh")),
];

const SOURCES: [(&str, &str); 13] = [
    ("adam.cu", include_str!("kernels/adam.cu")),
    ("gather.cu", include_str!("kernels/gather.cu")),
    ("head.cu", include_str!("kernels/head.cu")),
    ("interval.cu", include_str!("kernels/interval.cu")),
    ("largest.cu", include_str!("kernels/largest.cu")),
    ("mean_shift.cu", include_str!("kernels/mean_shift.cu")),
    ("norms.cu", include_str!("kernels/norms.cu")),
    ("pictures.cu", include_str!("kernels/pictures.cu")),
    ("rates.cu", include_str!("kernels/rates.cu")),
    ("scatter.cu", include_str!("kernels/scatter.cu")),
    ("slopes.cu", include_str!("kernels/slopes.cu")),
    ("sort.cu", include_str!("kernels/sort.cu")),
    ("sums.cu", include_str!("kernels/sums.cu")),
];

impl Module {
    /// A kernel of it.
    pub(crate) const fn kernel(self, name: &'static str, threads: u32) -> Kernel {
        Kernel { module: self, name, threads }
    }

    pub(crate) const fn plain(file: &'static str) -> Module {
        of(file, None)
    }

    pub(crate) const fn with(file: &'static str, power: i32) -> Module {
        of(file, Some(power))
    }

    /// Its source.
    pub(crate) fn source(self) -> &'static str {
        SOURCES.iter().find(|(file, _)| *file == self.file).map_or("#error no such file", |(_, source)| source)
    }

    /// What the compiler is told beside the architecture. A product and a sum are one operation only where the source
    /// says so: the bits at p = ∞ are those of the CPU.
    pub(crate) fn options(self) -> Vec<String> {
        let mut options = vec!["--std=c++17".to_owned(), "--fmad=false".to_owned()];
        options.extend(self.power.map(|power| format!("--define-macro=POWER={power}")));
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_has_its_source() {
        let modules = modules();
        assert!(SOURCES.iter().all(|(file, _)| modules.iter().any(|module| module.file == *file)));
        for module in modules {
            assert!(module.source().contains("__global__"), "{module:?}");
        }
    }
}
