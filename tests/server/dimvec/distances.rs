//! Distances: the same bits with every set of instructions, wherever the vectors lie.

use pg_test::Result;
use postgres::Client;

use super::{rows, session};
use crate::support::oracle::value;
use crate::support::{Database, refused};

/// Makes two tables with the same pairs of vectors, of all pairs of element types and 1 to 1,701 dimensions: behind short length
/// words, behind long ones, and in TOAST.
fn make_pairs(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "SELECT setseed(0.1); \
         CREATE TABLE pair (n int, a dimvec, b dimvec); CREATE TABLE fresh (n int, a dimvec, b dimvec); \
         INSERT INTO pair SELECT n, (SELECT array_agg(random() * 200 - 100) FROM generate_series(1, d))::float8[], \
                 (SELECT array_agg(CASE WHEN n % 5 = 0 AND random() < 0.95 THEN 0 ELSE random() * 200 - 100 END + 0 * x) FROM generate_series(1, d) x)::float8[] \
             FROM (SELECT n, CASE WHEN n <= 40 THEN n ELSE n * n / 84 END AS d FROM generate_series(1, 378) n) s",
    )?;
    for (number, element) in super::ELEMENTS.iter().enumerate() {
        let of = |column: &str| match *element {
            "uint8" => format!(
                "(SELECT array_agg(abs(x) ORDER BY d) FROM unnest({column}::float8[]) WITH ORDINALITY u (x, d))"
            ),
            _ => column.to_owned(),
        };
        client.batch_execute(&format!(
            "UPDATE pair SET a = {}::dimvec({element}) WHERE n % 6 = {number}; UPDATE pair SET b = {}::dimvec({element}) WHERE n / 6 % 6 = {number}",
            of("a"),
            of("b"),
        ))?;
    }
    client.batch_execute("VACUUM FULL pair")?;
    Ok(client.batch_execute("INSERT INTO fresh SELECT * FROM pair; ANALYZE pair")?)
}

/// The bits of all distances and norms of each pair.
const BITS: &str = "SELECT n, float8send(a <-> b), float8send(a <#> b), float8send(a <=> b), float8send(a <+> b), float8send(inner_product(a, b)), \
    float8send(cosine_similarity(a, b)), float8send(l1_norm(a)), float8send(l2_norm(b)), md5(l2_normalize(a)::text) FROM pair ORDER BY n";

#[test]
fn all_instructions_give_the_same_bits() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_pairs(&mut client)?;
    let mut of_each = ["auto", "avx512", "avx2", "neon", "scalar"].map(|simd| {
        client.batch_execute(&format!("SET pg_atoms.simd = {simd}")).expect("it is one of the setting's values");
        rows(&mut client, BITS)
    });
    let last = of_each.last_mut().map(std::mem::take).unwrap_or_default();
    assert_eq!(last.len(), 378);
    for (bits, simd) in of_each[..4].iter().zip(["auto", "avx512", "avx2", "neon"]) {
        assert!(*bits == last, "{simd}: {:?}", bits.iter().zip(&last).find(|(ours, scalar)| ours != scalar));
    }
    refused(client.batch_execute("SET pg_atoms.simd = sse"), "22023");
    Ok(())
}

#[test]
fn distances_do_not_depend_on_order_or_place() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_pairs(&mut client)?;
    let kinds = "SELECT count(*) FILTER (WHERE pg_column_size(a) < 127), count(*) FILTER (WHERE pg_column_size(a) BETWEEN 127 AND 1700), \
        count(*) FILTER (WHERE pg_column_size(a) > 3000), count(DISTINCT element_type(a) || element_type(b)) FROM pair";
    let kinds: Vec<i32> = rows(&mut client, kinds)[0].split('|').map(|count| count.parse().expect("a count")).collect();
    assert!(kinds[..3].iter().all(|count| *count > 30) && kinds[3] == 36, "{kinds:?}");
    let toast = "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'pair'::regclass";
    assert!(value::<i64>(&mut client, toast)? > 100_000);
    for (operator, function) in
        [("<->", "l2_distance"), ("<#>", "negative_inner_product"), ("<=>", "cosine_distance"), ("<+>", "l1_distance")]
    {
        // Detoasted, a copy in memory, and an array's vector: all have other alignments and length words.
        let differing = format!(
            "SELECT count(*) FROM pair p JOIN fresh f USING (n), LATERAL (SELECT float8send(p.a {operator} p.b) AS bits OFFSET 0) d \
             WHERE bits <> float8send(p.b {operator} p.a) OR bits <> float8send({function}(p.a, f.b)) \
                OR bits <> float8send(p.a::text::dimvec {operator} deserialize_vector(p.b::bytea, element_type(p.b))) \
                OR bits <> float8send(f.b {operator} (ARRAY[p.a])[1])"
        );
        assert_eq!(value::<i64>(&mut client, &differing)?, 0, "{operator}");
    }
    Ok(())
}

/// A column may ask for compression, against the type's advice.
#[test]
fn compressed_values_are_the_same() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    client.batch_execute(
        "CREATE TABLE plain AS SELECT n, (SELECT array_agg((n * d) % 7 * 0.3) FROM generate_series(1, n * 10) d)::float8[]::dimvec AS v \
             FROM generate_series(1, 300) n; \
         CREATE TABLE tight (n int, v dimvec); ALTER TABLE tight ALTER v SET STORAGE EXTENDED; INSERT INTO tight SELECT * FROM plain",
    )?;
    let sizes = "SELECT bool_and(t.compressed = (p.size > 2100)), bool_or(t.compressed), bool_or(t.size > 2100) FROM \
            (SELECT n, pg_column_size(v) AS size, pg_column_compression(v) IS NOT NULL AS compressed FROM tight) t JOIN \
            (SELECT n, pg_column_size(v) AS size FROM plain) p USING (n) WHERE p.size NOT BETWEEN 1900 AND 2100";
    assert_eq!(rows(&mut client, sizes), ["t|t|f"]);
    let differing = "SELECT count(*) FROM plain p JOIN tight t USING (n) WHERE p.v <> t.v OR dimvec_hash(p.v) <> dimvec_hash(t.v) \
        OR float8send(p.v <-> t.v) <> float8send(0) OR float8send(t.v <#> t.v) <> float8send(p.v <#> p.v) OR t.v + t.v <> p.v + p.v \
        OR serialize_vector(p.v) <> serialize_vector(t.v)";
    assert_eq!(value::<i64>(&mut client, differing)?, 0);
    Ok(())
}

#[test]
fn distances_are_those_of_the_numbers() -> Result<()> {
    let db = Database::shared()?;
    let mut client = session(&db)?;
    make_pairs(&mut client)?;
    let exact = "SELECT n, a <-> b, a <#> b, a <=> b, a <+> b, l1_norm(a), l2_norm(a), e.* FROM pair, LATERAL ( \
        SELECT sqrt(sum((x - y) * (x - y))), -sum(x * y), 1 - sum(x * y) / sqrt(sum(x * x)) / sqrt(sum(y * y)), sum(abs(x - y)), sum(abs(x)), sqrt(sum(x * x)), \
            sum(abs(x * y)) FROM unnest(a::float8[], b::float8[]) u (x, y)) e WHERE l2_norm(b) > 0";
    let found = client.query(exact, &[])?;
    assert!(found.len() > 350);
    for row in found {
        let number = |column: usize| row.get::<_, f64>(column);
        let products = number(13);
        for (column, scale) in
            [(1, number(7)), (2, products), (3, 1.0), (4, number(10)), (5, number(11)), (6, number(12))]
        {
            let (ours, exact) = (number(column), number(column + 6));
            assert!(
                (ours - exact).abs() <= 1e-6 * scale,
                "pair {}: column {column} is {ours}, not {exact}",
                row.get::<_, i32>(0)
            );
        }
    }
    Ok(())
}
