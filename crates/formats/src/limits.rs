//! What a header may cost.  The defaults keep the memory of a reading below 16 MiB plus four times the header's bytes
//! (`tests/memory.rs`); who raises a limit gives that bound up.

/// The largest counts and lengths that a file may declare; beyond them it is refused with kind `Limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a header, without the 8 bytes of its length.  The default is that of the official safetensors reader.
    pub header_bytes_max: u64,
    /// Tensors in one file.
    pub tensors_max: u64,
    /// Dimensions of one tensor.
    pub dims_max: u64,
    /// UTF-8 bytes of a tensor name or of any other key, after unescaping.
    pub name_bytes_max: u64,
    /// Entries of the free-form metadata.  Each costs up to ten times its bytes in the file, hence lower than `tensors_max`.
    pub metadata_entries_max: u64,
    /// Keys within one tensor's entry that the format does not know, those of nested objects included.
    pub unknown_keys_max: u64,
    /// Objects and arrays within each other, the header itself being the first.  Above 127, serde_json's own limit holds.
    pub nesting_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_bytes_max: 100_000_000,
            tensors_max: 1 << 20,
            dims_max: 64,
            name_bytes_max: 1 << 16,
            metadata_entries_max: 1 << 16,
            unknown_keys_max: 1 << 12,
            nesting_max: 64,
        }
    }
}
