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

-- access.sql

-- Who may do what.  Nothing is granted to PUBLIC but the input and output of types; grant_access gives a role a level.

CREATE FUNCTION access_rules() RETURNS TABLE (level text, routine regprocedure)
    LANGUAGE sql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT CASE
        WHEN p.proname IN ('grant_access', 'revoke_access', 'vacuum_atoms', 'vacuum_all_atoms', 'collect_atoms', 'collect_imports',
                           'verify_all_atoms', 'verify_step') THEN 'admin'
        WHEN p.proname IN ('record_verification', 'record_parts', 'index_tensors', 'drop_segments') THEN 'internal'
        WHEN p.proname IN ('upsert_atom', 'upsert_atoms', 'insert_atom', 'release_atom', 'insert_atom_relation', 'drop_model', 'rename_model',
                           'begin_import', 'claim_import', 'import_files', 'import_strategy', 'link_import_file', 'announce_parts', 'missing_atoms', 'next_missing',
                           'send_atoms', 'send_atom_part', 'import_bytes', 'hash_import_file', 'finish_import', 'abort_import',
                           'begin_server_import', 'import_step', 'import_model', 'import_model_at_once', 'reread_model') THEN 'write'
        WHEN p.prorettype IN ('content_hash'::regtype, 'cstring'::regtype, 'bytea'::regtype)
             AND p.proname IN ('content_hash_in', 'content_hash_out', 'content_hash_recv', 'content_hash_send') THEN 'public'
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
GRANT EXECUTE ON FUNCTION content_hash_in(cstring), content_hash_out(content_hash), content_hash_recv(internal), content_hash_send(content_hash) TO PUBLIC;
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
