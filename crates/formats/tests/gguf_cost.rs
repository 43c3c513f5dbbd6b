//! Reading a GGUF header costs a bounded number of reads and steps per byte, whatever the bytes, and can be stopped anywhere.

use atom::{FaultKind, Interrupt, Interrupted, Never};
use fixtures::gguf::{self as files, ByteOrder, Fields, Model, Value, types};
use fixtures::noise::Noise;
use formats::{Bytes, FormatError, Limits, ReadAt, SourceError, Structure, gguf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The reader's smallest and largest window.
const WINDOW_BYTES_MIN: u64 = 4 * 1024;
const WINDOW_BYTES_MAX: u64 = 64 * 1024;

/// Bytes in memory that count how they are read, and fail at one read.
struct Counted<'a> {
    bytes: Bytes<'a>,
    reads: AtomicU64,
    bytes_read: AtomicU64,
    fails_at: u64,
}

impl<'a> Counted<'a> {
    fn new(bytes: &'a [u8]) -> Counted<'a> {
        Counted { bytes: Bytes(bytes), reads: AtomicU64::new(0), bytes_read: AtomicU64::new(0), fails_at: u64::MAX }
    }
}

impl ReadAt for Counted<'_> {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.bytes_read.fetch_add(buf.len() as u64, Relaxed);
        match self.reads.fetch_add(1, Relaxed) == self.fails_at {
            true => Err(SourceError::Foreign("the disk is gone".into())),
            false => self.bytes.read_exact_at(offset, buf),
        }
    }
}

/// Counts the questions whether to go on, and says no to one and all after it.
struct Patience {
    asked: AtomicU64,
    ends_at: u64,
}

impl Patience {
    fn new(ends_at: u64) -> Patience {
        Patience { asked: AtomicU64::new(0), ends_at }
    }
}

impl Interrupt for Patience {
    fn check(&self) -> Result<(), Interrupted> {
        match self.asked.fetch_add(1, Relaxed) >= self.ends_at {
            true => Err(Interrupted),
            false => Ok(()),
        }
    }
}

/// What a reading cost.
struct Cost {
    result: Result<Structure, FormatError>,
    reads: u64,
    bytes_read: u64,
    checks: u64,
}

fn cost(bytes: &[u8]) -> Cost {
    let (source, patience) = (Counted::new(bytes), Patience::new(u64::MAX));
    let result = gguf::read(&source, &Limits::default(), &patience);
    let [reads, bytes_read, checks] = [&source.reads, &source.bytes_read, &patience.asked].map(|n| n.load(Relaxed));
    Cost { result, reads, bytes_read, checks }
}

/// Asserts that each byte is read once at most, in windows, and that steps do not outgrow the bytes.
fn assert_linear(name: &str, bytes: &[u8]) -> Cost {
    let cost = cost(bytes);
    let Cost { reads, bytes_read, checks, .. } = cost;
    let file_bytes = bytes.len() as u64;
    // Of a refused file the position of the fault is all that says how far it was read; of a fault of the layout, not even that.
    let header_bytes = cost.result.as_ref().map_or(file_bytes, |structure| structure.structure_bytes);
    let bound = file_bytes.min(header_bytes + WINDOW_BYTES_MAX);
    assert!(bytes_read <= bound, "{name}: {bytes_read} bytes read of a header of {header_bytes}");
    assert!(checks >= reads, "{name}: {reads} reads, but {checks} checks");
    assert!(reads <= 2 + bytes_read / WINDOW_BYTES_MIN, "{name}: {reads} reads of {bytes_read} bytes");
    // A number is a step and has a byte at least; skipping nothing is a step too.  One check per read, one per 1,024 steps or
    // tensors.
    let steps = 2 * header_bytes;
    assert!(checks <= reads + 2 + 2 * steps / 1024, "{name}: {checks} checks for {header_bytes} bytes");
    cost
}

/// Files of one thing many times over, each with the steps that it takes at least.
fn long_files(count: u64) -> Vec<(&'static str, Vec<u8>, u64)> {
    let array_of = |element: u32, write: &dyn Fn(&mut Fields)| {
        let mut fields = Fields::v3(0, 1);
        fields.string("many").u32(types::ARRAY).u32(element).size(count);
        (0..count).for_each(|_| write(&mut fields));
        fields.into_bytes()
    };
    let tiny = |fields: &mut Fields| {
        fields.raw(&[1]);
    };
    let text = |fields: &mut Fields| {
        fields.string("");
    };
    let array = |fields: &mut Fields| {
        fields.u32(types::U8).size(0);
    };
    let mut entries = Fields::v3(0, count);
    (0..count).for_each(|index| {
        entries.entry(format!("{index:x}"), &Value::U8(1));
    });
    let mut tensors = Fields::v3(count, 0);
    (0..count).for_each(|index| {
        tensors.tensor(format!("{index:x}"), &[0], 24, 0);
    });
    vec![
        ("bools", array_of(types::BOOL, &tiny), count),
        ("strings", array_of(types::TEXT, &text), 2 * count),
        ("arrays", array_of(types::ARRAY, &array), 3 * count),
        ("entries", entries.into_bytes(), 4 * count),
        ("tensors", tensors.pad(32).clone().into_bytes(), 6 * count),
    ]
}

#[test]
fn steps_and_reads_are_linear_for_every_fixture() {
    for hostile in files::all() {
        assert_linear(hostile.name, &hostile.bytes);
    }
    for valid in files::valid() {
        assert!(assert_linear(valid.name, &valid.bytes).result.is_ok(), "{}", valid.name);
    }
    assert_linear("too_many_entries", &files::too_many_entries().bytes);
}

#[test]
fn every_1024_steps_ask_whether_to_go_on() {
    for (name, bytes, steps) in long_files(60_000) {
        let Cost { result, checks, .. } = assert_linear(name, &bytes);
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(checks >= steps / 1024, "{name}: {checks} checks for {steps} steps");
    }
}

/// A wide array of numbers is passed, not read; a long string is read once.
#[test]
fn payload_and_wide_arrays_are_not_read() {
    let numbers = Value::Array(types::U8, vec![Value::U8(0); 1 << 20]);
    let model = Model::new().with("numbers", numbers).tensor("a", "F32", &[1 << 20]);
    let cost = assert_linear("wide", &model.bytes());
    cost.result.unwrap();
    assert!(cost.bytes_read <= 2 * WINDOW_BYTES_MAX, "{} bytes read", cost.bytes_read);

    let model = Model::new().with("text", Value::text("v".repeat(1 << 20)));
    let cost = assert_linear("long", &model.bytes());
    cost.result.unwrap();
}

#[test]
fn strings_just_longer_than_a_window_cost_no_more_than_their_bytes() {
    for length in [4095, 4096, 4097, 8191, 65_536] {
        let texts = Value::texts((0..500).map(|_| "v".repeat(length)));
        let model = Model::new().with("texts", texts).with("after", Value::U8(1));
        assert_linear("texts", &model.bytes()).result.unwrap();
    }
}

#[test]
fn noise_behind_a_start_costs_no_more_than_its_bytes() {
    for seed in 0..2_000 {
        let mut noise = Noise::new(seed, "cost");
        let order = if seed % 2 == 0 { ByteOrder::Little } else { ByteOrder::Big };
        let mut fields = Fields::new(1 + (seed % 3) as u32, order);
        fields.size(noise.next_u64() % 8).size(noise.next_u64() % 64);
        for _ in 0..noise.next_u64() % 400 {
            let number = noise.next_u64();
            // Small numbers mostly: lengths and types that are believed.
            fields.size(if number.is_multiple_of(9) { number >> 40 } else { number >> 60 });
        }
        assert_linear("noise", &fields.into_bytes());
    }
}

/// However early the user cancels, nothing but that is reported.
#[test]
fn a_reading_can_be_interrupted_at_every_check() {
    for (name, bytes, _) in long_files(5_000) {
        let checks = cost(&bytes).checks;
        assert!(checks > 2, "{name}");
        for ends_at in 0..checks {
            let error = gguf::read(&Bytes(&bytes), &Limits::default(), &Patience::new(ends_at)).expect_err(name);
            assert_eq!(error.kind(), FaultKind::Interrupted, "{name} {ends_at}: {error}");
            assert!(error.offset() <= bytes.len() as u64);
        }
    }
}

#[test]
fn a_source_that_fails_is_the_error_at_every_read() {
    let model = Model::new().with("text", Value::text("v".repeat(300_000))).tensor("a", "F32", &[8]);
    let bytes = model.bytes();
    for fails_at in 0..cost(&bytes).reads {
        let source = Counted { fails_at, ..Counted::new(&bytes) };
        let error = gguf::read(&source, &Limits::default(), &Never).unwrap_err();
        assert_eq!(error.kind(), FaultKind::Io, "{fails_at}: {error}");
        assert!(error.to_string().ends_with("the disk is gone"), "{error}");
    }
}

/// Each limit lowered to just below what a file needs, and to just that.
#[test]
fn limits_are_inclusive() {
    type Set = fn(&mut Limits, u64);
    let model = Model::new().with("k", Value::text("v".repeat(10_000))).with("l", Value::U8(1));
    let model = model.tensor("name", "F32", &[1]).tensor("b", "F32", &[1]).tensor("c", "F32", &[1]);
    let bytes = model.bytes();
    let header = 24 + (8 + 1 + 4 + 8 + 10_000) + (8 + 1 + 4 + 1) + 3 * (8 + 1 + 4 + 8 + 4 + 8) + 3;
    let cases: [(Set, u64); 4] = [
        (|limits, to| limits.header_bytes_max = to, header),
        (|limits, to| limits.tensors_max = to, 3),
        (|limits, to| limits.name_bytes_max = to, 4),
        (|limits, to| limits.metadata_entries_max = to, 2),
    ];
    for (set, needed) in cases {
        let mut limits = Limits::default();
        set(&mut limits, needed);
        gguf::read(&Bytes(&bytes), &limits, &Never).unwrap_or_else(|error| panic!("{needed}: {error}"));
        set(&mut limits, needed - 1);
        let error = gguf::read(&Bytes(&bytes), &limits, &Never).unwrap_err();
        assert_eq!(error.kind(), FaultKind::Limit, "{needed}: {error}");
    }
}
