//! What the current user may do.

use pgrx::pg_sys;

/// A predefined role of PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub enum Predefined {
    /// `pg_read_server_files`
    ReadServerFiles,
    /// `pg_write_server_files`
    WriteServerFiles,
}

impl Predefined {
    /// Returns the role's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadServerFiles => "pg_read_server_files",
            Self::WriteServerFiles => "pg_write_server_files",
        }
    }
}

/// Tells whether the current user is a member of a predefined role, or a superuser.
pub fn has_privileges_of(role: Predefined) -> bool {
    let oid = match role {
        Predefined::ReadServerFiles => pg_sys::ROLE_PG_READ_SERVER_FILES,
        Predefined::WriteServerFiles => pg_sys::ROLE_PG_WRITE_SERVER_FILES,
    };
    // SAFETY: a catalog lookup, inside a transaction because functions run in one.
    unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), pg_sys::Oid::from(oid)) }
}
