//! What a command ends with when it cannot do its work: message, detail, hint, exit code; in the words of the server
//! where the server refused.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::exit::Exit;
use crate::output::printable_lines;

/// Result of everything that can fail in the program.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a command failed.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// What happened, in one sentence without a final stop.
    pub message: String,
    /// More of it, in whole sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The server's SQLSTATE, when the server refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    #[serde(rename = "exit_code", serialize_with = "exit_code")]
    exit: Exit,
}

fn exit_code<S: serde::Serializer>(exit: &Exit, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_u8(exit.code())
}

impl Failure {
    /// Returns a failure that has only a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, hint: None, sqlstate: None, exit }
    }

    /// Returns the failure of reading or writing `path`; `doing` completes "could not".
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Exit::of_io(error.kind()), format!("could not {doing} \"{}\": {error}", path.display()))
    }

    /// Returns the failure of a thread that ended by a panic, which has told its reason by itself.
    pub fn panicked() -> Self {
        Self::new(Exit::Other, "a thread of this program panicked")
    }

    /// Adds the detail.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what was going on before the message.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Returns how the program ends.
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns whether the server asks to repeat the batch: another transaction was in the way.
    pub fn is_retryable(&self) -> bool {
        matches!(self.sqlstate.as_deref(), Some("40001" | "40P01"))
    }

    fn of_db_error(error: &postgres::error::DbError) -> Self {
        let sqlstate = error.code().code();
        let mut failure = Self::new(Exit::of_sqlstate(sqlstate), error.message());
        failure.detail = error.detail().map(str::to_owned);
        failure.hint = error.hint().map(str::to_owned);
        failure.sqlstate = Some(sqlstate.to_owned());
        if failure.exit == Exit::Extension {
            // The server's own hint is about spelling and type casts.
            failure.hint = Some(
                "Is the extension pg_atoms installed in this database, in the version of this program?  \
                 A superuser installs it with CREATE EXTENSION pg_atoms."
                    .to_owned(),
            );
        }
        failure
    }
}

/// An error of the driver: the server's own words if it refused, else a failure of the connection.
impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        if let Some(db_error) = error.as_db_error() {
            return Self::of_db_error(db_error);
        }
        let exit = if is_type_error(&error) { Exit::Extension } else { Exit::Connection };
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !message.contains(&cause_text) {
                message = format!("{message}: {cause_text}");
            }
            source = cause.source();
        }
        Self::new(exit, message)
    }
}

/// Whether the server's columns or parameters have other types than this program expects.
fn is_type_error(error: &postgres::Error) -> bool {
    let text = error.to_string();
    text.starts_with("error serializing parameter")
        || text.starts_with("error deserializing column")
        || text.starts_with("invalid column")
}

/// The text for a terminal: names in it, of files or from the server, are shown with their control characters escaped.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable_lines(&self.message))?;
        if let Some(detail) = &self.detail {
            write!(f, "\nDETAIL:  {}", printable_lines(detail))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHINT:  {}", printable_lines(hint))?;
        }
        if let Some(sqlstate) = &self.sqlstate {
            write!(f, "\nSQLSTATE:  {sqlstate}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_has_one_line_per_field() {
        let failure = Failure::new(Exit::NotFound, "no such model").detail("d").hint("h").context("export");
        assert_eq!(failure.to_string(), "export: no such model\nDETAIL:  d\nHINT:  h");
    }

    #[test]
    fn names_in_it_do_not_steer_the_terminal() {
        let failure = Failure::new(Exit::NotFound, "no \u{1b}[31m").detail("\u{7}").hint("a\nb\u{9b}");
        assert_eq!(failure.to_string(), "no \\u{1b}[31m\nDETAIL:  \\u{7}\nHINT:  a\nb\\u{9b}");
    }

    #[test]
    fn json_form_has_the_exit_code_and_only_known_fields() {
        let json = serde_json::to_value(Failure::new(Exit::Exists, "there")).unwrap();
        assert_eq!(json, serde_json::json!({"message": "there", "exit_code": 4}));
    }
}
