//! NVRTC, the compiler of CUDA C that is a library: opened where it lies, at run time.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};

use crate::GpuError;
use crate::module::{HEADERS, Module};

/// Major versions that are looked for, the best first: a device newer than the compiler is not known to it.
const VERSIONS: [&str; 2] = ["13", "12"];

type Program = *mut c_void;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Copy = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
type Destroy = unsafe extern "C" fn(*mut Program) -> c_int;

/// NVRTC, opened. It stays open as long as the program runs.
pub struct Nvrtc {
    folder: PathBuf,
    create: Symbol<Create>,
    compile: Symbol<Compile>,
    log_size: Symbol<Size>,
    log: Symbol<Copy>,
    cubin_size: Symbol<Size>,
    cubin: Symbol<Copy>,
    destroy: Symbol<Destroy>,
}

impl Nvrtc {
    /// Opens the NVRTC in the folder that LINF_NVRTC names, or else that of the first place that has one: `.nvrtc` or
    /// `.libtorch` in a folder above the program; the CUDA toolkit; where the system looks for libraries. `None` where
    /// there is none.
    ///
    /// # Errors
    /// One is there and cannot be opened, or LINF_NVRTC names a folder without one.
    pub fn find() -> Result<Option<Nvrtc>, GpuError> {
        match Nvrtc::place()? {
            Some(place) => Nvrtc::open(&place).map(Some),
            // Where the loader looks. That it finds nothing is no error.
            None => Ok(places(Path::new("")).iter().find_map(|name| Nvrtc::open(name).ok())),
        }
    }

    /// Whether there is one, as far as that shows without opening it.
    ///
    /// # Errors
    /// LINF_NVRTC names a folder without one.
    pub fn is_there() -> Result<bool, GpuError> {
        Ok(Nvrtc::place()?.is_some() || Nvrtc::find()?.is_some())
    }

    /// The library in the first place that has one, but for those where the loader looks.
    fn place() -> Result<Option<PathBuf>, GpuError> {
        if let Some(folder) = std::env::var_os("LINF_NVRTC").map(PathBuf::from) {
            let Some(place) = places(&folder).into_iter().find(|place| place.exists()) else {
                let what = "LINF_NVRTC names this folder, which has no libnvrtc.so.13".to_owned();
                return Err(GpuError::Nvrtc { folder, what });
            };
            return Ok(Some(place));
        }
        let toolkits = ["CUDA_PATH", "CUDA_HOME"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
        let toolkits = toolkits.chain([PathBuf::from("/usr/local/cuda")]).map(|folder| folder.join("lib64"));
        let program = std::env::current_exe().unwrap_or_default();
        let beside = program.ancestors().skip(1).flat_map(|above| {
            [".nvrtc", ".libtorch", "lib"].map(|tree| above.join(tree).join("nvidia/cu13/lib")).into_iter()
        });
        Ok(beside.chain(toolkits).flat_map(|folder| places(&folder)).find(|place| place.exists()))
    }

    fn open(path: &Path) -> Result<Nvrtc, GpuError> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let broken = |error: libloading::Error| GpuError::Nvrtc { folder: folder.clone(), what: error.to_string() };
        // NVRTC looks for its built-in functions by bare name, and finds those that are open already.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if is_builtins(&entry.file_name()) {
                // SAFETY: as below.
                let builtins = unsafe { Library::open(Some(entry.path()), RTLD_NOW | RTLD_GLOBAL) };
                std::mem::forget(builtins.map_err(broken)?);
            }
        }
        // SAFETY: its initialisers are made for this; it is never closed, so its functions stay; their types are those of
        // nvrtc.h, the same since CUDA 11.
        unsafe {
            let library = Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL).map_err(broken)?;
            let nvrtc = Nvrtc {
                create: library.get(b"nvrtcCreateProgram").map_err(broken)?,
                compile: library.get(b"nvrtcCompileProgram").map_err(broken)?,
                log_size: library.get(b"nvrtcGetProgramLogSize").map_err(broken)?,
                log: library.get(b"nvrtcGetProgramLog").map_err(broken)?,
                cubin_size: library.get(b"nvrtcGetCUBINSize").map_err(broken)?,
                cubin: library.get(b"nvrtcGetCUBIN").map_err(broken)?,
                destroy: library.get(b"nvrtcDestroyProgram").map_err(broken)?,
                folder,
            };
            std::mem::forget(library);
            Ok(nvrtc)
        }
    }

    /// Where it lies; empty where the system found it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The machine code of a module for `architecture`, as `sm_90`.
    ///
    /// # Errors
    /// It does not compile, or not for this architecture.
    pub fn compile(&self, module: Module, architecture: &str) -> Result<Vec<u8>, GpuError> {
        let failed = |log: String| GpuError::Compile { file: module.file, architecture: architecture.to_owned(), log };
        let text = |text: &str| CString::new(text).map_err(|_| failed("the source holds a zero".into()));
        let (source, file) = (text(module.source())?, text(module.file)?);
        let names = HEADERS.iter().map(|(name, _)| text(name)).collect::<Result<Vec<_>, _>>()?;
        let headers = HEADERS.iter().map(|(_, header)| text(header)).collect::<Result<Vec<_>, _>>()?;
        let options = module.options().into_iter().chain([format!("--gpu-architecture={architecture}")]);
        let options = options.map(|option| text(&option)).collect::<Result<Vec<_>, _>>()?;
        let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
        let (names, headers, options) = (pointers(&names), pointers(&headers), pointers(&options));
        let mut program: Program = std::ptr::null_mut();
        // SAFETY: all strings outlive the calls, and the buffers have the lengths that NVRTC asks for.
        unsafe {
            let (count, headers, names) = (HEADERS.len() as c_int, headers.as_ptr(), names.as_ptr());
            let made = (self.create)(&raw mut program, source.as_ptr(), file.as_ptr(), count, headers, names);
            if made != 0 {
                return Err(failed(format!("NVRTC cannot begin: error {made}")));
            }
            let result = (self.compile)(program, options.len() as c_int, options.as_ptr());
            let code = if result == 0 {
                self.read(program, &self.cubin_size, &self.cubin).map_err(failed)
            } else {
                let log = self.read(program, &self.log_size, &self.log).unwrap_or_default();
                let log = CStr::from_bytes_until_nul(&log).unwrap_or_default().to_string_lossy().trim().to_owned();
                Err(failed(if log.is_empty() { format!("error {result}") } else { log }))
            };
            (self.destroy)(&raw mut program);
            code
        }
    }

    /// # Safety
    /// `program` is one of NVRTC's, and the two functions belong together.
    unsafe fn read(&self, program: Program, size: &Symbol<Size>, copy: &Symbol<Copy>) -> Result<Vec<u8>, String> {
        let mut length = 0;
        // SAFETY: as promised by the caller; the buffer has the length that NVRTC asked for.
        unsafe {
            if size(program, &raw mut length) != 0 {
                return Err("NVRTC does not give its result".into());
            }
            let mut bytes = vec![0u8; length];
            match copy(program, bytes.as_mut_ptr().cast()) {
                0 => Ok(bytes),
                error => Err(format!("NVRTC does not give its result: error {error}")),
            }
        }
    }
}

/// What NVRTC is called in a folder.
fn places(folder: &Path) -> [PathBuf; 2] {
    VERSIONS.map(|version| folder.join(format!("libnvrtc.so.{version}")))
}

fn is_builtins(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("libnvrtc-builtins.so.") && !name.contains(".alt."))
}
