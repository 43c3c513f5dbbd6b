//! Damaged pages: whatever stands in the file of an index, a query is right, or fails with XX002 that names page and rule, or is
//! wrong in a way that `dimspace_check` finds.  The server lives.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use fixtures::noise::Noise;
use pg_test::{Cluster, Result, Shutdown};
use postgres::Client;

use super::every_plan::{add_near, allow, allow_all, copy_in, in_range, make_mixture, mixture, ranges_of_mixture};
use super::problems;
use crate::dimvec::session;
use crate::support::Database;
use crate::support::oracle::value;

const PAGE: usize = 8192;
/// Where contents begin, and where the trailer does; its first field is the page's kind.
const CONTENTS: usize = 64;
const TRAILER: usize = 8176;
/// Damaged copies of the index.
const PLACES: usize = 130;
/// Fields: of PostgreSQL's header (but for the place in the log, which the server itself trusts), of the heads of all kinds of
/// pages and of the first entries, and of the trailer.
const FIELDS: [usize; 38] = [
    10, 12, 14, 16, 18, 64, 66, 68, 70, 72, 74, 75, 76, 78, 80, 82, 84, 88, 92, 96, 100, 104, 112, 116, 120, 124, 128,
    132, 136, 144, 192, 196, 8100, TRAILER, 8178, 8180, 8184, 8188,
];

/// The file of an index, damaged in one place.
struct Damage {
    what: String,
    bytes: Vec<u8>,
}

/// Returns damages that a seed decides: of every kind of page, in fields and anywhere; whole pages; the end of the file.
fn damages(seed: u64, sound: &[u8]) -> Vec<Damage> {
    let mut noise = Noise::new(seed, "damage");
    let mut of_kind: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for page in 0..sound.len() / PAGE {
        of_kind.entry(sound[page * PAGE + TRAILER]).or_default().push(page);
    }
    let kinds: Vec<&Vec<usize>> = of_kind.values().collect();
    assert!(kinds.len() >= 8, "pages of many kinds: {:?}", of_kind.keys());
    (0..PLACES)
        .map(|place| {
            let mut pick = |count: usize| (noise.next_u64() % count as u64) as usize;
            let pages = kinds[place % kinds.len()];
            let (page, other) = (pages[pick(pages.len())], pages[pick(pages.len())]);
            let (field, anywhere) = (FIELDS[pick(FIELDS.len())], CONTENTS + pick(TRAILER - CONTENTS));
            let (bit, way) = (pick(16), pick(12));
            let mut bytes = sound.to_vec();
            let what = damage(&mut bytes, way, [page, other], [field, anywhere], bit);
            Damage { what: format!("place {place}, kind {}: {what}", sound[page * PAGE + TRAILER]), bytes }
        })
        .collect()
}

/// Damages one place in one of twelve ways, and says how.
fn damage(
    bytes: &mut Vec<u8>,
    way: usize,
    [page, other]: [usize; 2],
    [field, anywhere]: [usize; 2],
    bit: usize,
) -> String {
    let (at, other_at) = (page * PAGE, other * PAGE);
    match way {
        0..=3 => bytes[at + field + bit / 8] ^= 1 << (bit % 8),
        4 => bytes[at + field..at + field + 2].fill(0),
        5 => bytes[at + field..at + field + 2].fill(0xFF),
        6 => bytes[at + field] = bytes[at + field].wrapping_add(1),
        7 => bytes[at + anywhere] ^= 1 << (bit % 8),
        8 => bytes[at + anywhere] = 0xFF,
        9 => bytes[at..at + PAGE].fill(0),
        10 => bytes.copy_within(other_at..other_at + PAGE, at),
        _ => bytes.truncate(at),
    }
    match way {
        0..=6 => format!("way {way}, page {page}, byte {field}, bit {bit}"),
        7..=8 => format!("way {way}, page {page}, byte {anywhere}, bit {bit}"),
        _ => format!("way {way}, page {page}, from page {other}"),
    }
}

/// Makes a table and an index with pages of all kinds: segments, tails, odd rows, free pages, several scale sets.
fn make_sound(client: &mut Client) -> Result<()> {
    make_mixture(client, 61, 2500)?;
    client.batch_execute("DELETE FROM t WHERE n % 3 = 0")?;
    client.batch_execute("INSERT INTO t SELECT n, NULL FROM generate_series(5000, 5020) n; INSERT INTO t SELECT n, array_fill(0, ARRAY[12]) FROM generate_series(5021, 5030) n")?;
    client.batch_execute(&add_near(10_000, 800))?;
    let far: Vec<Vec<f64>> =
        mixture(62, 300, 12, 3).iter().map(|vector| vector.iter().map(|x| x * 30.0).collect()).collect();
    copy_in(client, 20_000, far.iter().map(|vector| Some(vector.as_slice())))?;
    client.batch_execute("VACUUM t")?;
    client.batch_execute(&add_near(30_000, 90))?;
    client.batch_execute("DELETE FROM t WHERE n % 10 = 1")?;
    assert_eq!(problems(client, "i")?, Vec::<String>::new());
    Ok(())
}

/// The files of table and index of a schema.
fn files(client: &mut Client, data: &Path, schema: &str) -> Result<[std::path::PathBuf; 2]> {
    let mut file = |name: &str| -> Result<_> {
        Ok(data.join(value::<String>(client, &format!("SELECT pg_relation_filepath('{schema}.{name}')"))?))
    };
    Ok([file("t")?, file("i")?])
}

/// Writes over a file of the server, whose owner it stays.
fn overwrite(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).expect("the server made it");
    file.set_len(bytes.len() as u64).expect("writable");
    file.write_all_at(bytes, 0).expect("writable");
}

/// Returns the answer, or None where the server told of damage as it should.
#[track_caller]
fn answer<T>(result: Result<T, postgres::Error>, what: &str) -> Option<T> {
    let error = match result {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    let Some(error) = error.as_db_error() else { panic!("{what}: {error:?}") };
    let text = error.message();
    match error.code().code() {
        "XX002" => {
            let rule = text.strip_prefix("page ").and_then(|text| text.split_once(" of the index is damaged: "));
            let named = rule.is_some_and(|(block, rule)| block.parse::<u32>().is_ok() && rule.len() > 5);
            assert!(named, "{what}: page and rule are named, not {text:?}");
        }
        // PostgreSQL looks at the header itself.
        "XX001" => assert!(text.contains("invalid page") || text.contains("could not read block"), "{what}: {text}"),
        other => panic!("{what}: SQLSTATE {other}: {error:?}"),
    }
    None
}

const NUMBERS: &str = "SELECT count(*) || ' ' || coalesce(sum(n::bigint * n), 0) FROM t WHERE ";

/// Returns what each plan of an index answers to each range.
fn answers(client: &mut Client, ranges: &[String], what: &str) -> Result<Vec<[Option<String>; 2]>> {
    let mut all = vec![[None, None]; ranges.len()];
    for (place, scan) in ["indexscan", "bitmapscan"].into_iter().enumerate() {
        allow(client, scan)?;
        for (range, answers) in ranges.iter().zip(&mut all) {
            let row = client.query_one(&format!("{NUMBERS}{range}"), &[]);
            answers[place] = answer(row, &format!("{what}: {scan} of {range}")).map(|row| row.get(0));
        }
    }
    allow_all(client)?;
    Ok(all)
}

/// Asks, checks, changes and cleans up over a damaged index; returns whether an answer was wrong, and whether the check found
/// anything.
fn live_with(client: &mut Client, ranges: &[String], truth: &[String], what: &str) -> Result<(bool, bool)> {
    let answers = answers(client, ranges, what)?;
    let is_wrong =
        answers.iter().zip(truth).any(|(answers, truth)| answers.iter().flatten().any(|answer| answer != truth));
    let check = answer(client.query("SELECT dimspace_check('i', true)", &[]), what);
    let is_found = check.is_none_or(|problems| !problems.is_empty());
    answer(client.query("SELECT * FROM dimspace_stats('i')", &[]), what);
    for change in [&add_near(100_000, 100), "DELETE FROM t WHERE n % 9 = 1", "VACUUM t", &add_near(200_000, 100)] {
        answer(client.batch_execute(change), &format!("{what}: {change}"));
    }
    client.batch_execute("REINDEX INDEX i")?;
    assert_eq!(problems(client, "i")?, Vec::<String>::new(), "{what}: REINDEX helps always");
    Ok((is_wrong, is_found))
}

#[test]
fn damaged_pages_never_give_a_wrong_answer_that_the_check_does_not_find() -> Result<()> {
    live_with_all(63)
}

#[test]
#[ignore = "takes five minutes"]
fn many_more_damaged_pages() -> Result<()> {
    (100..120).try_for_each(live_with_all)
}

/// Lives with damaged copies of an index; a seed decides where they are damaged.
fn live_with_all(seed: u64) -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder().setting("statement_timeout = '20s'"))?;
    let mut client = session(&db)?;
    // Before the rows, or these would be older than a copy may hold.  They lie in the same places in all copies of the table, so that
    // copies of the index belong to them.
    for place in 0..PLACES {
        client.batch_execute(&format!(
            "CREATE SCHEMA s{place}; CREATE TABLE s{place}.t (n int, v dimvec) WITH (autovacuum_enabled = off); \
             CREATE INDEX i ON s{place}.t USING dimspace (v) WITH (fold_rows = 16)"
        ))?;
    }
    make_sound(&mut client)?;
    let mut ranges = ranges_of_mixture(12);
    ranges.push(in_range(5, 10.0, 60.0));
    allow(&mut client, "seqscan")?;
    let truth: Vec<String> =
        ranges.iter().map(|range| value(&mut client, &format!("{NUMBERS}{range}"))).collect::<Result<_>>()?;
    allow_all(&mut client)?;
    let data = db.cluster().data_dir();
    let [table, index] = files(&mut client, &data, "public")?;
    let copies: Vec<_> =
        (0..PLACES).map(|place| files(&mut client, &data, &format!("s{place}"))).collect::<Result<_>>()?;
    drop(client);
    db.cluster().stop(Shutdown::Fast)?;
    let (table, index) = (fs::read(table).expect("readable"), fs::read(index).expect("readable"));
    let damages = damages(seed, &index);
    for ([to_table, to_index], damage) in copies.iter().zip(&damages) {
        overwrite(to_table, &table);
        overwrite(to_index, &damage.bytes);
    }
    db.cluster().start()?;
    let mut client = session(&db)?;
    let pid: i32 = value(&mut client, "SELECT pg_backend_pid()")?;
    let (mut wrong, mut found) = (0, 0);
    for (place, damage) in damages.iter().enumerate() {
        client.batch_execute(&format!("SET search_path = s{place}, public, atoms"))?;
        let (is_wrong, is_found) = live_with(&mut client, &ranges, &truth, &damage.what)?;
        assert!(is_found || !is_wrong, "{}: a wrong answer that the check does not find", damage.what);
        (wrong, found) = (wrong + usize::from(is_wrong), found + usize::from(is_found));
    }
    println!("seed {seed}: {wrong} of {PLACES} gave wrong answers, {found} were found by the check");
    assert!(found > PLACES / 3, "{found} of {PLACES} were found");
    assert_eq!(value::<i32>(&mut client, "SELECT pg_backend_pid()")?, pid, "the session lives");
    Ok(())
}

#[test]
fn rows_behind_the_end_of_the_table_are_found() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder())?;
    let mut client = session(&db)?;
    make_mixture(&mut client, 64, 2000)?;
    client.batch_execute("VACUUM t")?;
    let [table, _] = files(&mut client, &db.cluster().data_dir(), "public")?;
    drop(client);
    db.cluster().stop(Shutdown::Fast)?;
    let rows = fs::read(&table).expect("readable");
    overwrite(&table, &rows[..rows.len() / 2 / PAGE * PAGE]);
    db.cluster().start()?;
    let mut client = session(&db)?;
    let range = in_range(0, f64::NEG_INFINITY, f64::INFINITY);
    for scan in ["indexscan", "bitmapscan"] {
        allow(&mut client, scan)?;
        assert_eq!(answer(client.query_one(&format!("{NUMBERS}{range}"), &[]), scan).map(|_| ()), None, "{scan}");
    }
    allow_all(&mut client)?;
    let problems = problems(&mut client, "i")?;
    assert!(problems.iter().any(|problem| problem.contains("behind the end of the table")), "{problems:?}");
    client.batch_execute("REINDEX INDEX i")?;
    Ok(())
}
