-- Atoms: byte strings known by their SHA-256, their payload, and the references that SQL users hold.
-- docs/layout/atom.md and docs/layout/atom_segment.md draw the rows.

CREATE SEQUENCE atom_id_seq AS bigint;
COMMENT ON SEQUENCE atom_id_seq IS 'ids of stored atoms; gaps are normal';

CREATE TABLE atom (
    atom_id        bigint PRIMARY KEY DEFAULT pg_catalog.nextval('atoms.atom_id_seq') CHECK (atom_id > 0),
    content_hash   content_hash NOT NULL CONSTRAINT atom_content_hash_key UNIQUE,
    size_bytes     bigint NOT NULL CHECK (size_bytes >= 0),
    created_at     timestamptz NOT NULL DEFAULT pg_catalog.now(),
    encoding       smallint NOT NULL DEFAULT 0,
    modality       text NOT NULL CHECK (modality IN ('tensor', 'text', 'image', 'audio', 'code', 'embedding', 'file')),
    subtype        text,
    canonical_text text,
    metadata       jsonb,
    payload        bytea CHECK (pg_catalog.octet_length(payload) <= 2000)
) WITH (toast_tuple_target = 8160);
ALTER SEQUENCE atom_id_seq OWNED BY atom.atom_id;
ALTER TABLE atom ALTER COLUMN payload SET STORAGE PLAIN;
COMMENT ON TABLE atom IS 'one row per stored byte string; the hash alone is its identity';
COMMENT ON COLUMN atom.atom_id IS 'id; positive (negative ids are dimension values, which need no row)';
COMMENT ON COLUMN atom.content_hash IS 'SHA-256 of the bytes';
COMMENT ON COLUMN atom.size_bytes IS 'length of the bytes';
COMMENT ON COLUMN atom.created_at IS 'when the bytes were first stored';
COMMENT ON COLUMN atom.encoding IS 'how payload is encoded; 0: as it is';
COMMENT ON COLUMN atom.modality IS 'what it was first stored as';
COMMENT ON COLUMN atom.subtype IS 'finer kind, as first stored';
COMMENT ON COLUMN atom.canonical_text IS 'readable form, as first stored';
COMMENT ON COLUMN atom.metadata IS 'facts given with the first store';
COMMENT ON COLUMN atom.payload IS 'the bytes, up to 2,000; NULL when they lie in atom_segment';

-- Written by the store alone, by multi-insert, which passes by privileges, foreign keys, triggers and unique checks: it has none of them.
CREATE TABLE atom_segment (
    atom_id    bigint NOT NULL,
    raw_offset bigint NOT NULL,
    encoding   smallint NOT NULL,
    version    smallint NOT NULL,
    payload    bytea NOT NULL
);
ALTER TABLE atom_segment ALTER COLUMN payload SET STORAGE PLAIN;
-- Rows have no key, and a publication of all tables must be able to delete them.
ALTER TABLE atom_segment REPLICA IDENTITY FULL;
CREATE INDEX atom_segment_place ON atom_segment (atom_id, raw_offset);
COMMENT ON TABLE atom_segment IS 'payload of atoms above 2,000 bytes, a heap page per row';
COMMENT ON COLUMN atom_segment.atom_id IS 'atom, or the id reserved for one that is still arriving';
COMMENT ON COLUMN atom_segment.raw_offset IS 'where its bytes begin in the atom';
COMMENT ON COLUMN atom_segment.encoding IS 'how payload is encoded; 0: as it is';
COMMENT ON COLUMN atom_segment.version IS 'version of the encoding';
COMMENT ON COLUMN atom_segment.payload IS 'up to 8,112 bytes';

CREATE TABLE atom_pin (
    atom_id    bigint NOT NULL REFERENCES atom,
    pin_id     bigint GENERATED ALWAYS AS IDENTITY,
    modality   text NOT NULL,
    pinned_by  name NOT NULL DEFAULT SESSION_USER,
    pinned_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (atom_id, pin_id)
);
COMMENT ON TABLE atom_pin IS 'references that SQL users hold: upsert_atom takes one, release_atom gives one back';
COMMENT ON COLUMN atom_pin.atom_id IS 'the atom';
COMMENT ON COLUMN atom_pin.pin_id IS 'number of the pin';
COMMENT ON COLUMN atom_pin.modality IS 'what the atom is used as';
COMMENT ON COLUMN atom_pin.pinned_by IS 'who took it';
COMMENT ON COLUMN atom_pin.pinned_at IS 'when';

CREATE TABLE atom_relation (
    from_atom_id  bigint NOT NULL REFERENCES atom ON DELETE CASCADE,
    relation_type text NOT NULL,
    ordinal       integer NOT NULL,
    to_atom_id    bigint NOT NULL REFERENCES atom,
    field_name    text,
    metadata      jsonb,
    PRIMARY KEY (from_atom_id, relation_type, ordinal)
);
CREATE INDEX atom_relation_to ON atom_relation (to_atom_id, relation_type);
COMMENT ON TABLE atom_relation IS 'ordered hierarchy between atoms; never a cycle';
COMMENT ON COLUMN atom_relation.from_atom_id IS 'parent; the row goes with it';
COMMENT ON COLUMN atom_relation.relation_type IS 'kind of relation, such as AST_CONTAINS';
COMMENT ON COLUMN atom_relation.ordinal IS 'place among the parent''s relations of this kind, from 0';
COMMENT ON COLUMN atom_relation.to_atom_id IS 'child; referenced by this row';
COMMENT ON COLUMN atom_relation.field_name IS 'name of the child''s role';
COMMENT ON COLUMN atom_relation.metadata IS 'facts about the relation';

CREATE FUNCTION upsert_atom(atomic_value bytea, atom_type text) RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp
    AS 'MODULE_PATHNAME', 'upsert_atom_wrapper';
COMMENT ON FUNCTION upsert_atom(bytea, text) IS 'stores the bytes once, takes a pin on them and returns the atom''s id';

CREATE FUNCTION upsert_atom(content_hash content_hash, atomic_value bytea, atom_type text) RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp
    AS 'MODULE_PATHNAME', 'upsert_atom_checked_wrapper';
COMMENT ON FUNCTION upsert_atom(content_hash, bytea, text) IS 'as upsert_atom(bytea, text), for bytes that must have this SHA-256 (22023)';

CREATE FUNCTION upsert_atoms(atomic_values bytea[], atom_type text) RETURNS SETOF bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp
    AS 'MODULE_PATHNAME', 'upsert_atoms_wrapper';
COMMENT ON FUNCTION upsert_atoms(bytea[], text) IS 'stores many byte strings in one batch, a pin each; ids in the order of the input';

CREATE FUNCTION insert_atom(modality text, subtype text, atomic_value bytea, canonical_text text DEFAULT NULL, metadata jsonb DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp
    AS 'MODULE_PATHNAME', 'insert_atom_wrapper';
COMMENT ON FUNCTION insert_atom(text, text, bytea, text, jsonb)
    IS 'as upsert_atom, with what the first store of an atom says about it; takes a pin';

CREATE FUNCTION release_atom(atom_id bigint) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    pin bigint;
BEGIN
    PERFORM 1 FROM atoms.atom a WHERE a.atom_id = release_atom.atom_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'atom % does not exist', release_atom.atom_id USING ERRCODE = 'undefined_object';
    END IF;
    DELETE FROM atoms.atom_pin p
        WHERE p.atom_id = release_atom.atom_id AND p.pin_id = (
            SELECT q.pin_id FROM atoms.atom_pin q WHERE q.atom_id = release_atom.atom_id
            ORDER BY q.pin_id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING p.pin_id INTO pin;
    IF pin IS NULL THEN
        RAISE EXCEPTION 'atom % has no pin to release', release_atom.atom_id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only what upsert_atom or insert_atom pinned can be released.';
    END IF;
    RETURN (SELECT pg_catalog.count(*) FROM atoms.atom_pin p WHERE p.atom_id = release_atom.atom_id);
END $$;
COMMENT ON FUNCTION release_atom(bigint) IS 'gives one pin back and returns how many are left; 55000 when there is none';

CREATE FUNCTION insert_atom_relation(
    from_atom_id bigint, to_atom_id bigint, relation_type text, ordinal integer DEFAULT NULL, field_name text DEFAULT NULL, metadata jsonb DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
DECLARE
    parent bigint := insert_atom_relation.from_atom_id;
    child  bigint := insert_atom_relation.to_atom_id;
    kind   text := insert_atom_relation.relation_type;
    place  integer := insert_atom_relation.ordinal;
    locked bigint;
BEGIN
    IF parent IS NULL OR child IS NULL OR kind IS NULL OR place < 0 THEN
        RAISE EXCEPTION 'a relation needs two atoms, a type, and an ordinal from 0' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- One at a time, so that two relations cannot close a cycle together.
    PERFORM pg_catalog.pg_advisory_xact_lock('atoms.atom_relation'::regclass::oid::bigint);
    SELECT pg_catalog.count(*) INTO locked FROM (
        SELECT 1 FROM atoms.atom a WHERE a.atom_id IN (parent, child) ORDER BY a.content_hash FOR KEY SHARE) both_ends;
    IF locked < 2 AND parent <> child OR locked < 1 THEN
        RAISE EXCEPTION 'atom % or % does not exist', parent, child
            USING ERRCODE = 'undefined_object', HINT = 'Relations join stored atoms; a dimension value has no row.';
    END IF;
    IF EXISTS (
        WITH RECURSIVE below (atom_id) AS (
            SELECT child UNION SELECT r.to_atom_id FROM atoms.atom_relation r JOIN below b ON r.from_atom_id = b.atom_id)
        SELECT 1 FROM below b WHERE b.atom_id = parent)
    THEN
        RAISE EXCEPTION 'a relation from atom % to atom % would close a cycle', parent, child USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF place IS NULL THEN
        SELECT coalesce(pg_catalog.max(r.ordinal) + 1, 0) INTO place
            FROM atoms.atom_relation r WHERE r.from_atom_id = parent AND r.relation_type = kind;
    END IF;
    INSERT INTO atoms.atom_relation VALUES (parent, kind, place, child, insert_atom_relation.field_name, insert_atom_relation.metadata)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'atom % has a % at ordinal % already', parent, kind, place USING ERRCODE = 'duplicate_object';
    END IF;
    RETURN place;
END $$;
COMMENT ON FUNCTION insert_atom_relation(bigint, bigint, text, integer, text, jsonb)
    IS 'adds a child to an atom and returns its ordinal (NULL: the next one); 22023 when that closes a cycle';

CREATE FUNCTION atom_value(atom_id bigint) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'atom_value_wrapper';
COMMENT ON FUNCTION atom_value(bigint) IS 'the bytes of an atom; 54000 above 1 GB (see atom_slice)';

CREATE FUNCTION atom_value(content_hash content_hash) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'atom_value_by_hash_wrapper';
COMMENT ON FUNCTION atom_value(content_hash) IS 'the bytes of the stored atom with this hash';

CREATE FUNCTION atom_slice(atom_id bigint, start bigint, count integer) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'atom_slice_wrapper';
COMMENT ON FUNCTION atom_slice(bigint, bigint, integer) IS 'count bytes of an atom from byte start, which counts from 0; fewer at its end';

CREATE FUNCTION atom_hash(atom_id bigint) RETURNS content_hash
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'atom_hash_wrapper';
COMMENT ON FUNCTION atom_hash(bigint) IS 'SHA-256 of an atom, stored or a dimension value';

CREATE FUNCTION chunk_tensor(data bytea, chunk_size_bytes integer DEFAULT 4096)
    RETURNS TABLE (chunk_index integer, total_chunks integer, content_hash content_hash, data bytea)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chunk_tensor_wrapper';
COMMENT ON FUNCTION chunk_tensor(bytea, integer) IS 'cuts bytes into chunks of a fixed size, a power of two from 4 KiB to 64 MiB; the last is shorter';

CREATE FUNCTION reference_count(atom_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    -- Raises 42704 for an id that names nothing; a dimension value needs no row and is referenced by no table yet.
    PERFORM atoms.atom_hash(reference_count.atom_id);
    RETURN (SELECT pg_catalog.count(*) FROM atoms.file_part p WHERE p.atom_id = reference_count.atom_id)
         + (SELECT pg_catalog.count(*) FROM atoms.import_part p WHERE p.atom_id = reference_count.atom_id)
         + (SELECT pg_catalog.count(*) FROM atoms.atom_pin p WHERE p.atom_id = reference_count.atom_id)
         + (SELECT pg_catalog.count(*) FROM atoms.atom_relation r WHERE r.to_atom_id = reference_count.atom_id);
END $$;
COMMENT ON FUNCTION reference_count(bigint) IS 'how many file parts (of imports under way too), pins and relations name the atom now';
