//! Every hostile GGUF file is refused for its own fault, with the words and at the place that it states; odd but valid files
//! are read for what they hold.

use atom::{FaultKind, Never};
use fixtures::Hostile;
use fixtures::gguf::{self as files, Model};
use formats::{Bytes, FormatError, Limits, Reading, Structure, gguf};

fn strict(bytes: &[u8]) -> Result<Structure, FormatError> {
    gguf::read(&Bytes(bytes), &Limits::default(), &Never)
}

/// Returns what is wrong with the refusal of a file.
fn complaint(hostile: &Hostile) -> Option<String> {
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

fn assert_refused(files: impl IntoIterator<Item = Hostile>) {
    let complaints: Vec<_> = files
        .into_iter()
        .filter_map(|hostile| {
            let (complaint, words) = (complaint(&hostile)?, hostile.names_in_message);
            Some(format!("{} {complaint}; expected {words:?} at {:?}", hostile.name, hostile.offset))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn each_hostile_file_is_refused_for_its_fault() {
    let all = files::all();
    assert!(all.len() >= 45);
    assert_refused(all);
}

#[test]
fn the_largest_hostile_files_are_refused_for_their_fault() {
    assert_refused([files::too_many_tensors(), files::too_many_entries()]);
}
