//! Whether a reader refuses a hostile file for its own fault: the kind, the words, the place.

use fixtures::Hostile;
use formats::{FormatError, Structure};

/// A reader that is told the format.
pub type Strict = fn(&[u8]) -> Result<Structure, FormatError>;

/// Returns what is wrong with the refusal of a file.
fn complaint(hostile: &Hostile, strict: Strict) -> Option<String> {
    let error = match strict(&hostile.bytes) {
        Err(error) => error,
        Ok(_) => return Some("was read".to_owned()),
    };
    let (message, detail) = (error.to_string(), error.detail().unwrap_or_default());
    let shows_place = detail.ends_with('.') && detail.contains(&error.offset().to_string());
    match () {
        () if error.kind() != hostile.kind => Some(format!("is {:?}: {message}", error.kind())),
        () if !hostile.names_in_message.iter().all(|word| message.contains(word)) => Some(format!("says {message:?}")),
        () if !hostile.offset.contains(&error.offset()) => Some(format!("is at {}: {message}", error.offset())),
        () if message.ends_with('.') || !shows_place => Some(format!("reads {message:?}, {detail:?}")),
        () => None,
    }
}

/// Asserts that each file is refused for its fault.
pub fn assert_refused(files: impl IntoIterator<Item = Hostile>, strict: Strict) {
    let complaints: Vec<_> = files
        .into_iter()
        .filter_map(|hostile| {
            let (complaint, words) = (complaint(&hostile, strict)?, hostile.names_in_message);
            Some(format!("{} {complaint}; expected {words:?} at {:?}", hostile.name, hostile.offset))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
