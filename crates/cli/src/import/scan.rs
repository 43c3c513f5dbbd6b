//! Cutting and hashing: groups of stretches of files, each group hashed on all cores.
//!
//! A stretch is a run of bytes whose parts depend on nothing outside of it, so stretches are independent work.  Groups
//! bound the memory: what is known of the parts of one group is all that is kept.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use atom::{ContentHash, Modality, Never};
use formats::Limits;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use store::{Cutter, Span, Strategy};

use super::local_files::LocalFile;
use super::work::FileWork;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::mapped_file::MappedFile;

/// A group is closed once it has this many bytes: enough for all cores, little enough to begin sending soon.
const GROUP_BYTES: u64 = 256 << 20;
/// A group is closed once it has this many stretches.
const GROUP_STRETCHES: usize = 1024;
/// Fixed chunks are dealt out to the cores in stretches of this size.
const STRETCH_BYTES: u64 = 16 << 20;
/// Content-defined cutting takes a large span in steps of this size; the next begins where the last part ended.
const CDC_STRETCH_BYTES: u64 = 256 << 20;
/// Bytes hashed between two looks at anything else.
const HASH_STEP_BYTES: usize = 1 << 20;
/// Bytes read at a time where a file is read once: they stay in the processor's cache until they are hashed.
const READ_BYTES: usize = 256 << 10;

/// A part with its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashedPart {
    /// First byte in the file.
    pub offset: u64,
    /// Length in bytes, never 0.
    pub length: u64,
    /// What it is.
    pub modality: Modality,
    /// SHA-256.
    pub hash: ContentHash,
}

/// Parts of one file that follow each other.
#[derive(Debug)]
pub struct ScannedParts {
    /// Number of the file in the import.
    pub file_no: i32,
    /// Its bytes.
    pub map: Arc<MappedFile>,
    /// The parts.
    pub parts: Vec<HashedPart>,
}

/// Returns the SHA-256 of a whole file.  Read, not mapped: for one pass, page faults cost more than the copy.
pub fn hash_file(file: &LocalFile) -> Result<ContentHash> {
    let failed = |error| Failure::io("read", &file.location, &error);
    let mut source = File::open(&file.location).map_err(failed)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match source.read(&mut buffer).map_err(failed)? {
            0 => return Ok(ContentHash::from_bytes(sha.finalize().into())),
            count => sha.update(&buffer[..count]),
        }
    }
}

fn hash_bytes(bytes: &[u8]) -> ContentHash {
    let mut sha = Sha256::new();
    for step in bytes.chunks(HASH_STEP_BYTES) {
        sha.update(step);
    }
    ContentHash::from_bytes(sha.finalize().into())
}

/// A run of bytes that is cut and hashed by itself.
#[derive(Debug, Clone)]
struct Stretch {
    file_no: i32,
    map: Arc<MappedFile>,
    /// The spans it lies in.
    spans: Vec<Span>,
    offset: u64,
    length: u64,
}

impl Stretch {
    /// Returns its parts; the bytes after the last one belong to a part that ends behind the stretch.
    fn hash(&self, strategy: Strategy) -> Vec<HashedPart> {
        let bytes = |offset: u64, length: u64| &self.map[offset as usize..][..length as usize];
        Cutter::starting_at(self.spans.clone(), strategy, self.offset)
            .push(bytes(self.offset, self.length))
            .into_iter()
            .map(|part| HashedPart {
                offset: part.offset,
                length: part.length,
                modality: part.modality,
                hash: hash_bytes(bytes(part.offset, part.length)),
            })
            .collect()
    }
}

/// Walks through files and gives their hashed parts, group by group, in order.
pub struct Scanner<'a> {
    files: std::slice::Iter<'a, FileWork<'a>>,
    strategy: Strategy,
    open: Option<OpenFile>,
}

/// The file that is being cut.
struct OpenFile {
    file_no: i32,
    map: Arc<MappedFile>,
    spans: Vec<Span>,
    /// Everything before is cut.
    position: u64,
}

impl<'a> Scanner<'a> {
    /// Begins with the first file.
    pub fn new(files: &'a [FileWork<'a>], strategy: Strategy) -> Self {
        Self { files: files.iter(), strategy, open: None }
    }

    /// Returns the parts of the next group, by file and in order; `None` after the last.
    pub fn next_group(&mut self) -> Result<Option<Vec<ScannedParts>>> {
        let stretches = self.next_stretches()?;
        if stretches.is_empty() {
            return Ok(None);
        }
        let strategy = self.strategy;
        // Each stretch may be taken by another thread: one of a gigabyte must not wait behind another.
        let hashed: Vec<Vec<HashedPart>> =
            stretches.par_iter().with_max_len(1).map(|stretch| stretch.hash(strategy)).collect();
        let mut group: Vec<ScannedParts> = Vec::new();
        for (stretch, parts) in stretches.into_iter().zip(hashed) {
            match group.last_mut().filter(|last| last.file_no == stretch.file_no) {
                Some(last) => last.parts.extend(parts),
                None => group.push(ScannedParts { file_no: stretch.file_no, map: stretch.map, parts }),
            }
        }
        if let (Some(open), Some(last)) = (&mut self.open, group.last()) {
            open.resume_after(last);
        }
        Ok(Some(group))
    }

    fn next_stretches(&mut self) -> Result<Vec<Stretch>> {
        let strategy = self.strategy;
        let mut stretches = Vec::new();
        let mut bytes = 0;
        while bytes < GROUP_BYTES && stretches.len() < GROUP_STRETCHES {
            let Some(open) = self.open_file()? else { break };
            let (stretch, is_whole) = open.next_stretch(strategy);
            bytes += stretch.length;
            stretches.push(stretch);
            if !is_whole {
                break;
            }
        }
        Ok(stretches)
    }

    /// Returns the file to go on with, opening the next one when the last is done; `None` after the last.
    fn open_file(&mut self) -> Result<Option<&mut OpenFile>> {
        while self.open.as_ref().is_none_or(OpenFile::is_done) {
            let Some(work) = self.files.next() else { return Ok(None) };
            self.open = Some(OpenFile::open(work)?);
        }
        Ok(self.open.as_mut())
    }
}

impl OpenFile {
    fn open(work: &FileWork<'_>) -> Result<Self> {
        let map = work.file.map()?;
        let reading = formats::read(&formats::Bytes(&map), &Limits::default(), &Never)
            .map_err(|error| Failure::new(Exit::of_fault(error.kind()), error.to_string()).context(&work.file.path))?;
        let spans = store::spans(&reading, map.len() as u64);
        Ok(Self { file_no: work.file_no, map: Arc::new(map), spans, position: 0 })
    }

    fn is_done(&self) -> bool {
        self.position >= self.map.len() as u64
    }

    /// Takes the next stretch; false with one that may end inside a part.
    fn next_stretch(&mut self, strategy: Strategy) -> (Stretch, bool) {
        let first = self.spans.partition_point(|span| span.offset + span.length <= self.position);
        let span = self.spans[first];
        let span_left = span.offset + span.length - self.position;
        let (last, length) = match strategy {
            Strategy::Chunk { bytes } if span_left > STRETCH_BYTES.max(bytes) => (first, STRETCH_BYTES.max(bytes)),
            Strategy::Cdc(_) if span_left > CDC_STRETCH_BYTES => (first, CDC_STRETCH_BYTES),
            _ => self.gather_spans(first, span_left),
        };
        let stretch = Stretch {
            file_no: self.file_no,
            map: Arc::clone(&self.map),
            spans: self.spans[first..=last].to_vec(),
            offset: self.position,
            length,
        };
        self.position += length;
        let end = self.spans[last].offset + self.spans[last].length;
        (stretch, !matches!(strategy, Strategy::Cdc(_)) || self.position == end)
    }

    /// Adds whole spans behind the first as long as the stretch stays small.
    fn gather_spans(&self, first: usize, first_bytes: u64) -> (usize, u64) {
        let mut last = first;
        let mut length = first_bytes;
        while let Some(next) = self.spans.get(last + 1).filter(|next| length + next.length <= STRETCH_BYTES) {
            length += next.length;
            last += 1;
        }
        (last, length)
    }

    /// Goes back to where the last part ended, when a stretch ended inside a part.
    fn resume_after(&mut self, last: &ScannedParts) {
        if let Some(part) = last.parts.last().filter(|_| last.file_no == self.file_no) {
            self.position = part.offset + part.length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::local_files::local_files;
    use std::path::Path;

    fn scan(directory: &Path, strategy: Strategy) -> Vec<(i32, HashedPart)> {
        let files = local_files(directory).unwrap();
        let work: Vec<FileWork<'_>> =
            files.iter().enumerate().map(|(no, file)| FileWork { file_no: no as i32, file, own_hash: None }).collect();
        let mut scanner = Scanner::new(&work, strategy);
        let mut parts = Vec::new();
        while let Some(group) = scanner.next_group().unwrap() {
            for scanned in group {
                parts.extend(scanned.parts.iter().map(|part| (scanned.file_no, *part)));
            }
        }
        parts
    }

    fn noise(count: usize) -> Vec<u8> {
        let mut state = 7u64;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) as u8
            })
            .collect()
    }

    /// A safetensors file of byte tensors with these lengths.
    fn safetensors(lengths: &[usize], bytes: &[u8]) -> Vec<u8> {
        let mut entries = Vec::new();
        let mut end = 0;
        for (no, length) in lengths.iter().enumerate() {
            let entry =
                format!(r#""t{no}":{{"dtype":"U8","shape":[{length}],"data_offsets":[{end},{}]}}"#, end + length);
            entries.push(entry);
            end += length;
        }
        let header = format!("{{{}}}", entries.join(","));
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(&bytes[..end]);
        file
    }

    /// A GGUF file whose metadata are two arrays of bytes.
    fn gguf(arrays: [&[u8]; 2]) -> Vec<u8> {
        let mut file = [b"GGUF\x03\0\0\0".as_slice(), &0_u64.to_le_bytes(), &2_u64.to_le_bytes()].concat();
        for (key, bytes) in ["a", "b"].into_iter().zip(arrays) {
            file.extend_from_slice(&1_u64.to_le_bytes());
            file.extend_from_slice(key.as_bytes());
            file.extend_from_slice(b"\x09\0\0\0\0\0\0\0");
            file.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            file.extend_from_slice(bytes);
        }
        file
    }

    #[test]
    fn parts_equal_those_cut_in_one_go() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = noise(40 << 20);
        let tensors = safetensors(&[100, 0, 3 << 20, 20 << 20, 5, 6], &bytes);
        std::fs::write(dir.path().join("a.safetensors"), &tensors).unwrap();
        std::fs::write(dir.path().join("b.bin"), &bytes).unwrap();
        std::fs::write(dir.path().join("c.empty"), b"").unwrap();
        std::fs::write(dir.path().join("d.one"), b"x").unwrap();
        let arrays = gguf([&bytes[..20 << 20], &[7; 1 << 20]]);
        std::fs::write(dir.path().join("e.gguf"), &arrays).unwrap();
        for (name, size) in [("tensor", 65536), ("chunk", 65536), ("chunk", 64 << 20), ("cdc", 65536)] {
            let strategy = Strategy::parse(name, size).unwrap();
            let mut expected = Vec::new();
            for (no, file) in [(0, &tensors[..]), (1, &bytes[..]), (3, b"x"), (4, &arrays[..])] {
                let reading = formats::read(&formats::Bytes(file), &Limits::default(), &Never).unwrap();
                let spans = store::spans(&reading, file.len() as u64);
                expected.extend(Cutter::new(spans, strategy).push(file).into_iter().map(|part| {
                    let hash = ContentHash::of(&file[part.offset as usize..][..part.length as usize]);
                    (no, HashedPart { offset: part.offset, length: part.length, modality: part.modality, hash })
                }));
            }
            assert_eq!(scan(dir.path(), strategy), expected, "{name} {size}");
        }
    }

    #[test]
    fn the_hash_of_a_file_is_its_sha256() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let bytes = noise(3_000_000);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(hash_file(&local_files(&path).unwrap()[0]).unwrap(), ContentHash::of(&bytes));
    }
}
