//! Who may do what: nothing without `grant_access`, then exactly the level; files of the server never by a level alone.

mod errors;
mod levels;
mod objects;
mod server_files;
