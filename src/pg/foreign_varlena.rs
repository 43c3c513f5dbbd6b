//! Values of types that others own, as bytes after their length word.

use std::marker::PhantomData;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{IntoDatum, pg_sys};

use super::dimvec_datum::Dimvec;

/// The name of a type.
pub trait TypeName {
    /// As SQL spells it.
    const SQL: &'static str;
}

/// pgvector's `vector`.
pub struct VectorName;
/// pgvector's `halfvec`.
pub struct HalfvecName;
/// pgvector's `sparsevec`.
pub struct SparsevecName;

/// PostgreSQL's `bit`: how many bits, then the bits.
pub struct BitName;

impl TypeName for BitName {
    const SQL: &'static str = "bit";
}

impl TypeName for VectorName {
    const SQL: &'static str = "vector";
}

impl TypeName for HalfvecName {
    const SQL: &'static str = "halfvec";
}

impl TypeName for SparsevecName {
    const SQL: &'static str = "sparsevec";
}

/// A value of the type of that name.
pub struct Foreign<N> {
    bytes: Vec<u8>,
    of: PhantomData<N>,
}

impl<N> Foreign<N> {
    /// Takes the bytes after the length word.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, of: PhantomData }
    }

    /// Returns the bytes after the length word.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

// SAFETY: the argument's datum is of the named type by its SQL declaration, which a test compares with these signatures.
unsafe impl<'fcx, N: TypeName> ArgAbi<'fcx> for Foreign<N> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: STRICT functions get no NULL; a dimvec is read as any value with a length word is.
        let value = unsafe { arg.unbox_arg_using_from_datum::<Dimvec>() };
        Self::new(value.expect("STRICT functions have no NULL arguments").0)
    }
}

// SAFETY: the bytes are those of the named type, as the caller of `new` made them.
unsafe impl<N: TypeName> BoxRet for Foreign<N> {
    unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        let datum = Dimvec(self.bytes).into_datum().unwrap_or(pg_sys::Datum::null());
        // SAFETY: the datum lives in the current memory context, the caller's.
        unsafe { call.return_raw_datum(datum) }
    }
}

// SAFETY: names the SQL type that the datum has.
unsafe impl<N: TypeName> SqlTranslatable for Foreign<N> {
    const TYPE_IDENT: &'static str = N::SQL;
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal(N::SQL));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal(N::SQL)));
}
