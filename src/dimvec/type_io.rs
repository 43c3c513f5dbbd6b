//! Text and binary forms.

use std::ffi::{CStr, CString};

use pgrx::datum::Internal;
use pgrx::prelude::*;
use vector::{text, wire};

use super::give;
use super::typmod::Typmod;
use crate::pg::dimvec_datum::{Dimvec, DimvecArg};
use crate::pg::error::{PgResult, code, fault};
use crate::pg::message;

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_in(form: &CStr, _element: pg_sys::Oid, typmod: i32) -> PgResult<Dimvec> {
    let typmod = Typmod::from_number(typmod);
    let form = form.to_str().map_err(|_| fault(code::MALFORMED_TEXT, "malformed vector: not UTF-8"))?;
    give(text::parse(form, typmod.element()).and_then(|packed| typmod.fit(packed)))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_out(value: DimvecArg<'_>) -> PgResult<CString> {
    Ok(CString::new(text::format(&value.packed()?)).expect("digits hold no NUL"))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_recv(message: Internal, _element: pg_sys::Oid, typmod: i32) -> PgResult<Dimvec> {
    let form = message::take_all(message);
    give(wire::from_wire(&form).and_then(|packed| Typmod::from_number(typmod).fit(packed)))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimvec_send(value: DimvecArg<'_>) -> PgResult<Vec<u8>> {
    Ok(wire::to_wire(&value.packed()?))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn sparse_text(value: DimvecArg<'_>) -> PgResult<String> {
    Ok(text::sparse_format(&value.packed()?))
}
