//! The fuzz target's body for detection.

use crate::detect::{Detection, confidence, detect as told};
use crate::{Bytes, FileFormat, Limits};
use atom::Never;

/// Tells what bytes are and asserts what an answer promises.  Panics when a promise is broken.
pub fn detect(bytes: &[u8]) {
    let answer = told(&Bytes(bytes), &Limits::default(), &Never);
    assert!(answer.is_ok(), "bytes in memory always have an answer: {answer:?}");
    if let Ok(detection) = answer {
        assert_answer(&detection, bytes);
    }
}

fn assert_answer(detection: &Detection, bytes: &[u8]) {
    let levels = [confidence::NONE, confidence::GUESS, confidence::EVIDENCE, confidence::HEADER, confidence::WALKED];
    assert!(levels.contains(&detection.confidence), "no level: {detection:?}");
    assert_eq!(detection.format == FileFormat::Unknown, detection.confidence == confidence::NONE, "{detection:?}");
    assert_eq!(detection.format == FileFormat::Empty, bytes.is_empty(), "{detection:?}");
    assert_showable(&detection.reason, 2048);
    if let Some(variant) = &detection.variant {
        assert_showable(variant, 96);
    }
}

fn assert_showable(text: &str, bytes_end: usize) {
    let showable = !text.is_empty() && !text.ends_with('.') && !text.chars().any(char::is_control);
    assert!(showable && text.len() < bytes_end, "unshowable text {text:?}");
}
