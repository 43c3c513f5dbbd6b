-- Who may do what.  Nothing is granted to PUBLIC but the input and output of types; grant_access gives a role a level.

CREATE FUNCTION access_rules() RETURNS TABLE (level text, routine regprocedure)
    LANGUAGE sql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT CASE
        WHEN p.proname IN ('grant_access', 'revoke_access', 'vacuum_atoms', 'vacuum_all_atoms', 'collect_atoms', 'collect_imports',
                           'verify_all_atoms', 'verify_step') THEN 'admin'
        WHEN p.proname IN ('record_verification', 'record_parts', 'index_tensors', 'drop_segments', 'lock_for_partition', 'index_embeddings', 'hold_source_atoms',
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
    dim_point_in(cstring), dim_point_out(dim_point), dim_point_recv(internal), dim_point_send(dim_point),
    dim_range_in(cstring), dim_range_out(dim_range), dim_range_recv(internal), dim_range_send(dim_range) TO PUBLIC;
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
