//! The Rust signature of every C-level function fits its SQL declaration: a difference would read arguments as what they are not.
//!
//! pgrx leaves a description of each `#[pg_extern]` in a section of the library; the server has the declaration in `pg_proc`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use pg_test::Result;
use pgrx_sql_entity_graph::metadata::{Returns, SqlArrayMapping, SqlMapping};
use pgrx_sql_entity_graph::section::{ELF_SECTION_NAME, decode_entities};
use pgrx_sql_entity_graph::{
    ExternArgs, PgExternArgumentEntity, PgExternEntity, PgExternReturnEntity, SqlGraphEntity, UsedTypeEntity,
};
use postgres::Client;

use crate::support::Database;

/// Functions that are written against the server's calling convention by hand: symbol, arguments, result.
const BY_HAND: [(&str, &[&str], &str); 14] = [
    ("dimspace_handler", &["internal"], "index_am_handler"),
    ("dimvec_cosine_distance", &["dimvec", "dimvec"], "double precision"),
    ("dimvec_cosine_similarity", &["dimvec", "dimvec"], "double precision"),
    ("dimvec_inner_product", &["dimvec", "dimvec"], "double precision"),
    ("dimvec_l1_distance", &["dimvec", "dimvec"], "double precision"),
    ("dimvec_l2_distance", &["dimvec", "dimvec"], "double precision"),
    ("dimvec_negative_inner_product", &["dimvec", "dimvec"], "double precision"),
    ("dimvec_within_range", &["dimvec", "dim_range"], "boolean"),
    ("halfvec_within_range", &["halfvec", "dim_range"], "boolean"),
    ("range_holds_dimvec", &["dim_range", "dimvec"], "boolean"),
    ("range_holds_halfvec", &["dim_range", "halfvec"], "boolean"),
    ("range_holds_vector", &["dim_range", "vector"], "boolean"),
    // A procedure, whose arguments may be NULL.
    ("refuse_transaction_block", &["text", "text"], "void"),
    ("vector_within_range", &["vector", "dim_range"], "boolean"),
];

/// Returns the bytes of a section of a 64-bit little-endian ELF file.
fn section<'a>(elf: &'a [u8], name: &str) -> &'a [u8] {
    assert_eq!(&elf[..6], b"\x7FELF\x02\x01", "a 64-bit little-endian ELF file");
    let number = |at: usize, bytes: usize| {
        elf[at..at + bytes].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    // Offsets of the ELF header and of section headers, from the System V ABI.
    let (table, entry_bytes, count, names) = (number(40, 8), number(58, 2), number(60, 2), number(62, 2));
    let header = |index: usize| table + index * entry_bytes;
    let content = |index: usize| &elf[number(header(index) + 24, 8)..][..number(header(index) + 32, 8)];
    let is_named =
        |index: &usize| content(names)[number(header(*index), 4)..].starts_with(format!("{name}\0").as_bytes());
    content((0..count).find(is_named).unwrap_or_else(|| panic!("the library has no section {name}")))
}

fn library() -> Vec<u8> {
    let pg_config = std::env::var_os("PG_CONFIG").unwrap_or_else(|| "pg_config".into());
    let output = Command::new(pg_config).arg("--pkglibdir").output().expect("pg_config is there");
    let dir = PathBuf::from(String::from_utf8(output.stdout).expect("UTF-8").trim_end());
    std::fs::read(dir.join("pg_atoms.so")).expect("the extension is installed")
}

/// One declaration of `pg_proc`.
#[derive(Debug)]
struct Declared {
    name: String,
    arguments: Vec<String>,
    returns: String,
    returns_set: bool,
    columns: Vec<String>,
    strict: bool,
    volatility: &'static str,
    parallel: &'static str,
}

/// Returns the declarations of C functions by the symbol they call.
fn declared(client: &mut Client) -> Result<BTreeMap<String, Vec<Declared>>> {
    let rows = client.query(
        "SELECT p.prosrc, p.oid::regprocedure::text, \
             ARRAY(SELECT t::regtype::text FROM unnest(p.proargtypes) WITH ORDINALITY u (t, n) ORDER BY n), \
             p.prorettype::regtype::text, p.proretset, \
             ARRAY(SELECT p.proallargtypes[n]::regtype::text FROM generate_subscripts(p.proargmodes, 1) n WHERE p.proargmodes[n] = 't' ORDER BY n), \
             p.proisstrict, p.provolatile::text, p.proparallel::text \
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = 'c' AND p.probin LIKE '%pg_atoms%'",
        &[],
    )?;
    let mut declared: BTreeMap<String, Vec<Declared>> = BTreeMap::new();
    for row in rows {
        declared.entry(row.get(0)).or_default().push(Declared {
            name: row.get(1),
            arguments: row.get(2),
            returns: row.get(3),
            returns_set: row.get(4),
            columns: row.get(5),
            strict: row.get(6),
            volatility: match row.get(7) {
                "i" => "immutable",
                "s" => "stable",
                _ => "volatile",
            },
            parallel: match row.get(8) {
                "s" => "safe",
                "r" => "restricted",
                _ => "unsafe",
            },
        });
    }
    Ok(declared)
}

/// Spells types as the server does.
struct Types<'a>(&'a mut Client);

impl Types<'_> {
    fn name(&mut self, sql: &str) -> String {
        let row = self.0.query_one("SELECT to_regtype($1)::text", &[&sql]).expect("it runs");
        row.get::<_, Option<String>>(0).unwrap_or_else(|| panic!("the server knows no type {sql}"))
    }

    fn of_mapping(&mut self, mapping: &SqlMapping) -> String {
        match mapping {
            SqlMapping::As(sql) => self.name(sql),
            SqlMapping::Array(SqlArrayMapping::As(sql)) => self.name(&format!("{sql}[]")),
            other => panic!("{other:?} is none of our types"),
        }
    }

    fn of_argument(&mut self, ty: &UsedTypeEntity<'_>) -> String {
        let mapping = ty.metadata.argument_sql.as_ref().unwrap_or_else(|error| panic!("{ty:?}: {error}"));
        self.of_mapping(mapping)
    }

    fn of_return(&mut self, ty: &UsedTypeEntity<'_>) -> Given {
        match ty.metadata.return_sql.as_ref().unwrap_or_else(|error| panic!("{ty:?}: {error}")) {
            Returns::One(mapping) => Given { of: self.of_mapping(mapping), set: false, columns: Vec::new() },
            Returns::SetOf(mapping) => Given { of: self.of_mapping(mapping), set: true, columns: Vec::new() },
            Returns::Table(mappings) => {
                let columns = mappings.iter().map(|mapping| self.of_mapping(mapping)).collect();
                Given { of: "record".to_owned(), set: true, columns }
            }
        }
    }
}

/// What a function gives.
#[derive(Debug, PartialEq)]
struct Given {
    of: String,
    set: bool,
    columns: Vec<String>,
}

fn assert_fits(types: &mut Types<'_>, function: &PgExternEntity<'_>, sql: &Declared) {
    let name = &sql.name;
    // The call itself is no argument of SQL.
    let given =
        |argument: &&PgExternArgumentEntity| !matches!(argument.used_ty.metadata.argument_sql, Ok(SqlMapping::Skip));
    let arguments: Vec<String> =
        function.fn_args.iter().filter(given).map(|argument| types.of_argument(&argument.used_ty)).collect();
    assert_eq!(arguments, sql.arguments, "arguments of {name}");
    let alone = |of: &str| Given { of: of.to_owned(), set: false, columns: Vec::new() };
    let given = match &function.fn_return {
        PgExternReturnEntity::None => alone("void"),
        PgExternReturnEntity::Trigger => alone("trigger"),
        PgExternReturnEntity::Type { ty } => types.of_return(ty),
        PgExternReturnEntity::SetOf { ty } => Given { set: true, ..types.of_return(ty) },
        PgExternReturnEntity::Iterated { tys } => {
            let columns = tys.iter().map(|item| types.of_return(&item.ty).of).collect();
            Given { of: "record".to_owned(), set: true, columns }
        }
    };
    let said = Given { of: sql.returns.clone(), set: sql.returns_set, columns: sql.columns.clone() };
    assert_eq!(given, said, "result of {name}");
    assert_properties_fit(function, sql);
}

fn assert_properties_fit(function: &PgExternEntity<'_>, sql: &Declared) {
    let name = &sql.name;
    let has = |property: &ExternArgs| function.extern_attrs.contains(property);
    // The state of an aggregate says itself whether it is NULL.
    let takes_null = |argument: &PgExternArgumentEntity| {
        let ty = &argument.used_ty;
        ty.optional
            || matches!(&ty.metadata.argument_sql, Ok(SqlMapping::Skip))
            || matches!(&ty.metadata.argument_sql, Ok(SqlMapping::As(sql)) if sql == "internal")
    };
    let takes_nulls = function.fn_args.iter().all(takes_null);
    assert!(sql.strict || takes_nulls, "{name} is not STRICT, and an argument of the Rust function cannot be NULL");
    assert_eq!(has(&ExternArgs::Strict), sql.strict, "STRICT of {name}");
    let volatility = match () {
        () if has(&ExternArgs::Immutable) => "immutable",
        () if has(&ExternArgs::Stable) => "stable",
        () => "volatile",
    };
    assert_eq!(volatility, sql.volatility, "volatility of {name}");
    let parallel = match () {
        () if has(&ExternArgs::ParallelSafe) => "safe",
        () if has(&ExternArgs::ParallelRestricted) => "restricted",
        () => "unsafe",
    };
    assert_eq!(parallel, sql.parallel, "parallel safety of {name}");
}

#[test]
fn rust_functions_fit_their_sql_declarations() -> Result<()> {
    let db = Database::shared()?;
    let mut client = db.client()?;
    client.batch_execute("CREATE EXTENSION pg_atoms_vector CASCADE")?;
    client.batch_execute("SET search_path = pg_catalog, atoms, public")?;
    let mut declared = declared(&mut client)?;
    let mut types = Types(&mut client);
    let library = library();
    let entities = decode_entities(section(&library, ELF_SECTION_NAME)).expect("pgrx has written it");
    let mut checked = 0;
    for entity in entities {
        let SqlGraphEntity::Function(function) = entity else { continue };
        let symbol = format!("{}_wrapper", function.unaliased_name);
        let declarations = declared.remove(&symbol).unwrap_or_else(|| panic!("no SQL function calls {symbol}"));
        for sql in &declarations {
            assert_fits(&mut types, &function, sql);
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} functions were found in the library");
    let by_hand: Vec<_> = BY_HAND.iter().map(|(symbol, ..)| *symbol).collect();
    assert_eq!(declared.keys().collect::<Vec<_>>(), by_hand.iter().collect::<Vec<_>>(), "symbols of no #[pg_extern]");
    for (symbol, arguments, returns) in BY_HAND {
        for sql in &declared[symbol] {
            assert_eq!(
                (sql.arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), sql.returns.as_str()),
                (arguments, returns),
                "{symbol}"
            );
            assert!(sql.strict || returns == "void", "{symbol} reads its arguments as they come");
        }
    }
    Ok(())
}
