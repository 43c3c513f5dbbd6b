//! Every file comes back byte for byte, whichever way it went in and whichever way it comes out.

use std::path::PathBuf;

use atom::ContentHash;
use pg_test::Result;

use crate::support::Database;
use crate::support::import::{STRATEGIES, TENSOR, file_chunks, hashes_of, import_bytes, model_chunks, stored_hashes};
use crate::support::models::{self, Hashes, edges, files_below, hash_of_file, noise};
use crate::support::oracle::assert_sound;

/// Writes the edge files where the server can read them.
fn lend_edges(db: &Database) -> (PathBuf, Hashes) {
    let dir = db.file("edges");
    let hashes = models::write(&dir, &edges());
    (dir, hashes)
}

#[test]
fn every_real_file_goes_through_the_server() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for model in models::real() {
        db.import(&model.name, &db.lend(&model.dir))?;
        assert_eq!(stored_hashes(&mut client, &model.name)?, model.files, "{}", model.name);
        assert_eq!(db.export(&model.name, "out")?, model.files, "{}", model.name);
    }
    assert_sound(&mut client)
}

#[test]
fn every_real_file_goes_through_the_program() -> Result<()> {
    let db = Database::shared()?;
    let mut files = 0;
    for model in models::real() {
        let imported = db.import_by_cli(&model.name, &model.dir, TENSOR);
        assert_eq!(imported["status"], "imported", "{imported}");
        assert_eq!(imported["files"].as_u64(), Some(model.files.len() as u64), "{imported}");
        assert_eq!(db.export_by_cli(&model.name), model.files, "{}", model.name);
        files += model.files.len();
    }
    assert_eq!(files, 113, "pins.json has changed: so must this number");
    assert_sound(&mut db.client()?)
}

#[test]
fn every_real_file_goes_in_at_once_and_comes_out_as_a_stream() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for model in models::real() {
        let path = db.lend(&model.dir);
        let row = client
            .query_one("SELECT atoms.import_model_at_once($1, $2)", &[&model.name, &path.to_str().expect("UTF-8")])?;
        assert!(row.get::<_, bool>(0));
        assert_eq!(hashes_of(&model_chunks(&mut client, &model.name)?), model.files, "{}", model.name);
    }
    assert_sound(&mut client)
}

#[test]
fn every_real_file_goes_in_as_bytes_and_comes_out_in_chunks() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for model in models::real() {
        for (file, hash) in &model.files {
            let name = format!("{}/{file}", model.name);
            let bytes = std::fs::read(model.dir.join(file)).expect("it was fetched");
            assert!(import_bytes(&mut client, &name, "only", &bytes, TENSOR)?);
            assert_eq!(ContentHash::of(&file_chunks(&mut client, &name, "only")?), *hash, "{name}");
        }
    }
    assert_sound(&mut client)
}

#[test]
fn edge_files_go_through_the_server_by_every_strategy() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    let (dir, hashes) = lend_edges(&db);
    for strategy in STRATEGIES {
        let model = format!("{strategy:?}");
        db.import_with(&model, &dir, strategy)?;
        assert_eq!(stored_hashes(&mut client, &model)?, hashes, "{model}");
        assert_eq!(db.export(&model, "out")?, hashes, "{model}");
        assert_eq!(hashes_of(&model_chunks(&mut client, &model)?), hashes, "{model}");
        // Each strategy shall cut by itself, not link what the one before has stored.
        client.execute("SELECT atoms.drop_model($1)", &[&model])?;
        db.collect_all()?;
    }
    Ok(())
}

#[test]
fn edge_files_go_through_the_program_by_every_strategy() -> Result<()> {
    let db = Database::shared()?;
    let (dir, hashes) = lend_edges(&db);
    for strategy in STRATEGIES {
        let model = format!("{strategy:?}");
        db.import_by_cli(&model, &dir, strategy);
        assert_eq!(db.export_by_cli(&model), hashes, "{model}");
        db.atoms(&[&"rm", &model]);
        db.collect_all()?;
    }
    Ok(())
}

#[test]
fn edge_files_go_in_as_bytes_and_out_to_a_path() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    for (number, (file, bytes)) in edges().into_iter().enumerate() {
        import_bytes(&mut client, &file, &file, &bytes, TENSOR)?;
        assert_eq!(file_chunks(&mut client, &file, &file)?, bytes, "{file}");
        let path = db.file(&number.to_string());
        let row =
            client.query_one("SELECT atoms.export_file($1, $1, $2)::text", &[&file, &path.to_str().expect("UTF-8")])?;
        assert_eq!(row.get::<_, String>(0).parse(), Ok(ContentHash::of(&bytes)), "{file}");
        assert_eq!(std::fs::read(&path).expect("it was exported"), bytes, "{file}");
    }
    Ok(())
}

#[test]
fn real_models_go_through_by_every_strategy() -> Result<()> {
    let db = Database::shared()?;
    let models = ["fracast-0.1.0", "lpips-0.1.4", "magika-0.6.2"].map(models::real_named);
    for (number, strategy) in STRATEGIES.into_iter().enumerate() {
        for model in &models {
            let name = format!("{} {strategy:?}", model.name);
            // In by one side, out by the other.
            if number % 2 == 0 {
                db.import_by_cli(&name, &model.dir, strategy);
                assert_eq!(db.export(&name, "out")?, model.files, "{name}");
            } else {
                let path = db.lend(&model.dir);
                db.import_with(&name, &path, strategy)?;
                assert_eq!(db.export_by_cli(&name), model.files, "{name}");
                std::fs::remove_dir_all(&path).expect("ours");
            }
            db.atoms(&[&"rm", &name]);
        }
        db.collect_all()?;
    }
    Ok(())
}

/// Atoms above 64 MiB take other ways: in pieces over several transactions.
#[test]
fn a_file_above_the_size_of_a_batch_goes_through_by_every_way() -> Result<()> {
    let db = Database::shared()?;
    let bytes = noise(64, (64 << 20) + 8113);
    let path = db.file("large.bin");
    std::fs::write(&path, &bytes).expect("writable");
    let hashes = Hashes::from([("large.bin".to_owned(), ContentHash::of(&bytes))]);
    for strategy in [STRATEGIES[0], STRATEGIES[3]] {
        db.import_with("by the server", &path, strategy)?;
        assert_eq!(db.export_by_cli("by the server"), hashes);
        db.atoms(&[&"rm", &"by the server"]);
        db.collect_all()?;
        db.import_by_cli("by the program", &path, strategy);
        assert_eq!(db.export("by the program", "out")?, hashes);
        assert_sound(&mut db.client()?)?;
        db.atoms(&[&"rm", &"by the program"]);
        db.collect_all()?;
    }
    Ok(())
}

#[test]
fn export_by_the_program_keeps_what_is_there_and_right() -> Result<()> {
    let db = Database::shared()?;
    let (dir, hashes) = lend_edges(&db);
    db.import_by_cli("m", &dir, TENSOR);
    let out = tempfile::tempdir().expect("/tmp is writable");
    db.atoms(&[&"export", &"m", &out.path()]);
    std::fs::remove_file(out.path().join("zeros")).expect("it was exported");
    let again = db.atoms(&[&"export", &"m", &out.path()]);
    assert_eq!(again["written_bytes"], 100_000, "{again}");
    assert_eq!(files_below(out.path()), hashes);
    // Another file in the way is not overwritten, unless that is asked for.
    std::fs::write(out.path().join("zeros"), "mine").expect("writable");
    assert_eq!(db.run_atoms(&[&"export", &"m", &out.path()]).code, Some(4));
    assert_eq!(std::fs::read(out.path().join("zeros")).expect("it is there"), b"mine");
    db.atoms(&[&"export", &"m", &out.path(), &"--force"]);
    assert_eq!(hash_of_file(&out.path().join("zeros")), hashes["zeros"]);
    Ok(())
}
