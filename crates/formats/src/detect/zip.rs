//! zip archives, and what their members make of them: PyTorch, TorchScript, npz, Keras.
//!
//! Sources: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.4; the archives' layouts after `torch/csrc/jit/serialization/` of
//! PyTorch, `numpy.lib.format` and `keras/src/saving/saving_lib.py`.  Members are neither inflated nor read.

use super::probe::{Probe, Window, u16_at, u32_at, u64_at};
use super::{Answer, Detection, FileFormat, TRUNCATED, confidence};
use crate::FormatError;
use crate::fault::Quoted;
use std::ops::Range;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";

/// Bytes of each record before its variable part.
const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: u64 = 46;
const END_BYTES: u64 = 22;
const LOCATOR_64_BYTES: u64 = 20;

/// Bytes of the file's end in which the directory's end record stands: a comment may follow it.
const END_SEARCHED_BYTES: u64 = 65_535 + END_BYTES;

/// Members and bytes of the directory that are looked at; those of a longer one speak for the rest.
const MEMBERS_MAX: u64 = 65_536;
const DIRECTORY_BYTES_MAX: u64 = 64 << 20;

/// Bytes of the directory that are read at a time; also the longest name that is looked at.
const READ_BYTES: usize = 16 << 10;

/// Members whose local header is compared with the directory, the first ones; each is a read of its own.
const LOCAL_NAMES_COMPARED: u64 = 16;

/// Answers on a file that begins with a member, or is an empty archive.
pub(super) fn zip(probe: &Probe) -> Answer {
    let head = probe.head();
    if !head.starts_with(LOCAL) && !head.starts_with(END) {
        return Ok(None);
    }
    let Some(directory) = directory(probe)? else { return Ok(Some(cut(probe))) };
    if !directory.fits(probe.size()) {
        let reason = "a zip archive whose directory does not lie within the file";
        return Ok(Some(Detection::new(FileFormat::Zip, confidence::EVIDENCE, reason)));
    }
    let mut members = Members::default();
    members.walk(probe, &directory)?;
    Ok(Some(members.detection(&directory)))
}

/// Answers on an archive without directory: the first member still tells what was meant.
fn cut(probe: &Probe) -> Detection {
    let name = local_name(probe.head()).map(String::from_utf8_lossy).unwrap_or_default();
    let (format, variant) = match split_folder(&name) {
        (Some(_), "data.pkl") => (FileFormat::PyTorch, "zip, truncated"),
        (None, file) if file.ends_with(".npy") => (FileFormat::Npz, TRUNCATED),
        _ => (FileFormat::Zip, TRUNCATED),
    };
    let reason = format!("truncated: a zip archive of {} bytes without the directory at its end", probe.size());
    Detection::new(format, confidence::EVIDENCE, reason).variant(variant)
}

/// Returns the name in a local header.
fn local_name(header: &[u8]) -> Option<&[u8]> {
    let name_bytes = usize::from(u16_at(header.strip_prefix(LOCAL)?, 22)?);
    header.get(30..)?.get(..name_bytes)
}

/// Splits the first folder off a path.
fn split_folder(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((folder, rest)) => (Some(folder), rest),
        None => (None, path),
    }
}

/// Where the directory lies, and how many members it says it has.
struct Directory {
    start: u64,
    bytes: u64,
    members: u64,
    /// Where its end record begins.
    end_record: u64,
}

impl Directory {
    fn fits(&self, file_bytes: u64) -> bool {
        let end = self.start.checked_add(self.bytes);
        end.is_some_and(|end| end <= self.end_record && end <= file_bytes)
    }

    /// Returns the part that is looked at.
    fn walked(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.bytes.min(DIRECTORY_BYTES_MAX))
    }
}

/// Finds the end record: the last one whose comment reaches the end of the file.
fn directory(probe: &Probe) -> Result<Option<Directory>, FormatError> {
    let searched_bytes = probe.size().min(END_SEARCHED_BYTES);
    let start = probe.size().saturating_sub(searched_bytes);
    let tail = probe.bytes(start, usize::try_from(searched_bytes).unwrap_or(0))?;
    let found = tail.windows(END.len()).enumerate().rev().find_map(|(at, word)| {
        let record = tail.get(at..).filter(|_| word == END)?;
        let comment_bytes = u64::from(u16_at(record, 20)?);
        (record.len() as u64 == END_BYTES.saturating_add(comment_bytes)).then_some((at, record))
    });
    let Some((at, record)) = found else { return Ok(None) };
    let at = start.saturating_add(at as u64);
    match directory_64(probe, at)? {
        Some(directory) => Ok(Some(directory)),
        None => Ok(directory_32(record, at)),
    }
}

fn directory_32(record: &[u8], at: u64) -> Option<Directory> {
    Some(Directory {
        members: u64::from(u16_at(record, 10)?),
        bytes: u64::from(u32_at(record, 12)?),
        start: u64::from(u32_at(record, 16)?),
        end_record: at,
    })
}

/// Returns what the end record of 64 bits says, where its locator stands before the plain one.
fn directory_64(probe: &Probe, end_record: u64) -> Result<Option<Directory>, FormatError> {
    let Some(locator_at) = end_record.checked_sub(LOCATOR_64_BYTES) else { return Ok(None) };
    let locator = probe.bytes(locator_at, 20)?;
    let Some(at) = locator.strip_prefix(LOCATOR_64).and_then(|rest| u64_at(rest, 4)) else { return Ok(None) };
    let record = probe.bytes(at, 56)?;
    let fields = record.strip_prefix(END_64).and_then(|rest| rest.get(28..)).unwrap_or_default();
    let counts = (u64_at(fields, 0), u64_at(fields, 8), u64_at(fields, 16));
    let (Some(members), Some(bytes), Some(start)) = counts else { return Ok(None) };
    Ok(Some(Directory { start, bytes, members, end_record: at }))
}

/// One entry of the directory.
struct Entry {
    name: Vec<u8>,
    encrypted: bool,
    local_at: Option<u64>,
    end: u64,
}

/// Reads the entry at a position, None where none is.
fn entry(window: &mut Window, at: u64) -> Result<Option<Entry>, FormatError> {
    let Some(fixed) = window.slice(at, 46)?.first_chunk::<46>().copied().filter(|fixed| fixed.starts_with(CENTRAL))
    else {
        return Ok(None);
    };
    let length_at = |field| u16_at(&fixed, field).unwrap_or(0);
    let name_at = at.saturating_add(CENTRAL_BYTES);
    let name = window.slice(name_at, usize::from(length_at(28)))?.to_vec();
    let variable_bytes: u64 = [28, 30, 32].map(|field| u64::from(length_at(field))).iter().sum();
    Ok(Some(Entry {
        name,
        encrypted: length_at(8) & 1 == 1,
        // All ones: the offset stands in the extra field, and is not compared.
        local_at: u32_at(&fixed, 42).filter(|at| *at != u32::MAX).map(u64::from),
        end: name_at.saturating_add(variable_bytes),
    }))
}

/// What the names of the members tell.
#[derive(Default)]
struct Members {
    walked: u64,
    files: u64,
    encrypted: u64,
    /// The first member that is called otherwise in its local header.
    renamed: Option<String>,
    arrays: u64,
    /// The folder of `data.pkl`, and of the other signs.
    pickle_in: Option<String>,
    constants_in: Option<String>,
    code_in: Option<String>,
    config: bool,
    weights: bool,
}

impl Members {
    fn walk(&mut self, probe: &Probe, directory: &Directory) -> Result<(), FormatError> {
        let mut window = Window::new(probe, READ_BYTES);
        let Range { start: mut at, end } = directory.walked();
        while at < end && self.walked < directory.members.min(MEMBERS_MAX) {
            let Some(entry) = entry(&mut window, at)? else { break };
            self.compare_local(probe, &entry)?;
            self.walked = self.walked.saturating_add(1);
            self.encrypted = self.encrypted.saturating_add(u64::from(entry.encrypted));
            self.note(&String::from_utf8_lossy(&entry.name));
            at = entry.end;
        }
        Ok(())
    }

    /// Compares names where the directory and the member could tell two readers different things.
    fn compare_local(&mut self, probe: &Probe, entry: &Entry) -> Result<(), FormatError> {
        let decides = entry.name.ends_with(b"/data.pkl") && self.pickle_in.is_none();
        let Some(at) = entry.local_at.filter(|_| self.walked < LOCAL_NAMES_COMPARED || decides) else { return Ok(()) };
        let count = usize::try_from(LOCAL_BYTES).unwrap_or(0).saturating_add(entry.name.len());
        let header = probe.bytes(at, count)?;
        if local_name(&header) != Some(&entry.name) && self.renamed.is_none() {
            self.renamed = Some(Quoted(&String::from_utf8_lossy(&entry.name)).to_string());
        }
        Ok(())
    }

    fn note(&mut self, name: &str) {
        if name.ends_with('/') {
            return;
        }
        self.files = self.files.saturating_add(1);
        self.arrays = self.arrays.saturating_add(u64::from(name.ends_with(".npy")));
        match split_folder(name) {
            (Some(folder), "data.pkl") => keep(&mut self.pickle_in, folder),
            (Some(folder), "constants.pkl") => keep(&mut self.constants_in, folder),
            (Some(folder), file) if file.starts_with("code/") => keep(&mut self.code_in, folder),
            (None, "config.json") => self.config = true,
            (None, "model.weights.h5") => self.weights = true,
            _ => {}
        }
    }

    fn detection(&self, directory: &Directory) -> Detection {
        let (format, variant, why) = self.kind();
        let whole = self.walked == directory.members && self.renamed.is_none();
        let sure = if whole { confidence::WALKED } else { confidence::EVIDENCE };
        let reason = format!("a zip archive of {} members{why}{}", directory.members, self.oddities(directory));
        let detection = Detection::new(format, sure, reason);
        match variant {
            Some(variant) => detection.variant(variant),
            None => detection,
        }
    }

    fn kind(&self) -> (FileFormat, Option<&'static str>, &'static str) {
        let beside_pickle = |folder: &Option<String>| folder.is_some() && *folder == self.pickle_in;
        match () {
            () if beside_pickle(&self.constants_in) && beside_pickle(&self.code_in) => {
                (FileFormat::PyTorch, Some("torchscript"), ", data.pkl, constants.pkl and code/ in one folder")
            }
            () if self.pickle_in.is_some() => (FileFormat::PyTorch, Some("zip"), ", data.pkl in one folder"),
            () if self.config && self.weights => (FileFormat::Keras, None, ", config.json and model.weights.h5"),
            () if self.files > 0 && self.arrays == self.files => (FileFormat::Npz, None, ", all of them .npy"),
            () => (FileFormat::Zip, None, ""),
        }
    }

    fn oddities(&self, directory: &Directory) -> String {
        let mut text = String::new();
        if self.walked < directory.members {
            text.push_str(&format!(", of which {} were found", self.walked));
        }
        if self.encrypted > 0 {
            text.push_str(&format!(", {} of them encrypted", self.encrypted));
        }
        if let Some(name) = &self.renamed {
            text.push_str(&format!(", but {name} has another name in its own header"));
        }
        text
    }
}

/// Keeps the first value.
fn keep(place: &mut Option<String>, value: &str) {
    place.get_or_insert_with(|| value.to_owned());
}
