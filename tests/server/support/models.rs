//! Models to import: the real ones, whose hashes are pinned, and small ones made here.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use atom::ContentHash;
use fixtures::noise::Noise;
use serde_json::Value;

/// The files of a model by their paths in it, with their SHA-256.
pub type Hashes = BTreeMap<String, ContentHash>;

/// A model of real files that others made.
pub struct RealModel {
    /// Its name.
    pub name: String,
    /// Where its files are.
    pub dir: PathBuf,
    /// The files and the SHA-256 that are pinned for them.
    pub files: Hashes,
}

/// Returns every real model.  Panics when a pinned file is not there: nothing is passed over.
pub fn real() -> Vec<RealModel> {
    let root = env::var_os("PG_ATOMS_MODELS").expect("PG_ATOMS_MODELS is the folder of real models; make test sets it");
    let pins: Value = serde_json::from_str(include_str!("../../models/pins.json")).expect("pins.json is JSON");
    let mut models: BTreeMap<String, RealModel> = BTreeMap::new();
    let sources = pins["sources"].as_array().expect("a list");
    for file in sources.iter().flat_map(|source| source["files"].as_array().expect("a list")) {
        let path = file["dest"].as_str().expect("a path");
        let mut names = path.splitn(3, '/');
        let (family, name, inside) = (names.next(), names.next(), names.next());
        let (Some(family), Some(name), Some(inside)) = (family, name, inside) else { panic!("{path} is too short") };
        let dir = Path::new(&root).join(family).join(name);
        assert!(dir.join(inside).is_file(), "{path} was not fetched: tests/models/fetch.py brings it");
        let model = models.entry(name.to_owned()).or_insert_with(|| RealModel {
            name: name.to_owned(),
            dir,
            files: Hashes::new(),
        });
        let hash = file["sha256"].as_str().expect("a hash").parse().expect("a hash");
        model.files.insert(inside.to_owned(), hash);
    }
    models.into_values().collect()
}

/// Returns one real model.
pub fn real_named(name: &str) -> RealModel {
    real().into_iter().find(|model| model.name == name).unwrap_or_else(|| panic!("pins.json has no model {name}"))
}

/// Returns every file below a folder with its SHA-256.
pub fn files_below(dir: &Path) -> Hashes {
    let mut files = Hashes::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(dir).expect("it is below").to_str().expect("UTF-8").to_owned();
                files.insert(inside, hash_of_file(&path));
            }
        }
    }
    files
}

/// Returns the SHA-256 of a file of moderate size.
pub fn hash_of_file(path: &Path) -> ContentHash {
    ContentHash::of(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Returns bytes that no compression makes smaller, the same for a seed on every machine.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    Noise::new(seed, "bytes").fill(&mut bytes);
    bytes
}

/// Returns many bytes quickly: noise of one MiB again and again, each 4 KiB of it different.
pub fn unequal_pages(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = noise(seed, 1 << 20).repeat(count.div_ceil(1 << 20));
    bytes.truncate(count);
    for (number, page) in bytes.chunks_exact_mut(4096).enumerate() {
        page[..8].copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// Returns files at the edges of what there is: empty, one byte, around the sizes where storage changes, odd names.
pub fn edges() -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = [
        ("empty", Vec::new()),
        ("another empty.bin", Vec::new()),
        ("one zero byte", vec![0]),
        ("one byte.safetensors", vec![b'{']),
        ("the same byte twice/a", vec![0xFF]),
        ("the same byte twice/b", vec![0xFF]),
        ("seven bytes.safetensors", vec![2, 0, 0, 0, 0, 0, 0]),
        ("no tensors.safetensors", b"\x02\0\0\0\0\0\0\0{}".to_vec()),
        ("\u{FC}ml\u{E4}ut/\u{6A21}\u{578B}/it's \"quoted\" $1 %s;.bin", b"name".to_vec()),
        ("deep/er/and/deep/er/still/x", b"deep".to_vec()),
        ("zeros", vec![0; 100_000]),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .collect();
    for size in [1999, 2000, 2001, 8111, 8112, 8113, 16_224, 16_225, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1] {
        files.insert(format!("sizes/{size}"), noise(size as u64, size));
    }
    files
}

/// Writes files below a new folder and returns it with their hashes.
pub fn write(dir: &Path, files: &BTreeMap<String, Vec<u8>>) -> Hashes {
    for (path, bytes) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().expect("it is below a folder")).expect("writable");
        fs::write(path, bytes).expect("writable");
    }
    files.iter().map(|(path, bytes)| (path.clone(), ContentHash::of(bytes))).collect()
}
