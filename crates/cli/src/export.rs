//! Exporting: binary COPY data from the server becomes files of this machine, each hashed on its way.

mod copy_binary;
mod receive;
mod target;

pub use receive::{Received, receive_file};
pub use target::{TargetDir, TargetFile};
