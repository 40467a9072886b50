//! How our types stand in a column.

use sqlx::{
    Decode, Encode, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};

use super::{CheckpointKind, EvalSplit};
use crate::experiment::{Desired, Device, Epsilon, PNorm};

// p = ∞ is SQLite's infinity.
impl Type<Sqlite> for PNorm {
    fn type_info() -> SqliteTypeInfo {
        <f64 as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for PNorm {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <f64 as Encode<Sqlite>>::encode(self.get(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for PNorm {
    fn decode(value: SqliteValueRef<'r>) -> Result<PNorm, BoxDynError> {
        let p = <f64 as Decode<Sqlite>>::decode(value)?;
        PNorm::new(p).ok_or_else(|| format!("{p} is no exponent p").into())
    }
}

/// Words and fractions stand as text, as serde writes them.
macro_rules! as_text {
    ($type:ty) => {
        impl Type<Sqlite> for $type {
            fn type_info() -> SqliteTypeInfo {
                <str as Type<Sqlite>>::type_info()
            }
        }

        impl Encode<'_, Sqlite> for $type {
            fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
                let serde_json::Value::String(text) = serde_json::to_value(self)? else {
                    return Err("not a word".into());
                };
                <String as Encode<Sqlite>>::encode(text, buffer)
            }
        }

        impl<'r> Decode<'r, Sqlite> for $type {
            fn decode(value: SqliteValueRef<'r>) -> Result<$type, BoxDynError> {
                let text = <String as Decode<Sqlite>>::decode(value)?;
                Ok(serde_json::from_value(serde_json::Value::String(text))?)
            }
        }
    };
}

as_text!(Epsilon);
as_text!(Desired);
as_text!(Device);
as_text!(CheckpointKind);
as_text!(EvalSplit);
