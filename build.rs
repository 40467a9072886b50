//! Bakes the place of libtorch into the run path of what is linked, so that binaries and tests start with no
//! LD_LIBRARY_PATH. torch-sys (`links = "tch"`) tells a direct dependent where it found libtorch.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // `sqlx::migrate!` embeds what lies there; the compiler does not see a file that is added.
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(dir) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // DT_RPATH, not DT_RUNPATH: it also serves the libraries that libtorch itself opens later.
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
        println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib:{dir}:{dir}/../../nvidia/cu13/lib");
    }
}
