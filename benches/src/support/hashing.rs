//! Hashing files once, as fast as a core can.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;

use sha2::{Digest, Sha256};

use super::{Failure, Result};

/// Small enough to stay in the cache of a core between reading and hashing.
const BLOCK_BYTES: usize = 1 << 18;

/// SHA-256 of some bytes.
pub type Hash = [u8; 32];

/// Returns the hash of a file.
pub fn hash_file(path: &Path) -> Result<Hash> {
    let failed = |error| Failure::io("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut sha = Sha256::new();
    loop {
        match file.read(&mut block).map_err(failed)? {
            0 => return Ok(sha.finalize().into()),
            read => sha.update(&block[..read]),
        }
    }
}

/// Hashes files at once, a thread each.
pub fn hash_files_at_once(files: &[PathBuf]) -> Result<Vec<Hash>> {
    thread::scope(|scope| {
        let threads: Vec<_> = files.iter().map(|file| scope.spawn(|| hash_file(file))).collect();
        threads.into_iter().map(|thread| thread.join().expect("hashing does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::hash_file;
    use sha2::{Digest, Sha256};

    #[test]
    fn a_file_is_hashed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let bytes: Vec<u8> = (0..700_001u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(hash_file(&path).unwrap().as_slice(), Sha256::digest(&bytes).as_slice());
    }
}
