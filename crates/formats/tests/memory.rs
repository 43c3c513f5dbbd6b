//! Reading a header takes at most 16 MiB plus four times its bytes, whatever the bytes.
//!
//! Alone in its binary, because it counts every allocation of the process.

use atom::Never;
use fixtures::gguf::{ByteOrder, Fields, Value, types};
use fixtures::safetensors::{all, entry, file, valid};
use formats::{Bytes, FormatError, Limits, Structure, gguf, safetensors};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// The system's allocator, counting.  It has no `realloc` of its own: the default one allocates anew and copies, so growth
/// counts with both blocks alive, which is its worst case.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: both calls go to the system's allocator with the caller's own arguments; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller of `alloc` upholds the rules of `System::alloc`, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the block came from `alloc` above with this layout, as the caller of `dealloc` promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One reading at a time: the counters know no threads.
static ALONE: Mutex<()> = Mutex::new(());

/// Reads a file; returns the result and the most memory that was alive meanwhile.
fn used(read: impl FnOnce() -> Result<Structure, FormatError>) -> (Result<Structure, FormatError>, usize) {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let reading = read();
    (reading, PEAK.load(Relaxed) - before)
}

fn assert_within(name: &str, used: usize, header_bytes: usize) {
    // Stricter than the promise, which adds both: so that these sizes speak for a header of 100 MB as well.
    let bound = (4 * header_bytes).max(16 << 20);
    println!("{name}: {used} of {bound} bytes for a header of {header_bytes}");
    assert!(used <= bound, "{name}: {used} of {bound} bytes for a header of {header_bytes}");
}

/// Reads a safetensors file and asserts the bound; returns whether it was read.
fn assert_bound(name: &str, bytes: &[u8]) -> bool {
    let declared = bytes.get(..8).map_or(0, |length| u64::from_le_bytes(length.try_into().unwrap()));
    let header_bytes = usize::try_from(declared).unwrap_or(usize::MAX).min(bytes.len());
    let (reading, used) = used(|| safetensors::read(&Bytes(bytes), &Limits::default(), &Never));
    assert_within(name, used, header_bytes);
    reading.is_ok()
}

/// The same for GGUF, whose header tells its length only to who read it: of a refused file every byte may belong to it.
fn assert_gguf_bound(name: &str, bytes: &[u8]) -> bool {
    let limits = Limits::default();
    let (reading, used) = used(|| gguf::read(&Bytes(bytes), &limits, &Never));
    let header_bytes = reading.as_ref().map_or(bytes.len() as u64, |structure| structure.structure_bytes);
    assert_within(name, used, header_bytes.min(limits.header_bytes_max) as usize);
    reading.is_ok()
}

/// A header of entries that the closure writes, each with its number.
fn entries(count: usize, mut write_entry: impl FnMut(&mut String, usize)) -> String {
    let mut header = String::from("{");
    for index in 0..count {
        if index > 0 {
            header.push(',');
        }
        write_entry(&mut header, index);
    }
    header.push('}');
    header
}

/// Tensors with the shortest names and entries.
fn tiny(count: usize, shape: &str) -> String {
    entries(count, |header, index| header.push_str(&entry(&short_name(index), "U8", shape, "[0,0]")))
}

/// Numbers written with 63 digits, none of which JSON escapes.
fn short_name(mut index: usize) -> String {
    let mut name = String::new();
    while index > 0 {
        let digit = b'?' + (index % 63) as u8;
        name.push(char::from(if digit == b'\\' { b'~' } else { digit }));
        index /= 63;
    }
    name
}

fn unknown_keys(per_entry: usize, count: usize) -> String {
    entries(count, |header, index| {
        let keys: Vec<_> = (0..per_entry).map(|key| format!("\"{}\":0", short_name(key))).collect();
        let keys = keys.join(",");
        write!(header, r#""{index}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":{{{keys}}}}}"#).unwrap();
    })
}

fn metadata(count: usize) -> String {
    let map = entries(count, |header, index| write!(header, "\"{}\":\"\"", short_name(index)).unwrap());
    format!(r#"{{"__metadata__":{map}}}"#)
}

fn metadata_string(bytes: usize, then: &str) -> String {
    let comma = if then == "{}" { "" } else { "," };
    format!(r#"{{"__metadata__":{{"x":"{}"}}{comma}{}"#, "v".repeat(bytes), &then[1..])
}

#[test]
fn memory_is_bounded_by_the_header() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for hostile in all() {
        assert_bound(hostile.name, &hostile.bytes);
    }
    for valid in valid() {
        assert!(assert_bound(valid.name, &valid.bytes));
    }
    // One more than a set of 2^18 buckets takes: the old set is alive while it is copied.
    let just_grown = 229_377;
    let zeros = format!("[{}0]", "0,".repeat(63));
    assert!(assert_bound("tiny entries", &file(tiny(just_grown, "[0]"), b"")));
    assert!(assert_bound("many dimensions", &file(tiny(just_grown, &zeros), b"")));
    assert!(assert_bound("most metadata", &file(metadata(1 << 16), b"")));
    assert!(!assert_bound("metadata beyond the limit", &file(metadata(1 << 17), b"")));
    assert!(assert_bound("unknown keys", &file(unknown_keys(4_000, 100), b"")));
    // One more than a buffer of 2^25 bytes takes.
    assert!(assert_bound("long string", &file(metadata_string((32 << 20) + 1, "{}"), b"")));
    let dense = tiny(20_000, &zeros);
    assert!(assert_bound("long string, then dense entries", &file(metadata_string((32 << 20) + 1, &dense), b"")));
    assert!(!assert_bound("endless name", &file(format!("{{\"{}\"", "n".repeat((32 << 20) + 1)), b"")));
    let mut twice = tiny(50_000, "[0]");
    twice.pop();
    assert!(!assert_bound("duplicate at the end", &file(twice + ",\"@\":0}", b"")));
    assert!(!assert_bound("deep arrays", &file(format!("{{\"a\":{}", "[".repeat(1 << 20)), b"")));
}

/// A GGUF file of so many tensors with the shortest entries: version 1, no dimensions, a byte each.
fn tiny_tensors(count: u64, dims: &[u64], broken: bool) -> Vec<u8> {
    let mut fields = Fields::new(1, ByteOrder::Little);
    fields.size(count).size(1).entry("general.alignment", &Value::U32(1));
    for index in 0..count {
        let dtype = if broken && index + 1 == count { 4 } else { 24 };
        fields.tensor(short_name(index as usize), dims, dtype, index);
    }
    fields.raw(&vec![7; count as usize]).clone().into_bytes()
}

fn gguf_entries(count: u64, value: &Value) -> Vec<u8> {
    let mut fields = Fields::new(1, ByteOrder::Big);
    fields.size(0).size(count);
    for index in 0..count {
        fields.entry(short_name(index as usize), value);
    }
    fields.into_bytes()
}

/// One entry that is an array of `element`, so many times what the closure writes.
fn gguf_array(element: u32, count: u64, mut write: impl FnMut(&mut Fields) -> &mut Fields) -> Vec<u8> {
    let mut fields = Fields::new(1, ByteOrder::Little);
    fields.size(0).size(1).string("many").u32(types::ARRAY).u32(element).size(count);
    for _ in 0..count {
        write(&mut fields);
    }
    fields.into_bytes()
}

#[test]
fn memory_is_bounded_by_the_header_of_gguf() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for hostile in fixtures::gguf::all() {
        assert_gguf_bound(hostile.name, &hostile.bytes);
    }
    for valid in fixtures::gguf::valid() {
        assert!(assert_gguf_bound(valid.name, &valid.bytes));
    }
    // One more than a set of 2^18 and of 2^19 buckets takes: the old set is alive while it is copied.
    for just_grown in [229_377, 458_753] {
        assert!(assert_gguf_bound("tiny tensors", &tiny_tensors(just_grown, &[], false)));
        assert!(assert_gguf_bound("tensors of four dimensions", &tiny_tensors(just_grown, &[1; 4], false)));
        assert!(!assert_gguf_bound("broken at the end", &tiny_tensors(just_grown, &[], true)));
    }
    assert!(assert_gguf_bound("most tensors", &tiny_tensors(1 << 20, &[], false)));
    assert!(!assert_gguf_bound("too many tensors", &fixtures::gguf::too_many_tensors().bytes));
    assert!(assert_gguf_bound("most entries", &gguf_entries(1 << 16, &Value::U8(1))));
    assert!(assert_gguf_bound("most strings", &gguf_entries(1 << 16, &Value::text(""))));
    assert!(assert_gguf_bound("most bytes", &gguf_entries(1 << 16, &Value::text(b"\xFF"))));
    assert!(!assert_gguf_bound("too many entries", &fixtures::gguf::too_many_entries().bytes));
    let long = vec![b'v'; (32 << 20) + 1];
    assert!(assert_gguf_bound("long string", &gguf_entries(1, &Value::Text(long.clone()))));
    assert!(assert_gguf_bound("long strings", &gguf_entries(2, &Value::Text(long))));
    let no_text = vec![0xFF; (32 << 20) + 1];
    assert!(assert_gguf_bound("long bytes", &gguf_entries(1, &Value::Text(no_text))));
    let million = 1 << 20;
    assert!(assert_gguf_bound("array of strings", &gguf_array(types::TEXT, million, |fields| fields.string(""))));
    let empty = Value::Array(types::U8, Vec::new());
    assert!(assert_gguf_bound("array of arrays", &gguf_array(types::ARRAY, million, |fields| fields.value(&empty))));
    let nested = Value::Array(types::ARRAY, vec![Value::Array(types::ARRAY, vec![Value::texts(["a"])])]);
    assert!(assert_gguf_bound("nested arrays", &gguf_array(types::ARRAY, million / 8, |fields| fields.value(&nested))));
    assert!(assert_gguf_bound("entries of arrays", &gguf_entries(1 << 16, &Value::Array(types::U8, vec![]))));
}
