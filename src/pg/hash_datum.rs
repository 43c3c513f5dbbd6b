//! `content_hash` as PostgreSQL passes it: 32 bytes by reference.

use ::atom::ContentHash;
use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// A content hash at the border to SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashDatum(pub ContentHash);

impl FromDatum for HashDatum {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        if is_null || datum.is_null() {
            return None;
        }
        // SAFETY: the caller says that the datum is of type content_hash, which is 32 bytes by reference, of any alignment.
        Some(Self(ContentHash::from_bytes(unsafe { datum.cast_mut_ptr::<[u8; 32]>().read() })))
    }
}

impl IntoDatum for HashDatum {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // SAFETY: palloc returns room for the bytes it is asked for, or raises an error.
        let place = unsafe { pg_sys::palloc(ContentHash::BYTES) }.cast::<[u8; 32]>();
        // SAFETY: `place` has 32 bytes.
        unsafe { place.write(*self.0.as_bytes()) };
        Some(place.into())
    }

    fn type_oid() -> pg_sys::Oid {
        super::named_type(c"content_hash")
    }
}

// SAFETY: as `from_polymorphic_datum`.
unsafe impl UnboxDatum for HashDatum {
    type As<'src> = Self;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> Self
    where
        Self: 'src,
    {
        // SAFETY: the caller says that the datum is a content_hash and not null.
        Self(ContentHash::from_bytes(unsafe { datum.sans_lifetime().cast_mut_ptr::<[u8; 32]>().read() }))
    }
}

// SAFETY: the argument's datum is of type content_hash by its SQL declaration, which a test compares with these signatures.
unsafe impl<'fcx> ArgAbi<'fcx> for HashDatum {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: handed on to the caller of this function.
        unsafe { arg.unbox_arg_using_from_datum() }.expect("STRICT functions have no NULL arguments")
    }
}

// SAFETY: the datum made is of the declared type.
unsafe impl BoxRet for HashDatum {
    unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        let datum = self.into_datum().unwrap_or(pg_sys::Datum::null());
        // SAFETY: the datum lives in the current memory context, the caller's.
        unsafe { call.return_raw_datum(datum) }
    }
}

// SAFETY: names the SQL type that the datum has.
unsafe impl SqlTranslatable for HashDatum {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(HashDatum);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("content_hash"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("content_hash")));
}
