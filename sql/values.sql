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
