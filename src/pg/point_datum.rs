//! `dim_point` as PostgreSQL passes it: 20 bytes by reference.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum, pg_sys};
use vector::DimPoint;

/// A point of dimension space at the border to SQL.
#[derive(Debug, Clone, Copy)]
pub struct PointDatum(pub DimPoint);

impl FromDatum for PointDatum {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        if is_null || datum.is_null() {
            return None;
        }
        // SAFETY: the caller says that the datum is of type dim_point, which is 20 bytes by reference, of any alignment.
        Some(Self(DimPoint::from_bytes(unsafe { datum.cast_mut_ptr::<[u8; DimPoint::BYTES]>().read() })))
    }
}

impl IntoDatum for PointDatum {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // SAFETY: palloc returns room for the bytes it is asked for, or raises an error.
        let place = unsafe { pg_sys::palloc(DimPoint::BYTES) }.cast::<[u8; DimPoint::BYTES]>();
        // SAFETY: `place` has room for them.
        unsafe { place.write(self.0.to_bytes()) };
        Some(place.into())
    }

    fn type_oid() -> pg_sys::Oid {
        super::named_type(c"dim_point")
    }
}

// SAFETY: as `from_polymorphic_datum`.
unsafe impl UnboxDatum for PointDatum {
    type As<'src> = Self;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> Self
    where
        Self: 'src,
    {
        let datum = datum.sans_lifetime();
        // SAFETY: the caller says that the datum is a dim_point and not null.
        Self(DimPoint::from_bytes(unsafe { datum.cast_mut_ptr::<[u8; DimPoint::BYTES]>().read() }))
    }
}

// SAFETY: the argument's datum is of type dim_point by its SQL declaration, which a test compares with these signatures.
unsafe impl<'fcx> ArgAbi<'fcx> for PointDatum {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: handed on to the caller of this function.
        unsafe { arg.unbox_arg_using_from_datum() }.expect("STRICT functions have no NULL arguments")
    }
}

// SAFETY: the datum made is of the declared type.
unsafe impl BoxRet for PointDatum {
    unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        let datum = self.into_datum().unwrap_or(pg_sys::Datum::null());
        // SAFETY: the datum lives in the current memory context, the caller's.
        unsafe { call.return_raw_datum(datum) }
    }
}

// SAFETY: names the SQL type that the datum has.
unsafe impl SqlTranslatable for PointDatum {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(PointDatum);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("dim_point"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("dim_point")));
}
