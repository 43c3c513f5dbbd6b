//! Stored bytes that are not what they were are found, named, and never handed out as if they were right.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use atom::ContentHash;
use fixtures::safetensors::random_model;
use pg_test::{Cluster, Result, Shutdown};
use postgres::Client;

use crate::support::import::{file_chunks, model_chunks};
use crate::support::models::noise;
use crate::support::oracle::value;
use crate::support::{Database, refused};

const FILE: &str = "model.safetensors";

/// A store of three models: one and two share the tensors a and c; b belongs to one; c lies in the row of its atom.
struct Store {
    db: Database,
    one: Vec<u8>,
    two: Vec<u8>,
}

impl Store {
    fn new() -> Result<Store> {
        let db = Database::in_own_cluster(Cluster::builder().checksums(false))?;
        let one = random_model(7, &[("a", "U8", &[100_000]), ("b", "U8", &[50_000]), ("c", "U8", &[1500])]);
        let two = random_model(7, &[("c", "U8", &[1500]), ("d", "U8", &[30_000]), ("a", "U8", &[100_000])]);
        db.import_bytes("one", FILE, &one)?;
        db.import_bytes("two", FILE, &two)?;
        db.import_bytes("other", "f", &noise(1, 100_000))?;
        Ok(Store { db, one, two })
    }

    fn tensor(&self, name: &str) -> &[u8] {
        let payload =
            |file: &'_ [u8], from_end: usize, length: usize| file.len() - from_end..file.len() - from_end + length;
        match name {
            "a" => &self.one[payload(&self.one, 151_500, 100_000)],
            "b" => &self.one[payload(&self.one, 51_500, 50_000)],
            _ => &self.one[payload(&self.one, 1500, 1500)],
        }
    }

    /// Stops the server, flips one bit of a tensor's stored payload on disk, and starts it again.
    fn flip(&self, table: &str, tensor: &str, position: usize) -> Result<()> {
        let path: String = value(&mut self.db.client()?, &format!("SELECT pg_relation_filepath('atoms.{table}')"))?;
        self.db.cluster().stop(Shutdown::Fast)?;
        let known = &self.tensor(tensor)[position..position + 64];
        flip_behind(&self.db.cluster().data_dir().join(path), known);
        self.db.cluster().start()
    }
}

/// Flips the lowest bit of the first of these bytes in a file that holds them once.
fn flip_behind(path: &Path, known: &[u8]) {
    let bytes = std::fs::read(path).expect("we are root, or the owner");
    let places: Vec<usize> =
        (0..bytes.len() - known.len()).filter(|&at| bytes[at] == known[0] && bytes[at..].starts_with(known)).collect();
    let [place] = places[..] else { panic!("the payload lies at {places:?}, not at one place") };
    let file = OpenOptions::new().write(true).open(path).expect("we are root, or the owner");
    file.write_all_at(&[bytes[place] ^ 1], place as u64).expect("it is there");
}

/// A row of `verify_atoms`: hash, model, file.
type Damaged = (String, Option<String>, Option<String>);

fn damaged(client: &mut Client) -> Result<Vec<Damaged>> {
    let query = "SELECT content_hash::text, model, file FROM atoms.verify_atoms() ORDER BY model";
    Ok(client.query(query, &[])?.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

fn line(hash: ContentHash, model: &str) -> Damaged {
    (hash.to_string(), Some(model.to_owned()), Some(FILE.to_owned()))
}

/// Asserts that every way out refuses a model, naming atom, file and model, and leaves no file.
fn assert_not_exported(db: &Database, model: &str, hash: ContentHash) -> Result<()> {
    let mut client = db.client()?;
    let id: i64 =
        client.query_one("SELECT atom_id FROM atoms.atom WHERE content_hash::text = $1", &[&hash.to_string()])?.get(0);
    let names = [&*format!("Atom {id}"), &hash.to_string(), FILE, &format!("\"{model}\"")];
    refused(file_chunks(&mut client, model, FILE), "XX001").names(&names);
    refused(model_chunks(&mut client, model), "XX001").names(&names);
    let dir = db.make_dir(&format!("out of {model}"));
    let path = dir.join("file");
    refused(client.query("SELECT atoms.export_file($1, $2, $3)", &[&model, &FILE, &path.to_str()]), "XX001")
        .names(&names);
    refused(client.query("SELECT atoms.export_model($1, $2)", &[&model, &dir.to_str()]), "XX001").names(&names);
    assert_eq!(std::fs::read_dir(&dir).expect("ours").count(), 0, "nothing is left in the folder");

    let out = tempfile::tempdir().expect("/tmp is writable");
    let ended = db.run_atoms(&[&"export", &model, &out.path()]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    for name in [id.to_string(), hash.to_string(), FILE.to_owned(), model.to_owned()] {
        assert!(ended.stderr.contains(&name), "{name} is not in {ended:?}");
    }
    assert_eq!(std::fs::read_dir(out.path()).expect("ours").count(), 0, "nothing is left in the folder");
    Ok(())
}

#[test]
fn a_flipped_byte_is_found_and_named() -> Result<()> {
    let store = Store::new()?;
    let db = &store.db;
    assert_eq!(damaged(&mut db.client()?)?, []);
    let b = ContentHash::of(store.tensor("b"));
    store.flip("atom_segment", "b", 20_000)?;
    let mut client = db.client()?;
    assert_eq!(damaged(&mut client)?, [line(b, "one")]);
    let found = client.query("SELECT file, content_hash::text, problem FROM atoms.verify_model('one')", &[])?;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].get::<_, &str>(0), found[0].get::<_, String>(1)), (FILE, b.to_string()));
    for sound in ["two", "other"] {
        assert!(client.query("SELECT * FROM atoms.verify_model($1)", &[&sound])?.is_empty());
    }
    assert_not_exported(db, "one", b)?;
    assert_eq!(model_chunks(&mut client, "two")?[FILE], store.two);
    assert_eq!(db.export("other", "sound")?["f"], ContentHash::of(&noise(1, 100_000)));
    assert_eq!(db.export_by_cli("two")[FILE], ContentHash::of(&store.two));
    let ended = db.run_atoms(&[&"verify"]);
    assert_eq!((ended.code, &ended.json["sound"]), (Some(5), &false.into()), "{ended:?}");
    assert_eq!(ended.json["problems"][0]["model"], "one", "{ended:?}");
    assert_eq!(db.run_atoms(&[&"verify", &"one"]).code, Some(5));
    db.atoms(&[&"verify", &"two"]);
    unverified_bytes_are_handed_out_when_asked_for(&mut client, &store)
}

fn unverified_bytes_are_handed_out_when_asked_for(client: &mut Client, store: &Store) -> Result<()> {
    let rows = client.query("SELECT atoms.export_file_chunks('one', $1, false)", &[&FILE])?;
    let bytes: Vec<u8> = rows.iter().flat_map(|row| row.get::<_, &[u8]>(0).to_vec()).collect();
    let differ = bytes.iter().zip(&store.one).filter(|(is, was)| is != was).count();
    assert_eq!((bytes.len(), differ), (store.one.len(), 1));
    Ok(())
}

#[test]
fn a_shared_atom_is_named_for_each_model() -> Result<()> {
    let store = Store::new()?;
    let c = ContentHash::of(store.tensor("c"));
    store.flip("atom", "c", 700)?;
    let mut client = store.db.client()?;
    assert_eq!(damaged(&mut client)?, [line(c, "one"), line(c, "two")]);
    assert_not_exported(&store.db, "one", c)?;
    assert_not_exported(&store.db, "two", c)?;
    assert_eq!(model_chunks(&mut client, "other")?["f"], noise(1, 100_000));
    Ok(())
}

#[test]
fn what_is_damaged_is_never_taken_for_verified() -> Result<()> {
    let store = Store::new()?;
    let a = ContentHash::of(store.tensor("a"));
    store.flip("atom_segment", "a", 99_000)?;
    let mut client = store.db.client()?;
    let before: std::time::SystemTime = value(&mut client, "SELECT clock_timestamp()")?;
    let row = client.query_one("CALL atoms.verify_all_atoms()", &[])?;
    let atoms: i64 = value(&mut client, "SELECT count(*) FROM atoms.atom")?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (atoms, 1), "checked and damaged");
    let since = "SELECT content_hash::text FROM atoms.verify_atoms(not_verified_since => $1)";
    let rest: Vec<String> = client.query(since, &[&before])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(rest, [a.to_string(), a.to_string()], "only the damaged one is looked at again, for both models");
    let row = client.query_one("CALL atoms.verify_all_atoms($1)", &[&before])?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 1));
    Ok(())
}

#[test]
fn a_lost_segment_is_found() -> Result<()> {
    let store = Store::new()?;
    let b = ContentHash::of(store.tensor("b"));
    let mut client = store.db.client()?;
    let lose = "DELETE FROM atoms.atom_segment s USING atoms.atom a \
        WHERE a.atom_id = s.atom_id AND a.content_hash::text = $1 AND s.raw_offset = 16224";
    assert_eq!(client.execute(lose, &[&b.to_string()])?, 1);
    assert_eq!(damaged(&mut client)?, [line(b, "one")]);
    let problem: String = value(&mut client, "SELECT problem FROM atoms.verify_atoms()")?;
    assert!(problem.contains("16224") && problem.contains("missing"), "{problem}");
    assert_not_exported(&store.db, "one", b)?;
    refused(client.query("SELECT atoms.reconstruct_tensor('one', 'b')", &[]), "XX001").names(&["one", FILE]);
    let query = "SELECT atoms.atom_value(atom_id) FROM atoms.atom WHERE content_hash::text = $1";
    refused(client.query(query, &[&b.to_string()]), "XX001").names(&[&b.to_string()]);
    Ok(())
}

/// After dropping what needs it and collecting it, the same bytes can be stored again, and are right.
#[test]
fn a_damaged_atom_is_replaced_by_importing_again() -> Result<()> {
    let store = Store::new()?;
    store.flip("atom_segment", "b", 0)?;
    let mut client = store.db.client()?;
    client.batch_execute("SELECT atoms.drop_model('one')")?;
    store.db.collect_all()?;
    store.db.import_bytes("one", FILE, &store.one)?;
    assert_eq!(model_chunks(&mut client, "one")?[FILE], store.one);
    assert_eq!(damaged(&mut client)?, []);
    Ok(())
}
