//! A private PostgreSQL cluster for tests, benches and `make run`.
//!
//! A [`Cluster`] is one `initdb` directory with a server of its own on a free loopback port, a socket directory that only its
//! owner can enter, and nothing shared with the PostgreSQL of the machine but the binaries (found through `pg_config`).
//! It can be stopped, killed like in a power cut, restarted and copied to a streaming standby. It does not know pg_atoms.
//!
//! ```no_run
//! let cluster = pg_test::Cluster::builder().fast().start()?;
//! cluster.create_database("shop")?;
//! let mut client = cluster.connect("shop")?;
//! client.batch_execute("CREATE EXTENSION pg_atoms")?;
//! cluster.kill9()?;
//! cluster.start()?; // crash recovery runs here
//! # Ok::<(), pg_test::Error>(())
//! ```
//!
//! Linux only: processes are watched through `/proc`.
#![forbid(unsafe_code)]

mod account;
mod builder;
mod cluster;
mod error;
mod processes;
mod watchdog;

pub use builder::Builder;
pub use cluster::{Cluster, SUPERUSER, Shutdown};
pub use error::{Error, Result};
