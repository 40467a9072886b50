//! The names of Python that a file may use: the whole list.

use super::convert::Kind;
use super::error::{Fault, shown};

/// A name that the machine knows. It stands for what the machine does itself; nothing of Python is there to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and its second version.
    RebuildTensor,
    RebuildParameter,
    /// `torch.Size`: a tuple.
    Size,
    Storage(Kind),
    /// Made, called or filled, it is a blank: it is no tensor, and its arguments are dropped.
    Inert,
}

impl Global {
    pub fn find(module: &str, name: &str) -> Result<Global, Fault> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "Size") => Global::Size,
            ("torch", "FloatStorage") => Global::Storage(Kind::Float),
            ("torch", "DoubleStorage") => Global::Storage(Kind::Double),
            ("torch", "HalfStorage") => Global::Storage(Kind::Half),
            ("torch", "BFloat16Storage") => Global::Storage(Kind::BFloat16),
            ("torch", "LongStorage") => Global::Storage(Kind::Long),
            ("torch", "IntStorage") => Global::Storage(Kind::Int),
            ("torch", "ByteStorage") => Global::Storage(Kind::Byte),
            ("torch", "BoolStorage") => Global::Storage(Kind::Bool),
            // The optimizer of the first program (zbh2047/L_inf-dist-net, adamw.py) keeps the modules themselves in its
            // groups, and those keep NumPy integers and sets: without these names not one of its files could be read.
            ("model.norm_dist", "NormDist" | "NormDistConv")
            | ("model.norm_dist", "MeanNorm")
            | ("model.bound_module", "BoundLinear" | "BoundFinalLinear")
            | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
            | ("numpy", "dtype")
            | ("_codecs", "encode")
            | ("__builtin__" | "builtins", "set") => Global::Inert,
            _ => return Err(Fault::Refused(format!("{}.{}", shown(module), shown(name)))),
        })
    }
}
