//! What the server says when it refuses.

use std::fmt::Debug;

/// An error of the server.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The primary message.
    pub message: String,
    /// The detail, or nothing.
    pub detail: String,
    /// The hint, or nothing.
    pub hint: String,
}

impl Refusal {
    /// Asserts that message and detail together hold each of these words.
    #[track_caller]
    pub fn names(self, words: &[&str]) -> Refusal {
        let text = format!("{}\n{}", self.message, self.detail);
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
        self
    }
}

/// Asserts that the server refused with this SQLSTATE, and returns what it said.
#[track_caller]
pub fn refused<T: Debug>(result: Result<T, postgres::Error>, sqlstate: &str) -> Refusal {
    let error = match result {
        Ok(value) => panic!("expected SQLSTATE {sqlstate}, but it succeeded: {value:?}"),
        Err(error) => error,
    };
    let Some(db) = error.as_db_error() else { panic!("expected SQLSTATE {sqlstate}, but: {error:?}") };
    assert_eq!(db.code().code(), sqlstate, "{db:?}");
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Refusal { message: db.message().to_owned(), detail: text(db.detail()), hint: text(db.hint()) }
}
