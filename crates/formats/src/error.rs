//! The error of every reader: a refusal with its place, an unreadable source, or interruption.  Texts follow the server's
//! manner: a primary message without a full stop, then detail and hint as sentences.

use crate::{Fault, SourceError};
use atom::FaultKind;
use std::fmt;

/// Why a structure was not read.
#[derive(Debug)]
pub enum FormatError {
    /// The bytes break a rule of the format, or a limit.
    Refused {
        /// What is wrong.  Boxed, because results are returned often and errors once.
        fault: Box<Fault>,
        /// The absolute position in the file that the fault was found at.
        offset: u64,
    },
    /// The source could not be read.
    Source {
        /// What the source said.
        error: SourceError,
        /// The absolute position of the read that failed.
        offset: u64,
    },
    /// The caller's [`atom::Interrupt`] asked to stop.
    Interrupted {
        /// How far the file was read.
        offset: u64,
    },
}

impl FormatError {
    /// Returns the kind, from which callers make SQLSTATEs and exit codes.
    pub fn kind(&self) -> FaultKind {
        match self {
            FormatError::Refused { fault, .. } => fault.kind(),
            FormatError::Source { .. } => FaultKind::Io,
            FormatError::Interrupted { .. } => FaultKind::Interrupted,
        }
    }

    /// Returns the absolute position in the file that the error belongs to.
    ///
    /// For a rule of the header's text it is where reading stopped, at or just behind the offending words; for a rule of the
    /// layout it is the first byte of data concerned.
    pub fn offset(&self) -> u64 {
        match self {
            FormatError::Refused { offset, .. }
            | FormatError::Source { offset, .. }
            | FormatError::Interrupted { offset } => *offset,
        }
    }

    /// Adds the tensor or key whose entry was read.
    pub(crate) fn within(self, name: &str) -> FormatError {
        match self {
            FormatError::Refused { fault, offset } => fault.within(name).at(offset),
            other => other,
        }
    }

    /// Returns what was refused, None for an unreadable source and interruption.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            FormatError::Refused { fault, .. } => Some(fault),
            FormatError::Source { .. } | FormatError::Interrupted { .. } => None,
        }
    }

    /// Returns the figures behind the message and the position, as sentences.
    pub fn detail(&self) -> Option<String> {
        match self {
            FormatError::Refused { fault, offset } => Some(match fault.detail() {
                Some(detail) => format!("{detail} (file offset {offset})."),
                None => format!("Found at file offset {offset}."),
            }),
            FormatError::Source { offset, .. } => Some(format!("The read began at file offset {offset}.")),
            FormatError::Interrupted { .. } => None,
        }
    }

    /// Returns what the reader of the message can do.
    pub fn hint(&self) -> Option<String> {
        self.fault().and_then(Fault::hint)
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::Refused { fault, .. } => fault.fmt(f),
            FormatError::Source { error, .. } => write!(f, "cannot read the file: {error}"),
            FormatError::Interrupted { .. } => write!(f, "reading the file was {}", atom::Interrupted),
        }
    }
}

impl std::error::Error for FormatError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FormatError::Source { error, .. } => Some(error),
            FormatError::Refused { .. } | FormatError::Interrupted { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FormatError;
    use crate::{Fault, SourceError};
    use atom::FaultKind;

    #[test]
    fn each_error_says_what_and_where() {
        let refused = Fault::DataUncovered { end: 8, file_bytes: 12 }.at(8);
        assert_eq!(refused.kind(), FaultKind::Malformed);
        assert_eq!(refused.offset(), 8);
        assert_eq!(refused.to_string(), "4 bytes at the end of the file belong to no tensor");
        assert!(refused.detail().unwrap().ends_with("(file offset 8)."));

        let error = SourceError::past_end(3, 2, 4);
        let unreadable = FormatError::Source { error, offset: 3 };
        assert_eq!(unreadable.kind(), FaultKind::Io);
        assert_eq!(unreadable.to_string(), "cannot read the file: cannot read 2 bytes at byte 3 of 4");

        let interrupted = FormatError::Interrupted { offset: 9 };
        assert_eq!((interrupted.kind(), interrupted.offset()), (FaultKind::Interrupted, 9));
        assert_eq!(interrupted.to_string(), "reading the file was cancelled");
    }
}
