//! A database of an older version is updated where it stands: nothing stored is touched, and what results is what a new one has.

use pg_test::{Result, SUPERUSER};
use postgres::Client;

use crate::support::Database;
use crate::support::import::{TENSOR, hashes_of, import_bytes, model_chunks};
use crate::support::oracle::{assert_sound, value};
use crate::support::read_calls::prepare_models;
use crate::support::vector_calls::prepare_embeddings;

/// Versions before this one; `sql/upgrades/` has a script from each to the next.
const OLD_VERSIONS: [&str; 3] = ["0.1.0", "0.2.0", "0.3.0"];

/// Those of them that have vectors, embeddings and `pg_atoms_vector`.
const WITH_VECTORS: [&str; 1] = ["0.3.0"];

/// Everything that defines the objects of `pg_atoms` and `pg_atoms_vector`, one line each, in no order that depends on how they were made.
const DEFINITIONS: &str = "\
    SELECT 'routine ' || p.oid::regprocedure || ' ' || pg_get_functiondef(p.oid) || coalesce(p.proacl::text, 'default') FROM pg_proc p \
        WHERE p.pronamespace = 'atoms'::regnamespace AND p.prokind IN ('f', 'p') \
    UNION ALL SELECT 'column ' || a.attrelid::regclass || ' ' || a.attnum || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) \
            || ' ' || a.attnotnull || ' ' || a.attstorage::text || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '') \
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
        JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'atoms'::regnamespace AND a.attnum > 0 AND c.relkind IN ('r', 'v', 'p') \
    UNION ALL SELECT 'relation ' || c.oid::regclass || ' ' || c.relkind::text || c.relreplident::text || coalesce(c.reloptions::text, '') || coalesce(c.relacl::text, 'default') \
            || CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) WHEN 'i' THEN pg_get_indexdef(c.oid) ELSE '' END \
        FROM pg_class c WHERE c.relnamespace = 'atoms'::regnamespace \
    UNION ALL SELECT 'type ' || t.oid::regtype || ' ' || (t.typlen, t.typalign, t.typstorage, t.typinput, t.typoutput, t.typreceive, t.typsend, \
            t.typmodin, t.typmodout)::text FROM pg_type t WHERE t.typnamespace = 'atoms'::regnamespace AND t.typtype = 'b' AND t.typelem = 0 \
    UNION ALL SELECT 'operator ' || o.oid::regoperator || ' ' || (o.oprcode, o.oprcom::regoperator, o.oprnegate::regoperator, o.oprcanhash, \
            o.oprcanmerge, o.oprrest, o.oprjoin)::text FROM pg_operator o WHERE o.oprnamespace = 'atoms'::regnamespace \
    UNION ALL SELECT 'operator class ' || c.opcname || ' ' || (a.amname, c.opcintype::regtype, c.opcdefault, c.opckeytype::regtype, f.opfname)::text \
        FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod JOIN pg_opfamily f ON f.oid = c.opcfamily WHERE c.opcnamespace = 'atoms'::regnamespace \
    UNION ALL SELECT 'operator family ' || f.opfname || ' ' || a.amname || ' ' || (o.amoplefttype::regtype, o.amoprighttype::regtype, o.amopstrategy, \
            o.amoppurpose, o.amopopr::regoperator, (SELECT s.opfname FROM pg_opfamily s WHERE s.oid = o.amopsortfamily))::text \
        FROM pg_opfamily f JOIN pg_am a ON a.oid = f.opfmethod JOIN pg_amop o ON o.amopfamily = f.oid WHERE f.opfnamespace = 'atoms'::regnamespace \
    UNION ALL SELECT 'support of family ' || f.opfname || ' ' || a.amname || ' ' || (p.amproclefttype::regtype, p.amprocrighttype::regtype, p.amprocnum, \
            p.amproc::regprocedure)::text \
        FROM pg_opfamily f JOIN pg_am a ON a.oid = f.opfmethod JOIN pg_amproc p ON p.amprocfamily = f.oid WHERE f.opfnamespace = 'atoms'::regnamespace \
    UNION ALL SELECT 'access method ' || a.amname || ' ' || a.amtype::text || ' ' || a.amhandler::regprocedure \
        FROM pg_am a JOIN pg_proc p ON p.oid = a.amhandler WHERE p.pronamespace = 'atoms'::regnamespace \
    UNION ALL SELECT 'cast ' || c.castsource::regtype || ' ' || c.casttarget::regtype || ' ' || c.castfunc::regprocedure || ' ' || c.castcontext::text \
        FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc WHERE p.pronamespace = 'atoms'::regnamespace \
    UNION ALL SELECT 'aggregate ' || a.aggfnoid || ' ' || (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn)::text || p.proacl::text \
        FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid WHERE p.pronamespace = 'atoms'::regnamespace \
    UNION ALL SELECT 'trigger ' || t.tgname || ' ' || pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
        WHERE c.relnamespace = 'atoms'::regnamespace AND NOT t.tgisinternal \
    UNION ALL SELECT 'constraint ' || c.conrelid::regclass || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint c \
        WHERE c.connamespace = 'atoms'::regnamespace AND c.conrelid <> 0 \
    UNION ALL SELECT 'comment ' || i.type || ' ' || i.identity || ' ' || d.description FROM pg_description d, \
            LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i \
        WHERE i.schema = 'atoms' OR i.identity LIKE 'atoms.%' \
    UNION ALL SELECT 'member of ' || x.extname || ' ' || i.type || ' ' || i.identity FROM pg_depend e JOIN pg_extension x ON x.oid = e.refobjid AND e.deptype = 'e', \
            LATERAL pg_identify_object(e.classid, e.objid, e.objsubid) i WHERE x.extname IN ('pg_atoms', 'pg_atoms_vector') \
    UNION ALL SELECT 'version ' || x.extname || ' ' || x.extversion FROM pg_extension x WHERE x.extname IN ('pg_atoms', 'pg_atoms_vector') \
    UNION ALL SELECT 'dumped ' || c::regclass FROM pg_extension x, unnest(x.extconfig) c WHERE x.extname = 'pg_atoms' \
    UNION ALL SELECT 'init ' || i.objoid::regprocedure || ' ' || i.initprivs::text FROM pg_init_privs i \
        WHERE i.classoid = 'pg_proc'::regclass AND i.objoid::regprocedure::text LIKE 'atoms.%' \
    ORDER BY 1";

fn definitions(client: &mut Client) -> Result<Vec<String>> {
    Ok(client.query(DEFINITIONS, &[])?.iter().map(|row| row.get(0)).collect())
}

/// Makes a database with the extension in an old version.
fn old_database(db: &Database, version: &str) -> Result<String> {
    let name = format!("{}_old", db.name());
    db.cluster().connect(SUPERUSER)?.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))?;
    db.cluster().connect(&name)?.batch_execute(&format!("CREATE EXTENSION pg_atoms VERSION '{version}'"))?;
    Ok(name)
}

/// Statements that update both extensions from a version, where it has both, or make the second one afterwards.
fn update_beside_pgvector(version: &str) -> String {
    match WITH_VECTORS.contains(&version) {
        true => format!(
            "CREATE EXTENSION vector; CREATE EXTENSION pg_atoms_vector VERSION '{version}'; \
             ALTER EXTENSION pg_atoms UPDATE; ALTER EXTENSION pg_atoms_vector UPDATE"
        ),
        false => "ALTER EXTENSION pg_atoms UPDATE; CREATE EXTENSION pg_atoms_vector CASCADE".to_owned(),
    }
}

#[test]
fn an_updated_database_has_the_objects_of_a_new_one() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    client.batch_execute("CREATE EXTENSION pg_atoms_vector CASCADE")?;
    let new = definitions(&mut client)?;
    for kind in ["operator class", "operator family", "support of family", "member of pg_atoms_vector"] {
        assert!(new.iter().any(|line| line.starts_with(kind)), "no {kind} is compared");
    }
    for version in OLD_VERSIONS {
        let name = old_database(&db, version)?;
        let mut old = db.cluster().connect(&name)?;
        old.batch_execute(&update_beside_pgvector(version))?;
        let updated = definitions(&mut old)?;
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|line| !those.contains(line)).cloned().collect()
        };
        let empty: Vec<String> = Vec::new();
        assert_eq!((only(&updated, &new), only(&new, &updated)), (empty.clone(), empty), "{version}");
        drop(old);
        db.client()?.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
    }
    Ok(())
}

/// A safetensors model, and a GGUF file with a big-endian twin; the old version's own functions store them.
fn fill(client: &mut Client) -> Result<()> {
    prepare_models(client)?;
    let gguf = fixtures::gguf::random_model(3, &[("blk.0.weight", "Q8_0", &[4, 64]), ("norm", "F32", &[7])]);
    import_bytes(client, "quantized", "model.gguf", &gguf, TENSOR)?;
    Ok(())
}

const MODELS: [&str; 3] = ["one", "two", "quantized"];

#[test]
fn what_an_old_version_stored_is_kept_and_read() -> Result<()> {
    let db = Database::shared()?;
    for version in OLD_VERSIONS {
        let name = old_database(&db, version)?;
        let mut client = db.cluster().connect(&name)?;
        fill(&mut client)?;
        // 0.1.0 read no GGUF: what it left of such a file is one opaque part.
        client.batch_execute(
            "DELETE FROM atoms.tensor t USING atoms.model_file f WHERE f.file_id = t.file_id AND f.format = 'gguf'; \
             UPDATE atoms.model_file SET format = NULL, variant = NULL WHERE format = 'gguf'",
        )?;
        let rows = "SELECT md5(string_agg(r, ',' ORDER BY r)) FROM (SELECT (a.*)::text r FROM atoms.atom a UNION ALL SELECT (p.*)::text FROM atoms.file_part p \
            UNION ALL SELECT (s.atom_id, s.raw_offset, s.payload)::text FROM atoms.atom_segment s UNION ALL SELECT (m.*)::text FROM atoms.model m) r";
        let (rows_before, hashes_before): (String, Vec<_>) = (
            value(&mut client, rows)?,
            MODELS
                .iter()
                .map(|model| model_chunks(&mut client, model).map(|files| hashes_of(&files)))
                .collect::<Result<_, _>>()?,
        );

        client.batch_execute("ALTER EXTENSION pg_atoms UPDATE")?;
        // Sessions that were connected go on, and so do new ones.
        for mut client in [client, db.cluster().connect(&name)?] {
            let rows_after: String = value(&mut client, rows)?;
            assert_eq!(rows_after, rows_before, "{version}");
            assert_sound(&mut client)?;
            for (model, before) in MODELS.iter().zip(&hashes_before) {
                assert_eq!(&hashes_of(&model_chunks(&mut client, model)?), before, "{version} {model}");
            }
        }

        let mut client = db.cluster().connect(&name)?;
        let version_now: String = value(&mut client, "SELECT extversion FROM pg_extension WHERE extname = 'pg_atoms'")?;
        assert_eq!(version_now, env!("CARGO_PKG_VERSION"));
        // The GGUF file is read once asked; its parts stay cut as they were.
        let listed = "SELECT count(*) FROM atoms.extract_model_tensors('quantized'::text)";
        assert_eq!(value::<i64>(&mut client, listed)?, 0);
        assert_eq!(value::<i64>(&mut client, "SELECT atoms.reread_model('quantized')")?, 2);
        assert_eq!(value::<i64>(&mut client, listed)?, 2);
        let values = "SELECT cardinality(atoms.tensor_values('quantized', 'blk.0.weight'))";
        assert_eq!(value::<i32>(&mut client, values)?, 256);
        assert_eq!(value::<i64>(&mut client, "SELECT atoms.reread_model('one')")?, 3);
        assert_sound(&mut client)?;
        drop(client);
        db.client()?.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
    }
    Ok(())
}

/// Returns a sum of everything that embeddings are and were.
fn embeddings(client: &mut Client) -> Result<String> {
    let rows = "SELECT md5(string_agg(r, ',' ORDER BY r)) FROM (SELECT (e.*)::text r FROM atoms.embedding e UNION ALL SELECT (m.*)::text FROM atoms.embedding_model m \
        UNION ALL SELECT (c.*)::text FROM atoms.dimension_change c UNION ALL SELECT (d.*)::text FROM atoms.atom_embedding d) r";
    value(client, rows)
}

#[test]
fn embeddings_of_an_old_version_are_kept_and_searched() -> Result<()> {
    let db = Database::shared()?;
    for version in WITH_VECTORS {
        let name = old_database(&db, version)?;
        let mut client = db.cluster().connect(&name)?;
        prepare_embeddings(&mut client)?;
        let before = embeddings(&mut client)?;
        client.batch_execute("ALTER EXTENSION pg_atoms UPDATE")?;
        let within = "SELECT count(*) FROM atoms.embedding WHERE value OPERATOR(atoms.<@) atoms.dim_range(3, 0.4, 0.5)";
        for mut client in [client, db.cluster().connect(&name)?] {
            assert_eq!(embeddings(&mut client)?, before, "{version}");
            assert_eq!(value::<i64>(&mut client, within)?, 2, "{version}");
        }
        db.client()?.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
    }
    Ok(())
}
