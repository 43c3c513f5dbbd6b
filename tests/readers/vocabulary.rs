//! Real vocabularies share more as tensors are cut than as small content-defined chunks, with a fraction of the parts.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::Path;

use atom::{ContentHash, Never};
use formats::{Bytes, Limits};
use store::{Cutter, Strategy, spans};

use crate::gguf::files_below;

/// What the store would hold of some files.
#[derive(Debug, Default)]
struct Store {
    hashes: HashSet<ContentHash>,
    parts: usize,
    saved_bytes: u64,
}

impl Store {
    fn add(&mut self, file: &[u8], strategy: Strategy) {
        let reading = formats::read(&Bytes(file), &Limits::default(), &Never).expect("bytes can be read");
        for part in Cutter::new(spans(&reading, file.len() as u64), strategy).push(file) {
            let bytes = &file[part.offset as usize..][..part.length as usize];
            self.parts += 1;
            if !self.hashes.insert(ContentHash::of(bytes)) {
                self.saved_bytes += part.length;
            }
        }
    }
}

#[test]
fn vocabularies_share_more_than_chunks_of_8_kib_with_a_tenth_of_the_hashes() {
    let root = env::var_os("PG_ATOMS_MODELS").expect("PG_ATOMS_MODELS is the folder of real models; make test sets it");
    let files: Vec<_> = files_below(&Path::new(&root).join("gguf")).into_iter().map(fs::read).collect();
    let [tensor, cdc] = ["tensor", "cdc"].map(|name| {
        let strategy = Strategy::parse(name, 8192).expect("a strategy");
        let mut store = Store::default();
        files.iter().for_each(|file| store.add(file.as_ref().expect("a readable file"), strategy));
        println!("{name}: {} parts, {} hashes, {} bytes saved", store.parts, store.hashes.len(), store.saved_bytes);
        store
    });
    assert!(tensor.saved_bytes >= cdc.saved_bytes, "{} < {}", tensor.saved_bytes, cdc.saved_bytes);
    assert!(tensor.hashes.len() * 10 <= cdc.hashes.len(), "{} and {}", tensor.hashes.len(), cdc.hashes.len());
    assert!(tensor.parts * 10 <= cdc.parts, "{} and {}", tensor.parts, cdc.parts);
}
