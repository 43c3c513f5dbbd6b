//! What every released version has stored is read by this one.
//!
//! `tests/golden/store-VERSION.dump` is a dump by `pg_dump -Fc` of a small store: four models by three strategies, pins, a
//! relation, and an import under way.  The files are never written again; a new layout adds one.

use std::fs::File;
use std::path::Path;

use pg_test::Result;

use crate::support::Database;
use crate::support::import::{hashes_of, model_chunks};
use crate::support::oracle::{assert_sound, value};

/// Models of the store of 0.1.0, their only file and its SHA-256, as the version that wrote it gave them.
const STORE_0_1_0: [(&str, &str, &str); 4] = [
    ("four", "nothing", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("one", "model.safetensors", "f10200782f900f2c2317f0d2311d9e4b180fe67e3736ea0127b952768bee485d"),
    ("three", "opaque.bin", "6250ac2a877b67e0a16f84c30c674106b237aa026910ba695977f24ebae8d056"),
    ("two", "model.safetensors", "a8f425853871b05cedbaba0744470fc9e9027f87aaf3d9f528026982f6f2c6f1"),
];

#[test]
fn the_store_of_0_1_0_is_read() -> Result<()> {
    let db = Database::shared()?;
    let copy = format!("{}_golden", db.name());
    db.cluster().create_database(&copy)?;
    let dump = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/store-0.1.0.dump"))
        .expect("the dump is part of the repository");
    let restore = db
        .cluster()
        .command("pg_restore", &copy)
        .args(["-d", &copy])
        .stdin(dump)
        .output()
        .expect("pg_restore is there");
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));

    let mut client = db.cluster().connect(&copy)?;
    assert_sound(&mut client)?;
    for (model, file, hash) in STORE_0_1_0 {
        let files = hashes_of(&model_chunks(&mut client, model)?);
        assert_eq!(files[file].to_string(), hash, "{model}");
    }
    let atoms: String = value(
        &mut client,
        "SELECT md5(string_agg(atom_id || ' ' || content_hash || ' ' || size_bytes || ' ' || modality, ',' ORDER BY atom_id)) FROM atoms.atom",
    )?;
    assert_eq!(atoms, "30074229d781f1c6ccbc1a575bdd1c9b");
    let missing: i64 = value(&mut client, "SELECT missing_bytes FROM atoms.list_imports() WHERE model = 'unfinished'")?;
    assert_eq!(missing, 3776);
    drop(client);
    db.client()?.batch_execute(&format!("DROP DATABASE {copy} WITH (FORCE)"))?;
    Ok(())
}
