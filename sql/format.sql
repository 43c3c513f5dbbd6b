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
