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
