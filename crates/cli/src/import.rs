//! Importing: files of this machine, cut and hashed here, become a model on the server.
//!
//! `local_files` finds them, `scan` hashes parts on all cores, `transfer` announces them and moves what is missing
//! over several connections, `work` says what has to be done for which file.

mod local_files;
mod queue;
mod scan;
mod send;
mod transfer;
mod work;

pub use local_files::{LocalFile, default_model_name, local_files, refuse_special};
pub use scan::hash_file;
pub use send::repeated;
pub use transfer::{Load, Moved, Transfer};
pub use work::{Plan, link_known_files};
