//! The numbers in tensors: values, statistics, differences.

use formats::stats::{Apart, Histogram, Moments};
use formats::{ByteOrder, Dtype, decode};
use pgrx::prelude::*;

use crate::pg::error::{PgResult, code, fault};
use crate::pg::interrupt;
use crate::pg::varlena::Float8Array;
use crate::stored_tensor::{NoValues, StoredTensor, WINDOW_ELEMENTS, decode_fault};

/// The most values that one call returns: 128 MiB of them.
const VALUES_MAX: u64 = 16 << 20;
/// Values decoded at a time into an array: a window of them, and the bytes that they come from, stay in the cache.
const CACHED_ELEMENTS: usize = 1 << 16;
/// The most buckets of a histogram.
const BUCKETS_MAX: i32 = 10_000;

#[pg_extern(stable, parallel_safe)]
fn tensor_values(
    model: Option<&str>,
    tensor: Option<&str>,
    start: default!(Option<i64>, "0"),
    count: default!(Option<i64>, "NULL"),
) -> PgResult<Option<Float8Array>> {
    let (Some(model), Some(tensor), Some(start)) = (model, tensor, start) else { return Ok(None) };
    let stored = StoredTensor::find(model, tensor)?;
    let (start, count) = clamp(start, count, stored.elements())?;
    let mut bytes = Vec::new();
    let values = Float8Array::filled(refuse_too_many(count)?, CACHED_ELEMENTS, |first, window| {
        stored.values(start + first as u64, window, &mut bytes)
    });
    Ok(Some(values?))
}

/// Cuts a slice to the elements that there are.
fn clamp(start: i64, count: Option<i64>, elements: u64) -> PgResult<(u64, u64)> {
    let (Ok(start), Ok(count)) = (u64::try_from(start), u64::try_from(count.unwrap_or(i64::MAX))) else {
        let count = count.unwrap_or(0);
        return Err(fault(code::ARGUMENT, format!("slice of {count} values from element {start} is negative")));
    };
    let start = start.min(elements);
    Ok((start, count.min(elements - start)))
}

fn refuse_too_many(count: u64) -> PgResult<usize> {
    if count <= VALUES_MAX {
        return Ok(count as usize);
    }
    Err(fault(code::LIMIT, format!("{count} values are more than one call returns"))
        .set_detail(format!("The limit is {VALUES_MAX} values."))
        .set_hint("Ask for slices: start and count of tensor_values count elements."))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn decode_values(data: &[u8], dtype: &str) -> PgResult<Float8Array> {
    let Some(known) = Dtype::from_name(dtype) else {
        return Err(fault(code::ARGUMENT, format!("\"{dtype:.100}\" is no type of tensor elements"))
            .set_hint("Types are named as in atoms.tensor, e.g. F16, BF16, Q4_K."));
    };
    let block = known.block();
    let elements = data.len() as u64 / block.bytes * block.elements;
    let elements = refuse_too_many(elements)?;
    if !(data.len() as u64).is_multiple_of(block.bytes) {
        return Err(fault(code::ARGUMENT, format!("{} bytes are no whole blocks of {dtype}", data.len()))
            .set_detail(format!("A block has {} bytes and {} elements.", block.bytes, block.elements)));
    }
    let place = |element: usize| element / block.elements as usize * block.bytes as usize;
    Float8Array::filled(elements, CACHED_ELEMENTS, |first, window| {
        interrupt::check();
        let bytes = &data[place(first)..place(first + window.len())];
        decode::values(known, ByteOrder::Little, bytes, window).map_err(|error| decode_fault(&error))
    })
}

/// The row of `tensor_stats`.
type Stats = TableIterator<
    'static,
    (
        name!(count, i64),
        name!(min, Option<f64>),
        name!(max, Option<f64>),
        name!(mean, Option<f64>),
        name!(deviation, Option<f64>),
        name!(zeros, i64),
        name!(nans, i64),
        name!(infinities, i64),
        name!(histogram, Vec<i64>),
    ),
>;

#[pg_extern(stable, strict, parallel_safe)]
fn tensor_stats(model: &str, tensor: &str, buckets: default!(i32, "20")) -> PgResult<Stats> {
    if !(1..=BUCKETS_MAX).contains(&buckets) {
        return Err(fault(code::ARGUMENT, format!("a histogram has 1 to {BUCKETS_MAX} buckets, not {buckets}")));
    }
    let stored = StoredTensor::find(model, tensor)?;
    let mut moments = Moments::default();
    stored.each_window(|values| {
        moments.add(values);
        Ok(())
    })?;
    let mut histogram = Histogram::new(moments.min().unwrap_or(0.0), moments.max().unwrap_or(0.0), buckets as usize);
    // The borders are known only now, so the values are read a second time.
    stored.each_window(|values| {
        histogram.add(values);
        Ok(())
    })?;
    Ok(TableIterator::once((
        moments.count as i64,
        moments.min(),
        moments.max(),
        moments.mean(),
        moments.deviation(),
        moments.zeros as i64,
        moments.nans as i64,
        moments.infinities as i64,
        histogram.counts().iter().map(|&count| count as i64).collect(),
    )))
}

/// The row of `compare_tensors`.
type Comparison = TableIterator<'static, (name!(same, bool), name!(distance, Option<f64>))>;

#[pg_extern(stable, strict, parallel_safe)]
fn compare_tensors(tensor_a: i64, tensor_b: i64) -> PgResult<Comparison> {
    let (first, second) = (StoredTensor::by_id(tensor_a)?, StoredTensor::by_id(tensor_b)?);
    if first.shape != second.shape {
        return Ok(TableIterator::once((false, None)));
    }
    if have_same_bytes(&first, &second)? {
        return Ok(TableIterator::once((true, Some(0.0))));
    }
    Ok(TableIterator::once((false, distance(&first, &second)?)))
}

/// Bytes compared at a time.
const COMPARED_BYTES: u64 = 1 << 20;

fn have_same_bytes(first: &StoredTensor, second: &StoredTensor) -> PgResult<bool> {
    if (first.dtype, first.order, first.size_bytes) != (second.dtype, second.order, second.size_bytes) {
        return Ok(false);
    }
    for start in (0..first.size_bytes).step_by(COMPARED_BYTES as usize) {
        interrupt::check();
        let count = (first.size_bytes - start).min(COMPARED_BYTES);
        if first.bytes(start, count)? != second.bytes(start, count)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the relative distance; None where values of one of them cannot be float8.
fn distance(first: &StoredTensor, second: &StoredTensor) -> PgResult<Option<f64>> {
    let mut apart = Apart::default();
    let (mut a, mut b, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    let elements = first.elements();
    for start in (0..elements).step_by(WINDOW_ELEMENTS) {
        let count = (elements - start).min(WINDOW_ELEMENTS as u64) as usize;
        a.resize(count, 0.0);
        b.resize(count, 0.0);
        let read = first.values(start, &mut a, &mut bytes).and_then(|()| second.values(start, &mut b, &mut bytes));
        match read {
            Ok(()) => apart.add(&a, &b),
            Err(NoValues::NotNumbers(_)) => return Ok(None),
            Err(NoValues::Damaged(report)) => return Err(report),
        }
    }
    Ok(Some(apart.relative()))
}
