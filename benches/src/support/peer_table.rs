//! The plain tables that peers keep the same bytes in.

use fixtures::noise::Noise;

/// How a table holds a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerTable {
    /// Rows of 1 MiB, moved out of line as they are (STORAGE EXTERNAL), with a unique key of 32 bytes, as long as a hash.
    Rows1Mib,
    /// Rows of 8,096 bytes, one to a page (STORAGE PLAIN), numbered, without an index: the fastest a table can be.
    Rows8096,
}

impl PeerTable {
    /// Returns the statements that make the table.
    pub fn create(self) -> &'static str {
        match self {
            PeerTable::Rows1Mib => {
                "CREATE TABLE peer (key bytea PRIMARY KEY, payload bytea NOT NULL);
                 ALTER TABLE peer ALTER COLUMN payload SET STORAGE EXTERNAL"
            }
            PeerTable::Rows8096 => {
                "CREATE TABLE peer (object bigint NOT NULL, start bigint NOT NULL, payload bytea NOT NULL);
                 ALTER TABLE peer ALTER COLUMN payload SET STORAGE PLAIN"
            }
        }
    }

    /// Returns the payload of a full row.
    pub fn row_bytes(self) -> usize {
        match self {
            PeerTable::Rows1Mib => 1 << 20,
            PeerTable::Rows8096 => 8096,
        }
    }

    /// Appends a row's field count and its fields before the payload, as binary COPY has them.
    pub fn put_leading_fields(self, row: u64, out: &mut Vec<u8>) {
        match self {
            PeerTable::Rows1Mib => {
                out.extend_from_slice(&2i16.to_be_bytes());
                let mut key = [0; 32];
                // As evenly spread as a hash, and cheaper: the peer's client has nothing to compute.
                Noise::new(row, "key").fill(&mut key);
                put_field(&key, out);
            }
            PeerTable::Rows8096 => {
                out.extend_from_slice(&3i16.to_be_bytes());
                put_field(&1i64.to_be_bytes(), out);
                put_field(&(row * self.row_bytes() as u64).to_be_bytes(), out);
            }
        }
    }
}

fn put_field(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}
