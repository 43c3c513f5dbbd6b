#!/usr/bin/env python3
"""Uses dimvec columns through pgvector's Python client and compares every float bit by bit; -0 is stored as 0.

    pgvector_client.py DSN      a database with the extensions pg_atoms, vector and pg_atoms_vector

Makes the table client_vector, fills it through casts, text and binary COPY, reads it back in both formats, and orders it by all
four distances beside numpy.  Prints how much it compared; ends with 1 and a message at the first difference.
"""

import sys

import numpy
import psycopg
from pgvector import HalfVector, SparseVector, Vector
from pgvector.psycopg import register_vector

TABLE = "client_vector"
DIMENSIONS = 24
ROWS = 200
NEIGHBOURS = 5
# Relative to sums that numpy makes of float64.
TOLERANCE = 1e-5

# How psycopg sends a parameter: binary, or as text.
FORMATS = ("%b", "%t")

EXTREMES = [0.0, -0.0, 1.0, -1.5, 0.1, 1e-45, -1.1754942e-38, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 16777217.0, 1 / 3]

DISTANCES = {
    "<->": lambda a, b: numpy.linalg.norm(a - b, axis=1),
    "<#>": lambda a, b: -(a @ b),
    "<=>": lambda a, b: 1 - (a @ b) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b),
    "<+>": lambda a, b: numpy.abs(a - b).sum(axis=1),
}


class Differs(Exception):
    """Something that came back is not what was sent; the message says what."""


class Count:
    """How many comparisons were made."""

    made = 0


def expect(what, found, wanted):
    Count.made += 1
    if found != wanted:
        raise Differs(f"{what}: found {found!r}, wanted {wanted!r}")


def bits(vector):
    """Returns the floats of a vector as they lie in memory: -0 is not 0."""
    values = vector.to_list() if hasattr(vector, "to_list") else vector
    return numpy.asarray(values, "<f4").tobytes().hex()


def stored_bits(values):
    """Returns what an array's floats are when they come back."""
    return bits(values.astype("f4") + numpy.float32(0))


def bits_of_text(text):
    """Reads numbers in brackets, before which the element type may stand."""
    numbers = text[text.index("[") :].strip("[]")
    return bits([float(number) for number in numbers.split(",")])


def vectors():
    """Returns float32 vectors: noise, extremes, and such as fit narrower types or are mostly zeros."""
    noise = numpy.random.default_rng(7)
    return [
        noise.standard_normal(DIMENSIONS).astype("f4"),
        numpy.array(EXTREMES, "f4"),
        noise.integers(-128, 128, DIMENSIONS).astype("f4"),
        noise.standard_normal(DIMENSIONS).astype("f2").astype("f4"),
        numpy.where(numpy.arange(2000) % 97 == 5, noise.standard_normal(2000), 0).astype("f4"),
        numpy.zeros(DIMENSIONS, "f4"),
        numpy.array([-0.0], "f4"),
        noise.standard_normal(16000).astype("f4"),
    ]


def empty_table(client):
    client.execute(f"DROP TABLE IF EXISTS {TABLE}")
    client.execute(f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, v atoms.dimvec)")


def store(client, expression, value):
    """Stores a value in place of what was there; the expression holds its placeholder."""
    client.execute(f"TRUNCATE {TABLE}")
    client.execute(f"INSERT INTO {TABLE} VALUES (1, {expression})", [value])


def read(client, expression, binary):
    return client.execute(f"SELECT {expression} FROM {TABLE}", binary=binary).fetchone()[0]


def compare_vector(client, what, wanted):
    for binary in (False, True):
        expect(f"{what}, as vector, binary {binary}", bits(read(client, "v::vector", binary)), wanted)
        expect(f"{what}, as text, binary {binary}", bits_of_text(read(client, "v::text", binary)), wanted)


def check_vectors(client):
    for vector in vectors():
        for place in FORMATS:
            store(client, f"{place}::vector::atoms.dimvec", vector)
            compare_vector(client, f"{len(vector)} float32 by {place}", stored_bits(vector))
        store(client, "%t::atoms.dimvec", Vector(vector).to_text())
        compare_vector(client, f"{len(vector)} float32 as text", stored_bits(vector))
    store(client, "%s::vector::atoms.dimvec", None)
    expect("NULL", read(client, "v::vector", True), None)


def check_half_vectors(client):
    noise = numpy.random.default_rng(8)
    # The least half and the largest, and both zeros.
    extremes = numpy.array([6e-8, -65504, 0.0, -0.0, 0.1], "f2")
    for half in (noise.standard_normal(DIMENSIONS).astype("f2"), extremes):
        for place in FORMATS:
            store(client, f"{place}::halfvec::atoms.dimvec", HalfVector(half))
            what = f"{len(half)} float16 by {place}"
            compare_vector(client, what, stored_bits(half))
            for binary in (False, True):
                expect(f"{what}, as halfvec", bits(read(client, "v::halfvec", binary)), stored_bits(half))


def check_sparse_vectors(client):
    few = SparseVector({0: 1.5, 7: -0.1, 1999: 3e38}, 2000)
    for sparse in (few, SparseVector({}, 3), SparseVector({place: place + 0.5 for place in range(300)}, 300)):
        for expression, value in sparse_forms(sparse):
            store(client, expression, value)
            compare_vector(client, f"{expression} of {value}", bits(sparse))
            for binary in (False, True):
                compare_sparse(f"{expression} of {value}", read(client, "v::sparsevec", binary), sparse)


def sparse_forms(sparse):
    yield from ((f"{place}::sparsevec::atoms.dimvec", sparse) for place in FORMATS)
    yield "%t::atoms.dimvec", sparse.to_text()


def compare_sparse(what, found, wanted):
    expect(f"{what}, dimensions", found.dimensions(), wanted.dimensions())
    expect(f"{what}, positions", list(found.indices()), list(wanted.indices()))
    expect(f"{what}, values", bits(found.values()), bits(wanted.values()))


def check_copy(client):
    """Copies in and out as if the column were of pgvector's type: what both send is the same."""
    noise = numpy.random.default_rng(9)
    rows = {number: noise.standard_normal(DIMENSIONS).astype("f4") for number in range(1, ROWS + 1)}
    client.execute(f"TRUNCATE {TABLE}")
    cursor = client.cursor()
    with cursor.copy(f"COPY {TABLE} (id, v) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int8", "vector"])
        for row in rows.items():
            copy.write_row(row)
    with cursor.copy(f"COPY {TABLE} (id, v) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int8", "vector"])
        found = dict(copy.rows())
    expect("rows of COPY", sorted(found), sorted(rows))
    for number, vector in rows.items():
        expect(f"row {number} of COPY", bits(found[number]), bits(vector))
    return rows


def check_distances(client, rows):
    """Wants the nearest rows in numpy's order, and their distances."""
    query = numpy.random.default_rng(10).standard_normal(DIMENSIONS).astype("f4")
    stored = numpy.array(list(rows.values()), "f8")
    for operator, distance in DISTANCES.items():
        distances = distance(stored, query.astype("f8"))
        nearest = numpy.argsort(distances)[:NEIGHBOURS]
        found = client.execute(
            f"SELECT id, v {operator} %s::vector::atoms.dimvec FROM {TABLE} ORDER BY v {operator} %s::vector::atoms.dimvec"
            f" LIMIT {NEIGHBOURS}",
            [query, query],
        ).fetchall()
        expect(f"nearest by {operator}", [row[0] for row in found], [list(rows)[place] for place in nearest])
        close = numpy.allclose([row[1] for row in found], distances[nearest], rtol=TOLERANCE)
        expect(f"distances {operator} of {found} are numpy's {distances[nearest]}", close, True)


def main(dsn):
    with psycopg.connect(dsn, autocommit=True) as client:
        client.execute("SET search_path = public, atoms")
        register_vector(client)
        empty_table(client)
        check_vectors(client)
        check_half_vectors(client)
        check_sparse_vectors(client)
        check_distances(client, check_copy(client))
        client.execute(f"DROP TABLE {TABLE}")
    print(f"{Count.made} comparisons, no difference")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (Differs, psycopg.Error) as error:
        sys.exit(f"pgvector_client.py: {error}")
