//! What each file is taken for: a table of small ones, all their prefixes, noise, and sources that are huge or fail.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use atom::{Interrupt, Interrupted, Never};
use fixtures::detect::{Head, heads};
use fixtures::noise::Noise;
use formats::detect::confidence;
use formats::{
    Bytes, Detection, FileFormat, FormatError, Limits, ReadAt, SourceError, detect, detect_directory, known_formats,
};

fn told(bytes: &[u8]) -> Detection {
    detect(&Bytes(bytes), &Limits::default(), &Never).expect("bytes in memory always have an answer")
}

/// Returns what is wrong with the answer on a head.
fn complaint(head: &Head) -> Option<String> {
    let told = told(&head.bytes);
    let right = told.format.name() == head.format && told.variant.as_deref() == head.variant;
    let explained = head.reason.iter().all(|word| told.reason.contains(word));
    (!right || !explained)
        .then(|| format!("{}: expected {} {:?}, found {told:?}", head.name, head.format, head.variant))
}

#[test]
fn each_head_is_told() {
    let heads = heads();
    let complaints: Vec<_> = heads.iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), heads.len(), complaints.join("\n"));
}

#[test]
fn each_format_has_a_head() {
    let heads = heads();
    let without = known_formats().iter().filter(|row| !heads.iter().any(|head| head.format == row.name));
    assert_eq!(without.map(|row| row.name).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_prefix_has_an_answer_that_can_be_shown() {
    for head in heads() {
        for length in (0..head.bytes.len()).take(3000) {
            formats::fuzz::detect(&head.bytes[..length]);
        }
        formats::fuzz::detect(&head.bytes);
    }
}

/// Whole files whose header tells their size are named truncated at every length from their magic on.
#[test]
fn a_file_that_ends_early_is_named_truncated() {
    let cases = [
        ("safetensors", 10),
        ("GGUF", 4),
        ("npy", 7),
        ("tar", 512),
        ("PyTorch", 4),
        ("npz", 4),
        ("HDF5", 14),
        ("gzip", 10),
    ];
    let heads = heads();
    for (name, from) in cases {
        let whole = heads.iter().find(|head| head.name == name).expect("it is in the table");
        // A tar is whole without the zeros that end it, gzip does not tell its size.
        let to = match name {
            "tar" => 512 + 700,
            "gzip" => 20,
            "HDF5" => 96,
            _ => whole.bytes.len(),
        };
        for length in from..to {
            let told = told(&whole.bytes[..length]);
            let variant = told.variant.clone().unwrap_or_default();
            assert!(variant.ends_with("truncated"), "{name} of {length} bytes: {told:?}");
            assert!(told.reason.starts_with("truncated"), "{name} of {length} bytes: {told:?}");
        }
    }
}

#[test]
fn noise_is_never_a_sure_thing() {
    let mut noise = Noise::new(7, "detect");
    let mut sure = 0;
    for round in 0..3000_usize {
        let mut bytes = vec![0; round % 700];
        noise.fill(&mut bytes);
        formats::fuzz::detect(&bytes);
        sure += u32::from(told(&bytes).confidence >= confidence::EVIDENCE && bytes.len() >= 16);
    }
    assert_eq!(sure, 0);
}

/// Noise behind the first bytes of every head: each rule gets further than noise alone would let it.
#[test]
fn heads_that_go_on_as_noise_have_an_answer() {
    let mut noise = Noise::new(8, "detect");
    for head in heads().into_iter().filter(|head| head.bytes.len() < 10_000) {
        for kept in [4, 8, 12, 16, 24, 40, head.bytes.len() / 2] {
            let mut bytes = head.bytes.clone();
            noise.fill(&mut bytes[kept.min(head.bytes.len())..]);
            formats::fuzz::detect(&bytes);
        }
    }
}

#[test]
fn zeros_are_unknown_at_every_length() {
    for length in (1..2000).chain([1 << 16, 1 << 20]) {
        assert_eq!(told(&vec![0; length]).format, FileFormat::Unknown, "{length}");
    }
}

#[test]
fn limits_of_the_header_bound_what_is_safetensors() {
    let file = fixtures::safetensors::file(r#"{"a":{}}"#, b"");
    let limits = |header_bytes_max| Limits { header_bytes_max, ..Limits::default() };
    let told = |limits: &Limits| detect(&Bytes(&file), limits, &Never).unwrap().format;
    assert_eq!(told(&limits(8)), FileFormat::Safetensors);
    assert_eq!(told(&limits(7)), FileFormat::Unknown);
}

/// A file of any size that repeats a pattern behind its first bytes, and counts what is read.
struct Huge {
    start: Vec<u8>,
    pattern: &'static [u8],
    size: u64,
    read_bytes: AtomicU64,
}

impl ReadAt for Huge {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        assert!(offset + buf.len() as u64 <= self.size, "read behind the end");
        self.read_bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        for (at, byte) in (offset..).zip(buf) {
            let behind = at.checked_sub(self.start.len() as u64);
            *byte = match behind {
                None => self.start[at as usize],
                Some(behind) => self.pattern[(behind % self.pattern.len() as u64) as usize],
            };
        }
        Ok(())
    }
}

#[test]
fn a_huge_file_is_read_a_little_of() {
    let node: &[u8] = b"\x0A\x0A\x0A\x01x\x12\x05Const";
    let strings =
        b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0a\x09\0\0\0\x08\0\0\0\0\0\0\0\0\x01\0\0";
    let patterns: [(&str, &[u8], &[u8]); 10] = [
        ("strings of GGUF", strings, b"\x01\0\0\0\0\0\0\0x"),
        ("zeros", b"", &[0]),
        ("fields of SavedModel", b"\x08\x01", &[b"\x12\x0E\x12\x0C", node].concat().leak()[..]),
        ("nodes", node, node),
        ("fields of ONNX", b"\x08\x08\x3A\x02\x0A\0", b"\x42\0"),
        ("members of tar", b"", &[0x30; 512]),
        ("a safetensors header", b"\0\xE1\xF5\x05\0\0\0\0{", b"\"data_offsets\":["),
        ("instructions of a pickle", b"\x80\x02", b"cx\n"),
        ("numbers", b"", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        ("JSON", b"[", b"[[[[["),
    ];
    for (name, start, pattern) in patterns {
        let (start, size) = (start.to_vec(), (1 << 50) + 3);
        let huge = Huge { start, pattern: pattern.to_vec().leak(), size, read_bytes: AtomicU64::new(0) };
        let told = detect(&huge, &Limits::default(), &Never).unwrap();
        let read_bytes = huge.read_bytes.load(Ordering::Relaxed);
        assert!(read_bytes < 20 << 20, "{name}: {read_bytes} bytes for {told:?}");
    }
}

struct Failing(u64);

impl ReadAt for Failing {
    fn size(&self) -> u64 {
        1 << 20
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        buf.fill(0);
        match offset >= self.0 {
            true => Err(io::Error::other("a bad block").into()),
            false => Ok(()),
        }
    }
}

#[test]
fn a_source_that_cannot_be_read_is_an_error() {
    for bad_from in [0, 512, 1 << 19] {
        let error = detect(&Failing(bad_from), &Limits::default(), &Never).unwrap_err();
        assert!(matches!(error, FormatError::Source { offset, .. } if offset >= bad_from), "{error:?}");
    }
}

struct Stop;

impl Interrupt for Stop {
    fn check(&self) -> Result<(), Interrupted> {
        Err(Interrupted)
    }
}

#[test]
fn detection_can_be_interrupted() {
    let error = detect(&Bytes(b"GGUF"), &Limits::default(), &Stop).unwrap_err();
    assert!(matches!(error, FormatError::Interrupted { .. }), "{error:?}");
}

#[test]
fn directories_are_told_by_their_names() {
    let cases: &[(&[&str], &str, Option<&str>, &str)] = &[
        (&["saved_model.pb", "variables/variables.index"], "tensorflow-savedmodel", None, "with variables/"),
        (&["saved_model.pb"], "tensorflow-savedmodel", None, "without"),
        (&["model_index.json", "unet/config.json"], "diffusers-index", Some("pipeline"), "model_index.json"),
        (&["unet/model_index.json"], "unknown", None, ""),
        (&["model.safetensors.index.json", "pytorch_model.bin.index.json"], "sharded-index", Some("safetensors"), ""),
        (&["pytorch_model.bin.index.json"], "sharded-index", Some("pytorch"), "pytorch_model"),
        (
            &["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"],
            "safetensors",
            Some("sharded"),
            "2 of the 2",
        ),
        (&["a-00002-of-00003.gguf", "readme.md"], "gguf", Some("sharded, incomplete"), "1 of the 3"),
        (&["a-00001-of-00001.bin"], "pytorch", Some("sharded"), "\"a\""),
        (&["a-00003-of-00002.bin", "a-1-of-2.bin", "a-00001-of-00002.txt"], "unknown", None, ""),
        (&["m.ckpt.index", "m.ckpt.data-00000-of-00001"], "tensorflow-checkpoint", None, "\"m.ckpt\""),
        (&[".index", ".data-00000-of-00001", "checkpoint"], "tensorflow-checkpoint", None, "\"\""),
        (&["m.ckpt.data-00000-of-00001"], "unknown", None, ""),
        (&["Manifest.json", "Data/com.apple.CoreML/model.mlmodel"], "coreml", Some("package"), ""),
        (&["Data/com.apple.CoreML/model.mlmodel"], "unknown", None, ""),
        (&["config.json", "model.safetensors"], "unknown", None, ""),
        (&["sub/a-00001-of-00002.gguf", "sub/a.index", "sub/a.data-00000-of-00001"], "unknown", None, ""),
        (&["sub/model.safetensors.index.json"], "unknown", None, ""),
        (&[], "unknown", None, ""),
    ];
    for (names, format, variant, word) in cases {
        let told = detect_directory(names);
        assert_eq!((told.format.name(), told.variant.as_deref()), (*format, *variant), "{names:?}: {told:?}");
        assert!(told.reason.contains(word), "{names:?}: {told:?}");
        let sure = if *format == "unknown" { confidence::NONE } else { confidence::EVIDENCE };
        assert_eq!(told.confidence, sure, "{names:?}");
    }
}

#[test]
fn names_and_endings_are_plain() {
    let mut names: Vec<_> = known_formats().iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), known_formats().len());
    for row in known_formats() {
        let plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        };
        assert!(
            plain(row.name) && row.extensions.iter().all(|ending| plain(ending) && !ending.starts_with('.')),
            "{row:?}"
        );
        assert!(row.notes.ends_with('.'), "{row:?}");
    }
}
