//! Compiles every CUDA kernel for some architectures into a folder, for machines that have no NVRTC:
//!
//!     cargo run -p linf-cuda --example compile_kernels -- FOLDER sm_90 …
//!
//! The folder is found where it is called `cuda` and lies beside linf-train.

use std::path::PathBuf;
use std::process::ExitCode;

use linf_cuda::{Cache, Nvrtc, modules};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(folder), architectures) = (words.next().map(PathBuf::from), words.collect::<Vec<_>>()) else {
        eprintln!("usage: compile_kernels FOLDER ARCHITECTURE …");
        return ExitCode::FAILURE;
    };
    let cache = Cache::at(&folder);
    let mut fresh = 0;
    for architecture in &architectures {
        for module in modules() {
            match cache.get(module, architecture, Nvrtc::find) {
                Ok(ready) => fresh += usize::from(!ready.cached),
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    println!("{} files of kernels in {}, {fresh} of them new", modules().len() * architectures.len(), folder.display());
    ExitCode::SUCCESS
}
