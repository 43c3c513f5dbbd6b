//! Files of text that stand where a model should: Git LFS pointers, error pages; and plain text.
//!
//! Source of the pointer: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.

use super::probe::{Probe, after};
use super::{Answer, Detection, FileFormat, confidence};
use crate::fault::Quoted;

/// A pointer is smaller than this, says its specification.
const POINTER_BYTES_END: u64 = 1024;

/// The first line of a pointer.
const POINTER_VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// Text that is shorter is too short to be sure of.
const TEXT_BYTES_SURE: usize = 16;

/// Answers on a file without bytes.
pub(super) fn empty(probe: &Probe) -> Answer {
    let empty = || Detection::new(FileFormat::Empty, confidence::WALKED, "the file has no bytes");
    Ok((probe.size() == 0).then(empty))
}

/// Answers on a Git LFS pointer.
pub(super) fn lfs_pointer(probe: &Probe) -> Answer {
    let small = probe.size() < POINTER_BYTES_END;
    let text = std::str::from_utf8(probe.head()).ok().filter(|_| small);
    let Some(lines) = text.map(str::lines).filter(|lines| lines.clone().next() == Some(POINTER_VERSION)) else {
        return Ok(None);
    };
    let file_bytes = probe.size();
    let value_of = |key: &str| lines.clone().find_map(|line| line.strip_prefix(key));
    let target =
        value_of("oid sha256:").filter(|oid| is_sha256(oid)).zip(value_of("size ").filter(|size| is_count(size)));
    Ok(Some(match target {
        Some((oid, size)) => {
            let reason = format!(
                "a Git LFS pointer of {file_bytes} bytes: the real file has {size} bytes and SHA-256 {oid}; \
                 fetch it with git lfs pull"
            );
            Detection::new(FileFormat::LfsPointer, confidence::WALKED, reason)
        }
        None => {
            let reason = format!("a Git LFS pointer of {file_bytes} bytes without a whole oid and size");
            Detection::new(FileFormat::LfsPointer, confidence::EVIDENCE, reason).variant("malformed")
        }
    }))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_count(text: &str) -> bool {
    text.parse::<u64>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Answers on an HTML page and on the XML in which object stores report errors.
pub(super) fn markup(probe: &Probe) -> Answer {
    let text = without_preamble(probe.head());
    let lower = text.to_ascii_lowercase();
    if begins_tag(&lower, b"<!doctype html") || begins_tag(&lower, b"<html") {
        let title =
            element(text, &lower, b"<title").map_or_else(String::new, |title| format!(" its title is {title};"));
        let reason = format!("an HTML page, not a model:{title} the download failed");
        return Ok(Some(Detection::new(FileFormat::Html, confidence::HEADER, reason)));
    }
    let code = begins_tag(&lower, b"<error").then(|| element(text, &lower, b"<code")).flatten();
    Ok(code.map(|code| {
        let reason = format!("an XML error document, not a model: its code is {code}; the download failed");
        Detection::new(FileFormat::Html, confidence::HEADER, reason).variant("xml error")
    }))
}

/// Returns what follows a byte order mark, white space, an XML declaration and comments.
fn without_preamble(head: &[u8]) -> &[u8] {
    let mut text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    while let Some(rest) = after_declaration(text) {
        text = rest.trim_ascii_start();
    }
    text
}

fn after_declaration(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'<', b'?', rest @ ..] => after(rest, b"?>"),
        [b'<', b'!', b'-', b'-', rest @ ..] => after(rest, b"-->"),
        _ => None,
    }
}

/// Tells whether text begins with this tag, and with no longer name.
fn begins_tag(lower: &[u8], tag: &[u8]) -> bool {
    let next = lower.strip_prefix(tag).map(<[u8]>::first);
    matches!(next, Some(Some(b'>' | b' ' | b'\t' | b'\r' | b'\n')))
}

/// Returns the text of the first such element, quoted; the tag is in lower case and without its `>`.
fn element(text: &[u8], lower: &[u8], tag: &[u8]) -> Option<String> {
    let behind_tag = after(lower, tag)?.len();
    let inside = after(text.get(text.len().checked_sub(behind_tag)?..)?, b">")?;
    let end = inside.iter().position(|byte| *byte == b'<').unwrap_or(inside.len());
    let words = String::from_utf8_lossy(inside.get(..end)?.trim_ascii());
    Some(Quoted(&words).to_string())
}

/// Answers on UTF-8 text, told by its first bytes.
pub(super) fn text(probe: &Probe) -> Answer {
    let Some(text) = utf8_of(probe.head(), probe.head_is_all()) else { return Ok(None) };
    if !text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{C}')) {
        return Ok(None);
    }
    let sure = match text.len() < TEXT_BYTES_SURE {
        true => confidence::GUESS,
        false => confidence::EVIDENCE,
    };
    let detection = Detection::new(FileFormat::Text, sure, "UTF-8 text without control characters");
    Ok(Some(match text.starts_with("model_checkpoint_path: \"") {
        true => detection.variant("tensorflow checkpoint state"),
        false => detection,
    }))
}

/// Returns bytes as text; a character may be cut off at their end unless they are all there is.
pub(super) fn utf8_of(bytes: &[u8], all: bool) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if !all && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}
