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
