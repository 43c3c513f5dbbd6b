\echo Use "CREATE EXTENSION pg_atoms" to load this file. \quit

-- content_hash.sql

-- content_hash: the SHA-256 of a byte string, 32 bytes by reference, hexadecimal in and out.

CREATE TYPE content_hash;

CREATE FUNCTION content_hash_in(cstring) RETURNS content_hash
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_in_wrapper';
CREATE FUNCTION content_hash_out(content_hash) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_out_wrapper';
CREATE FUNCTION content_hash_recv(internal) RETURNS content_hash
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_recv_wrapper';
CREATE FUNCTION content_hash_send(content_hash) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_send_wrapper';

CREATE TYPE content_hash (
    INPUT = content_hash_in,
    OUTPUT = content_hash_out,
    RECEIVE = content_hash_recv,
    SEND = content_hash_send,
    INTERNALLENGTH = 32,
    ALIGNMENT = char,
    STORAGE = plain
);
COMMENT ON TYPE content_hash IS 'SHA-256 of a byte string: the identity of an atom.  Text form: 64 hexadecimal digits';
COMMENT ON FUNCTION content_hash_in(cstring) IS 'I/O: reads 64 hexadecimal digits, with or without a leading \x';
COMMENT ON FUNCTION content_hash_out(content_hash) IS 'I/O: writes 64 lower-case hexadecimal digits';
COMMENT ON FUNCTION content_hash_recv(internal) IS 'I/O: reads 32 bytes';
COMMENT ON FUNCTION content_hash_send(content_hash) IS 'I/O: writes 32 bytes';

CREATE FUNCTION content_hash(bytea) RETURNS content_hash
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_from_bytea_wrapper';
CREATE FUNCTION bytea(content_hash) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_to_bytea_wrapper';
COMMENT ON FUNCTION content_hash(bytea) IS 'takes the 32 bytes of a digest as a content hash (it does not hash: see hash_bytes); 22023 for any other length';
COMMENT ON FUNCTION bytea(content_hash) IS 'the 32 bytes of the hash';

-- Implicit, so that sha256(x) compares with a content hash and passes where one is wanted.
CREATE CAST (bytea AS content_hash) WITH FUNCTION content_hash(bytea) AS IMPLICIT;
CREATE CAST (content_hash AS bytea) WITH FUNCTION bytea(content_hash) AS ASSIGNMENT;

CREATE FUNCTION hash_bytes(data bytea) RETURNS content_hash
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'hash_bytes_wrapper';
COMMENT ON FUNCTION hash_bytes(bytea) IS 'SHA-256 of the bytes (FIPS 180-4), as a content hash';

CREATE FUNCTION content_hash_eq(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_eq_wrapper';
COMMENT ON FUNCTION content_hash_eq(content_hash, content_hash) IS 'implementation of the = operator';
CREATE FUNCTION content_hash_ne(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_ne_wrapper';
COMMENT ON FUNCTION content_hash_ne(content_hash, content_hash) IS 'implementation of the <> operator';
CREATE FUNCTION content_hash_lt(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_lt_wrapper';
COMMENT ON FUNCTION content_hash_lt(content_hash, content_hash) IS 'implementation of the < operator';
CREATE FUNCTION content_hash_le(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_le_wrapper';
COMMENT ON FUNCTION content_hash_le(content_hash, content_hash) IS 'implementation of the <= operator';
CREATE FUNCTION content_hash_gt(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_gt_wrapper';
COMMENT ON FUNCTION content_hash_gt(content_hash, content_hash) IS 'implementation of the > operator';
CREATE FUNCTION content_hash_ge(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_ge_wrapper';
COMMENT ON FUNCTION content_hash_ge(content_hash, content_hash) IS 'implementation of the >= operator';
CREATE FUNCTION content_hash_cmp(content_hash, content_hash) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_cmp_wrapper';
COMMENT ON FUNCTION content_hash_cmp(content_hash, content_hash) IS 'less, equal, greater: -1, 0, 1; byte by byte';
CREATE FUNCTION content_hash_hash(content_hash) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_hash_wrapper';
COMMENT ON FUNCTION content_hash_hash(content_hash) IS 'hash for hash joins and hash indexes';
CREATE FUNCTION content_hash_hash_extended(content_hash, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_hash_extended_wrapper';
COMMENT ON FUNCTION content_hash_hash_extended(content_hash, bigint) IS 'seeded hash for hash partitions';

CREATE OPERATOR = (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR = (content_hash, content_hash) IS 'equal to';
CREATE OPERATOR <> (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (content_hash, content_hash) IS 'not equal to';
CREATE OPERATOR < (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (content_hash, content_hash) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (content_hash, content_hash) IS 'less than or equal to';
CREATE OPERATOR > (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (content_hash, content_hash) IS 'greater than';
CREATE OPERATOR >= (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (content_hash, content_hash) IS 'greater than or equal to';

CREATE OPERATOR CLASS content_hash_ops DEFAULT FOR TYPE content_hash USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 content_hash_cmp(content_hash, content_hash),
    FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS content_hash_ops USING btree IS 'byte order of content hashes';

CREATE OPERATOR CLASS content_hash_ops DEFAULT FOR TYPE content_hash USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 content_hash_hash(content_hash),
    FUNCTION 2 content_hash_hash_extended(content_hash, bigint);
COMMENT ON OPERATOR CLASS content_hash_ops USING hash IS 'hashing of content hashes';
COMMENT ON CAST (bytea AS content_hash) IS 'takes the 32 bytes of a digest';
COMMENT ON CAST (content_hash AS bytea) IS 'the 32 bytes of the hash';

-- atom.sql

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

-- model.sql

-- Models, their files, the parts that the files are joined from, and their tensors.  docs/layout/model.md draws how they join.

CREATE TABLE model (
    model_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CONSTRAINT model_name_key UNIQUE,
    kind        text NOT NULL DEFAULT 'weights',
    base_family text,
    metadata    jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE model IS 'a complete set of files; imports under way are in model_import';
COMMENT ON COLUMN model.model_id IS 'id';
COMMENT ON COLUMN model.name IS 'unique name: what every function takes';
COMMENT ON COLUMN model.kind IS 'weights, unless told otherwise';
COMMENT ON COLUMN model.base_family IS 'family of the base model, where known';
COMMENT ON COLUMN model.metadata IS 'facts about the model';
COMMENT ON COLUMN model.created_at IS 'when its import was finished';

CREATE TABLE model_file (
    file_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id     bigint NOT NULL REFERENCES model ON DELETE CASCADE,
    path         text NOT NULL,
    size_bytes   bigint NOT NULL,
    content_hash content_hash NOT NULL,
    format       text,
    variant      text,
    note         text,
    CONSTRAINT model_file_path_key UNIQUE (model_id, path)
);
CREATE INDEX model_file_content ON model_file (size_bytes, content_hash);
COMMENT ON TABLE model_file IS 'files of models; each comes back byte for byte';
COMMENT ON COLUMN model_file.file_id IS 'id';
COMMENT ON COLUMN model_file.model_id IS 'its model';
COMMENT ON COLUMN model_file.path IS 'path inside the model, with / between names';
COMMENT ON COLUMN model_file.size_bytes IS 'length of the file';
COMMENT ON COLUMN model_file.content_hash IS 'SHA-256 of the whole file';
COMMENT ON COLUMN model_file.format IS 'format whose structure was read; NULL: the file is opaque';
COMMENT ON COLUMN model_file.variant IS 'variant of the format';
COMMENT ON COLUMN model_file.note IS 'what an opaque file is, or why it was not read further';

CREATE TABLE file_part (
    file_id     bigint NOT NULL REFERENCES model_file ON DELETE CASCADE,
    atom_id     bigint NOT NULL REFERENCES atom,
    byte_offset bigint NOT NULL,
    byte_length bigint NOT NULL,
    part_no     integer NOT NULL,
    modality    text NOT NULL,
    PRIMARY KEY (file_id, part_no)
);
CREATE INDEX file_part_atom ON file_part (atom_id, file_id);
COMMENT ON TABLE file_part IS 'the parts of a file: joined in order they are the file';
COMMENT ON COLUMN file_part.file_id IS 'the file';
COMMENT ON COLUMN file_part.atom_id IS 'atom with the part''s bytes';
COMMENT ON COLUMN file_part.byte_offset IS 'first byte in the file';
COMMENT ON COLUMN file_part.byte_length IS 'length, the atom''s size';
COMMENT ON COLUMN file_part.part_no IS 'number of the part, from 0';
COMMENT ON COLUMN file_part.modality IS 'tensor: payload of a tensor; file: anything else';

CREATE TABLE tensor (
    tensor_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_id     bigint NOT NULL REFERENCES model_file ON DELETE CASCADE,
    name        text NOT NULL,
    dtype       text NOT NULL,
    shape       bigint[] NOT NULL,
    byte_offset bigint,
    size_bytes  bigint NOT NULL,
    layout      text NOT NULL DEFAULT 'contiguous',
    CONSTRAINT tensor_name_key UNIQUE (file_id, name)
);
COMMENT ON TABLE tensor IS 'tensors of the files whose structure was read';
COMMENT ON COLUMN tensor.tensor_id IS 'id';
COMMENT ON COLUMN tensor.file_id IS 'its file';
COMMENT ON COLUMN tensor.name IS 'name, unique in the file';
COMMENT ON COLUMN tensor.dtype IS 'element type, as the format names it';
COMMENT ON COLUMN tensor.shape IS 'dimensions; empty for a scalar';
COMMENT ON COLUMN tensor.byte_offset IS 'first byte in the file; NULL when the bytes are not contiguous there';
COMMENT ON COLUMN tensor.size_bytes IS 'length of the stored bytes';
COMMENT ON COLUMN tensor.layout IS 'contiguous: the bytes stand in the file as they are; big-endian: so do they, their numbers big-endian';

CREATE TABLE tensor_part (
    tensor_id   bigint NOT NULL REFERENCES tensor ON DELETE CASCADE,
    atom_id     bigint NOT NULL,
    first_byte  bigint NOT NULL,
    byte_length bigint NOT NULL,
    chunk_index integer NOT NULL,
    PRIMARY KEY (tensor_id, chunk_index)
);
COMMENT ON TABLE tensor_part IS 'where a tensor''s bytes lie; repeats what file_part says, and is not counted as a reference';
COMMENT ON COLUMN tensor_part.tensor_id IS 'the tensor';
COMMENT ON COLUMN tensor_part.atom_id IS 'atom that holds the chunk';
COMMENT ON COLUMN tensor_part.first_byte IS 'first byte of the chunk in the atom';
COMMENT ON COLUMN tensor_part.byte_length IS 'length of the chunk';
COMMENT ON COLUMN tensor_part.chunk_index IS 'number of the chunk, from 0';

CREATE FUNCTION model_id(model text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    SELECT m.model_id INTO id FROM atoms.model m WHERE m.name = model_id.model;
    IF id IS NULL THEN
        RAISE EXCEPTION 'model "%" does not exist', model_id.model
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM atoms.model lists the models; imports under way are in atoms.list_imports().';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION model_id(text) IS 'id of a model; 42704 when there is none of that name';

CREATE FUNCTION file_id(model text, file text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    SELECT f.file_id INTO id FROM atoms.model_file f WHERE f.model_id = atoms.model_id(file_id.model) AND f.path = file_id.file;
    IF id IS NULL THEN
        RAISE EXCEPTION 'model "%" has no file "%"', file_id.model, file_id.file
            USING ERRCODE = 'undefined_object', HINT = 'SELECT path FROM atoms.model_file lists the files.';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION file_id(text, text) IS 'id of a file of a model; 42704 when there is none';

CREATE FUNCTION drop_model(model text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    DELETE FROM atoms.model m WHERE m.model_id = atoms.model_id(drop_model.model);
END $$;
COMMENT ON FUNCTION drop_model(text) IS 'drops a model and its references; vacuum_atoms collects the atoms that nothing else names';

CREATE FUNCTION rename_model(model text, new_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    PERFORM atoms.check_model_name(rename_model.new_name);
    UPDATE atoms.model m SET name = rename_model.new_name WHERE m.model_id = atoms.model_id(rename_model.model);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'model "%" exists already', rename_model.new_name USING ERRCODE = 'duplicate_object';
END $$;
COMMENT ON FUNCTION rename_model(text, text) IS 'gives a model another name; 42710 when it is taken';

CREATE FUNCTION check_model_name(model text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF model IS NULL OR model = '' OR octet_length(model) > 1000 OR model ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'a model name has 1 to 1,000 bytes and no control characters' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;
COMMENT ON FUNCTION check_model_name(text) IS 'refuses (22023) what cannot name a model';

CREATE FUNCTION shared_atoms(model_a text, model_b text)
    RETURNS TABLE (atom_id bigint, content_hash content_hash, size_bytes bigint, modality text)
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT a.atom_id, a.content_hash, a.size_bytes, a.modality FROM atoms.atom a
    WHERE a.atom_id IN (
        SELECT p.atom_id FROM atoms.file_part p JOIN atoms.model_file f USING (file_id) WHERE f.model_id = atoms.model_id(model_a)
        INTERSECT
        SELECT p.atom_id FROM atoms.file_part p JOIN atoms.model_file f USING (file_id) WHERE f.model_id = atoms.model_id(model_b))
    ORDER BY a.size_bytes DESC, a.atom_id
$$;
COMMENT ON FUNCTION shared_atoms(text, text) IS 'atoms that files of both models are joined from, largest first';

CREATE VIEW atom_detail AS
SELECT a.atom_id, a.content_hash, atoms.atom_value(a.atom_id) AS atomic_value, atoms.reference_count(a.atom_id) AS reference_count,
       pg_catalog.initcap(a.modality) AS atom_type, a.modality,
       ARRAY(SELECT a.modality
             UNION SELECT p.modality FROM atoms.file_part p WHERE p.atom_id = a.atom_id
             UNION SELECT p.modality FROM atoms.atom_pin p WHERE p.atom_id = a.atom_id ORDER BY 1) AS modalities,
       a.subtype, a.canonical_text, a.metadata, a.size_bytes, a.created_at
FROM atoms.atom a;
COMMENT ON VIEW atom_detail IS 'stored atoms as the documented table showed them; atomic_value of an atom above 1 GB raises 54000';
COMMENT ON COLUMN atom_detail.atom_id IS 'id';
COMMENT ON COLUMN atom_detail.content_hash IS 'SHA-256 of the bytes';
COMMENT ON COLUMN atom_detail.atomic_value IS 'the bytes; 54000 above 1 GB, see atom_slice';
COMMENT ON COLUMN atom_detail.reference_count IS 'references counted now';
COMMENT ON COLUMN atom_detail.atom_type IS 'modality with a capital letter';
COMMENT ON COLUMN atom_detail.modality IS 'what it was first stored as';
COMMENT ON COLUMN atom_detail.modalities IS 'everything that references use it as';
COMMENT ON COLUMN atom_detail.subtype IS 'finer kind';
COMMENT ON COLUMN atom_detail.canonical_text IS 'readable form';
COMMENT ON COLUMN atom_detail.metadata IS 'facts given with the first store';
COMMENT ON COLUMN atom_detail.size_bytes IS 'length of the bytes';
COMMENT ON COLUMN atom_detail.created_at IS 'when the bytes were first stored';

CREATE VIEW tensor_atom_coefficient AS
SELECT pg_catalog.row_number() OVER (ORDER BY p.tensor_id, p.chunk_index) AS coefficient_id,
       f.model_id, p.atom_id AS tensor_atom_id, t.name AS tensor_name, p.chunk_index,
       pg_catalog.count(*) OVER (PARTITION BY p.tensor_id)::integer AS total_chunks,
       1.0::double precision AS coefficient_value, m.created_at
FROM atoms.tensor_part p JOIN atoms.tensor t USING (tensor_id) JOIN atoms.model_file f USING (file_id) JOIN atoms.model m USING (model_id);
COMMENT ON VIEW tensor_atom_coefficient IS 'which atoms a tensor consists of, in the documented columns';
COMMENT ON COLUMN tensor_atom_coefficient.coefficient_id IS 'number of the row in this view; not stable';
COMMENT ON COLUMN tensor_atom_coefficient.model_id IS 'model';
COMMENT ON COLUMN tensor_atom_coefficient.tensor_atom_id IS 'atom that holds the chunk';
COMMENT ON COLUMN tensor_atom_coefficient.tensor_name IS 'tensor';
COMMENT ON COLUMN tensor_atom_coefficient.chunk_index IS 'number of the chunk, from 0';
COMMENT ON COLUMN tensor_atom_coefficient.total_chunks IS 'chunks of the tensor';
COMMENT ON COLUMN tensor_atom_coefficient.coefficient_value IS 'always 1: bytes are not scaled';
COMMENT ON COLUMN tensor_atom_coefficient.created_at IS 'when the model was imported';

CREATE VIEW tensor_detail AS
SELECT m.name AS model, f.path AS file, t.name AS tensor, t.dtype, t.shape, t.byte_offset, t.size_bytes, t.layout,
       (SELECT pg_catalog.count(*) FROM atoms.tensor_part p WHERE p.tensor_id = t.tensor_id) AS chunks, t.tensor_id
FROM atoms.tensor t JOIN atoms.model_file f USING (file_id) JOIN atoms.model m USING (model_id);
COMMENT ON VIEW tensor_detail IS 'every tensor with its model and file';
COMMENT ON COLUMN tensor_detail.model IS 'name of the model';
COMMENT ON COLUMN tensor_detail.file IS 'path of the file in the model';
COMMENT ON COLUMN tensor_detail.tensor IS 'name of the tensor';
COMMENT ON COLUMN tensor_detail.dtype IS 'element type';
COMMENT ON COLUMN tensor_detail.shape IS 'dimensions';
COMMENT ON COLUMN tensor_detail.byte_offset IS 'first byte in the file';
COMMENT ON COLUMN tensor_detail.size_bytes IS 'length of the stored bytes';
COMMENT ON COLUMN tensor_detail.layout IS 'how the bytes lie in the file';
COMMENT ON COLUMN tensor_detail.chunks IS 'parts it was cut into';
COMMENT ON COLUMN tensor_detail.tensor_id IS 'id';

CREATE VIEW model_summary AS
SELECT m.name AS model, m.kind, m.base_family, f.files, f.size_bytes, t.tensors, f.formats, m.created_at, m.metadata, m.model_id
FROM atoms.model m,
     LATERAL (SELECT pg_catalog.count(*) AS files, coalesce(pg_catalog.sum(f.size_bytes), 0)::bigint AS size_bytes,
                     pg_catalog.array_agg(DISTINCT coalesce(f.format, 'opaque')) AS formats
              FROM atoms.model_file f WHERE f.model_id = m.model_id) f,
     LATERAL (SELECT pg_catalog.count(*) AS tensors FROM atoms.tensor t JOIN atoms.model_file f USING (file_id) WHERE f.model_id = m.model_id) t;
COMMENT ON VIEW model_summary IS 'a line per model';
COMMENT ON COLUMN model_summary.model IS 'name';
COMMENT ON COLUMN model_summary.kind IS 'kind of model';
COMMENT ON COLUMN model_summary.base_family IS 'family of the base model, where known';
COMMENT ON COLUMN model_summary.files IS 'number of files';
COMMENT ON COLUMN model_summary.size_bytes IS 'bytes of all files';
COMMENT ON COLUMN model_summary.tensors IS 'number of tensors';
COMMENT ON COLUMN model_summary.formats IS 'formats of its files';
COMMENT ON COLUMN model_summary.created_at IS 'when it was imported';
COMMENT ON COLUMN model_summary.metadata IS 'facts about the model';
COMMENT ON COLUMN model_summary.model_id IS 'id';

-- import.sql

-- Imports under way, and the protocol that the server's import_model and the program atoms both speak (docs/design.md).
-- An import belongs to the session user who began it.

CREATE TABLE model_import (
    import_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model         text NOT NULL,
    owner         name NOT NULL DEFAULT SESSION_USER,
    strategy      text NOT NULL,
    chunk_bytes   integer NOT NULL,
    on_exists     text NOT NULL CHECK (on_exists IN ('error', 'skip', 'replace')),
    manifest      content_hash NOT NULL,
    backend_pid   integer NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
    backend_start timestamptz NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    touched_at    timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE model_import IS 'imports under way; the model becomes visible when one is finished';
COMMENT ON COLUMN model_import.import_id IS 'id';
COMMENT ON COLUMN model_import.model IS 'name the model will have';
COMMENT ON COLUMN model_import.owner IS 'session user who began it';
COMMENT ON COLUMN model_import.strategy IS 'how files are cut: tensor, chunk or cdc';
COMMENT ON COLUMN model_import.chunk_bytes IS 'chunk size for chunk and cdc';
COMMENT ON COLUMN model_import.on_exists IS 'what happens when the model exists: error, skip or replace';
COMMENT ON COLUMN model_import.manifest IS 'hash of paths, sizes and stamps: an import is resumed only with the same';
COMMENT ON COLUMN model_import.backend_pid IS 'session that works on it';
COMMENT ON COLUMN model_import.backend_start IS 'when that session began: tells it from a later one with the same pid';
COMMENT ON COLUMN model_import.started_at IS 'when it was begun';
COMMENT ON COLUMN model_import.touched_at IS 'when work was last done on it, to ten seconds';

CREATE TABLE import_file (
    import_id       bigint NOT NULL REFERENCES model_import ON DELETE CASCADE,
    file_no         integer NOT NULL,
    path            text NOT NULL,
    size_bytes      bigint NOT NULL,
    stamp           text,
    content_hash    content_hash,
    announced_bytes bigint NOT NULL DEFAULT 0,
    hashed_bytes    bigint NOT NULL DEFAULT 0,
    file_hash_state bytea,
    part_hash_state bytea,
    PRIMARY KEY (import_id, file_no)
);
COMMENT ON TABLE import_file IS 'files of imports under way';
COMMENT ON COLUMN import_file.import_id IS 'the import';
COMMENT ON COLUMN import_file.file_no IS 'number of the file, from 0';
COMMENT ON COLUMN import_file.path IS 'path inside the model';
COMMENT ON COLUMN import_file.size_bytes IS 'length of the file';
COMMENT ON COLUMN import_file.stamp IS 'what tells that the file changed meanwhile (server files: device, inode, mtime)';
COMMENT ON COLUMN import_file.content_hash IS 'SHA-256 of the file, once the server has computed it or linked the file';
COMMENT ON COLUMN import_file.announced_bytes IS 'bytes from the start whose parts are announced';
COMMENT ON COLUMN import_file.hashed_bytes IS 'bytes from the start that file_hash_state has taken';
COMMENT ON COLUMN import_file.file_hash_state IS 'SHA-256 under way over the file';
COMMENT ON COLUMN import_file.part_hash_state IS 'SHA-256 under way over the part that began at announced_bytes';

CREATE TABLE import_part (
    import_id    bigint NOT NULL,
    file_no      integer NOT NULL,
    part_no      integer NOT NULL,
    byte_offset  bigint NOT NULL,
    byte_length  bigint NOT NULL CHECK (byte_length > 0),
    content_hash content_hash NOT NULL,
    modality     text NOT NULL CHECK (modality IN ('tensor', 'file')),
    atom_id      bigint REFERENCES atom,
    PRIMARY KEY (import_id, file_no, part_no),
    FOREIGN KEY (import_id, file_no) REFERENCES import_file ON DELETE CASCADE
);
CREATE INDEX import_part_atom ON import_part (atom_id) WHERE atom_id IS NOT NULL;
CREATE INDEX import_part_missing ON import_part (import_id, content_hash) WHERE atom_id IS NULL;
CREATE INDEX import_part_next ON import_part (import_id, file_no, part_no) WHERE atom_id IS NULL;
COMMENT ON TABLE import_part IS 'announced parts; a known atom is referenced from here on';
COMMENT ON COLUMN import_part.import_id IS 'the import';
COMMENT ON COLUMN import_part.file_no IS 'the file';
COMMENT ON COLUMN import_part.part_no IS 'number of the part, from 0';
COMMENT ON COLUMN import_part.byte_offset IS 'first byte in the file';
COMMENT ON COLUMN import_part.byte_length IS 'length';
COMMENT ON COLUMN import_part.content_hash IS 'SHA-256, as announced';
COMMENT ON COLUMN import_part.modality IS 'tensor: payload of a tensor; file: anything else';
COMMENT ON COLUMN import_part.atom_id IS 'the atom; NULL: still missing';

CREATE TABLE import_atom (
    import_id      bigint NOT NULL REFERENCES model_import ON DELETE CASCADE,
    content_hash   content_hash NOT NULL,
    atom_id        bigint NOT NULL UNIQUE,
    size_bytes     bigint NOT NULL,
    received_bytes bigint NOT NULL,
    hash_state     bytea NOT NULL,
    PRIMARY KEY (import_id, content_hash)
);
COMMENT ON TABLE import_atom IS 'large atoms that cross several transactions';
COMMENT ON COLUMN import_atom.import_id IS 'the import';
COMMENT ON COLUMN import_atom.content_hash IS 'SHA-256 the bytes must have, as announced';
COMMENT ON COLUMN import_atom.atom_id IS 'id reserved for it: its segments lie under this id';
COMMENT ON COLUMN import_atom.size_bytes IS 'length when complete';
COMMENT ON COLUMN import_atom.received_bytes IS 'bytes there';
COMMENT ON COLUMN import_atom.hash_state IS 'SHA-256 under way over them';

-- Segments of an atom that will not be completed go with its row, wherever the row goes.
CREATE FUNCTION drop_segments() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM atoms.atom a WHERE a.atom_id = OLD.atom_id) THEN
        DELETE FROM atoms.atom_segment s WHERE s.atom_id = OLD.atom_id;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION drop_segments() IS 'trigger: deletes the segments of an atom that was given up';
CREATE TRIGGER import_atom_segments AFTER DELETE ON import_atom FOR EACH ROW EXECUTE FUNCTION drop_segments();

CREATE FUNCTION backend_start() RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()
$$;
COMMENT ON FUNCTION backend_start() IS 'when this session began';

CREATE FUNCTION import_is_active(import_id bigint) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM atoms.model_import i JOIN pg_stat_activity a ON a.pid = i.backend_pid AND a.backend_start = i.backend_start
        WHERE i.import_id = import_is_active.import_id)
$$;
COMMENT ON FUNCTION import_is_active(bigint) IS 'true while the session that began or resumed the import lives';

CREATE FUNCTION begin_import(model text, files text[], sizes bigint[], strategy text DEFAULT 'tensor', chunk_bytes integer DEFAULT 65536,
                             on_exists text DEFAULT 'error', stamps text[] DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
DECLARE
    name     text := begin_import.model;
    wish     text := begin_import.on_exists;
    hash     content_hash;
    id       bigint;
    marks    text[] := begin_import.stamps;
BEGIN
    PERFORM atoms.check_import(name, begin_import.files, begin_import.sizes, begin_import.strategy, begin_import.chunk_bytes, wish);
    IF EXISTS (SELECT 1 FROM atoms.model m WHERE m.name = begin_import.model) THEN
        IF wish = 'skip' THEN
            RETURN NULL;
        ELSIF wish = 'error' THEN
            RAISE EXCEPTION 'model "%" exists already', name USING ERRCODE = 'duplicate_object',
                HINT = 'Import under another name, or with on_exists => ''replace'' or ''skip''.';
        END IF;
    END IF;
    hash := atoms.hash_bytes(convert_to(jsonb_build_array(begin_import.files, begin_import.sizes, marks)::text, 'UTF8'));
    -- An unfinished import of the same thing goes on, unless a live session other than this one works on it.
    SELECT i.import_id INTO id FROM atoms.model_import i
        WHERE i.model = name AND i.owner = session_user AND i.manifest = hash AND i.strategy = begin_import.strategy
          AND i.chunk_bytes = begin_import.chunk_bytes AND i.on_exists = wish
          AND (i.backend_pid = pg_backend_pid() OR NOT atoms.import_is_active(i.import_id))
        ORDER BY i.import_id LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF id IS NOT NULL THEN
        UPDATE atoms.model_import i SET backend_pid = pg_backend_pid(), backend_start = atoms.backend_start(), touched_at = clock_timestamp()
            WHERE i.import_id = id;
        RETURN id;
    END IF;
    INSERT INTO atoms.model_import (model, strategy, chunk_bytes, on_exists, manifest, backend_start)
        VALUES (name, begin_import.strategy, begin_import.chunk_bytes, wish, hash, atoms.backend_start())
        RETURNING import_id INTO id;
    INSERT INTO atoms.import_file (import_id, file_no, path, size_bytes, stamp, content_hash)
        SELECT id, (f.n - 1)::integer, f.path, begin_import.sizes[f.n], marks[f.n],
               CASE WHEN begin_import.sizes[f.n] = 0 THEN atoms.hash_bytes('') END
        FROM unnest(begin_import.files) WITH ORDINALITY f (path, n);
    RETURN id;
END $$;
COMMENT ON FUNCTION begin_import(text, text[], bigint[], text, integer, text, text[])
    IS 'begins or resumes an import and returns its id; NULL: the model exists and on_exists is skip.  docs/design.md describes the protocol';

CREATE FUNCTION check_import(model text, files text[], sizes bigint[], strategy text, chunk_bytes integer, on_exists text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    file text;
    size bigint;
BEGIN
    PERFORM atoms.check_model_name(model);
    PERFORM atoms.check_strategy(strategy, chunk_bytes);
    IF on_exists IS NULL OR on_exists NOT IN ('error', 'skip', 'replace') THEN
        RAISE EXCEPTION 'on_exists "%" is not error, skip or replace', on_exists USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF files IS NULL OR sizes IS NULL OR cardinality(files) = 0 OR cardinality(files) <> cardinality(sizes) THEN
        RAISE EXCEPTION 'a model has at least one file, and a size for each' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOREACH size IN ARRAY sizes LOOP
        IF size IS NULL OR size < 0 THEN
            RAISE EXCEPTION 'file size % is negative', size USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END LOOP;
    FOREACH file IN ARRAY files LOOP
        IF file IS NULL OR file = '' OR octet_length(file) > 2000 OR file ~ '[[:cntrl:]\\]' OR file ~ '(^|/)(\.{0,2})(/|$)' THEN
            RAISE EXCEPTION 'file path "%" is not a relative path inside a model', file USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Names joined by "/", none of them empty, "." or "..", at most 2,000 bytes.';
        END IF;
    END LOOP;
    SELECT f INTO file FROM unnest(files) f GROUP BY f HAVING count(*) > 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'file path "%" is given twice', file USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- "a" and "a/b" cannot both be exported.
    SELECT f INTO file FROM unnest(files) f JOIN unnest(files) g ON starts_with(g, f || '/') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'file path "%" is a file and a folder', file USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;
COMMENT ON FUNCTION check_import(text, text[], bigint[], text, integer, text) IS 'refuses (22023) an import that cannot be stored and exported';

CREATE FUNCTION check_strategy(strategy text, chunk_bytes integer) RETURNS void
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_strategy_wrapper';
COMMENT ON FUNCTION check_strategy(text, integer) IS 'refuses (22023) unknown strategies and chunk sizes out of bounds';

CREATE FUNCTION claim_import(import_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    who name;
BEGIN
    SELECT i.owner INTO who FROM atoms.model_import i WHERE i.import_id = claim_import.import_id FOR KEY SHARE;
    IF who IS NULL THEN
        RAISE EXCEPTION 'import % does not exist', claim_import.import_id
            USING ERRCODE = 'undefined_object', HINT = 'It was finished, aborted, or collected after a long pause.  Begin it again: what was stored is still there.';
    ELSIF who <> session_user THEN
        RAISE EXCEPTION 'import % belongs to %', claim_import.import_id, who USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE atoms.model_import i SET touched_at = clock_timestamp()
        WHERE i.import_id = (SELECT j.import_id FROM atoms.model_import j
                             WHERE j.import_id = claim_import.import_id AND j.touched_at < clock_timestamp() - interval '10 s'
                             FOR NO KEY UPDATE SKIP LOCKED);
END $$;
COMMENT ON FUNCTION claim_import(bigint) IS 'checks that the import is the session user''s, keeps it from being aborted meanwhile, notes the time';

CREATE FUNCTION import_files(import_id bigint)
    RETURNS TABLE (file_no integer, path text, size_bytes bigint, content_hash content_hash, announced_bytes bigint, size_known boolean,
                   hashed_bytes bigint, stamp text)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM atoms.claim_import(import_files.import_id);
    RETURN QUERY
        SELECT f.file_no, f.path, f.size_bytes, f.content_hash, f.announced_bytes,
               EXISTS (SELECT 1 FROM atoms.model_file m WHERE m.size_bytes = f.size_bytes), f.hashed_bytes, f.stamp
        FROM atoms.import_file f WHERE f.import_id = import_files.import_id ORDER BY f.file_no;
END $$;
COMMENT ON FUNCTION import_files(bigint) IS 'the files of an import and how far each is';

CREATE FUNCTION import_strategy(import_id bigint, OUT strategy text, OUT chunk_bytes integer)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    PERFORM atoms.claim_import(import_strategy.import_id);
    SELECT i.strategy, i.chunk_bytes INTO import_strategy.strategy, import_strategy.chunk_bytes
        FROM atoms.model_import i WHERE i.import_id = import_strategy.import_id;
END $$;
COMMENT ON FUNCTION import_strategy(bigint) IS 'how the files of an import are cut';

CREATE FUNCTION link_import_file(import_id bigint, file_no integer, content_hash content_hash) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
DECLARE
    source bigint;
    size   bigint;
BEGIN
    PERFORM atoms.claim_import(link_import_file.import_id);
    SELECT f.size_bytes INTO size FROM atoms.import_file f
        WHERE f.import_id = link_import_file.import_id AND f.file_no = link_import_file.file_no FOR NO KEY UPDATE;
    IF size IS NULL THEN
        RAISE EXCEPTION 'import % has no file %', link_import_file.import_id, link_import_file.file_no USING ERRCODE = 'undefined_object';
    END IF;
    -- The row lock keeps the stored file, and so its references, until this transaction has its own.
    SELECT f.file_id INTO source FROM atoms.model_file f
        WHERE f.size_bytes = size AND f.content_hash = link_import_file.content_hash ORDER BY f.file_id LIMIT 1 FOR KEY SHARE;
    IF source IS NULL THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM atoms.atom a WHERE a.atom_id IN (SELECT p.atom_id FROM atoms.file_part p WHERE p.file_id = source)
        ORDER BY a.content_hash FOR KEY SHARE;
    DELETE FROM atoms.import_part p WHERE p.import_id = link_import_file.import_id AND p.file_no = link_import_file.file_no;
    INSERT INTO atoms.import_part (import_id, file_no, part_no, byte_offset, byte_length, content_hash, modality, atom_id)
        SELECT link_import_file.import_id, link_import_file.file_no, p.part_no, p.byte_offset, p.byte_length, a.content_hash, p.modality, p.atom_id
        FROM atoms.file_part p JOIN atoms.atom a USING (atom_id) WHERE p.file_id = source;
    UPDATE atoms.import_file f
        SET content_hash = link_import_file.content_hash, announced_bytes = size, hashed_bytes = size, file_hash_state = NULL, part_hash_state = NULL
        WHERE f.import_id = link_import_file.import_id AND f.file_no = link_import_file.file_no;
    RETURN true;
END $$;
COMMENT ON FUNCTION link_import_file(bigint, integer, content_hash)
    IS 'takes over the parts of a stored file of the same size and SHA-256; false when there is none';

CREATE FUNCTION announce_parts(import_id bigint, file_no integer, first_part integer, first_offset bigint,
                               lengths bigint[], hashes content_hash[], modalities text[])
    RETURNS SETOF integer
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    PERFORM atoms.claim_import(announce_parts.import_id);
    IF atoms.record_parts(announce_parts.import_id, announce_parts.file_no, first_part, first_offset, lengths, hashes, modalities) THEN
        -- The parts changed: what was hashed before is the hash of another file.
        UPDATE atoms.import_file f SET content_hash = CASE WHEN f.size_bytes = 0 THEN f.content_hash END,
                                       hashed_bytes = 0, file_hash_state = NULL, part_hash_state = NULL
            WHERE f.import_id = announce_parts.import_id AND f.file_no = announce_parts.file_no;
    END IF;
    RETURN QUERY
        SELECT p.part_no FROM atoms.import_part p
        WHERE p.import_id = announce_parts.import_id AND p.file_no = announce_parts.file_no
          AND p.part_no BETWEEN first_part AND first_part + cardinality(lengths) - 1 AND p.atom_id IS NULL
        ORDER BY p.part_no;
END $$;
COMMENT ON FUNCTION announce_parts(bigint, integer, integer, bigint, bigint[], content_hash[], text[])
    IS 'announces consecutive parts of a file, at most 65,536 a call; returns the numbers of those whose atom is missing';

-- Internal: records parts, references the atoms that are known, and tells whether anything changed.
CREATE FUNCTION record_parts(import_id bigint, file_no integer, first_part integer, first_offset bigint,
                             lengths bigint[], hashes content_hash[], modalities text[])
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
DECLARE
    total    numeric;
    size     bigint;
    before   bigint;
    changed  boolean := false;
    liar     integer;
BEGIN
    IF cardinality(lengths) NOT BETWEEN 1 AND 65536 OR cardinality(hashes) <> cardinality(lengths) OR cardinality(modalities) <> cardinality(lengths)
       OR first_part < 0 OR first_offset < 0 OR EXISTS (SELECT 1 FROM unnest(lengths) l WHERE l IS NULL OR l <= 0)
       OR EXISTS (SELECT 1 FROM unnest(hashes) h WHERE h IS NULL)
       OR EXISTS (SELECT 1 FROM unnest(modalities) m WHERE m IS NULL OR m NOT IN ('tensor', 'file'))
    THEN
        RAISE EXCEPTION 'parts need as many lengths above 0, hashes and modalities (tensor or file), at most 65,536 of each' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT f.size_bytes INTO size FROM atoms.import_file f
        WHERE f.import_id = record_parts.import_id AND f.file_no = record_parts.file_no FOR NO KEY UPDATE;
    IF size IS NULL THEN
        RAISE EXCEPTION 'import % has no file %', record_parts.import_id, record_parts.file_no USING ERRCODE = 'undefined_object';
    END IF;
    SELECT p.byte_offset + p.byte_length INTO before FROM atoms.import_part p
        WHERE p.import_id = record_parts.import_id AND p.file_no = record_parts.file_no AND p.part_no = first_part - 1;
    IF first_offset <> coalesce(before, 0) OR (before IS NULL AND first_part > 0) THEN
        RAISE EXCEPTION 'part % of file % does not begin at byte %', first_part, record_parts.file_no, first_offset
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Parts are announced in file order, each where the one before it ends.';
    END IF;
    SELECT first_offset + sum(l) INTO total FROM unnest(lengths) l;
    IF total > size THEN
        RAISE EXCEPTION 'parts of file % end at byte %, past its size of %', record_parts.file_no, total, size
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    WITH announced AS (
        SELECT (first_part + u.n - 1)::integer AS part_no, u.length, u.hash,
               (first_offset + sum(u.length) OVER (ORDER BY u.n) - u.length)::bigint AS byte_offset
        FROM unnest(lengths, hashes) WITH ORDINALITY u (length, hash, n))
    DELETE FROM atoms.import_part p USING announced a
        WHERE p.import_id = record_parts.import_id AND p.file_no = record_parts.file_no AND p.part_no = a.part_no
          AND (p.byte_offset <> a.byte_offset OR p.byte_length <> a.length OR p.content_hash <> a.hash);
    changed := FOUND;
    IF total = size THEN
        DELETE FROM atoms.import_part p
            WHERE p.import_id = record_parts.import_id AND p.file_no = record_parts.file_no AND p.part_no >= first_part + cardinality(lengths);
        changed := changed OR FOUND;
    END IF;
    SELECT changed OR count(*) < cardinality(lengths) INTO changed FROM atoms.import_part p
        WHERE p.import_id = record_parts.import_id AND p.file_no = record_parts.file_no
          AND p.part_no BETWEEN first_part AND first_part + cardinality(lengths) - 1;

    WITH known AS MATERIALIZED (
        SELECT a.atom_id, a.content_hash, a.size_bytes FROM atoms.atom a
        WHERE a.content_hash = ANY (hashes) ORDER BY a.content_hash FOR KEY SHARE)
    INSERT INTO atoms.import_part AS p (import_id, file_no, part_no, byte_offset, byte_length, content_hash, modality, atom_id)
        SELECT record_parts.import_id, record_parts.file_no, first_part + u.n - 1,
               first_offset + sum(u.length) OVER (ORDER BY u.n) - u.length, u.length, u.hash, u.modality, k.atom_id
        FROM unnest(lengths, hashes, modalities) WITH ORDINALITY u (length, hash, modality, n) LEFT JOIN known k ON k.content_hash = u.hash
        ON CONFLICT (import_id, file_no, part_no) DO UPDATE SET atom_id = excluded.atom_id
            WHERE p.atom_id IS NULL AND excluded.atom_id IS NOT NULL;
    SELECT p.part_no INTO liar FROM atoms.import_part p JOIN atoms.atom a USING (atom_id)
        WHERE p.import_id = record_parts.import_id AND p.file_no = record_parts.file_no
          AND p.part_no BETWEEN first_part AND first_part + cardinality(lengths) - 1 AND a.size_bytes <> p.byte_length LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'part % of file % does not have the length announced', liar, record_parts.file_no
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'The stored atom with the announced hash has another size.';
    END IF;
    UPDATE atoms.import_file f SET announced_bytes = total
        WHERE f.import_id = record_parts.import_id AND f.file_no = record_parts.file_no;
    RETURN changed;
END $$;
COMMENT ON FUNCTION record_parts(bigint, integer, integer, bigint, bigint[], content_hash[], text[])
    IS 'internal step of announce_parts: records parts and references the atoms that are known; true when anything changed';

CREATE FUNCTION missing_atoms(import_id bigint, file_no integer DEFAULT NULL)
    RETURNS TABLE (content_hash content_hash, size_bytes bigint, received_bytes bigint, file_no integer, part_no integer, part_offset bigint)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT atoms.claim_import($1);
    SELECT m.content_hash, m.byte_length, coalesce(a.received_bytes, 0), m.file_no, m.part_no, m.byte_offset
    FROM (SELECT DISTINCT ON (p.content_hash) p.* FROM atoms.import_part p
          WHERE p.import_id = $1 AND p.atom_id IS NULL AND ($2 IS NULL OR p.file_no = $2)
          ORDER BY p.content_hash, p.file_no, p.part_no) m
    LEFT JOIN atoms.import_atom a ON a.import_id = m.import_id AND a.content_hash = m.content_hash
    ORDER BY m.file_no, m.part_no
$$;
COMMENT ON FUNCTION missing_atoms(bigint, integer) IS 'atoms still to be sent, each at the first place it occurs, in file order';

-- Internal: the next missing parts of one file, cheap however many are missing; an atom may come twice.
CREATE FUNCTION next_missing(import_id bigint, file_no integer, row_limit integer)
    RETURNS TABLE (content_hash content_hash, size_bytes bigint, received_bytes bigint, part_offset bigint)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM atoms.claim_import(next_missing.import_id);
    RETURN QUERY
        SELECT p.content_hash, p.byte_length, coalesce(a.received_bytes, 0), p.byte_offset
        FROM atoms.import_part p LEFT JOIN atoms.import_atom a ON a.import_id = p.import_id AND a.content_hash = p.content_hash
        WHERE p.import_id = next_missing.import_id AND p.file_no = next_missing.file_no AND p.atom_id IS NULL
        ORDER BY p.import_id, p.file_no, p.part_no LIMIT row_limit;
END $$;
COMMENT ON FUNCTION next_missing(bigint, integer, integer) IS 'internal: the next missing parts of one file';

CREATE FUNCTION send_atoms(import_id bigint, hashes content_hash[], atomic_values bytea[]) RETURNS integer
    LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS 'MODULE_PATHNAME', 'send_atoms_wrapper';
COMMENT ON FUNCTION send_atoms(bigint, content_hash[], bytea[])
    IS 'sends whole announced atoms, at most 64 MiB together; returns how many were new; 22023 when bytes do not have their hash or were not announced';

CREATE FUNCTION send_atom_part(import_id bigint, content_hash content_hash, start bigint, bytes bytea) RETURNS bigint
    LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS 'MODULE_PATHNAME', 'send_atom_part_wrapper';
COMMENT ON FUNCTION send_atom_part(bigint, content_hash, bigint, bytea)
    IS 'sends the next bytes of a large announced atom and returns how many are there; start 0 begins again';

CREATE FUNCTION import_bytes(import_id bigint, file_no integer, start bigint, bytes bytea, lengths bigint[], modalities text[]) RETURNS bigint
    LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS 'MODULE_PATHNAME', 'import_bytes_wrapper';
COMMENT ON FUNCTION import_bytes(bigint, integer, bigint, bytea, bigint[], text[])
    IS 'takes the next bytes of a file: hashes them, announces the parts of these lengths that end in them and stores those that lie in them; returns the bytes hashed';

CREATE FUNCTION hash_import_file(import_id bigint, file_no integer) RETURNS boolean
    LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS 'MODULE_PATHNAME', 'hash_import_file_wrapper';
COMMENT ON FUNCTION hash_import_file(bigint, integer) IS 'computes a file''s SHA-256 from its atoms, as far as they have arrived, about a second a call; true when done';

CREATE FUNCTION index_tensors(file_id bigint) RETURNS bigint
    LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS 'MODULE_PATHNAME', 'index_tensors_wrapper';
COMMENT ON FUNCTION index_tensors(bigint) IS 'internal: reads the structure of a stored file, records format and tensors, returns how many';

CREATE FUNCTION finish_import(import_id bigint) RETURNS text
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
DECLARE
    id      bigint := finish_import.import_id;
    import  atoms.model_import;
    wrong   record;
    new_id  bigint;
BEGIN
    PERFORM atoms.claim_import(id);
    SELECT * INTO import FROM atoms.model_import i WHERE i.import_id = id FOR UPDATE;
    SELECT f.path, count(*) AS parts INTO wrong FROM atoms.import_part p JOIN atoms.import_file f USING (import_id, file_no)
        WHERE p.import_id = id AND p.atom_id IS NULL GROUP BY f.path LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'import % of model "%" is not complete', id, import.model USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('%s parts of file "%s" are missing.', wrong.parts, wrong.path), HINT = 'missing_atoms lists them.';
    END IF;
    SELECT f.path, f.size_bytes, coalesce(p.bytes, 0) AS bytes INTO wrong
        FROM atoms.import_file f LEFT JOIN (
            SELECT q.file_no, sum(q.byte_length) AS bytes, bool_and(q.tiles) AS tiles FROM (
                SELECT r.file_no, r.byte_length,
                       r.byte_offset = coalesce(lag(r.byte_offset + r.byte_length) OVER w, 0)
                       AND r.part_no = row_number() OVER w - 1 AND r.byte_length = a.size_bytes AS tiles
                FROM atoms.import_part r JOIN atoms.atom a USING (atom_id) WHERE r.import_id = id WINDOW w AS (PARTITION BY r.file_no ORDER BY r.part_no)) q
            GROUP BY q.file_no) p USING (file_no)
        WHERE f.import_id = id AND (coalesce(p.bytes, 0) <> f.size_bytes OR NOT coalesce(p.tiles, true)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the parts of file "%" do not make the file', wrong.path USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('The parts announced have %s bytes together, the file has %s.', wrong.bytes, wrong.size_bytes);
    END IF;
    SELECT f.path, f.file_no INTO wrong FROM atoms.import_file f WHERE f.import_id = id AND f.content_hash IS NULL ORDER BY f.file_no LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'file "%" is not hashed yet', wrong.path USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Call atoms.hash_import_file(%s, %s) until it returns true.', id, wrong.file_no);
    END IF;
    IF import.on_exists = 'replace' THEN
        DELETE FROM atoms.model m WHERE m.name = import.model;
    END IF;
    INSERT INTO atoms.model (name) VALUES (import.model) ON CONFLICT (name) DO NOTHING RETURNING model_id INTO new_id;
    IF new_id IS NULL THEN
        RAISE EXCEPTION 'model "%" exists already', import.model USING ERRCODE = 'duplicate_object',
            DETAIL = 'It became visible while this import was under way.', HINT = format('atoms.abort_import(%s) gives the import up; what it stored is collected later.', id);
    END IF;
    INSERT INTO atoms.model_file (model_id, path, size_bytes, content_hash)
        SELECT new_id, f.path, f.size_bytes, f.content_hash FROM atoms.import_file f WHERE f.import_id = id ORDER BY f.file_no;
    INSERT INTO atoms.file_part (file_id, part_no, byte_offset, byte_length, atom_id, modality)
        SELECT m.file_id, p.part_no, p.byte_offset, p.byte_length, p.atom_id, p.modality
        FROM atoms.import_part p JOIN atoms.import_file f USING (import_id, file_no) JOIN atoms.model_file m ON m.model_id = new_id AND m.path = f.path
        WHERE p.import_id = id ORDER BY m.file_id, p.part_no;
    PERFORM atoms.index_tensors(m.file_id) FROM atoms.model_file m WHERE m.model_id = new_id;
    DELETE FROM atoms.model_import i WHERE i.import_id = id;
    RETURN import.model;
END $$;
COMMENT ON FUNCTION finish_import(bigint) IS 'makes a complete import visible as a model, in one transaction; returns its name';

CREATE FUNCTION abort_import(import_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    PERFORM atoms.claim_import(abort_import.import_id);
    DELETE FROM atoms.model_import i WHERE i.import_id = abort_import.import_id;
END $$;
COMMENT ON FUNCTION abort_import(bigint) IS 'gives an import of one''s own up; vacuum_atoms collects what it stored';

CREATE FUNCTION list_imports()
    RETURNS TABLE (import_id bigint, model text, owner name, active boolean, files bigint, size_bytes bigint, announced_bytes bigint,
                   missing_bytes bigint, started_at timestamptz, touched_at timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT i.import_id, i.model, i.owner, atoms.import_is_active(i.import_id), f.files, f.size_bytes::bigint, f.announced_bytes::bigint,
           (coalesce(p.bytes, 0) - coalesce(a.bytes, 0))::bigint, i.started_at, i.touched_at
    FROM atoms.model_import i
    CROSS JOIN LATERAL (SELECT count(*) AS files, sum(f.size_bytes) AS size_bytes, sum(f.announced_bytes) AS announced_bytes
                        FROM atoms.import_file f WHERE f.import_id = i.import_id) f
    CROSS JOIN LATERAL (SELECT sum(q.byte_length) AS bytes FROM (
                            SELECT DISTINCT ON (p.content_hash) p.byte_length FROM atoms.import_part p
                            WHERE p.import_id = i.import_id AND p.atom_id IS NULL) q) p
    CROSS JOIN LATERAL (SELECT sum(a.received_bytes) AS bytes FROM atoms.import_atom a WHERE a.import_id = i.import_id) a
    ORDER BY i.import_id
$$;
COMMENT ON FUNCTION list_imports() IS 'imports under way: how much is announced, how much of that is still missing, and whether a session works on it';

-- Import of files on the server.  These open files as the caller, so they are SECURITY INVOKER, and hand the bytes on.
CREATE FUNCTION begin_server_import(model text, path text, strategy text, chunk_bytes integer, on_exists text) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'begin_server_import_wrapper';
COMMENT ON FUNCTION begin_server_import(text, text, text, integer, text) IS 'begin_import for a file or folder of the server; needs pg_read_server_files and pg_atoms.allowed_dirs';

CREATE FUNCTION import_step(import_id bigint, path text) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'import_step_wrapper';
COMMENT ON FUNCTION import_step(bigint, text) IS 'the next at most 64 MiB of an import of server files; false when the model is complete';

CREATE PROCEDURE refuse_transaction_block(name text, instead text)
    LANGUAGE c AS 'MODULE_PATHNAME', 'refuse_transaction_block';
COMMENT ON PROCEDURE refuse_transaction_block(text, text) IS 'raises 2D000 where the caller''s CALL cannot commit';

CREATE PROCEDURE import_model(model text, path text, strategy text DEFAULT 'tensor', chunk_bytes integer DEFAULT 65536, on_exists text DEFAULT 'error')
    LANGUAGE plpgsql AS $$
DECLARE
    id       bigint;
    more     boolean := true;
    repeated integer := 0;
BEGIN
    CALL atoms.refuse_transaction_block('import_model', 'SELECT atoms.import_model_at_once(...)');
    id := atoms.begin_server_import(model, path, strategy, chunk_bytes, on_exists);
    IF id IS NULL THEN
        RAISE NOTICE 'model "%" exists already, skipping', model;
        RETURN;
    END IF;
    COMMIT;
    WHILE more LOOP
        BEGIN
            more := atoms.import_step(id, path);
            repeated := 0;
        EXCEPTION WHEN serialization_failure OR deadlock_detected THEN
            -- An atom was collected between two looks: the batch is repeated.
            repeated := repeated OPERATOR(pg_catalog.+) 1;
            IF repeated OPERATOR(pg_catalog.>) 100 THEN
                RAISE;
            END IF;
        END;
        COMMIT;
    END LOOP;
END $$;
COMMENT ON PROCEDURE import_model(text, text, text, integer, text)
    IS 'imports a file or folder of the server, committing as it goes; interrupted, it is continued by calling it again';

CREATE FUNCTION import_model_at_once(model text, path text, strategy text DEFAULT 'tensor', chunk_bytes integer DEFAULT 65536, on_exists text DEFAULT 'error')
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    id bigint := atoms.begin_server_import(model, path, strategy, chunk_bytes, on_exists);
BEGIN
    IF id IS NULL THEN
        RETURN false;
    END IF;
    WHILE atoms.import_step(id, path) LOOP
    END LOOP;
    RETURN true;
END $$;
COMMENT ON FUNCTION import_model_at_once(text, text, text, integer, text)
    IS 'as import_model, in the caller''s transaction: others may wait for all of it, and an error leaves nothing; false: skipped';

CREATE FUNCTION import_model_at_once(model text, file text, file_data bytea, strategy text DEFAULT 'tensor', chunk_bytes integer DEFAULT 65536,
                                     on_exists text DEFAULT 'error')
    RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'import_bytes_at_once_wrapper';
COMMENT ON FUNCTION import_model_at_once(text, text, bytea, text, integer, text)
    IS 'imports a model of one file, given as bytes, in the caller''s transaction; false: skipped';

-- export.sql

-- Files back, byte for byte: as streams of chunks for clients, or into files of the server.

CREATE FUNCTION export_file_chunks(model text, file text, verify boolean DEFAULT true) RETURNS SETOF bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'export_file_chunks_wrapper';
COMMENT ON FUNCTION export_file_chunks(text, text, boolean)
    IS 'the file in chunks of 256 KiB, in order (in a select list they stream); verify: hash it on its way, XX001 at the end when it differs';

CREATE FUNCTION export_model_chunks(model text, verify boolean DEFAULT true) RETURNS TABLE (file text, start bigint, bytes bytea)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'export_model_chunks_wrapper';
COMMENT ON FUNCTION export_model_chunks(text, boolean) IS 'all files of the model in chunks of 256 KiB; an empty file is one row with no bytes';

CREATE FUNCTION export_file(model text, file text, server_path text) RETURNS content_hash
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'export_file_wrapper';
COMMENT ON FUNCTION export_file(text, text, text)
    IS 'writes the file to a path of the server that does not exist yet and returns its SHA-256; needs pg_write_server_files and pg_atoms.allowed_dirs';

CREATE FUNCTION export_model(model text, server_dir text) RETURNS TABLE (path text, size_bytes bigint, content_hash content_hash)
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'export_model_wrapper';
COMMENT ON FUNCTION export_model(text, text)
    IS 'writes all files of the model under a folder of the server; needs pg_write_server_files and pg_atoms.allowed_dirs';

-- tensor.sql

-- Tensors: what a file holds, stored or not, and their bytes.

CREATE FUNCTION extract_model_tensors(file_data bytea, format text DEFAULT NULL)
    RETURNS TABLE (tensor text, dtype text, shape bigint[], byte_offset bigint, size_bytes bigint)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'extract_tensors_of_bytes_wrapper';
COMMENT ON FUNCTION extract_model_tensors(bytea, text) IS 'the tensors of a file given as bytes, without storing it; format NULL: find out';

CREATE FUNCTION extract_model_tensors(model text, file text DEFAULT NULL)
    RETURNS TABLE (file text, tensor text, dtype text, shape bigint[], byte_offset bigint, size_bytes bigint)
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
    -- Raises 42704 for an unknown model or file.
    SELECT coalesce(atoms.file_id($1, $2), atoms.model_id($1));
    SELECT f.path, t.name, t.dtype, t.shape, t.byte_offset, t.size_bytes FROM atoms.tensor t JOIN atoms.model_file f USING (file_id)
    WHERE f.model_id = atoms.model_id($1) AND ($2 IS NULL OR f.path = $2)
    ORDER BY f.path, t.byte_offset, t.tensor_id
$$;
COMMENT ON FUNCTION extract_model_tensors(text, text) IS 'the tensors of a stored model, or of one of its files';

CREATE FUNCTION extract_server_file_tensors(path text, format text DEFAULT NULL)
    RETURNS TABLE (tensor text, dtype text, shape bigint[], byte_offset bigint, size_bytes bigint)
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'extract_server_file_tensors_wrapper';
COMMENT ON FUNCTION extract_server_file_tensors(text, text)
    IS 'the tensors of a file of the server, without storing it; needs pg_read_server_files and pg_atoms.allowed_dirs';

CREATE FUNCTION find_tensor(model text, tensor text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner  bigint := atoms.model_id(find_tensor.model);
    found  bigint[];
    places text;
BEGIN
    -- A name may itself hold "::", so both readings are tried; each by the index on file and name.
    SELECT array_agg(t.tensor_id), string_agg(f.path || '::' || t.name, ', ' ORDER BY f.path) INTO found, places
        FROM atoms.model_file f CROSS JOIN LATERAL (
            SELECT n.tensor_id, n.name FROM atoms.tensor n WHERE n.file_id = f.file_id AND n.name = find_tensor.tensor
            UNION ALL
            SELECT n.tensor_id, n.name FROM atoms.tensor n
            WHERE n.file_id = f.file_id AND n.name = substr(find_tensor.tensor, length(f.path) + 3)
              AND starts_with(find_tensor.tensor, f.path || '::')) t
        WHERE f.model_id = owner;
    IF found IS NULL THEN
        RAISE EXCEPTION 'model "%" has no tensor "%"', find_tensor.model, find_tensor.tensor USING ERRCODE = 'undefined_object',
            HINT = 'SELECT tensor FROM atoms.extract_model_tensors(''model'') lists them.';
    ELSIF cardinality(found) > 1 THEN
        RAISE EXCEPTION 'tensor "%" is ambiguous in model "%"', find_tensor.tensor, find_tensor.model USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Say which: %s.', places);
    END IF;
    RETURN found[1];
END $$;
COMMENT ON FUNCTION find_tensor(text, text) IS 'id of a tensor, by its name or as path/in/model::name; 22023 with the choices when ambiguous';

CREATE FUNCTION reconstruct_tensor(model text, tensor text) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'reconstruct_tensor_wrapper';
COMMENT ON FUNCTION reconstruct_tensor(text, text) IS 'the stored bytes of a tensor, row-major as in the file; 54000 above 1 GB (see tensor_slice)';

CREATE FUNCTION tensor_slice(model text, tensor text, start bigint, count integer) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tensor_slice_wrapper';
COMMENT ON FUNCTION tensor_slice(text, text, bigint, integer) IS 'count bytes of a tensor from byte start, which counts from 0; fewer at its end';

CREATE FUNCTION model_metadata(model text, file text DEFAULT NULL) RETURNS TABLE (file text, key text, value text)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'model_metadata_wrapper';
COMMENT ON FUNCTION model_metadata(text, text) IS 'what the files of a model say about themselves: key and value, in file order';

-- format.sql

-- What files are: formats, descriptions, findings.

CREATE FUNCTION detect_format(file_data bytea)
    RETURNS TABLE (format text, variant text, confidence double precision, reason text)
    LANGUAGE c STABLE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'detect_format_of_bytes_wrapper';
COMMENT ON FUNCTION detect_format(bytea) IS 'what a file given as bytes is, by its structure; confidence is from 0 to 1; any bytes have an answer';

CREATE FUNCTION detect_format(model text, file text DEFAULT NULL)
    RETURNS TABLE (file text, format text, variant text, confidence double precision, reason text)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'detect_format_of_model_wrapper';
COMMENT ON FUNCTION detect_format(text, text) IS 'what the files of a stored model are, by their structure';

CREATE FUNCTION detect_server_file_format(path text)
    RETURNS TABLE (format text, variant text, confidence double precision, reason text)
    LANGUAGE c STABLE ROWS 1 AS 'MODULE_PATHNAME', 'detect_server_file_format_wrapper';
COMMENT ON FUNCTION detect_server_file_format(text)
    IS 'what a file or folder of the server is, without storing it; needs pg_read_server_files and pg_atoms.allowed_dirs';

CREATE FUNCTION model_formats()
    RETURNS TABLE (format text, extensions text[], support text, recommended boolean, notes text)
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 30 AS 'MODULE_PATHNAME', 'model_formats_wrapper';
COMMENT ON FUNCTION model_formats() IS 'every format that is told apart; support is read (tensors and metadata) or recognised (kept as bytes)';

CREATE FUNCTION describe_file(file_data bytea, full_metadata boolean DEFAULT false) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'describe_bytes_wrapper';
COMMENT ON FUNCTION describe_file(bytea, boolean)
    IS 'all that is known of a file given as bytes: format, tensors, metadata, findings or error; arrays above 1,024 elements only with full_metadata';

CREATE FUNCTION describe_file(model text, file text, full_metadata boolean DEFAULT false) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'describe_stored_file_wrapper';
COMMENT ON FUNCTION describe_file(text, text, boolean)
    IS 'all that is known of a stored file: format, tensors, metadata, findings or error; arrays above 1,024 elements only with full_metadata';

CREATE FUNCTION describe_server_file(path text, full_metadata boolean DEFAULT false) RETURNS jsonb
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'describe_server_file_wrapper';
COMMENT ON FUNCTION describe_server_file(text, boolean)
    IS 'all that is known of a file of the server, without storing it; needs pg_read_server_files and pg_atoms.allowed_dirs';

CREATE FUNCTION file_findings(model text)
    RETURNS TABLE (file text, rule text, severity text, byte_offset bigint, message text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'file_findings_wrapper';
COMMENT ON FUNCTION file_findings(text) IS 'what a careful reader would want to know of the files of a model, read anew from their headers';

CREATE VIEW model_findings AS
SELECT m.name AS model, f.file, f.rule, f.severity, f.byte_offset, f.message
FROM atoms.model m, LATERAL atoms.file_findings(m.name) f;
COMMENT ON VIEW model_findings IS 'findings of all models, read anew from the headers of their files by the rules of this version';
COMMENT ON COLUMN model_findings.model IS 'name of the model';
COMMENT ON COLUMN model_findings.file IS 'path of the file in the model';
COMMENT ON COLUMN model_findings.rule IS 'name of the rule; docs/formats.md lists them';
COMMENT ON COLUMN model_findings.severity IS 'error: a loader in wide use refuses the file; warning: against specification or custom; info';
COMMENT ON COLUMN model_findings.byte_offset IS 'first position in the file that it concerns';
COMMENT ON COLUMN model_findings.message IS 'what is so';

CREATE FUNCTION reread_model(model text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner   bigint := atoms.model_id(reread_model.model);
    tensors bigint := 0;
    file    bigint;
BEGIN
    FOR file IN SELECT f.file_id FROM atoms.model_file f WHERE f.model_id = owner ORDER BY f.path FOR NO KEY UPDATE LOOP
        DELETE FROM atoms.tensor t WHERE t.file_id = file;
        UPDATE atoms.model_file f SET format = NULL, variant = NULL, note = NULL WHERE f.file_id = file;
        tensors := tensors + atoms.index_tensors(file);
    END LOOP;
    RETURN tensors;
END $$;
COMMENT ON FUNCTION reread_model(text)
    IS 'reads the structure of a stored model''s files anew, after an update that reads more formats; returns the number of tensors; parts stay cut as they were';

-- values.sql

-- The numbers in tensors: values, statistics, differences, and tensors written in another format.

CREATE FUNCTION tensor_values(model text, tensor text, start bigint DEFAULT 0, count bigint DEFAULT NULL) RETURNS double precision[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tensor_values_wrapper';
COMMENT ON FUNCTION tensor_values(text, text, bigint, bigint)
    IS 'count values of a tensor from element start on, row-major, fewer at its end; count NULL: all; 54000 above 16 Mi values, 22003 for integers beyond 2^53';

CREATE FUNCTION decode_values(data bytea, dtype text) RETURNS double precision[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'decode_values_wrapper';
COMMENT ON FUNCTION decode_values(bytea, text)
    IS 'the values that bytes stand for as elements of a type, e.g. F16 or Q4_K, little-endian; 22023 for a length that is no whole blocks';

CREATE FUNCTION tensor_stats(model text, tensor text, buckets integer DEFAULT 20)
    RETURNS TABLE (count bigint, min double precision, max double precision, mean double precision, deviation double precision,
                   zeros bigint, nans bigint, infinities bigint, histogram bigint[])
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'tensor_stats_wrapper';
COMMENT ON FUNCTION tensor_stats(text, text, integer)
    IS 'extremes, mean, standard deviation (of a population) and a histogram of equal buckets from min to max, all of the finite values; and counts of the others';

CREATE FUNCTION compare_tensors(tensor_a bigint, tensor_b bigint) RETURNS TABLE (same boolean, distance double precision)
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1 COST 100000 AS 'MODULE_PATHNAME', 'compare_tensors_wrapper';
COMMENT ON FUNCTION compare_tensors(bigint, bigint)
    IS 'whether two tensors, by id, have one type and the same bytes; and the norm of a - b over that of a, NULL where shapes differ or values are no float8';

CREATE FUNCTION diff_models(model_a text, model_b text)
    RETURNS TABLE (tensor text, status text, distance double precision, dtype_a text, dtype_b text, shape_a bigint[], shape_b bigint[],
                   file_a text, file_b text)
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
    -- Raises 42704 for an unknown model.
    SELECT atoms.model_id(model_a), atoms.model_id(model_b);
    WITH listed AS (
        SELECT f.model_id, f.path, t.tensor_id, t.name, t.dtype, t.shape, t.layout
        FROM atoms.tensor t JOIN atoms.model_file f USING (file_id)
        WHERE f.model_id IN (atoms.model_id(model_a), atoms.model_id(model_b))
    ), ambiguous AS (
        -- A name that stands in several files of a model is told apart by its file.
        SELECT DISTINCT l.name FROM listed l GROUP BY l.model_id, l.name HAVING count(*) > 1
    ), named AS (
        -- No path is empty.
        SELECT l.*, CASE WHEN a.name IS NULL THEN '' ELSE l.path END AS place FROM listed l LEFT JOIN ambiguous a USING (name)
    ), paired AS MATERIALIZED (
        SELECT CASE WHEN place = '' THEN name ELSE place || '::' || name END AS key, a.tensor_id AS id_a, b.tensor_id AS id_b, a.dtype AS dtype_a, b.dtype AS dtype_b,
               a.shape AS shape_a, b.shape AS shape_b, a.path AS path_a, b.path AS path_b,
               -- The same atoms in the same order: nothing needs to be read.
               a.dtype = b.dtype AND a.shape = b.shape AND a.layout = b.layout
               AND ARRAY(SELECT (p.atom_id, p.first_byte, p.byte_length)::text FROM atoms.tensor_part p WHERE p.tensor_id = a.tensor_id ORDER BY p.chunk_index)
                 = ARRAY(SELECT (p.atom_id, p.first_byte, p.byte_length)::text FROM atoms.tensor_part p WHERE p.tensor_id = b.tensor_id ORDER BY p.chunk_index)
               AS shared
        FROM (SELECT * FROM named n WHERE n.model_id = (SELECT atoms.model_id(model_a))) a
        FULL JOIN (SELECT * FROM named n WHERE n.model_id = (SELECT atoms.model_id(model_b))) b USING (place, name)
    )
    SELECT p.key, CASE WHEN p.id_b IS NULL THEN 'only in a' WHEN p.id_a IS NULL THEN 'only in b' WHEN p.shared OR c.same THEN 'same' ELSE 'changed' END,
           CASE WHEN p.shared THEN 0 ELSE c.distance END, p.dtype_a, p.dtype_b, p.shape_a, p.shape_b, p.path_a, p.path_b
    -- A condition of the join would be asked after both tensors were read; the strict function is not called for a NULL.
    FROM paired p LEFT JOIN LATERAL atoms.compare_tensors(CASE WHEN NOT p.shared THEN p.id_a END, p.id_b) c ON true
    ORDER BY p.key
$$;
COMMENT ON FUNCTION diff_models(text, text)
    IS 'the tensors of two models by name: same, changed (distance: the norm of a - b over that of a, NULL where shapes differ), only in a, only in b';

CREATE FUNCTION export_tensors(model text, path text, format text DEFAULT 'safetensors') RETURNS bigint
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'export_tensors_wrapper';
COMMENT ON FUNCTION export_tensors(text, text, text)
    IS 'writes all tensors of a model into one safetensors file of the server, block types as F32; returns its bytes; needs pg_write_server_files and pg_atoms.allowed_dirs';

-- collect.sql

-- The collector: atoms that nothing names, and imports that nobody goes on with.

CREATE FUNCTION is_referenced(atom_id bigint) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT 1 FROM atoms.file_part p WHERE p.atom_id OPERATOR(pg_catalog.=) $1)
        OR EXISTS (SELECT 1 FROM atoms.import_part p WHERE p.atom_id OPERATOR(pg_catalog.=) $1)
        OR EXISTS (SELECT 1 FROM atoms.atom_pin p WHERE p.atom_id OPERATOR(pg_catalog.=) $1)
        OR EXISTS (SELECT 1 FROM atoms.atom_relation r WHERE r.to_atom_id OPERATOR(pg_catalog.=) $1)
$$;
COMMENT ON FUNCTION is_referenced(bigint) IS 'true when a file part, a part of an import, a pin or a relation names the atom';

-- Internal: one batch among the atoms with ids above after_id; looks at no more than a million of them.
CREATE FUNCTION collect_atoms(grace interval, max_atoms integer, dry_run boolean, after_id bigint)
    RETURNS TABLE (atoms bigint, bytes bigint, last_id bigint)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
DECLARE
    until_id bigint;
    old      timestamptz := now() - grace;
    orphans  bigint[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'atoms are collected in READ COMMITTED transactions only' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'The collector must see references that others commit while it works.';
    END IF;
    IF max_atoms < 1 OR grace < interval '0' THEN
        RAISE EXCEPTION 'grace must not be negative, and max_atoms at least 1' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT max(w.atom_id) INTO until_id FROM (SELECT a.atom_id FROM atoms.atom a WHERE a.atom_id > after_id ORDER BY a.atom_id LIMIT 1000000) w;
    SELECT array_agg(c.atom_id) INTO orphans FROM (
        SELECT a.atom_id FROM atoms.atom a
        WHERE a.atom_id > after_id AND a.atom_id <= until_id AND a.created_at <= old
          AND NOT EXISTS (SELECT 1 FROM atoms.file_part p WHERE p.atom_id = a.atom_id)
          AND NOT EXISTS (SELECT 1 FROM atoms.import_part p WHERE p.atom_id = a.atom_id)
          AND NOT EXISTS (SELECT 1 FROM atoms.atom_pin p WHERE p.atom_id = a.atom_id)
          AND NOT EXISTS (SELECT 1 FROM atoms.atom_relation r WHERE r.to_atom_id = a.atom_id)
        ORDER BY a.atom_id LIMIT max_atoms FOR UPDATE OF a SKIP LOCKED) c;
    -- Whoever references an atom holds it FOR KEY SHARE first, so with the rows locked a new look is the last word.
    SELECT array_agg(o) INTO orphans FROM unnest(orphans) o WHERE NOT atoms.is_referenced(o);
    atoms := coalesce(cardinality(orphans), 0);
    SELECT coalesce(sum(a.size_bytes), 0) INTO bytes FROM atoms.atom a WHERE a.atom_id = ANY (orphans);
    IF atoms = max_atoms THEN
        SELECT max(o) INTO last_id FROM unnest(orphans) o;
    ELSE
        last_id := until_id;
    END IF;
    IF NOT dry_run AND atoms > 0 THEN
        DELETE FROM atoms.atom_segment s WHERE s.atom_id = ANY (orphans);
        DELETE FROM atoms.atom a WHERE a.atom_id = ANY (orphans);
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION collect_atoms(interval, integer, boolean, bigint) IS 'internal: one batch of the collector; last_id NULL: no atoms above after_id';

CREATE FUNCTION collect_imports(grace interval, dry_run boolean) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    old bigint[];
BEGIN
    SELECT array_agg(c.import_id) INTO old FROM (
        SELECT i.import_id FROM atoms.model_import i
        WHERE i.touched_at <= now() - greatest(grace, interval '0') AND NOT atoms.import_is_active(i.import_id)
        FOR UPDATE SKIP LOCKED) c;
    IF NOT dry_run THEN
        DELETE FROM atoms.model_import i WHERE i.import_id = ANY (old);
    END IF;
    RETURN coalesce(cardinality(old), 0);
END $$;
COMMENT ON FUNCTION collect_imports(interval, boolean) IS 'gives up imports that nobody has touched for the grace time and no live session works on; returns how many';

CREATE FUNCTION import_grace() RETURNS interval
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- A session that has not loaded the library yet does not know the setting.
    SELECT coalesce(current_setting('pg_atoms.import_grace', true), '1 day')::interval
$$;
COMMENT ON FUNCTION import_grace() IS 'the setting pg_atoms.import_grace: how long an import that nobody goes on with is kept';

CREATE FUNCTION vacuum_atoms(grace interval DEFAULT '1 hour', max_atoms integer DEFAULT 10000, dry_run boolean DEFAULT false)
    RETURNS TABLE (atoms bigint, bytes bigint)
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
DECLARE
    batch record;
    last  bigint := 0;
BEGIN
    atoms := 0;
    bytes := 0;
    PERFORM atoms.collect_imports(greatest(vacuum_atoms.grace, atoms.import_grace()), vacuum_atoms.dry_run);
    WHILE last IS NOT NULL AND atoms < max_atoms LOOP
        SELECT * INTO batch FROM atoms.collect_atoms(vacuum_atoms.grace, vacuum_atoms.max_atoms - atoms::integer, vacuum_atoms.dry_run, last);
        atoms := atoms + batch.atoms;
        bytes := bytes + batch.bytes;
        last := batch.last_id;
    END LOOP;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION vacuum_atoms(interval, integer, boolean)
    IS 'deletes at most max_atoms atoms older than grace that nothing references, in one transaction; dry_run: only counts them';

CREATE PROCEDURE vacuum_all_atoms(grace interval DEFAULT '1 hour', INOUT atoms bigint DEFAULT 0, INOUT bytes bigint DEFAULT 0)
    LANGUAGE plpgsql AS $$
DECLARE
    batch record;
    last  bigint := 0;
BEGIN
    CALL atoms.refuse_transaction_block('vacuum_all_atoms', 'SELECT * FROM atoms.vacuum_atoms(...)');
    atoms := 0;
    bytes := 0;
    PERFORM atoms.collect_imports(
        greatest(grace, atoms.import_grace()), false);
    COMMIT;
    WHILE last IS NOT NULL LOOP
        SELECT * INTO batch FROM atoms.collect_atoms(grace, 1000, false, last);
        atoms := atoms OPERATOR(pg_catalog.+) batch.atoms;
        bytes := bytes OPERATOR(pg_catalog.+) batch.bytes;
        last := batch.last_id;
        COMMIT;
    END LOOP;
END $$;
COMMENT ON PROCEDURE vacuum_all_atoms(interval, bigint, bigint)
    IS 'deletes all atoms older than grace that nothing references, in many small transactions; returns how many and their bytes';

-- verify.sql

-- Is what is stored still what was stored?

CREATE TABLE atom_verification (
    first_atom_id bigint PRIMARY KEY,
    last_atom_id  bigint NOT NULL,
    verified_at   timestamptz NOT NULL
);
COMMENT ON TABLE atom_verification IS 'ranges of atom ids and when verify_all_atoms re-hashed them; damaged atoms are never covered';
COMMENT ON COLUMN atom_verification.first_atom_id IS 'first id of the range';
COMMENT ON COLUMN atom_verification.last_atom_id IS 'last id of the range';
COMMENT ON COLUMN atom_verification.verified_at IS 'when';

CREATE FUNCTION atom_problem(atom_id bigint) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'atom_problem_wrapper';
COMMENT ON FUNCTION atom_problem(bigint) IS 're-hashes one stored atom; NULL: sound, else what is wrong';

CREATE FUNCTION verify_atoms(sample_fraction double precision DEFAULT 1.0, not_verified_since timestamptz DEFAULT NULL)
    RETURNS TABLE (atom_id bigint, content_hash content_hash, problem text, model text, file text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF sample_fraction IS NULL OR NOT sample_fraction BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'sample_fraction is from 0 to 1, not %', sample_fraction USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
        SELECT d.atom_id, d.content_hash, d.problem, m.name, f.path
        FROM (SELECT a.atom_id, a.content_hash, atoms.atom_problem(a.atom_id) AS problem FROM atoms.atom a
              WHERE (sample_fraction = 1 OR random() < sample_fraction)
                AND (not_verified_since IS NULL OR NOT EXISTS (
                        SELECT 1 FROM atoms.atom_verification v
                        WHERE a.atom_id BETWEEN v.first_atom_id AND v.last_atom_id AND v.verified_at >= not_verified_since))
              OFFSET 0) d
        LEFT JOIN (SELECT DISTINCT p.atom_id, p.file_id FROM atoms.file_part p) p ON p.atom_id = d.atom_id AND d.problem IS NOT NULL
        LEFT JOIN atoms.model_file f ON f.file_id = p.file_id
        LEFT JOIN atoms.model m ON m.model_id = f.model_id
        WHERE d.problem IS NOT NULL;
END $$;
COMMENT ON FUNCTION verify_atoms(double precision, timestamptz)
    IS 're-hashes all atoms, a random sample, or those not verified since a date; a row per damaged atom and file that needs it, none: all sound';

-- Internal: one batch of verify_all_atoms; records the ids it found sound.
CREATE FUNCTION verify_step(after_id bigint, since timestamptz, OUT last_id bigint, OUT checked bigint, OUT damaged bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
#variable_conflict use_column
DECLARE
    started timestamptz := clock_timestamp();
    first   bigint;
    atom    record;
BEGIN
    checked := 0;
    damaged := 0;
    FOR atom IN
        SELECT a.atom_id, a.content_hash FROM atoms.atom a
        WHERE a.atom_id > after_id AND (since IS NULL OR NOT EXISTS (
            SELECT 1 FROM atoms.atom_verification v WHERE a.atom_id BETWEEN v.first_atom_id AND v.last_atom_id AND v.verified_at >= since))
        ORDER BY a.atom_id
    LOOP
        first := coalesce(first, atom.atom_id);
        checked := checked + 1;
        last_id := atom.atom_id;
        IF atoms.atom_problem(atom.atom_id) IS NOT NULL THEN
            damaged := damaged + 1;
            RAISE WARNING 'atom % with hash % is damaged', atom.atom_id, atom.content_hash
                USING DETAIL = atoms.atom_problem(atom.atom_id) || '.', HINT = 'SELECT * FROM atoms.verify_atoms() names the files that need it.';
            last_id := atom.atom_id;
            EXIT;
        END IF;
        EXIT WHEN clock_timestamp() > started + interval '1 s';
    END LOOP;
    IF checked > damaged THEN
        PERFORM atoms.record_verification(first, last_id - damaged, started);
    END IF;
END $$;
COMMENT ON FUNCTION verify_step(bigint, timestamptz) IS 'internal: re-hashes atoms above after_id for about a second; last_id NULL: there were none';

CREATE FUNCTION record_verification(first_id bigint, last_id bigint, at timestamptz) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    -- Older ranges inside the new one say nothing any more; one that overlaps its edge is left, for its date is older.
    DELETE FROM atoms.atom_verification v WHERE v.first_atom_id >= first_id AND v.last_atom_id <= last_id;
    INSERT INTO atoms.atom_verification VALUES (first_id, last_id, at)
        ON CONFLICT (first_atom_id) DO UPDATE SET last_atom_id = excluded.last_atom_id, verified_at = excluded.verified_at;
END $$;
COMMENT ON FUNCTION record_verification(bigint, bigint, timestamptz) IS 'internal: notes that a range of atoms was found sound';

CREATE PROCEDURE verify_all_atoms(since timestamptz DEFAULT NULL, INOUT checked bigint DEFAULT 0, INOUT damaged bigint DEFAULT 0)
    LANGUAGE plpgsql AS $$
DECLARE
    step record;
    last bigint := 0;
BEGIN
    CALL atoms.refuse_transaction_block('verify_all_atoms', 'SELECT * FROM atoms.verify_atoms(...)');
    checked := 0;
    damaged := 0;
    WHILE last IS NOT NULL LOOP
        SELECT * INTO step FROM atoms.verify_step(last, since);
        checked := checked OPERATOR(pg_catalog.+) step.checked;
        damaged := damaged OPERATOR(pg_catalog.+) step.damaged;
        last := step.last_id;
        COMMIT;
    END LOOP;
END $$;
COMMENT ON PROCEDURE verify_all_atoms(timestamptz, bigint, bigint)
    IS 're-hashes all atoms, or those not verified since a date, a second per transaction, and records it; a WARNING per damaged atom';

CREATE FUNCTION verify_model(model text, file text DEFAULT NULL)
    RETURNS TABLE (file text, atom_id bigint, content_hash content_hash, problem text)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'verify_model_wrapper';
COMMENT ON FUNCTION verify_model(text, text)
    IS 're-hashes the files of a model, or one, and where one differs its atoms; a row per problem, none: all sound';

-- report.sql

-- What deduplication saved, honestly.

CREATE FUNCTION dedup_report(model text DEFAULT NULL)
    RETURNS TABLE (model text, files bigint, logical_bytes bigint, unique_bytes bigint, own_bytes bigint, shared_bytes bigint, freed_bytes bigint,
                   physical_bytes bigint, saved_percent numeric, note text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
    -- Raises 42704 for an unknown model.
    SELECT atoms.model_id($1);
    -- One row per model and atom; windows count, where a join of the two would need statistics that new tables do not have.
    WITH used AS (
        SELECT u.model_id, u.atom_id, a.size_bytes, count(*) OVER atom AS models, row_number() OVER atom = 1 AS first, h.atom_id IS NULL AS free
        FROM (SELECT DISTINCT f.model_id, p.atom_id FROM atoms.file_part p JOIN atoms.model_file f USING (file_id)) u
        JOIN atoms.atom a USING (atom_id)
        LEFT JOIN (SELECT p.atom_id FROM atoms.import_part p WHERE p.atom_id IS NOT NULL
                   UNION SELECT p.atom_id FROM atoms.atom_pin p
                   UNION SELECT r.to_atom_id FROM atoms.atom_relation r) h USING (atom_id)
        WINDOW atom AS (PARTITION BY u.atom_id)),
    per_model AS (
        SELECT u.model_id, sum(u.size_bytes)::bigint AS unique_bytes,
               coalesce(sum(u.size_bytes) FILTER (WHERE u.models = 1), 0)::bigint AS own_bytes,
               coalesce(sum(u.size_bytes) FILTER (WHERE u.models > 1), 0)::bigint AS shared_bytes,
               coalesce(sum(u.size_bytes) FILTER (WHERE u.models = 1 AND u.free), 0)::bigint AS freed_bytes
        FROM used u GROUP BY u.model_id),
    all_models AS (
        SELECT coalesce(sum(u.size_bytes), 0)::bigint AS unique_bytes,
               coalesce(sum(u.size_bytes) FILTER (WHERE u.models = 1), 0)::bigint AS own_bytes,
               coalesce(sum(u.size_bytes) FILTER (WHERE u.models > 1), 0)::bigint AS shared_bytes,
               coalesce(sum(u.size_bytes) FILTER (WHERE u.free), 0)::bigint AS freed_bytes
        FROM used u WHERE u.first),
    lines AS (
        SELECT m.name AS model, f.files, f.bytes AS logical_bytes, coalesce(p.unique_bytes, 0) AS unique_bytes, coalesce(p.own_bytes, 0) AS own_bytes,
               coalesce(p.shared_bytes, 0) AS shared_bytes, coalesce(p.freed_bytes, 0) AS freed_bytes, NULL::bigint AS physical_bytes,
               CASE WHEN s.small > 1000 AND s.small * 2 > s.parts THEN 'parts below 8 KiB cost more disk than they hold: use larger chunks' END AS note
        FROM atoms.model m
        CROSS JOIN LATERAL (SELECT count(*) AS files, coalesce(sum(f.size_bytes), 0)::bigint AS bytes FROM atoms.model_file f WHERE f.model_id = m.model_id) f
        CROSS JOIN LATERAL (SELECT count(*) AS parts, count(*) FILTER (WHERE q.byte_length < 8192) AS small
                            FROM atoms.file_part q JOIN atoms.model_file f USING (file_id) WHERE f.model_id = m.model_id) s
        LEFT JOIN per_model p ON p.model_id = m.model_id
        WHERE $1 IS NULL OR m.name = $1),
    everything AS (
        SELECT NULL::text AS model, (SELECT count(*) FROM atoms.model_file) AS files,
               (SELECT coalesce(sum(f.size_bytes), 0)::bigint FROM atoms.model_file f) AS logical_bytes,
               u.unique_bytes, u.own_bytes, u.shared_bytes, u.freed_bytes,
               atoms.physical_bytes() AS physical_bytes, NULL::text AS note
        FROM all_models u WHERE $1 IS NULL)
    SELECT l.model, l.files, l.logical_bytes, l.unique_bytes, l.own_bytes, l.shared_bytes, l.freed_bytes, l.physical_bytes,
           round(100 * (1 - l.unique_bytes::numeric / nullif(l.logical_bytes, 0)), 2), l.note
    FROM (SELECT * FROM lines UNION ALL SELECT * FROM everything) l ORDER BY l.model NULLS LAST
$$;
COMMENT ON FUNCTION dedup_report(text)
    IS 'per model, and in the row without a name for all: bytes of the files, of their distinct atoms, own, shared, freed by dropping; physical: on disk with indexes';

CREATE FUNCTION physical_bytes() RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
    WHERE c.relnamespace = 'atoms'::regnamespace AND c.relkind IN ('r', 'm')
$$;
COMMENT ON FUNCTION physical_bytes() IS 'bytes on disk of all tables of the store with their indexes, free space and free space maps included';

-- dimvec.sql

-- dimvec: a vector of 1 to 65,535 numbers of a declared element type.  docs/layout/dimvec.md draws how it lies in a row.
--
-- Dimensions are counted from 0 in every function and view; positions, as pgvector has them, from 1 in subvector and in the
-- sparse text form.

CREATE TYPE dimvec;

CREATE FUNCTION dimvec_in(cstring, oid, integer) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_in_wrapper';
COMMENT ON FUNCTION dimvec_in(cstring, oid, integer) IS 'I/O: reads [1,2.5] or {1:0.5,3:2}/5 (positions from 1), after the name of the element type and a colon where it is not float32 (in COPY: not the column''s)';
CREATE FUNCTION dimvec_out(dimvec) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_out_wrapper';
COMMENT ON FUNCTION dimvec_out(dimvec) IS 'I/O: writes [1,2.5], after the name of the element type and a colon where it is not float32';
CREATE FUNCTION dimvec_recv(internal, oid, integer) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_recv_wrapper';
COMMENT ON FUNCTION dimvec_recv(internal, oid, integer) IS 'I/O: reads the binary form, which of float32 is that of pgvector';
CREATE FUNCTION dimvec_send(dimvec) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_send_wrapper';
COMMENT ON FUNCTION dimvec_send(dimvec) IS 'I/O: writes the binary form, which of float32 is that of pgvector';
CREATE FUNCTION dimvec_typmod_in(cstring[]) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_typmod_in_wrapper';
COMMENT ON FUNCTION dimvec_typmod_in(cstring[]) IS 'I/O: reads the type modifier: dimensions, element type, or both';
CREATE FUNCTION dimvec_typmod_out(integer) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_typmod_out_wrapper';
COMMENT ON FUNCTION dimvec_typmod_out(integer) IS 'I/O: writes the type modifier';

-- External: numbers hardly compress, so what is longer than a row takes lies in TOAST as it is.
CREATE TYPE dimvec (
    INPUT = dimvec_in,
    OUTPUT = dimvec_out,
    RECEIVE = dimvec_recv,
    SEND = dimvec_send,
    TYPMOD_IN = dimvec_typmod_in,
    TYPMOD_OUT = dimvec_typmod_out,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);
COMMENT ON TYPE dimvec IS 'vector of 1 to 65,535 numbers; dimvec(384), dimvec(384, float16): element types float32 (default), float16, bfloat16, int8, uint8, float64';

-- Casts.

CREATE FUNCTION dimvec(dimvec, integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_enforce_wrapper';
COMMENT ON FUNCTION dimvec(dimvec, integer, boolean) IS 'enforces the type modifier: 22023 for other dimensions; values are rounded to the element type, 22003 beyond it';
CREATE FUNCTION dimvec(real[], integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_float4_array_wrapper';
COMMENT ON FUNCTION dimvec(real[], integer, boolean) IS 'a vector of the elements, float32 unless the type modifier says otherwise; 22023 for NULLs, 22003 for NaN and infinities';
CREATE FUNCTION dimvec(double precision[], integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_float8_array_wrapper';
COMMENT ON FUNCTION dimvec(double precision[], integer, boolean) IS 'a vector of the elements, float64 unless the type modifier says otherwise; 22023 for NULLs, 22003 for NaN and infinities';
CREATE FUNCTION dimvec(bytea, integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_bytea_wrapper';
COMMENT ON FUNCTION dimvec(bytea, integer, boolean) IS 'a vector of little-endian elements, float32 unless the type modifier says otherwise; 22P03 where they do not fill the bytes';
CREATE FUNCTION dimvec_of_numbers(double precision[], integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_of_numbers_wrapper';
COMMENT ON FUNCTION dimvec_of_numbers(double precision[], integer, boolean) IS 'a vector of the elements, float32 unless the type modifier says otherwise';
CREATE FUNCTION dimvec(integer[], integer, boolean) RETURNS dimvec
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT atoms.dimvec_of_numbers($1::pg_catalog.float8[], $2, $3)';
COMMENT ON FUNCTION dimvec(integer[], integer, boolean) IS 'a vector of the elements, float32 unless the type modifier says otherwise';
CREATE FUNCTION dimvec(numeric[], integer, boolean) RETURNS dimvec
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT atoms.dimvec_of_numbers($1::pg_catalog.float8[], $2, $3)';
COMMENT ON FUNCTION dimvec(numeric[], integer, boolean) IS 'a vector of the elements, by way of float64, float32 unless the type modifier says otherwise';
CREATE FUNCTION float4_array(dimvec) RETURNS real[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_to_float4_array_wrapper';
COMMENT ON FUNCTION float4_array(dimvec) IS 'all values, zeros included; 22003 where a float64 is beyond real';
CREATE FUNCTION float8_array(dimvec) RETURNS double precision[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_to_float8_array_wrapper';
COMMENT ON FUNCTION float8_array(dimvec) IS 'all values, zeros included';
CREATE FUNCTION serialize_vector(dimvec) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'serialize_vector_wrapper';
COMMENT ON FUNCTION serialize_vector(dimvec) IS 'all values as little-endian elements of the declared type';
CREATE FUNCTION deserialize_vector(data bytea, element_type text DEFAULT 'float32') RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deserialize_vector_wrapper';
COMMENT ON FUNCTION deserialize_vector(bytea, text) IS 'a vector of little-endian elements of that type';

-- Not implicit from arrays: the operators of arrays would be ambiguous.
CREATE CAST (dimvec AS dimvec) WITH FUNCTION dimvec(dimvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (dimvec AS dimvec) IS 'enforces the type modifier';
CREATE CAST (real[] AS dimvec) WITH FUNCTION dimvec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS dimvec) IS 'a vector of the elements';
CREATE CAST (double precision[] AS dimvec) WITH FUNCTION dimvec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS dimvec) IS 'a vector of the elements';
CREATE CAST (integer[] AS dimvec) WITH FUNCTION dimvec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS dimvec) IS 'a vector of the elements';
CREATE CAST (numeric[] AS dimvec) WITH FUNCTION dimvec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS dimvec) IS 'a vector of the elements';
CREATE CAST (bytea AS dimvec) WITH FUNCTION dimvec(bytea, integer, boolean);
COMMENT ON CAST (bytea AS dimvec) IS 'a vector of little-endian elements';
CREATE CAST (dimvec AS real[]) WITH FUNCTION float4_array(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS real[]) IS 'all values';
CREATE CAST (dimvec AS double precision[]) WITH FUNCTION float8_array(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS double precision[]) IS 'all values';
CREATE CAST (dimvec AS bytea) WITH FUNCTION serialize_vector(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS bytea) IS 'all values as little-endian elements of the declared type';

-- Parts.

CREATE FUNCTION vector_dims(dimvec) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vector_dims_wrapper';
COMMENT ON FUNCTION vector_dims(dimvec) IS 'how many dimensions the vector has';
CREATE FUNCTION element_type(dimvec) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'element_type_wrapper';
COMMENT ON FUNCTION element_type(dimvec) IS 'the declared element type';
CREATE FUNCTION stored_form(dimvec) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'stored_form_wrapper';
COMMENT ON FUNCTION stored_form(dimvec) IS 'the element type that the values are stored in, after the word sparse where zeros are left out';
CREATE FUNCTION sparse_text(dimvec) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'sparse_text_wrapper';
COMMENT ON FUNCTION sparse_text(dimvec) IS 'the sparse text form {1:0.5,3:2}/5, positions counted from 1 as in pgvector';
CREATE FUNCTION dimension_value(value dimvec, dimension integer) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimension_value_wrapper';
COMMENT ON FUNCTION dimension_value(dimvec, integer) IS 'the value of one dimension, counted from 0; 22023 where there is none';
CREATE FUNCTION with_dimension(value dimvec, dimension integer, new_value double precision) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'with_dimension_wrapper';
COMMENT ON FUNCTION with_dimension(dimvec, integer, double precision) IS 'the vector with one value replaced, rounded to its element type; dimensions are counted from 0';
CREATE FUNCTION vector_dimensions(value dimvec)
    RETURNS TABLE (dimension_index integer, dimension_atom_id bigint, dimension_value double precision)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 384 AS 'MODULE_PATHNAME', 'vector_dimensions_wrapper';
COMMENT ON FUNCTION vector_dimensions(dimvec) IS 'each dimension with its value and the id of the value''s atom (NULL for float64), zeros included';
CREATE FUNCTION parse_vector_to_dimensions(embedding_vector dimvec) RETURNS TABLE (dimension_index integer, dimension_value double precision)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 384 AS 'MODULE_PATHNAME', 'parse_vector_to_dimensions_wrapper';
COMMENT ON FUNCTION parse_vector_to_dimensions(dimvec) IS 'each dimension, counted from 0, with its value, zeros included';
CREATE FUNCTION parse_vector_to_dimensions(embedding_vector bytea) RETURNS TABLE (dimension_index integer, dimension_value double precision)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 384 AS 'SELECT * FROM atoms.parse_vector_to_dimensions(atoms.deserialize_vector($1))';
COMMENT ON FUNCTION parse_vector_to_dimensions(bytea) IS 'the same of little-endian float32; 22P03 where they do not fill the bytes';
CREATE FUNCTION parse_vector_to_dimensions(embedding_vector real[]) RETURNS TABLE (dimension_index integer, dimension_value double precision)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 384 AS 'SELECT * FROM atoms.parse_vector_to_dimensions($1::atoms.dimvec)';
COMMENT ON FUNCTION parse_vector_to_dimensions(real[]) IS 'the same of an array';
CREATE FUNCTION subvector(dimvec, start integer, count integer) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'subvector_wrapper';
COMMENT ON FUNCTION subvector(dimvec, integer, integer) IS 'count dimensions from position start, counted from 1 as in pgvector';
CREATE FUNCTION binary_quantize(dimvec) RETURNS bit
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'binary_quantize_wrapper';
COMMENT ON FUNCTION binary_quantize(dimvec) IS 'a bit per dimension: 1 where the value is above 0';

-- Arithmetic: of one element type in that type, beside float64 in float64, else in float32.

CREATE FUNCTION dimvec_add(dimvec, dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_add_wrapper';
COMMENT ON FUNCTION dimvec_add(dimvec, dimvec) IS 'implementation of the + operator';
CREATE FUNCTION dimvec_subtract(dimvec, dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_subtract_wrapper';
COMMENT ON FUNCTION dimvec_subtract(dimvec, dimvec) IS 'implementation of the - operator';
CREATE FUNCTION dimvec_multiply(dimvec, dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_multiply_wrapper';
COMMENT ON FUNCTION dimvec_multiply(dimvec, dimvec) IS 'implementation of the * operator';
CREATE FUNCTION dimvec_concatenate(dimvec, dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_concatenate_wrapper';
COMMENT ON FUNCTION dimvec_concatenate(dimvec, dimvec) IS 'implementation of the || operator';
CREATE OPERATOR + (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_add, COMMUTATOR = +);
COMMENT ON OPERATOR + (dimvec, dimvec) IS 'sum, dimension by dimension; 22003 beyond the element type';
CREATE OPERATOR - (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_subtract);
COMMENT ON OPERATOR - (dimvec, dimvec) IS 'difference, dimension by dimension; 22003 beyond the element type';
CREATE OPERATOR * (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_multiply, COMMUTATOR = *);
COMMENT ON OPERATOR * (dimvec, dimvec) IS 'product, dimension by dimension; 22003 beyond the element type';
CREATE OPERATOR || (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_concatenate);
COMMENT ON OPERATOR || (dimvec, dimvec) IS 'the dimensions of one after those of the other';
CREATE FUNCTION l1_norm(dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'l1_norm_wrapper';
COMMENT ON FUNCTION l1_norm(dimvec) IS 'sum of the magnitudes';
CREATE FUNCTION l2_norm(dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'l2_norm_wrapper';
COMMENT ON FUNCTION l2_norm(dimvec) IS 'Euclidean norm';
CREATE FUNCTION l2_normalize(dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'l2_normalize_wrapper';
COMMENT ON FUNCTION l2_normalize(dimvec) IS 'the vector divided by its Euclidean norm; zeros stay zeros';

-- Distances.  float32 sums run in 16 lanes of fused multiply-add, added in a fixed tree: equal to the last bit on every CPU.

CREATE FUNCTION l2_distance(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_l2_distance';
COMMENT ON FUNCTION l2_distance(dimvec, dimvec) IS 'Euclidean distance';
CREATE FUNCTION inner_product(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_inner_product';
COMMENT ON FUNCTION inner_product(dimvec, dimvec) IS 'sum of the products';
CREATE FUNCTION negative_inner_product(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_negative_inner_product';
COMMENT ON FUNCTION negative_inner_product(dimvec, dimvec) IS 'inner product, negated, so that the nearest comes first';
CREATE FUNCTION cosine_similarity(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_cosine_similarity';
COMMENT ON FUNCTION cosine_similarity(dimvec, dimvec) IS 'cosine of the angle, -1 to 1; NaN beside a zero vector';
CREATE FUNCTION cosine_distance(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_cosine_distance';
COMMENT ON FUNCTION cosine_distance(dimvec, dimvec) IS '1 - cosine_similarity; NaN beside a zero vector, which sorts last';
CREATE FUNCTION l1_distance(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_l1_distance';
COMMENT ON FUNCTION l1_distance(dimvec, dimvec) IS 'sum of the magnitudes of the differences';
CREATE OPERATOR <-> (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = l2_distance, COMMUTATOR = <->);
COMMENT ON OPERATOR <-> (dimvec, dimvec) IS 'Euclidean distance';
CREATE OPERATOR <#> (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = negative_inner_product, COMMUTATOR = <#>);
COMMENT ON OPERATOR <#> (dimvec, dimvec) IS 'negative inner product';
CREATE OPERATOR <=> (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = cosine_distance, COMMUTATOR = <=>);
COMMENT ON OPERATOR <=> (dimvec, dimvec) IS 'cosine distance';
CREATE OPERATOR <+> (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = l1_distance, COMMUTATOR = <+>);
COMMENT ON OPERATOR <+> (dimvec, dimvec) IS 'L1 (taxicab) distance';

-- Comparison: number by number, then by the number of dimensions.  Element types do not matter, so there is no btequalimage.

CREATE FUNCTION dimvec_eq(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_eq_wrapper';
COMMENT ON FUNCTION dimvec_eq(dimvec, dimvec) IS 'implementation of the = operator';
CREATE FUNCTION dimvec_ne(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_ne_wrapper';
COMMENT ON FUNCTION dimvec_ne(dimvec, dimvec) IS 'implementation of the <> operator';
CREATE FUNCTION dimvec_lt(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_lt_wrapper';
COMMENT ON FUNCTION dimvec_lt(dimvec, dimvec) IS 'implementation of the < operator';
CREATE FUNCTION dimvec_le(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_le_wrapper';
COMMENT ON FUNCTION dimvec_le(dimvec, dimvec) IS 'implementation of the <= operator';
CREATE FUNCTION dimvec_gt(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_gt_wrapper';
COMMENT ON FUNCTION dimvec_gt(dimvec, dimvec) IS 'implementation of the > operator';
CREATE FUNCTION dimvec_ge(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_ge_wrapper';
COMMENT ON FUNCTION dimvec_ge(dimvec, dimvec) IS 'implementation of the >= operator';
CREATE FUNCTION dimvec_cmp(dimvec, dimvec) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_cmp_wrapper';
COMMENT ON FUNCTION dimvec_cmp(dimvec, dimvec) IS 'less, equal, greater: -1, 0, 1; number by number, then by the number of dimensions';
CREATE FUNCTION dimvec_hash(dimvec) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_hash_wrapper';
COMMENT ON FUNCTION dimvec_hash(dimvec) IS 'hash for hash joins and hash indexes';
CREATE FUNCTION dimvec_hash_extended(dimvec, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_hash_extended_wrapper';
COMMENT ON FUNCTION dimvec_hash_extended(dimvec, bigint) IS 'seeded hash for hash partitions';

CREATE OPERATOR = (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR = (dimvec, dimvec) IS 'equal to';
CREATE OPERATOR <> (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (dimvec, dimvec) IS 'not equal to';
CREATE OPERATOR < (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (dimvec, dimvec) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (dimvec, dimvec) IS 'less than or equal to';
CREATE OPERATOR > (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (dimvec, dimvec) IS 'greater than';
CREATE OPERATOR >= (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (dimvec, dimvec) IS 'greater than or equal to';

CREATE OPERATOR CLASS dimvec_ops DEFAULT FOR TYPE dimvec USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 dimvec_cmp(dimvec, dimvec);
COMMENT ON OPERATOR CLASS dimvec_ops USING btree IS 'order number by number';

CREATE OPERATOR CLASS dimvec_ops DEFAULT FOR TYPE dimvec USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 dimvec_hash(dimvec),
    FUNCTION 2 dimvec_hash_extended(dimvec, bigint);
COMMENT ON OPERATOR CLASS dimvec_ops USING hash IS 'hashing of values of dimvec';

-- Aggregates.

CREATE FUNCTION dimvec_accumulate(internal, dimvec) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_accumulate_wrapper';
COMMENT ON FUNCTION dimvec_accumulate(internal, dimvec) IS 'aggregate: adds a vector';
CREATE FUNCTION dimvec_combine(internal, internal) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_combine_wrapper';
COMMENT ON FUNCTION dimvec_combine(internal, internal) IS 'aggregate: adds what a parallel worker has';
CREATE FUNCTION dimvec_sum_serialize(internal) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_sum_serialize_wrapper';
COMMENT ON FUNCTION dimvec_sum_serialize(internal) IS 'aggregate: sums for another process';
CREATE FUNCTION dimvec_sum_deserialize(bytea, internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_sum_deserialize_wrapper';
COMMENT ON FUNCTION dimvec_sum_deserialize(bytea, internal) IS 'aggregate: sums of another process';
CREATE FUNCTION dimvec_sum(internal) RETURNS dimvec
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_sum_wrapper';
COMMENT ON FUNCTION dimvec_sum(internal) IS 'aggregate: the sum';
CREATE FUNCTION dimvec_average(internal) RETURNS dimvec
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_average_wrapper';
COMMENT ON FUNCTION dimvec_average(internal) IS 'aggregate: the mean';
CREATE AGGREGATE sum(dimvec) (
    SFUNC = dimvec_accumulate, STYPE = internal, SSPACE = 8192, FINALFUNC = dimvec_sum,
    COMBINEFUNC = dimvec_combine, SERIALFUNC = dimvec_sum_serialize, DESERIALFUNC = dimvec_sum_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(dimvec) IS 'sum of the vectors, in float64 and rounded once; int8 and uint8 give float32; 22003 beyond the element type';
CREATE AGGREGATE avg(dimvec) (
    SFUNC = dimvec_accumulate, STYPE = internal, SSPACE = 8192, FINALFUNC = dimvec_average,
    COMBINEFUNC = dimvec_combine, SERIALFUNC = dimvec_sum_serialize, DESERIALFUNC = dimvec_sum_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(dimvec) IS 'mean of the vectors, in float64 and rounded once; int8 and uint8 give float32';
CREATE FUNCTION dimvec_distinct_add(internal, dimvec) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_distinct_add_wrapper';
COMMENT ON FUNCTION dimvec_distinct_add(internal, dimvec) IS 'aggregate: adds the values of a vector';
CREATE FUNCTION dimvec_distinct_count(internal) RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_distinct_count_wrapper';
COMMENT ON FUNCTION dimvec_distinct_count(internal) IS 'aggregate: the count';
CREATE AGGREGATE count_distinct_values(dimvec) (
    SFUNC = dimvec_distinct_add, STYPE = internal, SSPACE = 33554432, FINALFUNC = dimvec_distinct_count
);
COMMENT ON AGGREGATE count_distinct_values(dimvec) IS 'how many distinct numbers the vectors hold, zero included; exact, in at most 512 MiB; NULL for float64';
CREATE FUNCTION dimvec_moments_add(internal, dimvec) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_moments_add_wrapper';
COMMENT ON FUNCTION dimvec_moments_add(internal, dimvec) IS 'aggregate: adds a vector';
CREATE FUNCTION dimvec_moments(internal) RETURNS double precision[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_moments_wrapper';
COMMENT ON FUNCTION dimvec_moments(internal) IS 'aggregate: the moments';
CREATE AGGREGATE dimension_moments(dimvec) (
    SFUNC = dimvec_moments_add, STYPE = internal, SSPACE = 32768, FINALFUNC = dimvec_moments
);
COMMENT ON AGGREGATE dimension_moments(dimvec) IS 'six numbers of each dimension in turn: count, zeros, min, max, mean, population deviation';

-- dim_point.sql

-- dim_point: one value, in one dimension, of one embedding model; the spatial key of atom_embedding.

CREATE TYPE dim_point;

CREATE FUNCTION dim_point_in(cstring) RETURNS dim_point
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_in_wrapper';
COMMENT ON FUNCTION dim_point_in(cstring) IS 'I/O: reads (value,dimension_index,model_id)';
CREATE FUNCTION dim_point_out(dim_point) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_out_wrapper';
COMMENT ON FUNCTION dim_point_out(dim_point) IS 'I/O: writes (value,dimension_index,model_id)';
CREATE FUNCTION dim_point_recv(internal) RETURNS dim_point
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_recv_wrapper';
COMMENT ON FUNCTION dim_point_recv(internal) IS 'I/O: reads float8, int4 and int8, big-endian';
CREATE FUNCTION dim_point_send(dim_point) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_send_wrapper';
COMMENT ON FUNCTION dim_point_send(dim_point) IS 'I/O: writes float8, int4 and int8, big-endian';

CREATE TYPE dim_point (
    INPUT = dim_point_in,
    OUTPUT = dim_point_out,
    RECEIVE = dim_point_recv,
    SEND = dim_point_send,
    INTERNALLENGTH = 20,
    ALIGNMENT = char,
    STORAGE = plain
);
COMMENT ON TYPE dim_point IS 'a value in a dimension of an embedding model; text form (value,dimension_index,model_id)';

CREATE FUNCTION dim_point(value double precision, dimension_index integer, model_id bigint) RETURNS dim_point
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_wrapper';
COMMENT ON FUNCTION dim_point(double precision, integer, bigint) IS 'makes a point; 22003 for NaN and infinities, 22023 for a dimension below 0 or above 65,534';
CREATE FUNCTION dim_value(dim_point) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_value_wrapper';
COMMENT ON FUNCTION dim_value(dim_point) IS 'the value';
CREATE FUNCTION dim_index(dim_point) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_index_wrapper';
COMMENT ON FUNCTION dim_index(dim_point) IS 'the dimension, counted from 0';
CREATE FUNCTION dim_model(dim_point) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_model_wrapper';
COMMENT ON FUNCTION dim_model(dim_point) IS 'the id of the model';

CREATE FUNCTION dim_point_eq(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_eq_wrapper';
COMMENT ON FUNCTION dim_point_eq(dim_point, dim_point) IS 'implementation of the = operator';
CREATE FUNCTION dim_point_ne(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_ne_wrapper';
COMMENT ON FUNCTION dim_point_ne(dim_point, dim_point) IS 'implementation of the <> operator';
CREATE FUNCTION dim_point_lt(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_lt_wrapper';
COMMENT ON FUNCTION dim_point_lt(dim_point, dim_point) IS 'implementation of the < operator';
CREATE FUNCTION dim_point_le(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_le_wrapper';
COMMENT ON FUNCTION dim_point_le(dim_point, dim_point) IS 'implementation of the <= operator';
CREATE FUNCTION dim_point_gt(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_gt_wrapper';
COMMENT ON FUNCTION dim_point_gt(dim_point, dim_point) IS 'implementation of the > operator';
CREATE FUNCTION dim_point_ge(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_ge_wrapper';
COMMENT ON FUNCTION dim_point_ge(dim_point, dim_point) IS 'implementation of the >= operator';
CREATE FUNCTION dim_point_cmp(dim_point, dim_point) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_cmp_wrapper';
COMMENT ON FUNCTION dim_point_cmp(dim_point, dim_point) IS 'less, equal, greater: -1, 0, 1; by model, then dimension, then value';
CREATE FUNCTION dim_point_hash(dim_point) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_hash_wrapper';
COMMENT ON FUNCTION dim_point_hash(dim_point) IS 'hash for hash joins and hash indexes';
CREATE FUNCTION dim_point_hash_extended(dim_point, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_hash_extended_wrapper';
COMMENT ON FUNCTION dim_point_hash_extended(dim_point, bigint) IS 'seeded hash for hash partitions';

CREATE OPERATOR = (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR = (dim_point, dim_point) IS 'equal to';
CREATE OPERATOR <> (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (dim_point, dim_point) IS 'not equal to';
CREATE OPERATOR < (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (dim_point, dim_point) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (dim_point, dim_point) IS 'less than or equal to';
CREATE OPERATOR > (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (dim_point, dim_point) IS 'greater than';
CREATE OPERATOR >= (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (dim_point, dim_point) IS 'greater than or equal to';

CREATE OPERATOR CLASS dim_point_ops DEFAULT FOR TYPE dim_point USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 dim_point_cmp(dim_point, dim_point);
COMMENT ON OPERATOR CLASS dim_point_ops USING btree IS 'order by model, dimension, value';

CREATE OPERATOR CLASS dim_point_ops DEFAULT FOR TYPE dim_point USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 dim_point_hash(dim_point),
    FUNCTION 2 dim_point_hash_extended(dim_point, bigint);
COMMENT ON OPERATOR CLASS dim_point_ops USING hash IS 'hashing of values of dim_point';

-- embedding.sql

-- Embeddings: a vector per source atom and model, and each of its dimensions as an atom.
--
-- `embedding` is partitioned by model.  The parent has columns only: a key there cannot be restored by pg_restore.  Each
-- partition is a plain table that register_embedding_model makes, with its own key, foreign key and checks.

CREATE TABLE embedding_model (
    model_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dimensions   integer NOT NULL CHECK (dimensions BETWEEN 1 AND 65535),
    name         text NOT NULL CONSTRAINT embedding_model_name_key UNIQUE,
    element_type text NOT NULL DEFAULT 'float32',
    metadata     jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE embedding_model IS 'models that embeddings come from; register_embedding_model adds one';
COMMENT ON COLUMN embedding_model.model_id IS 'id; the partition of its embeddings is embedding_ and this number';
COMMENT ON COLUMN embedding_model.dimensions IS 'dimensions of each vector, 1 to 65,535';
COMMENT ON COLUMN embedding_model.name IS 'unique name: what every function takes';
COMMENT ON COLUMN embedding_model.element_type IS 'element type of each vector';
COMMENT ON COLUMN embedding_model.metadata IS 'facts about the model';
COMMENT ON COLUMN embedding_model.created_at IS 'when it was registered';

CREATE TABLE embedding (
    source_atom_id bigint NOT NULL,
    model_id       bigint NOT NULL,
    value          dimvec NOT NULL
) PARTITION BY LIST (model_id);
COMMENT ON TABLE embedding IS 'a vector per source atom and model; a partition per model';
COMMENT ON COLUMN embedding.source_atom_id IS 'the atom that was embedded; the row goes with it';
COMMENT ON COLUMN embedding.model_id IS 'the model that the vector comes from';
COMMENT ON COLUMN embedding.value IS 'the vector';

CREATE TABLE dimension_change (
    source_atom_id   bigint NOT NULL REFERENCES atom ON DELETE CASCADE,
    model_id         bigint NOT NULL REFERENCES embedding_model ON DELETE CASCADE,
    changed_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    old_value        double precision NOT NULL,
    new_value        double precision NOT NULL,
    dimension_index  integer NOT NULL,
    changed_by_model text NOT NULL
);
-- Rows have no key, and a publication of all tables must be able to delete them.
ALTER TABLE dimension_change REPLICA IDENTITY FULL;
CREATE INDEX dimension_change_embedding ON dimension_change (source_atom_id, model_id, dimension_index);
CREATE INDEX dimension_change_model ON dimension_change (model_id);
COMMENT ON TABLE dimension_change IS 'provenance of single dimensions: what set_dimension and atom_embedding changed since the vector came';
COMMENT ON COLUMN dimension_change.source_atom_id IS 'source atom of the embedding';
COMMENT ON COLUMN dimension_change.model_id IS 'model of the embedding';
COMMENT ON COLUMN dimension_change.changed_at IS 'when';
COMMENT ON COLUMN dimension_change.old_value IS 'value before';
COMMENT ON COLUMN dimension_change.new_value IS 'value after';
COMMENT ON COLUMN dimension_change.dimension_index IS 'dimension, counted from 0';
COMMENT ON COLUMN dimension_change.changed_by_model IS 'who computed the new value';

-- Models.

CREATE FUNCTION embedding_model_id(model text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    SELECT m.model_id INTO id FROM atoms.embedding_model m WHERE m.name = embedding_model_id.model;
    IF id IS NULL THEN
        RAISE EXCEPTION 'embedding model "%" does not exist', embedding_model_id.model
            USING ERRCODE = 'undefined_object', HINT = 'register_embedding_model(model, dimensions) adds one; atoms.embedding_model_summary lists them.';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION embedding_model_id(text) IS 'id of an embedding model by its name; 42704 when there is none';

-- Making or dropping a partition locks atom (its foreign key) and embedding, in this order and before anything else, so that two
-- of them never wait for each other; writers lock atom first too: hold_source_atoms.  Whoever waits for such a lock holds up all
-- who come after: so wait shortly, and often.  Both waits together are shorter than the second after which another session looks
-- whether it is in a deadlock, so of two that wait for each other this one gives way; it looks earlier, and so stops autovacuum.
CREATE FUNCTION lock_for_partition(mode text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, atoms, pg_temp SET lock_timeout = '450ms' SET deadlock_timeout = '300ms' AS $$
BEGIN
    FOR attempt IN 1..16 LOOP
        BEGIN
            EXECUTE format('LOCK TABLE atoms.atom IN %s MODE', mode);
            EXECUTE format('LOCK TABLE atoms.embedding IN %s MODE', mode);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.025 * attempt);
        END;
    END LOOP;
    RAISE EXCEPTION 'other transactions keep atoms.atom or atoms.embedding locked' USING ERRCODE = 'lock_not_available',
        HINT = 'A long transaction writes atoms or reads them: repeat when it has ended.  pg_stat_activity shows it.';
END $$;
COMMENT ON FUNCTION lock_for_partition(text) IS 'locks what making or dropping a partition of embedding needs; 55P03 after some ten seconds';

CREATE FUNCTION register_embedding_model(model text, dimensions integer, element_type text DEFAULT 'float32', metadata jsonb DEFAULT '{}')
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id        bigint;
    partition text;
BEGIN
    IF model IS NULL OR dimensions IS NULL OR element_type IS NULL THEN
        RAISE EXCEPTION 'model, dimensions and element_type must be given' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM atoms.check_model_name(model);
    PERFORM atoms.check_vector_form(dimensions, element_type);
    PERFORM atoms.lock_for_partition('SHARE ROW EXCLUSIVE');
    INSERT INTO atoms.embedding_model AS m (name, dimensions, element_type, metadata)
        VALUES (model, dimensions, element_type, coalesce(metadata, '{}')) ON CONFLICT (name) DO NOTHING RETURNING m.model_id INTO id;
    IF id IS NULL THEN
        RAISE EXCEPTION 'embedding model "%" exists already', model USING ERRCODE = 'duplicate_object',
            HINT = 'drop_embedding_model(model) drops it with its embeddings.';
    END IF;
    partition := format('embedding_%s', id);
    EXECUTE format('CREATE TABLE atoms.%1$I (
        source_atom_id bigint NOT NULL CONSTRAINT %2$I PRIMARY KEY CONSTRAINT %3$I REFERENCES atoms.atom ON DELETE CASCADE,
        model_id bigint NOT NULL CONSTRAINT %4$I CHECK (model_id = %6$s),
        value atoms.dimvec NOT NULL CONSTRAINT %5$I CHECK (atoms.vector_dims(value) = %7$s AND atoms.element_type(value) = %8$L)
        ) WITH (toast_tuple_target = 8160)', partition, partition || '_pkey', partition || '_source_atom_id_fkey',
        partition || '_model_check', partition || '_form_check', id, dimensions, element_type);
    EXECUTE format('ALTER TABLE atoms.embedding ATTACH PARTITION atoms.%I FOR VALUES IN (%s)', partition, id);
    EXECUTE format('COMMENT ON TABLE atoms.%I IS %L', partition, 'embeddings of ' || model);
    RETURN id;
END $$;
COMMENT ON FUNCTION register_embedding_model(text, integer, text, jsonb)
    IS 'adds an embedding model and the partition of its embeddings, and returns its id; 42710 when it is there.  Call it in a transaction of its own';

CREATE FUNCTION drop_embedding_model(model text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id      bigint;
    dropped bigint;
BEGIN
    -- Before the locks, so that a wrong name holds up nobody.
    PERFORM atoms.embedding_model_id(model);
    PERFORM atoms.lock_for_partition('ACCESS EXCLUSIVE');
    id := atoms.embedding_model_id(model);
    EXECUTE format('SELECT count(*) FROM atoms.%I', format('embedding_%s', id)) INTO dropped;
    EXECUTE format('DROP TABLE atoms.%I', format('embedding_%s', id));
    DELETE FROM atoms.embedding_model m WHERE m.model_id = id;
    RETURN dropped;
END $$;
COMMENT ON FUNCTION drop_embedding_model(text)
    IS 'drops an embedding model with its embeddings, and returns how many there were; their source atoms stay.  Call it in a transaction of its own';

CREATE VIEW embedding_model_summary AS
SELECT m.name AS model, m.model_id, m.dimensions, m.element_type, c.embeddings,
       coalesce(pg_catalog.pg_total_relation_size(pg_catalog.to_regclass('atoms.embedding_' OPERATOR(pg_catalog.||) m.model_id::text)), 0) AS size_bytes,
       m.created_at, m.metadata
FROM atoms.embedding_model m
CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS embeddings FROM atoms.embedding e WHERE e.model_id OPERATOR(pg_catalog.=) m.model_id) c;
COMMENT ON VIEW embedding_model_summary IS 'embedding models, how many embeddings they have and what those take on disk';
COMMENT ON COLUMN embedding_model_summary.model IS 'name of the model';
COMMENT ON COLUMN embedding_model_summary.model_id IS 'id';
COMMENT ON COLUMN embedding_model_summary.dimensions IS 'dimensions of each vector';
COMMENT ON COLUMN embedding_model_summary.element_type IS 'element type of each vector';
COMMENT ON COLUMN embedding_model_summary.embeddings IS 'how many embeddings there are';
COMMENT ON COLUMN embedding_model_summary.size_bytes IS 'bytes on disk of their table, its indexes and TOAST';
COMMENT ON COLUMN embedding_model_summary.created_at IS 'when the model was registered';
COMMENT ON COLUMN embedding_model_summary.metadata IS 'facts about the model';

-- Writing.  Writes go to the partition, because ON CONFLICT does not work through a parent without a key.

CREATE FUNCTION hold_source_atoms(source_atom_ids bigint[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    held    bigint;
    missing bigint;
BEGIN
    -- With this lock no partition comes or goes, so that no writer waits for whoever waits for it.
    LOCK TABLE ONLY atoms.atom IN ROW EXCLUSIVE MODE;
    -- In one order, and before the embeddings: the collector locks FOR UPDATE, so no atom goes between here and the foreign key.
    SELECT count(*) INTO held FROM (
        SELECT 1 FROM atoms.atom a WHERE a.atom_id = ANY (source_atom_ids) ORDER BY a.atom_id FOR KEY SHARE) a;
    IF held < cardinality(source_atom_ids) THEN
        SELECT u.id INTO missing FROM unnest(source_atom_ids) u (id)
            WHERE NOT EXISTS (SELECT 1 FROM atoms.atom a WHERE a.atom_id = u.id) LIMIT 1;
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'atom % does not exist', missing USING ERRCODE = 'undefined_object',
                HINT = 'upsert_atom(value, type) stores what was embedded and returns its id.';
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION hold_source_atoms(bigint[]) IS 'keeps atoms from being collected until the transaction ends; 42704 where one is gone';

CREATE FUNCTION put_embeddings(model text, source_atom_ids bigint[], embeddings dimvec[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
    twice bigint;
BEGIN
    IF cardinality(source_atom_ids) <> cardinality(embeddings) THEN
        RAISE EXCEPTION '% source atoms for % embeddings', cardinality(source_atom_ids), cardinality(embeddings)
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF array_position(source_atom_ids, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a source atom is NULL' USING ERRCODE = 'invalid_parameter_value';
    ELSIF array_position(embeddings, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'embedding % of the batch, counted from 1, is NULL', array_position(embeddings, NULL) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Before the locks, so that a wrong name holds up nobody; and behind them, when no model is dropped any more.
    PERFORM atoms.embedding_model_id(model);
    PERFORM atoms.hold_source_atoms(source_atom_ids);
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    SELECT u.id INTO twice FROM unnest(source_atom_ids) u (id) GROUP BY u.id HAVING count(*) > 1 LIMIT 1;
    IF twice IS NOT NULL THEN
        RAISE EXCEPTION 'atom % occurs twice', twice USING ERRCODE = 'invalid_parameter_value', HINT = 'An atom has one embedding of a model.';
    END IF;
    EXECUTE format('INSERT INTO atoms.%1$I AS e (source_atom_id, model_id, value)
        SELECT u.id, %2$s, atoms.fit_vector(u.value, %3$s, %4$L) FROM unnest($1, $2) u (id, value) ORDER BY u.id
        ON CONFLICT (source_atom_id) DO UPDATE SET value = EXCLUDED.value',
        format('embedding_%s', owner.model_id), owner.model_id, owner.dimensions, owner.element_type) USING source_atom_ids, embeddings;
    -- Behind the embeddings, whose locks keep others from changing a dimension.
    DELETE FROM atoms.dimension_change c WHERE c.model_id = owner.model_id AND c.source_atom_id = ANY (source_atom_ids);
    RETURN cardinality(source_atom_ids);
END $$;
COMMENT ON FUNCTION put_embeddings(text, bigint[], dimvec[]) IS 'stores embeddings, replacing those that are there; returns how many';

CREATE FUNCTION insert_embeddings(model text, source_atom_ids bigint[], embeddings dimvec[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    RETURN atoms.put_embeddings(model, source_atom_ids, embeddings);
END $$;
COMMENT ON FUNCTION insert_embeddings(text, bigint[], dimvec[])
    IS 'stores an embedding of each source atom, replacing what is there; returns how many.  Values are rounded to the model''s element type';

CREATE FUNCTION insert_embeddings(model text, source_atom_ids bigint[], embeddings bytea) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
BEGIN
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    RETURN atoms.put_embeddings(model, source_atom_ids, ARRAY(SELECT atoms.split_vectors(embeddings, owner.dimensions, owner.element_type)));
END $$;
COMMENT ON FUNCTION insert_embeddings(text, bigint[], bytea)
    IS 'the same; the vectors stand one after the other as little-endian elements of the model''s type';

CREATE FUNCTION insert_embeddings(model text, source_atom_ids bigint[], embeddings double precision[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
BEGIN
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    RETURN atoms.put_embeddings(model, source_atom_ids, ARRAY(SELECT atoms.split_vectors(embeddings, owner.dimensions, owner.element_type)));
END $$;
COMMENT ON FUNCTION insert_embeddings(text, bigint[], double precision[])
    IS 'the same; the array, of any type of number, has a vector per row, or all their elements one after the other';

CREATE FUNCTION insert_embedding(model text, source_atom_id bigint, embedding dimvec) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    PERFORM atoms.put_embeddings(model, ARRAY[source_atom_id], ARRAY[embedding]);
END $$;
COMMENT ON FUNCTION insert_embedding(text, bigint, dimvec) IS 'stores the embedding of a source atom, replacing what is there; cast arrays: ARRAY[...]::dimvec';

CREATE FUNCTION delete_embedding(model text, source_atom_id bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id      bigint := atoms.embedding_model_id(model);
    deleted boolean;
BEGIN
    -- In the order of hold_source_atoms, but an atom that is gone has no embedding.
    LOCK TABLE ONLY atoms.atom IN ROW EXCLUSIVE MODE;
    PERFORM 1 FROM atoms.atom a WHERE a.atom_id = delete_embedding.source_atom_id FOR KEY SHARE;
    DELETE FROM atoms.embedding e WHERE e.model_id = id AND e.source_atom_id = delete_embedding.source_atom_id;
    deleted := FOUND;
    DELETE FROM atoms.dimension_change c WHERE c.model_id = id AND c.source_atom_id = delete_embedding.source_atom_id;
    RETURN deleted;
END $$;
COMMENT ON FUNCTION delete_embedding(text, bigint) IS 'deletes the embedding of a source atom; false when there was none';

CREATE FUNCTION split_vectors(embeddings bytea, dimensions integer, element_type text) RETURNS SETOF dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'split_vectors_of_bytes_wrapper';
COMMENT ON FUNCTION split_vectors(bytea, integer, text) IS 'vectors that stand one after the other as little-endian elements; 22023 where they do not fill the bytes';
CREATE FUNCTION split_vectors(embeddings double precision[], dimensions integer, element_type text) RETURNS SETOF dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'split_vectors_of_array_wrapper';
COMMENT ON FUNCTION split_vectors(double precision[], integer, text) IS 'vectors whose elements stand one after the other; 22023 where they do not fill the array';
CREATE FUNCTION fit_vector(value dimvec, dimensions integer, element_type text) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fit_vector_wrapper';
COMMENT ON FUNCTION fit_vector(dimvec, integer, text) IS 'the vector in that element type, rounded; 22023 for other dimensions';
CREATE FUNCTION check_vector_form(dimensions integer, element_type text) RETURNS void
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_vector_form_wrapper';
COMMENT ON FUNCTION check_vector_form(integer, text) IS '54000 for more than 65,535 dimensions, 22023 for none and for an unknown element type';

-- Reading.

CREATE FUNCTION reconstruct_vector(model text, source_atom_id bigint) RETURNS dimvec
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id     bigint := atoms.embedding_model_id(model);
    vector atoms.dimvec;
BEGIN
    SELECT e.value INTO vector FROM atoms.embedding e WHERE e.model_id = id AND e.source_atom_id = reconstruct_vector.source_atom_id;
    IF vector IS NULL THEN
        RAISE EXCEPTION 'atom % has no embedding of model "%"', reconstruct_vector.source_atom_id, model USING ERRCODE = 'undefined_object';
    END IF;
    RETURN vector;
END $$;
COMMENT ON FUNCTION reconstruct_vector(text, bigint)
    IS 'the embedding of a source atom, the bits that went in; cast it to real[] or bytea.  42704 when there is none';

CREATE FUNCTION reconstruct_vectors(model text, source_atom_ids bigint[]) RETURNS TABLE (source_atom_id bigint, embedding dimvec)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000 AS $$
    SELECT e.source_atom_id, e.value FROM atoms.embedding e
    WHERE e.model_id OPERATOR(pg_catalog.=) (SELECT atoms.embedding_model_id($1)) AND e.source_atom_id OPERATOR(pg_catalog.=) ANY ($2)
$$;
COMMENT ON FUNCTION reconstruct_vectors(text, bigint[]) IS 'the embeddings of many source atoms, in no order; those that have none are left out';

-- Dimensions as atoms.

CREATE FUNCTION upsert_dimension_atom(value real) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upsert_dimension_atom_wrapper';
COMMENT ON FUNCTION upsert_dimension_atom(real)
    IS 'id of the atom that a float32 is: -(1 + 4 * 2^32 + its bits), so nothing needs to be stored; 22003 for NaN and infinities';
CREATE FUNCTION upsert_dimension_atom(value double precision, element_type text) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upsert_dimension_atom_of_type_wrapper';
COMMENT ON FUNCTION upsert_dimension_atom(double precision, text)
    IS 'the same of the nearest value of another element type: -(1 + bytes * 2^32 + its bits); 22023 for float64, whose values are no atoms';
CREATE FUNCTION dimension_atom_value(dimension_atom_id bigint, element_type text DEFAULT 'float32') RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimension_atom_value_wrapper';
COMMENT ON FUNCTION dimension_atom_value(bigint, text) IS 'the number that a dimension atom is; 22023 for an id that is none of that element type';

CREATE VIEW atom_embedding AS
SELECT (e.model_id::numeric OPERATOR(pg_catalog.*) 9223372036854775808 OPERATOR(pg_catalog.+) e.source_atom_id) OPERATOR(pg_catalog.*) 65536
           OPERATOR(pg_catalog.+) d.dimension_index AS atom_embedding_id,
       e.source_atom_id, d.dimension_index, d.dimension_atom_id, d.dimension_value, e.model_id,
       atoms.dim_point(d.dimension_value, d.dimension_index, e.model_id) AS spatial_key
FROM atoms.embedding e CROSS JOIN LATERAL atoms.vector_dimensions(e.value) d;
COMMENT ON VIEW atom_embedding IS 'a row per dimension of each embedding, zeros included; INSERT sets a dimension that is 0, UPDATE changes one, DELETE sets it to 0; 40001 where another session changed it meanwhile';
COMMENT ON COLUMN atom_embedding.atom_embedding_id IS 'computed: (model_id * 2^63 + source_atom_id) * 65,536 + dimension_index; not indexed';
COMMENT ON COLUMN atom_embedding.source_atom_id IS 'source atom of the embedding';
COMMENT ON COLUMN atom_embedding.dimension_index IS 'dimension, counted from 0';
COMMENT ON COLUMN atom_embedding.dimension_atom_id IS 'atom of the value in the model''s element type; NULL for float64';
COMMENT ON COLUMN atom_embedding.dimension_value IS 'the value';
COMMENT ON COLUMN atom_embedding.model_id IS 'model of the embedding';
COMMENT ON COLUMN atom_embedding.spatial_key IS 'value, dimension and model as a point';

CREATE FUNCTION change_dimension(owner embedding_model, source_atom_id bigint, dimension integer, new_value double precision, changed_by_model text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    before atoms.dimvec;
    after  atoms.dimvec;
BEGIN
    SELECT e.value INTO before FROM atoms.embedding e
        WHERE e.model_id = owner.model_id AND e.source_atom_id = change_dimension.source_atom_id FOR UPDATE;
    IF before IS NULL THEN
        RAISE EXCEPTION 'atom % has no embedding of model "%"', change_dimension.source_atom_id, owner.name USING ERRCODE = 'undefined_object';
    END IF;
    PERFORM atoms.check_model_name(coalesce(changed_by_model, owner.name));
    after := atoms.with_dimension(before, dimension, new_value);
    IF after OPERATOR(atoms.=) before THEN
        RETURN false;
    END IF;
    UPDATE atoms.embedding e SET value = after WHERE e.model_id = owner.model_id AND e.source_atom_id = change_dimension.source_atom_id;
    INSERT INTO atoms.dimension_change (source_atom_id, model_id, dimension_index, old_value, new_value, changed_by_model)
        VALUES (change_dimension.source_atom_id, owner.model_id, dimension, atoms.dimension_value(before, dimension),
                atoms.dimension_value(after, dimension), coalesce(changed_by_model, owner.name));
    RETURN true;
END $$;
COMMENT ON FUNCTION change_dimension(embedding_model, bigint, integer, double precision, text) IS 'writes one dimension and its provenance, the source atom being held; false when it had that value';

CREATE FUNCTION set_dimension(
    model text, source_atom_id bigint, dimension integer, value double precision, changed_by_model text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
BEGIN
    IF model IS NULL OR source_atom_id IS NULL OR dimension IS NULL OR value IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    PERFORM atoms.hold_source_atoms(ARRAY[source_atom_id]);
    RETURN atoms.change_dimension(owner, source_atom_id, dimension, value, changed_by_model);
END $$;
COMMENT ON FUNCTION set_dimension(text, bigint, integer, double precision, text)
    IS 'changes one dimension of an embedding, and keeps in dimension_change who did (the model itself, if not said); false when it had that value';

CREATE FUNCTION write_atom_embedding() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    target record;
    owner  atoms.embedding_model;
    given  double precision := 0;
    held   double precision;
BEGIN
    target := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    PERFORM atoms.hold_source_atoms(ARRAY[target.source_atom_id]);
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = target.model_id;
    IF owner.model_id IS NULL THEN
        RAISE EXCEPTION 'there is no embedding model with id %', target.model_id USING ERRCODE = 'undefined_object';
    ELSIF target.source_atom_id IS NULL OR target.dimension_index IS NULL THEN
        RAISE EXCEPTION 'source_atom_id and dimension_index must be given' USING ERRCODE = 'not_null_violation';
    ELSIF TG_OP = 'UPDATE' AND (OLD.atom_embedding_id, OLD.source_atom_id, OLD.dimension_index, OLD.model_id)
            IS DISTINCT FROM (NEW.atom_embedding_id, NEW.source_atom_id, NEW.dimension_index, NEW.model_id) THEN
        RAISE EXCEPTION 'a dimension cannot be moved' USING ERRCODE = 'feature_not_supported', HINT = 'DELETE it there and INSERT it here.';
    ELSIF TG_OP = 'UPDATE' AND (NEW.dimension_value IS NULL OR NEW.spatial_key IS NULL
            OR NEW.dimension_atom_id IS NULL AND OLD.dimension_atom_id IS NOT NULL) THEN
        RAISE EXCEPTION 'a dimension has a value' USING ERRCODE = 'not_null_violation', HINT = 'DELETE sets it to 0.';
    END IF;
    IF TG_OP <> 'DELETE' THEN
        given := atoms.given_dimension_value(owner, target.dimension_value, target.dimension_atom_id, target.spatial_key,
            CASE TG_OP WHEN 'UPDATE' THEN OLD.dimension_value END, target.dimension_index);
    END IF;
    IF TG_OP = 'INSERT' THEN
        -- Two sessions may write dimensions of one new embedding: the second finds the zeros of the first, and what it set.
        EXECUTE format('INSERT INTO atoms.%I (source_atom_id, model_id, value) VALUES ($1, $2, atoms.zero_vector($3, $4)) ON CONFLICT DO NOTHING',
            format('embedding_%s', owner.model_id)) USING target.source_atom_id, owner.model_id, owner.dimensions, owner.element_type;
        SELECT atoms.dimension_value(e.value, target.dimension_index) INTO held FROM atoms.embedding e
            WHERE e.model_id = owner.model_id AND e.source_atom_id = target.source_atom_id FOR UPDATE;
        IF held <> 0 THEN
            RAISE EXCEPTION 'dimension % of the embedding of atom % by model "%" is there already', target.dimension_index, target.source_atom_id, owner.name
                USING ERRCODE = 'unique_violation', HINT = 'UPDATE changes it.';
        END IF;
    ELSE
        -- The server evaluated the new value from what the statement saw; a trigger cannot evaluate it anew.
        SELECT atoms.dimension_value(e.value, OLD.dimension_index) INTO held FROM atoms.embedding e
            WHERE e.model_id = owner.model_id AND e.source_atom_id = OLD.source_atom_id FOR UPDATE;
        IF held IS DISTINCT FROM OLD.dimension_value THEN
            RAISE EXCEPTION 'dimension % of the embedding of atom % by model "%" was changed meanwhile', OLD.dimension_index, OLD.source_atom_id, owner.name
                USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
        END IF;
    END IF;
    PERFORM atoms.change_dimension(owner, target.source_atom_id, target.dimension_index, given, NULL);
    IF TG_OP <> 'DELETE' THEN
        -- For RETURNING.
        SELECT d.* INTO target FROM atoms.atom_embedding d
            WHERE d.model_id = owner.model_id AND d.source_atom_id = target.source_atom_id AND d.dimension_index = target.dimension_index;
    END IF;
    RETURN target;
END $$;
COMMENT ON FUNCTION write_atom_embedding() IS 'trigger: writes one dimension of an embedding through atom_embedding';

CREATE FUNCTION given_dimension_value(
    owner embedding_model, dimension_value double precision, dimension_atom_id bigint, spatial_key dim_point, old_value double precision, dimension_index integer)
    RETURNS double precision
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    of_atom  double precision := atoms.dimension_atom_value(dimension_atom_id, owner.element_type);
    of_point double precision := atoms.dim_value(spatial_key);
    given    double precision;
BEGIN
    -- Of an updated row, what still is as it was does not count.
    SELECT u.value INTO given FROM unnest(ARRAY[dimension_value, of_atom, of_point]) WITH ORDINALITY u (value, n)
        WHERE u.value IS NOT NULL ORDER BY (u.value IS NOT DISTINCT FROM old_value), u.n LIMIT 1;
    IF given IS NULL THEN
        RAISE EXCEPTION 'no value is given' USING ERRCODE = 'not_null_violation', HINT = 'Give dimension_value, dimension_atom_id or spatial_key.';
    ELSIF EXISTS (SELECT 1 FROM unnest(ARRAY[dimension_value, of_atom, of_point]) u (value)
                  WHERE atoms.nearest_value(u.value, owner.element_type) <> atoms.nearest_value(given, owner.element_type)
                    AND u.value IS DISTINCT FROM old_value)
          OR atoms.dim_index(spatial_key) <> dimension_index OR atoms.dim_model(spatial_key) <> owner.model_id THEN
        RAISE EXCEPTION 'dimension_value, dimension_atom_id and spatial_key do not agree' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of them is enough.';
    END IF;
    RETURN given;
END $$;
COMMENT ON FUNCTION given_dimension_value(embedding_model, double precision, bigint, dim_point, double precision, integer)
    IS 'the value that a row of atom_embedding says in any of its three ways; 22023 where they do not agree';
CREATE FUNCTION nearest_value(value double precision, element_type text) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'nearest_value_wrapper';
COMMENT ON FUNCTION nearest_value(double precision, text) IS 'the nearest value of an element type, -0 as 0; 22003 beyond it';
CREATE FUNCTION zero_vector(dimensions integer, element_type text) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'zero_vector_wrapper';
COMMENT ON FUNCTION zero_vector(integer, text) IS 'a vector of zeros';

CREATE TRIGGER write_atom_embedding INSTEAD OF INSERT OR UPDATE OR DELETE ON atom_embedding
    FOR EACH ROW EXECUTE FUNCTION write_atom_embedding();
COMMENT ON TRIGGER write_atom_embedding ON atom_embedding IS 'writes one dimension of an embedding';

-- What single dimensions say.

CREATE FUNCTION dimension_search(
    model text, dimension integer, value double precision, tolerance double precision DEFAULT 0.05, max_rows bigint DEFAULT NULL)
    RETURNS TABLE (source_atom_id bigint, dimension_value double precision)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
BEGIN
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    IF owner.model_id IS NULL OR dimension IS NULL OR value IS NULL OR tolerance IS NULL THEN
        RETURN;
    ELSIF dimension NOT BETWEEN 0 AND owner.dimensions - 1 THEN
        RAISE EXCEPTION 'dimension % is not one of 0 to %', dimension, owner.dimensions - 1 USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT (tolerance >= 0 AND tolerance < 'infinity' AND abs(value) < 'infinity') THEN
        RAISE EXCEPTION 'value and tolerance must be finite numbers, and the tolerance not negative' USING ERRCODE = 'invalid_parameter_value';
    ELSIF max_rows < 0 THEN
        RAISE EXCEPTION 'max_rows must not be negative' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- The number of the model stands in the text, so that the planner sees one partition and its statistics.
    RETURN QUERY EXECUTE format('SELECT e.source_atom_id, d.value
        FROM atoms.embedding e CROSS JOIN LATERAL atoms.dimension_value(e.value, $1) d (value)
        WHERE e.model_id = %s AND d.value BETWEEN $2 - $3 AND $2 + $3
        ORDER BY abs(d.value - $2), e.source_atom_id LIMIT $4', owner.model_id) USING dimension, value, tolerance, max_rows;
END $$;
COMMENT ON FUNCTION dimension_search(text, integer, double precision, double precision, bigint)
    IS 'embeddings whose value in one dimension (from 0) lies within value - tolerance and value + tolerance, compared as float8 (a float32 is 0.1::real, not 0.1), the nearest first';

CREATE FUNCTION dimension_stats(model text, dimension integer DEFAULT NULL)
    RETURNS TABLE (dimension_index integer, embeddings bigint, zeros bigint, min double precision, max double precision,
                   mean double precision, deviation double precision, distinct_values bigint)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 384 AS $$
    SELECT d.n, d.numbers[1]::bigint, d.numbers[2]::bigint, d.numbers[3], d.numbers[4], d.numbers[5], d.numbers[6],
           (SELECT pg_catalog.count(DISTINCT atoms.dimension_value(e.value, d.n)) FROM atoms.embedding e WHERE e.model_id OPERATOR(pg_catalog.=) i.id)
    FROM (SELECT atoms.embedding_model_id($1) AS id OFFSET 0) i
    CROSS JOIN LATERAL (SELECT atoms.dimension_moments(e.value) AS moments FROM atoms.embedding e WHERE e.model_id OPERATOR(pg_catalog.=) i.id OFFSET 0) m
    -- OFFSET keeps the moments of all dimensions out of the rows, which somebody may sort.
    CROSS JOIN LATERAL (SELECT n, m.moments[6 OPERATOR(pg_catalog.*) n OPERATOR(pg_catalog.+) 1 : 6 OPERATOR(pg_catalog.*) n OPERATOR(pg_catalog.+) 6] AS numbers
                        FROM pg_catalog.generate_series(0, pg_catalog.cardinality(m.moments) OPERATOR(pg_catalog./) 6 OPERATOR(pg_catalog.-) 1) n
                        WHERE $2 IS NULL OR n OPERATOR(pg_catalog.=) $2 OFFSET 0) d
$$;
COMMENT ON FUNCTION dimension_stats(text, integer)
    IS 'what each dimension (from 0), or one, holds; deviation is that of the population.  distinct_values costs a sort of each dimension, where asked for';

CREATE FUNCTION dimension_importance(model text) RETURNS TABLE (dimension_index integer, variance double precision, variance_share double precision)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 384 AS $$
    SELECT v.dimension_index, v.variance,
           CASE WHEN v.total OPERATOR(pg_catalog.>) 0::pg_catalog.float8 THEN v.variance OPERATOR(pg_catalog./) v.total END
    FROM (SELECT s.dimension_index, s.deviation OPERATOR(pg_catalog.*) s.deviation AS variance,
                 pg_catalog.sum(s.deviation OPERATOR(pg_catalog.*) s.deviation) OVER () AS total
          FROM atoms.dimension_stats($1) s) v
$$;
COMMENT ON FUNCTION dimension_importance(text) IS 'variance of each dimension (from 0) and its share of that of all; NULL where no dimension varies';

CREATE FUNCTION dimension_storage_report(model text)
    RETURNS TABLE (layout text, item text, count bigint, bytes bigint, bytes_per_value double precision, arithmetic text)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner     atoms.embedding_model;
    partition regclass;
    rows      bigint;
    packed    bigint;
    different bigint;
    numbers   bigint;
    width     integer;
BEGIN
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    partition := format('atoms.embedding_%s', owner.model_id)::regclass;
    SELECT count(*), coalesce(sum(pg_column_size(e.value)), 0), atoms.count_distinct_values(e.value)
        INTO rows, packed, different FROM atoms.embedding e WHERE e.model_id = owner.model_id;
    numbers := rows * owner.dimensions;
    width := octet_length(atoms.serialize_vector(atoms.zero_vector(1, owner.element_type)));
    RETURN QUERY SELECT l.layout, l.item, l.count, l.bytes, l.bytes::double precision / nullif(numbers, 0), l.arithmetic FROM (VALUES
        ('raw', 'values', numbers, numbers * width, format('%s embeddings x %s dimensions x %s bytes', rows, owner.dimensions, width)),
        ('raw', 'distinct values', different, different * width,
            CASE WHEN different IS NULL THEN 'not counted for float64'
                 ELSE format('%s of %s values are distinct: each occurs %s times', different, numbers, round(numbers / nullif(different, 0)::numeric, 3)) END),
        -- One row per atom and one per dimension, with their indexes, as measured on the tables of docs/bench.md.
        ('literal', 'atom rows', coalesce(different, numbers), coalesce(different, numbers) * 200,
            format('%s rows x 200 bytes: row 101, unique hash 76, key 23', coalesce(different, numbers))),
        ('literal', 'atom_embedding rows', numbers, numbers * 255,
            format('%s rows x 255 bytes: row 84, key 23, unique key 32, spatial index 77, dimension index 39', numbers)),
        ('literal', 'total', numbers, coalesce(different, numbers) * 200 + numbers * 255, 'atom rows + atom_embedding rows'),
        ('packed', 'vectors', rows, packed, format('up to 4 bytes of length, 4 of header, and the values as %s or narrower', owner.element_type)),
        ('packed', 'table', rows, pg_table_size(partition), 'pages of the table, its TOAST and its maps'),
        ('packed', 'indexes', rows, pg_indexes_size(partition), 'the key, and indexes that you made'),
        ('packed', 'total', numbers, pg_total_relation_size(partition), 'table + indexes; dimension atoms take no row')
    ) l (layout, item, count, bytes, arithmetic);
END $$;
COMMENT ON FUNCTION dimension_storage_report(text)
    IS 'what the embeddings of a model take on disk (packed), beside their numbers alone (raw) and one row per float and atom (literal), with the arithmetic';

-- access.sql

-- Who may do what.  Nothing is granted to PUBLIC but the input and output of types; grant_access gives a role a level.

CREATE FUNCTION access_rules() RETURNS TABLE (level text, routine regprocedure)
    LANGUAGE sql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT CASE
        WHEN p.proname IN ('grant_access', 'revoke_access', 'vacuum_atoms', 'vacuum_all_atoms', 'collect_atoms', 'collect_imports',
                           'verify_all_atoms', 'verify_step') THEN 'admin'
        WHEN p.proname IN ('record_verification', 'record_parts', 'index_tensors', 'drop_segments', 'lock_for_partition', 'hold_source_atoms',
                           'put_embeddings', 'change_dimension', 'write_atom_embedding') THEN 'internal'
        WHEN p.proname IN ('upsert_atom', 'upsert_atoms', 'insert_atom', 'release_atom', 'insert_atom_relation', 'drop_model', 'rename_model',
                           'begin_import', 'claim_import', 'import_files', 'import_strategy', 'link_import_file', 'announce_parts', 'missing_atoms', 'next_missing',
                           'send_atoms', 'send_atom_part', 'import_bytes', 'hash_import_file', 'finish_import', 'abort_import',
                           'begin_server_import', 'import_step', 'import_model', 'import_model_at_once', 'reread_model',
                           'register_embedding_model', 'drop_embedding_model', 'insert_embedding', 'insert_embeddings', 'delete_embedding',
                           'set_dimension') THEN 'write'
        WHEN EXISTS (SELECT 1 FROM pg_type t WHERE t.typnamespace = 'atoms'::regnamespace AND t.typtype = 'b'
                     AND p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout)) THEN 'public'
        ELSE 'read' END, p.oid::regprocedure
    FROM pg_proc p WHERE p.pronamespace = 'atoms'::regnamespace
$$;
COMMENT ON FUNCTION access_rules() IS 'the level that each function and procedure needs: public, read, write, admin, internal';

CREATE FUNCTION grant_access(role name, level text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    levels  text[] := ARRAY['read', 'write', 'admin'];
    reach   integer := array_position(levels, level);
    routine record;
BEGIN
    IF reach IS NULL THEN
        RAISE EXCEPTION 'access level "%" is not read, write or admin', level USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT EXISTS (SELECT 1 FROM pg_roles r WHERE r.rolname = role) THEN
        RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = 'undefined_object';
    END IF;
    PERFORM atoms.revoke_access(role);
    EXECUTE format('GRANT USAGE ON SCHEMA atoms TO %I', role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA atoms TO %I', role);
    IF reach > 1 THEN
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON atoms.atom_embedding TO %I', role);
    END IF;
    FOR routine IN SELECT r.routine FROM atoms.access_rules() r WHERE array_position(levels, r.level) <= reach LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', routine.routine, role);
    END LOOP;
END $$;
COMMENT ON FUNCTION grant_access(name, text)
    IS 'gives a role the level read, write (and read) or admin (and both); server files need PostgreSQL''s own roles besides';

CREATE FUNCTION revoke_access(role name) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles r WHERE r.rolname = role) THEN
        RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = 'undefined_object';
    END IF;
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA atoms FROM %I', role);
    EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA atoms FROM %I', role);
    EXECUTE format('REVOKE ALL ON SCHEMA atoms FROM %I', role);
END $$;
COMMENT ON FUNCTION revoke_access(name) IS 'takes from a role what grant_access gave it';

REVOKE ALL ON SCHEMA atoms FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA atoms FROM PUBLIC;
GRANT EXECUTE ON FUNCTION content_hash_in(cstring), content_hash_out(content_hash), content_hash_recv(internal), content_hash_send(content_hash),
    dimvec_in(cstring, oid, integer), dimvec_out(dimvec), dimvec_recv(internal, oid, integer), dimvec_send(dimvec),
    dimvec_typmod_in(cstring[]), dimvec_typmod_out(integer),
    dim_point_in(cstring), dim_point_out(dim_point), dim_point_recv(internal), dim_point_send(dim_point) TO PUBLIC;
COMMENT ON SCHEMA atoms IS 'pg_atoms: models, tensors and atoms';

-- pg_dump keeps what users stored.  One statement each: several in one fail.  atom_verification stays behind: a copy is not verified yet.
SELECT pg_catalog.pg_extension_config_dump('atom_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('atom', '');
SELECT pg_catalog.pg_extension_config_dump('atom_segment', '');
SELECT pg_catalog.pg_extension_config_dump('atom_pin', '');
SELECT pg_catalog.pg_extension_config_dump('atom_pin_pin_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('atom_relation', '');
SELECT pg_catalog.pg_extension_config_dump('model', '');
SELECT pg_catalog.pg_extension_config_dump('model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('model_file', '');
SELECT pg_catalog.pg_extension_config_dump('model_file_file_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('file_part', '');
SELECT pg_catalog.pg_extension_config_dump('tensor', '');
SELECT pg_catalog.pg_extension_config_dump('tensor_tensor_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('tensor_part', '');
SELECT pg_catalog.pg_extension_config_dump('model_import', '');
SELECT pg_catalog.pg_extension_config_dump('model_import_import_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('import_file', '');
SELECT pg_catalog.pg_extension_config_dump('import_part', '');
SELECT pg_catalog.pg_extension_config_dump('import_atom', '');
SELECT pg_catalog.pg_extension_config_dump('embedding_model', '');
SELECT pg_catalog.pg_extension_config_dump('embedding_model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('dimension_change', '');
