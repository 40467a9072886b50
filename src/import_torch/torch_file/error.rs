//! What can be wrong with a file. Every error names the file and says what to do.

use std::{io, path::PathBuf};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
#[error("{path} {fault}")]
pub struct TorchFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a file of `torch.save`.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system gave an error.
    #[error("cannot be read: {0}. See that the file is there, whole and readable")]
    Io(#[from] io::Error),
    /// Another kind of file.
    #[error("is no file of torch.save: {found}. {remedy}")]
    Foreign {
        /// What it is.
        found: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Loading it in Python would run what is named here. It was not run.
    #[error(
        "wants to call {0}: refused; only tensors are read. If you trust the file, load it in Python and save \
         model.state_dict() alone"
    )]
    Refused(String),
    /// Cut short, overwritten, or made by hand.
    #[error("is damaged ({0}). Copy or download it again")]
    Damaged(String),
    /// Something that PyTorch writes and this program does not read.
    #[error(
        "has {0}, which is not read here. Load it in Python and save model.state_dict() alone, with a plain torch.save"
    )]
    Unsupported(String),
    /// More than fits.
    #[error(
        "would take {needed} bytes of memory; {limit} are allowed. Save model.state_dict() alone, or fewer tensors"
    )]
    TooLarge {
        /// Bytes asked for.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A file of `torch.save` with something else in it.
    #[error("holds no state dict but {0}. Save model.state_dict(), alone or in a dict under state_dict")]
    NoStateDict(String),
}

pub(super) fn damaged<T>(detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Damaged(detail.into()))
}

/// The end of a file where more should follow is damage, not a fault of the system.
pub(super) fn cut_short(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Damaged("it ends too soon".into()),
        _ => Fault::Io(error),
    }
}

/// A text of the file as it may be shown: a terminal must not obey it, and it must not fill the screen.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// What a file is that begins with `start` and is none of ours: what people have when a download went wrong.
pub(super) fn foreign(start: &[u8]) -> Fault {
    let (found, remedy) = if start.is_empty() {
        ("it is empty", "Copy or download it again")
    } else if start.starts_with(b"7z\xbc\xaf\x27\x1c") {
        ("it is a 7z archive", "Unpack it (7z x) and give the .pth file within")
    } else if start.starts_with(b"\x1f\x8b") {
        ("it is compressed with gzip", "Unpack it (gunzip) first")
    } else if start.trim_ascii_start().starts_with(b"<") {
        ("it is a web page", "The download did not get the file itself: download it with a browser")
    } else {
        ("its first bytes are of neither format of torch.save", "See that this is the file you mean")
    };
    Fault::Foreign { found, remedy }
}
