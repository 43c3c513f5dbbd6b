//! Types of a fixed number of bytes by reference, `content_hash`, `dim_point` and `dim_range`, as PostgreSQL passes them.

use ::atom::ContentHash;
use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum, pg_sys};
use vector::{DimPoint, DimRange};

/// Lets a type of the crates that is `BYTES` bytes cross the border to SQL as a named type, by reference, of any alignment.
macro_rules! fixed_datum {
    ($datum:ident, $value:ident, $sql:literal, $to_bytes:expr) => {
        impl FromDatum for $datum {
            unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
                if is_null || datum.is_null() {
                    return None;
                }
                // SAFETY: the caller says that the datum is of this type, which is so many bytes by reference, of any alignment.
                Some(Self($value::from_bytes(unsafe { datum.cast_mut_ptr::<[u8; $value::BYTES]>().read() })))
            }
        }

        impl IntoDatum for $datum {
            fn into_datum(self) -> Option<pg_sys::Datum> {
                // SAFETY: palloc returns room for the bytes it is asked for, or raises an error.
                let place = unsafe { pg_sys::palloc($value::BYTES) }.cast::<[u8; $value::BYTES]>();
                // SAFETY: `place` has room for them.
                unsafe { place.write($to_bytes(&self.0)) };
                Some(place.into())
            }

            fn type_oid() -> pg_sys::Oid {
                const NAME: &std::ffi::CStr = match std::ffi::CStr::from_bytes_with_nul(concat!($sql, "\0").as_bytes())
                {
                    Ok(name) => name,
                    Err(_) => panic!("the name of a type holds no NUL"),
                };
                super::named_type(NAME)
            }
        }

        // SAFETY: as `from_polymorphic_datum`.
        unsafe impl UnboxDatum for $datum {
            type As<'src> = Self;

            unsafe fn unbox<'src>(datum: Datum<'src>) -> Self
            where
                Self: 'src,
            {
                let datum = datum.sans_lifetime();
                // SAFETY: the caller says that the datum is of this type and not null.
                Self($value::from_bytes(unsafe { datum.cast_mut_ptr::<[u8; $value::BYTES]>().read() }))
            }
        }

        // SAFETY: the argument's datum is of this type by its SQL declaration, which a test compares with these signatures.
        unsafe impl<'fcx> ArgAbi<'fcx> for $datum {
            unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
                // SAFETY: handed on to the caller of this function.
                unsafe { arg.unbox_arg_using_from_datum() }.expect("STRICT functions have no NULL arguments")
            }
        }

        // SAFETY: the datum made is of the declared type.
        unsafe impl BoxRet for $datum {
            unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
                let datum = self.into_datum().unwrap_or(pg_sys::Datum::null());
                // SAFETY: the datum lives in the current memory context, the caller's.
                unsafe { call.return_raw_datum(datum) }
            }
        }

        // SAFETY: names the SQL type that the datum has.
        unsafe impl SqlTranslatable for $datum {
            const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($datum);
            const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
            const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal($sql));
            const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal($sql)));
        }
    };
}

/// A content hash at the border to SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashDatum(pub ContentHash);

/// A point of dimension space at the border to SQL.
#[derive(Debug, Clone, Copy)]
pub struct PointDatum(pub DimPoint);

/// A range of one dimension at the border to SQL.
#[derive(Debug, Clone, Copy)]
pub struct RangeDatum(pub DimRange);

fixed_datum!(HashDatum, ContentHash, "content_hash", |hash: &ContentHash| *hash.as_bytes());
fixed_datum!(PointDatum, DimPoint, "dim_point", DimPoint::to_bytes);
fixed_datum!(RangeDatum, DimRange, "dim_range", DimRange::to_bytes);
