//! The one table from fault to SQLSTATE, and errors with message, detail and hint.

use ::atom::FaultKind;
use dimspace::DimspaceError;
use formats::{FormatError, SourceError};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;
use vector::VectorError;

/// What a `#[pg_extern]` returns; the error keeps its SQLSTATE on the way out.
pub type PgResult<T> = Result<T, ErrorReport>;

/// SQLSTATEs by what happened, as `docs/sql.md` lists them.
pub mod code {
    use pgrx::PgSqlErrorCode as Code;

    /// Bytes break a rule of their format.
    pub const MALFORMED: Code = Code::ERRCODE_INVALID_BINARY_REPRESENTATION;
    /// The text form of a value is malformed.
    pub const MALFORMED_TEXT: Code = Code::ERRCODE_INVALID_TEXT_REPRESENTATION;
    /// An argument out of its domain; bytes that do not have the hash or length given.
    pub const ARGUMENT: Code = Code::ERRCODE_INVALID_PARAMETER_VALUE;
    /// A number does not fit its type.
    pub const OUT_OF_RANGE: Code = Code::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
    /// No such thing.
    pub const UNKNOWN: Code = Code::ERRCODE_UNDEFINED_OBJECT;
    /// Already there.
    pub const EXISTS: Code = Code::ERRCODE_DUPLICATE_OBJECT;
    /// Stored bytes do not have their hash.
    pub const DAMAGED: Code = Code::ERRCODE_DATA_CORRUPTED;
    /// A page of an index breaks a rule of its layout.
    pub const INDEX_DAMAGED: Code = Code::ERRCODE_INDEX_CORRUPTED;
    /// A relation of another kind than what is asked for.
    pub const WRONG_KIND: Code = Code::ERRCODE_WRONG_OBJECT_TYPE;
    /// A limit was exceeded.
    pub const LIMIT: Code = Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED;
    /// Not allowed.
    pub const DENIED: Code = Code::ERRCODE_INSUFFICIENT_PRIVILEGE;
    /// No such file on the server.
    pub const NO_FILE: Code = Code::ERRCODE_UNDEFINED_FILE;
    /// Known, and not supported.
    pub const UNSUPPORTED: Code = Code::ERRCODE_FEATURE_NOT_SUPPORTED;
    /// Not complete yet, or in the wrong state.
    pub const STATE: Code = Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    /// An atom went away between two looks: repeat the batch.
    pub const REPEAT: Code = Code::ERRCODE_T_R_SERIALIZATION_FAILURE;
    /// Needs CALL outside a transaction block.
    pub const NEEDS_CALL: Code = Code::ERRCODE_INVALID_TRANSACTION_TERMINATION;
    /// Reading or writing a server file failed.
    pub const IO: Code = Code::ERRCODE_IO_ERROR;
    /// Cancelled.
    pub const CANCELLED: Code = Code::ERRCODE_QUERY_CANCELED;
    /// The disk is full.
    pub const DISK_FULL: Code = Code::ERRCODE_DISK_FULL;
}

/// Begins an error: `fault(code::ARGUMENT, "...")`, then `.set_detail(...)`, `.set_hint(...)`.
pub fn fault(code: PgSqlErrorCode, message: impl Into<String>) -> ErrorReport {
    ErrorReport::new(code, message.into(), "pg_atoms")
}

/// Raises the error of a function that the server called, which expects no other way out.
pub fn raise<T>(result: PgResult<T>) -> T {
    result.unwrap_or_else(|report| {
        report.report(pgrx::PgLogLevel::ERROR);
        unreachable!("an error ends the statement")
    })
}

/// Returns the SQLSTATE of a kind of fault.
pub fn code_of(kind: FaultKind) -> PgSqlErrorCode {
    match kind {
        FaultKind::Malformed => code::MALFORMED,
        FaultKind::Limit => code::LIMIT,
        FaultKind::NotFound => code::UNKNOWN,
        FaultKind::Mismatch => code::ARGUMENT,
        FaultKind::Unsupported => code::UNSUPPORTED,
        FaultKind::Incomplete => code::STATE,
        FaultKind::Io => code::IO,
        FaultKind::Interrupted => code::CANCELLED,
    }
}

/// Returns the error of a reader of formats as a user sees it.
pub fn format_fault(error: &FormatError) -> ErrorReport {
    let state = match error {
        // Only stored files have errors of their own: bytes that are not there, or cannot be read.
        FormatError::Source { error: SourceError::Foreign(_), .. } => code::DAMAGED,
        _ => code_of(error.kind()),
    };
    let mut report = fault(state, error.to_string());
    if let Some(detail) = error.detail() {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint() {
        report = report.set_hint(hint);
    }
    report
}

/// Returns the error of an index as a user sees it.
pub fn index_fault(error: &DimspaceError) -> ErrorReport {
    match error {
        DimspaceError::Damaged { .. } => {
            let report = fault(code::INDEX_DAMAGED, error.to_string()).set_hint("REINDEX builds the index again.");
            match super::buffer::index_at_hand() {
                Some(name) => report.set_detail(format!("The index is \"{name}\".")),
                None => report,
            }
        }
        DimspaceError::Dimensions { .. } => fault(code::ARGUMENT, error.to_string()).set_hint(
            "They come from the column's type, the option dimensions, or the first row; REINDEX looks at the rows again.",
        ),
        _ => fault(code_of(error.kind()), error.to_string()),
    }
}

/// Returns the error of a vector as a user sees it.
pub fn vector_fault(error: &VectorError) -> ErrorReport {
    use VectorError as Error;
    let state = match error {
        Error::Text { .. } => code::MALFORMED_TEXT,
        Error::Wire { .. } => code::MALFORMED,
        Error::Damaged { .. } => code::DAMAGED,
        Error::NotFinite { .. }
        | Error::NoBound { .. }
        | Error::OutOfRange { .. }
        | Error::Overflow { .. }
        | Error::Underflow { .. } => code::OUT_OF_RANGE,
        Error::TooManyDimensions { .. } | Error::TooManyForPgvector { .. } => code::LIMIT,
        Error::NoDimensions
        | Error::DifferentDimensions { .. }
        | Error::NoSuchDimension { .. }
        | Error::NoSuchPart { .. }
        | Error::EmptyRange { .. } => code::ARGUMENT,
    };
    fault(state, error.to_string())
}
