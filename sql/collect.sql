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
