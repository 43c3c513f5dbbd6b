//! The one table from what went wrong to the exit code of the program.  `docs/cli.md` shows the same table to users.

use atom::FaultKind;

/// How the program ended; the number is what the shell sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Anything that has no code of its own.
    Other = 1,
    /// The command line or the environment asks for something that does not exist.
    Usage = 2,
    /// No such model, file, tensor, import or path.
    NotFound = 3,
    /// The name or the file is there already.
    Exists = 4,
    /// Bytes do not have the hash they are stored under, or stored data is damaged.
    Damaged = 5,
    /// Permission was denied, or the password is wrong.
    Denied = 6,
    /// No connection, or it was lost.
    Connection = 7,
    /// A value, a name or a file is malformed or out of its domain.
    Invalid = 8,
    /// A limit was exceeded, or disk or memory is full.
    Limit = 9,
    /// Known, and not supported.
    Unsupported = 10,
    /// Not complete yet, in the wrong state, or changed while it was read: may succeed later.
    State = 11,
    /// The database does not have the extension, or has another version of it.
    Extension = 12,
    /// `--strict` or `--exit-code` found something; without these options the same result is a clean one.
    Findings = 13,
    /// Ctrl-C, SIGTERM, or a statement that was cancelled.
    Interrupted = 130,
}

impl Exit {
    /// Every way to end, by its number.
    #[cfg(test)]
    pub const ALL: [Self; 14] = [
        Self::Other,
        Self::Usage,
        Self::NotFound,
        Self::Exists,
        Self::Damaged,
        Self::Denied,
        Self::Connection,
        Self::Invalid,
        Self::Limit,
        Self::Unsupported,
        Self::State,
        Self::Extension,
        Self::Findings,
        Self::Interrupted,
    ];

    /// Returns the number for the shell.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Returns the exit code for a SQLSTATE: first by its five characters, then by its class.
    pub fn of_sqlstate(sqlstate: &str) -> Self {
        match sqlstate {
            "42704" | "58P01" | "3D000" => Self::NotFound,
            "42710" | "23505" => Self::Exists,
            "42501" => Self::Denied,
            "42883" | "42P01" | "3F000" | "42703" => Self::Extension,
            "57014" => Self::Interrupted,
            "57P01" | "57P02" | "57P03" | "57P05" => Self::Connection,
            "22P03" | "22023" | "22003" | "22P02" => Self::Invalid,
            "54000" => Self::Limit,
            "0A000" => Self::Unsupported,
            "55000" | "55P03" | "25006" | "2D000" => Self::State,
            _ => Self::of_sqlstate_class(sqlstate.get(..2).unwrap_or("")),
        }
    }

    fn of_sqlstate_class(class: &str) -> Self {
        match class {
            "08" => Self::Connection,
            "22" => Self::Invalid,
            "28" => Self::Denied,
            "40" => Self::State,
            "53" | "54" => Self::Limit,
            "55" => Self::State,
            "XX" => Self::Damaged,
            _ => Self::Other,
        }
    }

    /// Returns the exit code for a fault that a crate of this project reported.
    pub const fn of_fault(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Malformed => Self::Invalid,
            FaultKind::Limit => Self::Limit,
            FaultKind::NotFound => Self::NotFound,
            FaultKind::Mismatch => Self::Damaged,
            FaultKind::Unsupported => Self::Unsupported,
            FaultKind::Incomplete => Self::State,
            FaultKind::Io => Self::Other,
            FaultKind::Interrupted => Self::Interrupted,
        }
    }

    /// Returns the exit code for an error of the operating system.
    pub fn of_io(kind: std::io::ErrorKind) -> Self {
        use std::io::ErrorKind;
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::Exists,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::OutOfMemory => Self::Limit,
            ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_sqlstate_has_its_code() {
        let table = [
            ("22P03", Exit::Invalid),
            ("22023", Exit::Invalid),
            ("22003", Exit::Invalid),
            ("22P02", Exit::Invalid),
            ("42704", Exit::NotFound),
            ("42710", Exit::Exists),
            ("XX001", Exit::Damaged),
            ("XX002", Exit::Damaged),
            ("54000", Exit::Limit),
            ("42501", Exit::Denied),
            ("58P01", Exit::NotFound),
            ("0A000", Exit::Unsupported),
            ("55000", Exit::State),
            ("25006", Exit::State),
            ("2D000", Exit::State),
        ];
        for (sqlstate, exit) in table {
            assert_eq!(Exit::of_sqlstate(sqlstate), exit, "{sqlstate}");
        }
    }

    #[test]
    fn other_sqlstates_go_by_their_class() {
        assert_eq!(Exit::of_sqlstate("28P01"), Exit::Denied);
        assert_eq!(Exit::of_sqlstate("08006"), Exit::Connection);
        assert_eq!(Exit::of_sqlstate("53100"), Exit::Limit);
        assert_eq!(Exit::of_sqlstate("40P01"), Exit::State);
        assert_eq!(Exit::of_sqlstate("P0001"), Exit::Other);
        assert_eq!(Exit::of_sqlstate(""), Exit::Other);
    }

    #[test]
    fn codes_are_distinct_and_stable() {
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 130]);
    }

    #[test]
    fn the_manual_has_a_line_for_every_code() {
        let manual = include_str!("../../../docs/cli.md");
        for exit in Exit::ALL {
            assert!(manual.contains(&format!("\n| {} | ", exit.code())), "{exit:?}");
        }
    }
}
