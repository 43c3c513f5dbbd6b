//! `dimvec` as PostgreSQL passes it: a length word, then a packed vector.

use std::sync::atomic::{AtomicUsize, Ordering};

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum, pg_sys};
use vector::Packed;

use super::error::{PgResult, vector_fault};
use super::named_type;
use super::varlena::{LENGTH_WORD, length_word};

/// An argument of type `dimvec`: borrowed where it lies whole in the row, else copied, and the copy freed when dropped, because
/// comparisons and distances run many times within one memory context.
pub struct DimvecArg<'fcx> {
    bytes: &'fcx [u8],
    copy: *mut pg_sys::varlena,
}

impl<'fcx> DimvecArg<'fcx> {
    /// Takes a value as the server passes it.
    ///
    /// # Safety
    /// The datum is a dimvec that is not NULL and lives as long as `'fcx`.
    pub unsafe fn of_datum(datum: pg_sys::Datum) -> Self {
        let value = datum.cast_mut_ptr::<pg_sys::varlena>();
        // SAFETY: as above; a value with a plain length word is read where it lies.  Asking here saves a call through the
        // guard that PostgreSQL's functions need.
        let whole = unsafe { pgrx::varatt_is_4b_u(value) };
        let copy = if whole {
            std::ptr::null_mut()
        } else {
            // SAFETY: makes a whole copy of any stored form in the current memory context, or raises an error.
            unsafe { pg_sys::pg_detoast_datum(value) }
        };
        let plain = if whole { value } else { copy };
        // SAFETY: a plain value has a length word that says its bytes, and a copy lives until `drop`.
        let bytes = unsafe {
            std::slice::from_raw_parts(
                plain.cast::<u8>().add(LENGTH_WORD),
                pgrx::varsize_4b(plain).saturating_sub(LENGTH_WORD),
            )
        };
        Self { bytes, copy }
    }

    /// Returns the bytes behind the length word.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Returns the vector; XX001 when the bytes are none.
    pub fn packed(&self) -> PgResult<Packed<'_>> {
        Packed::read(self.bytes).map_err(|error| vector_fault(&error))
    }

    /// Asks the CPU to fetch the vector that a scan of a table comes to next.
    ///
    /// A distance waits for memory longer than it computes, and the CPU's own prefetching, which runs forward within 4 KiB, does not see
    /// where a scan goes.  Called after the distance, so that the lines come while the executor does what it does between two rows.
    pub fn prefetch_next(&self) {
        if !self.copy.is_null() {
            return;
        }
        let row = self.bytes.len() + ROW_BYTES_BEFORE;
        if 2 * row <= PAGE_BYTES {
            prefetch_before(self.bytes.as_ptr() as usize, row);
        } else {
            prefetch_in_step(self.bytes.as_ptr() as usize, row);
        }
    }

    /// The same for a function that reads one number, `offset` bytes into the vector: only its line, and those where a row and a
    /// vector begin.  Rows of a page lie as far apart as the last two did, if vectors are of one length.
    pub fn prefetch_next_at(&self, offset: usize) {
        if !self.copy.is_null() {
            return;
        }
        let here = self.bytes.as_ptr() as usize;
        let last = LAST.swap(here, Ordering::Relaxed);
        // The second condition on a row finds the first one's step.
        if here != last && here.abs_diff(last) <= PAGE_BYTES {
            STEP.store(here.wrapping_sub(last), Ordering::Relaxed);
        }
        let next = here.wrapping_add(STEP.load(Ordering::Relaxed));
        prefetch(next.wrapping_sub(CACHE_LINE));
        prefetch(next);
        prefetch(next.wrapping_add(offset));
    }
}

/// Where the vector lay that was read before.
static LAST: AtomicUsize = AtomicUsize::new(0);
/// How far after the one before it a vector of the same page lay, as a difference of addresses that wraps.
static STEP: AtomicUsize = AtomicUsize::new(0);

const PAGE_BYTES: usize = pg_sys::BLCKSZ as usize;
/// What lies before a vector in its row, and some: the row's header, a key and the length word.
const ROW_BYTES_BEFORE: usize = 64;
const CACHE_LINE: usize = 64;
const MEMORY_PAGE_BYTES: usize = 4096;

/// A page is filled from its end, so the next row lies just before this one.
fn prefetch_before(here: usize, row: usize) {
    for distance in (CACHE_LINE..=row).step_by(CACHE_LINE) {
        prefetch(here.wrapping_sub(distance));
    }
}

/// Where a page holds one row, the next is as far away as the last was.  Some lines of each page of memory are enough, and better than
/// all: they bring its address, and the CPU goes on by itself.
fn prefetch_in_step(here: usize, row: usize) {
    const LINES: usize = 8;
    let last = LAST.swap(here, Ordering::Relaxed);
    if here.abs_diff(last) != PAGE_BYTES {
        return;
    }
    let next = here.wrapping_add(here.wrapping_sub(last));
    let rest = (next + 1).next_multiple_of(MEMORY_PAGE_BYTES);
    for start in std::iter::once(next).chain((rest..next + row).step_by(MEMORY_PAGE_BYTES)) {
        for line in 0..LINES {
            prefetch(start + line * CACHE_LINE);
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) fn prefetch(address: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which reads nothing: any address will do.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address as *const i8) }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn prefetch(_address: usize) {}

impl Drop for DimvecArg<'_> {
    fn drop(&mut self) {
        if self.copy.is_null() || std::thread::panicking() {
            return;
        }
        // SAFETY: made by `of_datum`, and freed once, here.
        unsafe { pg_sys::pfree(self.copy.cast()) }
    }
}

// SAFETY: the argument's datum is of type dimvec by its SQL declaration, which a test compares with these signatures.
unsafe impl<'fcx> ArgAbi<'fcx> for DimvecArg<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: a STRICT function gets no NULL, and `Option<DimvecArg>` asks before it unboxes.
        let datum = unsafe { arg.unbox_arg_using_from_datum::<pg_sys::Datum>() };
        // SAFETY: arguments live as long as the call.
        unsafe { Self::of_datum(datum.expect("STRICT functions have no NULL arguments")) }
    }
}

// SAFETY: names the SQL type of the argument.
unsafe impl SqlTranslatable for DimvecArg<'_> {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Dimvec);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("dimvec"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("dimvec")));
}

/// A vector on its way to SQL, or read by a statement of ours: the packed bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimvec(pub Vec<u8>);

impl FromDatum for Dimvec {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        if is_null || datum.is_null() {
            return None;
        }
        // SAFETY: the caller says that the datum is a dimvec.
        Some(Self(unsafe { DimvecArg::of_datum(datum) }.bytes.to_vec()))
    }
}

impl IntoDatum for Dimvec {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // SAFETY: palloc returns room for the bytes it is asked for, or raises an error.
        let place = unsafe { pg_sys::palloc(LENGTH_WORD + self.0.len()) }.cast::<u8>();
        // SAFETY: `place` has room for the length word and the bytes, and is new.
        unsafe {
            place.cast::<[u8; LENGTH_WORD]>().write(length_word(self.0.len()));
            place.add(LENGTH_WORD).copy_from_nonoverlapping(self.0.as_ptr(), self.0.len());
        }
        Some(place.into())
    }

    fn type_oid() -> pg_sys::Oid {
        named_type(c"dimvec")
    }
}

// SAFETY: as `from_polymorphic_datum`.
unsafe impl UnboxDatum for Dimvec {
    type As<'src> = Self;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> Self
    where
        Self: 'src,
    {
        // SAFETY: the caller says that the datum is a dimvec and not null.
        Self(unsafe { DimvecArg::of_datum(datum.sans_lifetime()) }.bytes.to_vec())
    }
}

// SAFETY: the datum made is of the declared type.
unsafe impl BoxRet for Dimvec {
    unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        let datum = self.into_datum().unwrap_or(pg_sys::Datum::null());
        // SAFETY: the datum lives in the current memory context, the caller's.
        unsafe { call.return_raw_datum(datum) }
    }
}

// SAFETY: names the SQL type that the datum has.
unsafe impl SqlTranslatable for Dimvec {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Dimvec);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("dimvec"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("dimvec")));
}
