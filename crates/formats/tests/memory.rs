//! Reading a header takes at most 16 MiB plus four times its bytes, whatever the bytes.
//!
//! Alone in its binary, because it counts every allocation of the process.

use atom::Never;
use fixtures::safetensors::{all, entry, file, valid};
use formats::{Bytes, Limits, safetensors};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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

/// Reads a file and asserts the bound; returns whether it was read.
fn assert_bound(name: &str, bytes: &[u8]) -> bool {
    let declared = bytes.get(..8).map_or(0, |length| u64::from_le_bytes(length.try_into().unwrap()));
    let header_bytes = usize::try_from(declared).unwrap_or(usize::MAX).min(bytes.len());
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let reading = safetensors::read(&Bytes(bytes), &Limits::default(), &Never);
    let used = PEAK.load(Relaxed) - before;
    // Stricter than the promise, which adds both: so that these sizes speak for a header of 100 MB as well.
    let bound = (4 * header_bytes).max(16 << 20);
    println!("{name}: {used} of {bound} bytes for a header of {header_bytes}");
    assert!(used <= bound, "{name}: {used} of {bound} bytes for a header of {header_bytes}");
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
