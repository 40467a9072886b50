//! Compiled kernels on disk, by all that goes into them and the architecture. The driver's version is no part of it:
//! machine code is the device's own.

use std::path::{Path, PathBuf};

use crate::module::{HEADERS, Module, needed};
use crate::{GpuError, Nvrtc};

/// Where compiled kernels are kept.
pub struct Cache {
    /// Looked into first: kernels that came with the program.
    shipped: Option<PathBuf>,
    /// Looked into and written to; absent where the system names no place.
    own: Option<PathBuf>,
}

/// Machine code, and whether it had been compiled before.
pub struct Ready {
    /// A cubin.
    pub code: Vec<u8>,
    /// Else NVRTC was asked.
    pub cached: bool,
}

impl Cache {
    /// The folder `cuda` beside the program or above it, and `linf-tui/cuda` in $XDG_CACHE_HOME or `~/.cache`.
    pub fn usual() -> Cache {
        let program = std::env::current_exe().unwrap_or_default();
        let shipped = program.ancestors().skip(1).take(2).map(|above| above.join("cuda")).find(|cuda| cuda.is_dir());
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|base| base.is_absolute());
        let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
        Cache { shipped, own: base.map(|base| base.join("linf-tui/cuda")) }
    }

    /// One folder.
    pub fn at(folder: &Path) -> Cache {
        Cache { shipped: None, own: Some(folder.to_owned()) }
    }

    /// Whether all that a training needs was compiled before, for this architecture or one whose code it runs.
    pub(crate) fn has_all(&self, architecture: &str) -> bool {
        let has = |module| {
            let files = [architecture.to_owned()].into_iter().chain(predecessors(architecture));
            files.map(|of| file_name(module, &of)).any(|name| self.folders().any(|folder| folder.join(&name).exists()))
        };
        needed().all(has)
    }

    /// A module's code for an architecture: kept from before, or compiled now and kept, or, where no compiler can,
    /// what was kept for an earlier one of the same generation. `nvrtc` opens the compiler, if it comes to that.
    ///
    /// # Errors
    /// There is no compiler, or it fails. That the code cannot be kept is none.
    pub fn get(
        &self,
        module: Module,
        architecture: &str,
        nvrtc: impl FnOnce() -> Result<Option<Nvrtc>, GpuError>,
    ) -> Result<Ready, GpuError> {
        if let Some(code) = self.kept(module, architecture) {
            return Ok(Ready { code, cached: true });
        }
        let compiled = nvrtc().and_then(|nvrtc| match nvrtc {
            Some(nvrtc) => nvrtc.compile(module, architecture),
            None => Err(GpuError::NoNvrtc { architecture: architecture.to_owned() }),
        });
        match compiled {
            Ok(code) => {
                // A full disk or a home that cannot be written to costs the time of compiling again, and nothing else.
                let _ = self.keep(module, architecture, &code);
                Ok(Ready { code, cached: false })
            }
            // There is none, or it is older than the device.
            Err(error) => {
                let code = predecessors(architecture).find_map(|older| self.kept(module, &older)).ok_or(error)?;
                Ok(Ready { code, cached: true })
            }
        }
    }

    fn kept(&self, module: Module, architecture: &str) -> Option<Vec<u8>> {
        let name = file_name(module, architecture);
        self.folders().find_map(|folder| read(&folder.join(&name)))
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.shipped, &self.own].into_iter().flatten()
    }

    /// Keeps a module's code for an architecture.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, module: Module, architecture: &str, code: &[u8]) -> std::io::Result<()> {
        self.own.as_ref().map_or(Ok(()), |folder| write(folder, &file_name(module, architecture), code))
    }
}

/// The architectures whose machine code runs on this one too: those of the same generation with a smaller second number,
/// the nearest first (CUDA C++ Programming Guide, binary compatibility): code of sm_100 runs on sm_103. The modules with a
/// processor of their own (Jetson) neither run others' code nor lend theirs.
fn predecessors(architecture: &str) -> impl Iterator<Item = String> {
    const JETSON: [u32; 4] = [72, 87, 101, 110];
    let number = architecture.strip_prefix("sm_").and_then(|digits| digits.parse::<u32>().ok());
    let number = number.filter(|number| !JETSON.contains(number)).unwrap_or(0);
    let older = (number / 10 * 10..number).rev().filter(|older| !JETSON.contains(older));
    older.map(|older| format!("sm_{older}"))
}

/// `norms-sm_90-0123456789abcdef.cubin`
fn file_name(module: Module, architecture: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    let parts = HEADERS.iter().map(|(_, text)| (*text).to_owned()).chain([module.source().to_owned()]);
    for part in parts.chain(module.options()) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let stem = module.file.trim_end_matches(".cu");
    let power = module.power.map_or_else(String::new, |power| format!("-{power}"));
    format!("{stem}{power}-{architecture}-{}.cubin", &hasher.finalize().to_hex()[..16])
}

/// The code of a file that is whole: its last 32 bytes are the hash of those before.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path).ok()?;
    let length = bytes.len().checked_sub(blake3::OUT_LEN)?;
    let hash = bytes.split_off(length);
    (blake3::hash(&bytes).as_bytes() == hash.as_slice()).then_some(bytes)
}

fn write(folder: &Path, name: &str, code: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let part = folder.join(format!("{name}.{}.part", std::process::id()));
    let whole = [code, blake3::hash(code).as_bytes()].concat();
    std::fs::write(&part, whole).and_then(|()| std::fs::rename(&part, folder.join(name))).inspect_err(|_| {
        let _ = std::fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("linf-cache-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_file_that_is_not_whole_is_as_good_as_none() {
        let folder = folder("whole");
        let module = Module::plain("adam.cu");
        let name = file_name(module, "sm_90");
        write(&folder, &name, b"machine code").unwrap();
        let get = || Cache::at(&folder).get(module, "sm_90", || Ok(None));
        assert_eq!(get().unwrap().code, b"machine code");
        assert!(get().unwrap().cached);
        let mut bytes = std::fs::read(folder.join(&name)).unwrap();
        bytes[3] ^= 1;
        for damaged in [bytes.clone(), bytes[..20].to_vec(), Vec::new()] {
            std::fs::write(folder.join(&name), damaged).unwrap();
            assert_eq!(get().err(), Some(GpuError::NoNvrtc { architecture: "sm_90".into() }));
        }
        std::fs::remove_dir_all(folder).unwrap();
        let said = GpuError::NoNvrtc { architecture: "sm_90".into() }.to_string();
        assert!(said.contains("sm_90") && said.contains("make nvrtc") && said.contains("LINF_NVRTC"));
    }

    #[test]
    fn code_of_the_same_generation_will_do_where_there_is_no_compiler() {
        let folder = folder("generation");
        for module in needed() {
            write(&folder, &file_name(module, "sm_100"), b"of 100").unwrap();
            write(&folder, &file_name(module, "sm_86"), b"of 86").unwrap();
        }
        let cache = Cache::at(&folder);
        let get = |architecture: &str| cache.get(Module::plain("adam.cu"), architecture, || Ok(None));
        for (architecture, code) in [("sm_103", &b"of 100"[..]), ("sm_100", b"of 100"), ("sm_89", b"of 86")] {
            assert_eq!(get(architecture).unwrap().code, code, "{architecture}");
            assert!(cache.has_all(architecture), "{architecture}");
        }
        // Neither another generation's nor a later one's.
        for architecture in ["sm_120", "sm_110", "sm_80", "sm_90", "sm_87"] {
            assert_eq!(get(architecture).err(), Some(GpuError::NoNvrtc { architecture: architecture.into() }));
            assert!(!cache.has_all(architecture), "{architecture}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn modules_powers_and_architectures_have_files_of_their_own() {
        let mut names: Vec<_> = crate::modules()
            .iter()
            .flat_map(|module| ["sm_80", "sm_90"].map(|architecture| file_name(*module, architecture)))
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
