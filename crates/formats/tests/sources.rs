//! What a source and its interruption do to a reading: only they are errors, and they come through as they are.

use atom::{FaultKind, Interrupt, Interrupted, Never};
use fixtures::safetensors::{TensorSpec, file, random_model, write_large};
use formats::{Bytes, FileSource, FormatError, Limits, ReadAt, Reading, SourceError, safetensors};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a database might say.
#[derive(Debug, PartialEq)]
struct SegmentLost(u64);

impl fmt::Display for SegmentLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment at {} is lost", self.0)
    }
}

impl std::error::Error for SegmentLost {}

/// Bytes that fail from the n-th read on, and count how many were asked for.
struct Failing<'a> {
    bytes: &'a [u8],
    reads_left: AtomicUsize,
    bytes_read: AtomicUsize,
}

impl<'a> Failing<'a> {
    fn after(reads: usize, bytes: &'a [u8]) -> Failing<'a> {
        Failing { bytes, reads_left: AtomicUsize::new(reads), bytes_read: AtomicUsize::new(0) }
    }
}

impl ReadAt for Failing<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        if self.reads_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
            return Err(SourceError::Foreign(Box::new(SegmentLost(offset))));
        }
        self.bytes_read.fetch_add(buf.len(), Relaxed);
        Bytes(self.bytes).read_exact_at(offset, buf)
    }
}

/// Says stop at the n-th question.
struct StopAfter(AtomicUsize);

impl Interrupt for StopAfter {
    fn check(&self) -> Result<(), Interrupted> {
        match self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Interrupted),
        }
    }
}

/// A model with a header of some 300 kB.
fn large_header() -> Vec<u8> {
    let names: Vec<_> = (0..5_000).map(|index| format!("layer.{index}.weight")).collect();
    let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), "U8", [1_u64].as_slice())).collect();
    random_model(1, &tensors)
}

#[test]
fn a_foreign_error_comes_through_from_every_read() {
    let bytes = large_header();
    let mut reads = 0;
    loop {
        let source = Failing::after(reads, &bytes);
        match formats::read(&source, &Limits::default(), &Never) {
            Ok(reading) => break assert!(matches!(reading, Reading::Structured(_))),
            Err(error @ FormatError::Source { .. }) => assert_foreign(error),
            Err(error) => panic!("{error}"),
        }
        reads += 1;
    }
    assert!(reads > 6, "the header was read in {reads} pieces");
}

fn assert_foreign(error: FormatError) {
    assert_eq!(error.kind(), FaultKind::Io);
    let offset = error.offset();
    assert_eq!(error.to_string(), format!("cannot read the file: segment at {offset} is lost"));
    let FormatError::Source { error: SourceError::Foreign(foreign), .. } = error else { panic!("{error}") };
    assert_eq!(foreign.downcast_ref::<SegmentLost>(), Some(&SegmentLost(offset)));
}

#[test]
fn an_error_while_a_fault_is_located_comes_through() {
    // The fault stands in the second line, so the reader looks for its offset from the header's start.
    let bytes = file("{\n\"a\":0}", b"");
    // Reads: the length, the first byte, the header; then the header again.
    let read = |reads| safetensors::read(&Failing::after(reads, &bytes), &Limits::default(), &Never).unwrap_err();
    assert!(matches!(read(4), FormatError::Refused { .. }));
    assert!(matches!(read(3), FormatError::Source { offset: 8, .. }));
}

#[test]
fn a_reading_stops_when_interrupted() {
    let bytes = large_header();
    let mut checks = 0;
    loop {
        match formats::read(&Bytes(&bytes), &Limits::default(), &StopAfter(AtomicUsize::new(checks))) {
            Ok(reading) => break assert!(matches!(reading, Reading::Structured(_))),
            Err(error) => assert_eq!(error.kind(), FaultKind::Interrupted, "{error}"),
        }
        checks += 1;
    }
    assert!(checks > 8, "asked {checks} times for 300 kB and 5,000 tensors");
}

#[test]
fn a_source_that_shrank_is_an_io_error() {
    let bytes = large_header();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    std::fs::write(&path, &bytes).unwrap();
    let source = FileSource::new(std::fs::File::open(&path).unwrap()).unwrap();
    std::fs::write(&path, &bytes[..1000]).unwrap();
    let error = formats::read(&source, &Limits::default(), &Never).unwrap_err();
    assert_eq!(error.kind(), FaultKind::Io, "{error}");
}

#[test]
fn payload_is_never_read() {
    let bytes = random_model(2, &[("a", "F32", &[1 << 20])]);
    let source = Failing::after(usize::MAX, &bytes);
    let structure = safetensors::read(&source, &Limits::default(), &Never).unwrap();
    assert!(source.bytes_read.load(Relaxed) as u64 <= structure.structure_bytes + 8);
}

#[test]
fn a_file_is_read_by_position() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    let specs = [TensorSpec::new(1, "a", "F16", &[1 << 20]), TensorSpec::new(1, "b", "U8", &[3])];
    let size = write_large(&path, &specs).unwrap();
    let source = FileSource::new(std::fs::File::open(&path).unwrap()).unwrap();
    let structure = safetensors::read(&source, &Limits::default(), &Never).unwrap();
    let spans: Vec<_> = structure.tensors.iter().map(|tensor| (&*tensor.name, tensor.length)).collect();
    assert_eq!(spans, [("a", 2 << 20), ("b", 3)]);
    assert_eq!(structure.tensors.last().and_then(|tensor| tensor.end()), Some(size));
}
