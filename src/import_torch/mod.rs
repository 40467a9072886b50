//! Taking in nets that the authors' own programs trained (arXiv 2102.05363, 2110.06850, 2210.01787).

mod net;
pub mod torch_file;

pub use net::{NotThisNet, net};
