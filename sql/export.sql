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
