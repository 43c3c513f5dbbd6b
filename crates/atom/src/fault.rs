//! What kind of thing went wrong; each room's own errors answer with one of these.

/// The kinds of fault.  The server has one table from kind to SQLSTATE, the CLI one from kind to exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Bytes break a rule of their format.
    Malformed,
    /// A limit was exceeded; the message names it.
    Limit,
    /// No such thing.
    NotFound,
    /// Bytes do not have the hash or the length that was said.
    Mismatch,
    /// Known, and not supported.
    Unsupported,
    /// Something that must be there is not there yet.
    Incomplete,
    /// Reading or writing failed.
    Io,
    /// The user cancelled.
    Interrupted,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::Limit,
        Self::NotFound,
        Self::Mismatch,
        Self::Unsupported,
        Self::Incomplete,
        Self::Io,
        Self::Interrupted,
    ];

    /// Returns the lower-case name that documents show.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Limit => "limit",
            Self::NotFound => "not found",
            Self::Mismatch => "mismatch",
            Self::Unsupported => "unsupported",
            Self::Incomplete => "incomplete",
            Self::Io => "i/o",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns the kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
