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
