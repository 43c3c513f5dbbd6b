//! bytea and bytea[] values built in place: bytes are read from a file straight into the value that SQL gets.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, DatumWithOid};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{IntoDatum, pg_sys};

/// Bytes before a plain value's payload.
pub const LENGTH_WORD: usize = 4;

/// One bytea, whose memory is used again and again.
#[derive(Default)]
pub struct ByteaBuffer {
    /// Length word, then payload.  Words, because a value's address is a multiple of eight.
    words: Vec<u64>,
    bytes: usize,
}

impl ByteaBuffer {
    /// Holds nothing yet; only [`ByteaBuffer::resize`] makes a value of it.
    pub const EMPTY: Self = Self { words: Vec::new(), bytes: 0 };

    /// Sets the value's length and returns its bytes, to be overwritten.
    pub fn resize(&mut self, bytes: usize) -> &mut [u8] {
        self.bytes = bytes;
        let words = (LENGTH_WORD + bytes).div_ceil(8);
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        let value = as_bytes(&mut self.words);
        value[..LENGTH_WORD].copy_from_slice(&length_word(bytes));
        &mut value[LENGTH_WORD..LENGTH_WORD + bytes]
    }

    /// Cuts the value to its first `bytes` bytes.
    pub fn shorten(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.resize(bytes);
    }

    /// Returns the value's bytes.
    pub fn bytes(&mut self) -> &[u8] {
        let bytes = self.bytes;
        &as_bytes(&mut self.words)[LENGTH_WORD..LENGTH_WORD + bytes]
    }

    /// Returns the value as an argument of SQL; it is borrowed until the statement ends.
    pub fn argument(&self) -> DatumWithOid<'_> {
        // SAFETY: the buffer holds a bytea: `resize` wrote its length word, and the payload follows.
        unsafe { DatumWithOid::new(pg_sys::Datum::from(self.words.as_ptr()), pg_sys::BYTEAOID) }
    }
}

/// The value of a [`ByteaBuffer`], lent to a query for one row.
///
/// A set-returning function that lends the same buffer for each row copies nothing and touches no fresh memory: whoever
/// keeps a row copies it before asking for the next.
pub struct LentBytea(pg_sys::Datum);

impl ByteaBuffer {
    /// Lends the value; the buffer must stay where it is, unchanged, until the next row is asked for.
    pub fn lend(&self) -> LentBytea {
        LentBytea(pg_sys::Datum::from(self.words.as_ptr()))
    }
}

impl IntoDatum for LentBytea {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::BYTEAOID
    }
}

// SAFETY: the datum is a bytea, as `lend` says.
unsafe impl BoxRet for LentBytea {
    unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: the buffer lives in the iterator that the call keeps until its last row.
        unsafe { call.return_raw_datum(self.0) }
    }
}

// SAFETY: names the SQL type that the datum has.
unsafe impl SqlTranslatable for LentBytea {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(LentBytea);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("bytea"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("bytea")));
}

/// A bytea[] of elements of known lengths.
pub struct ByteaArray {
    words: Vec<u64>,
    /// Where each element's payload lies.
    places: Vec<std::ops::Range<usize>>,
}

/// Array header of one dimension without NULLs: length word, dimensions, data offset, element type, size, lower bound.
const ARRAY_HEADER: usize = 24;
/// The words of the header before the dimensions.
const ARRAY_FIXED: usize = 16;

impl ByteaArray {
    /// Makes an array whose elements have these lengths, their bytes zero.
    pub fn new(lengths: &[usize]) -> Self {
        let mut end = ARRAY_HEADER;
        let mut places = Vec::with_capacity(lengths.len());
        for length in lengths {
            let start = end + LENGTH_WORD;
            places.push(start..start + length);
            end = (start + length).next_multiple_of(4);
        }
        let mut words = vec![0; end.div_ceil(8)];
        let value = as_bytes(&mut words);
        let mut put = |at: usize, word: [u8; 4]| value[at..at + 4].copy_from_slice(&word);
        put(0, length_word(end - LENGTH_WORD));
        put(4, 1i32.to_ne_bytes());
        put(8, 0i32.to_ne_bytes());
        put(12, pg_sys::BYTEAOID.to_u32().to_ne_bytes());
        put(16, (lengths.len() as i32).to_ne_bytes());
        put(20, 1i32.to_ne_bytes());
        for place in &places {
            put(place.start - LENGTH_WORD, length_word(place.len()));
        }
        Self { words, places }
    }

    /// Returns the bytes of one element, to be overwritten.
    pub fn element(&mut self, index: usize) -> &mut [u8] {
        let place = self.places[index].clone();
        &mut as_bytes(&mut self.words)[place]
    }

    /// Returns the value as an argument of SQL; it is borrowed until the statement ends.
    pub fn argument(&self) -> DatumWithOid<'_> {
        // SAFETY: `new` laid the words out as an array of bytea with at least one element, as array.h describes it.
        unsafe { DatumWithOid::new(pg_sys::Datum::from(self.words.as_ptr()), pg_sys::BYTEAARRAYOID) }
    }
}

/// A number that arrays hold as it is: real or double precision.
pub trait ArrayNumber: Copy + 'static {
    /// Its type.
    const OID: pg_sys::Oid;
    /// The name of the type of its arrays.
    const ARRAY_SQL: &'static str;
    /// The type of its arrays.
    const ARRAY_OID: pg_sys::Oid;
}

impl ArrayNumber for f32 {
    const OID: pg_sys::Oid = pg_sys::FLOAT4OID;
    const ARRAY_SQL: &'static str = "real[]";
    const ARRAY_OID: pg_sys::Oid = pg_sys::FLOAT4ARRAYOID;
}

impl ArrayNumber for f64 {
    const OID: pg_sys::Oid = pg_sys::FLOAT8OID;
    const ARRAY_SQL: &'static str = "double precision[]";
    const ARRAY_OID: pg_sys::Oid = pg_sys::FLOAT8ARRAYOID;
}

/// An array of numbers whose memory belongs to the query, so that returning it copies nothing.
pub struct NumberArray<T> {
    value: *mut u64,
    of: std::marker::PhantomData<T>,
}

/// A float8[] to return.
pub type Float8Array = NumberArray<f64>;

impl<T: ArrayNumber> NumberArray<T> {
    /// Makes an array whose elements `fill` gives, window by window: it is told the window's first element, and overwrites its
    /// zeros.  The caller has bounded the length: a value has less than 1 GB.
    pub fn filled<E>(
        elements: usize,
        window: usize,
        mut fill: impl FnMut(usize, &mut [T]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let array = Self::with_header(elements);
        for first in (0..elements).step_by(window) {
            let count = window.min(elements - first);
            // SAFETY: `with_header` allocated so many elements behind the header, whose 24 bytes keep the alignment of eight; zeros
            // are numbers, so the window is initialised.  Window by window, because what was just zeroed is still in the cache.
            let window = unsafe {
                let at = array.value.cast::<u8>().add(ARRAY_HEADER).cast::<T>().add(first);
                at.write_bytes(0, count);
                std::slice::from_raw_parts_mut(at, count)
            };
            fill(first, window)?;
        }
        Ok(array)
    }

    /// Makes an array of these elements.
    pub fn of(values: &[T]) -> Self {
        let Ok(array) = Self::filled(values.len(), values.len().max(1), |_, window| {
            window.copy_from_slice(values);
            Ok::<(), std::convert::Infallible>(())
        });
        array
    }

    /// Allocates an array and writes all but its elements.
    fn with_header(elements: usize) -> Self {
        let bytes = ARRAY_HEADER + elements * size_of::<T>();
        // SAFETY: palloc gives memory aligned for any value, that lives as long as the context of the query.
        let value = unsafe { pg_sys::palloc(bytes) }.cast::<u64>();
        // An array without elements has no dimensions, and ends behind its first four words.
        let (dimensions, bytes) = if elements == 0 { (0, 16) } else { (1, bytes) };
        let mut header = [0; ARRAY_HEADER];
        let mut put = |at: usize, word: [u8; 4]| header[at..at + 4].copy_from_slice(&word);
        put(0, length_word(bytes - LENGTH_WORD));
        put(4, i32::to_ne_bytes(dimensions));
        put(12, T::OID.to_u32().to_ne_bytes());
        put(16, (elements as i32).to_ne_bytes());
        put(20, 1i32.to_ne_bytes());
        // SAFETY: the header lies within what was allocated; array.h gives its words.
        unsafe { value.cast::<[u8; ARRAY_HEADER]>().write(header) };
        Self { value, of: std::marker::PhantomData }
    }
}

impl<T: ArrayNumber> IntoDatum for NumberArray<T> {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(pg_sys::Datum::from(self.value))
    }

    fn type_oid() -> pg_sys::Oid {
        T::ARRAY_OID
    }
}

// SAFETY: the datum is an array of T, as `filled` says.
unsafe impl<T: ArrayNumber> BoxRet for NumberArray<T> {
    unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: the memory belongs to the context that the function was called in.
        unsafe { call.return_raw_datum(pg_sys::Datum::from(self.value)) }
    }
}

// SAFETY: names the SQL type that the datum has.
unsafe impl<T: ArrayNumber> SqlTranslatable for NumberArray<T> {
    const TYPE_IDENT: &'static str = T::ARRAY_SQL;
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal(T::ARRAY_SQL));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal(T::ARRAY_SQL)));
}

/// An argument of type real[] or double precision[], read where it lies.
pub struct NumbersArg<'fcx, T> {
    values: &'fcx [T],
    rank: i32,
    has_nulls: bool,
}

impl<'fcx, T> NumbersArg<'fcx, T> {
    /// Returns the elements, in the order of storage: the last index runs fastest.
    pub fn values(&self) -> &'fcx [T] {
        self.values
    }

    /// Returns how many indices an element has; 0 for an empty array.
    pub fn rank(&self) -> i32 {
        self.rank
    }

    /// Returns whether an element is NULL; [`NumbersArg::values`] has none then.
    pub fn has_nulls(&self) -> bool {
        self.has_nulls
    }
}

// SAFETY: the argument's datum is an array of T by its SQL declaration, which a test compares with these signatures.
unsafe impl<'fcx, T: ArrayNumber> ArgAbi<'fcx> for NumbersArg<'fcx, T> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: STRICT functions get no NULL; the whole value lives as long as the call.
        unsafe {
            let datum = arg.unbox_arg_using_from_datum::<pg_sys::Datum>().expect("not NULL");
            let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            let rank = (*array).ndim;
            // A bitmap of NULLs may be there and name none, as in a slice of an array that has some.
            let has_nulls = (*array).dataoffset != 0 && pg_sys::array_contains_nulls(array);
            // Behind the fixed header lie as many lengths as indices and as many lower bounds; then, aligned to eight, the elements, or
            // the bitmap and the elements where the header says.
            let lengths = array.cast::<u8>().add(ARRAY_FIXED).cast::<i32>();
            let count = pg_sys::ArrayGetNItems(rank, lengths);
            let first = match (*array).dataoffset {
                0 => (ARRAY_FIXED + 8 * rank as usize).next_multiple_of(8),
                offset => offset as usize,
            };
            let first = array.cast::<u8>().add(first);
            let values = if has_nulls { &[] } else { std::slice::from_raw_parts(first.cast(), count as usize) };
            Self { values, rank, has_nulls }
        }
    }
}

// SAFETY: names the SQL type of the argument.
unsafe impl<T: ArrayNumber> SqlTranslatable for NumbersArg<'_, T> {
    const TYPE_IDENT: &'static str = T::ARRAY_SQL;
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal(T::ARRAY_SQL));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal(T::ARRAY_SQL)));
}

fn as_bytes(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: any u64 is eight bytes that are all initialised, and bytes need no alignment.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 8) }
}

/// The four bytes before a plain value: its total length, as `SET_VARSIZE` writes it.
pub fn length_word(payload_bytes: usize) -> [u8; 4] {
    let total = (payload_bytes + LENGTH_WORD) as u32;
    if cfg!(target_endian = "little") { (total << 2).to_ne_bytes() } else { total.to_ne_bytes() }
}
