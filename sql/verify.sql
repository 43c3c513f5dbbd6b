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
