\echo Use "ALTER EXTENSION pg_atoms UPDATE" to load this file. \quit

-- Formats, values and their statistics; the tables stay as they are.  Each function below is as in the files that sql/ORDER lists.

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

CREATE OR REPLACE FUNCTION find_tensor(model text, tensor text) RETURNS bigint
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

COMMENT ON COLUMN model_file.note IS 'what an opaque file is, or why it was not read further';
COMMENT ON COLUMN tensor.layout IS 'contiguous: the bytes stand in the file as they are; big-endian: so do they, their numbers big-endian';

CREATE OR REPLACE FUNCTION access_rules() RETURNS TABLE (level text, routine regprocedure)
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

REVOKE ALL ON ALL ROUTINES IN SCHEMA atoms FROM PUBLIC;
GRANT EXECUTE ON FUNCTION content_hash_in(cstring), content_hash_out(content_hash), content_hash_recv(internal), content_hash_send(content_hash) TO PUBLIC;

DO $$
BEGIN
    RAISE NOTICE 'roles that atoms.grant_access gave a level need it again for the new functions'
        USING HINT = 'SELECT atoms.grant_access(role, level); atoms.reread_model(model) reads GGUF files that were stored before.';
END $$;
