\echo Use "ALTER EXTENSION pg_atoms UPDATE" to load this file. \quit

-- What searches single dimensions of vectors; what was there stays as it is.

-- dim_range: values of one dimension between two bounds, and the search for vectors that have such a value.
CREATE TYPE dim_range;

CREATE FUNCTION dim_range_in(cstring) RETURNS dim_range
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_in_wrapper';
COMMENT ON FUNCTION dim_range_in(cstring) IS 'I/O: reads (dimension,lo,hi)';
CREATE FUNCTION dim_range_out(dim_range) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_out_wrapper';
COMMENT ON FUNCTION dim_range_out(dim_range) IS 'I/O: writes (dimension,lo,hi)';
CREATE FUNCTION dim_range_recv(internal) RETURNS dim_range
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_recv_wrapper';
COMMENT ON FUNCTION dim_range_recv(internal) IS 'I/O: reads int4 and twice float8, big-endian';
CREATE FUNCTION dim_range_send(dim_range) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_send_wrapper';
COMMENT ON FUNCTION dim_range_send(dim_range) IS 'I/O: writes int4 and twice float8, big-endian';

CREATE TYPE dim_range (
    INPUT = dim_range_in,
    OUTPUT = dim_range_out,
    RECEIVE = dim_range_recv,
    SEND = dim_range_send,
    INTERNALLENGTH = 20,
    ALIGNMENT = char,
    STORAGE = plain
);
COMMENT ON TYPE dim_range IS 'values of one dimension between two bounds, both included; text form (dimension,lo,hi)';

CREATE FUNCTION dim_range(dimension integer, lo double precision, hi double precision) RETURNS dim_range
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_wrapper';
COMMENT ON FUNCTION dim_range(integer, double precision, double precision) IS 'makes a range, an infinite bound leaving that end open; 22003 for NaN, 22023 for a dimension below 0 or above 65,534 and for lo above hi';
CREATE FUNCTION range_dimension(dim_range) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'range_dimension_wrapper';
COMMENT ON FUNCTION range_dimension(dim_range) IS 'the dimension, counted from 0';
CREATE FUNCTION range_low(dim_range) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'range_low_wrapper';
COMMENT ON FUNCTION range_low(dim_range) IS 'the lower bound';
CREATE FUNCTION range_high(dim_range) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'range_high_wrapper';
COMMENT ON FUNCTION range_high(dim_range) IS 'the upper bound';

CREATE FUNCTION dim_range_eq(dim_range, dim_range) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_eq_wrapper';
COMMENT ON FUNCTION dim_range_eq(dim_range, dim_range) IS 'implementation of the = operator';
CREATE FUNCTION dim_range_ne(dim_range, dim_range) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_ne_wrapper';
COMMENT ON FUNCTION dim_range_ne(dim_range, dim_range) IS 'implementation of the <> operator';
CREATE FUNCTION dim_range_hash(dim_range) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_hash_wrapper';
COMMENT ON FUNCTION dim_range_hash(dim_range) IS 'hash for hash joins and hash indexes';
CREATE FUNCTION dim_range_hash_extended(dim_range, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_range_hash_extended_wrapper';
COMMENT ON FUNCTION dim_range_hash_extended(dim_range, bigint) IS 'seeded hash for hash partitions';

CREATE OPERATOR = (
    LEFTARG = dim_range, RIGHTARG = dim_range, FUNCTION = dim_range_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES
);
COMMENT ON OPERATOR = (dim_range, dim_range) IS 'equal to';
CREATE OPERATOR <> (
    LEFTARG = dim_range, RIGHTARG = dim_range, FUNCTION = dim_range_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (dim_range, dim_range) IS 'not equal to';

CREATE OPERATOR CLASS dim_range_ops DEFAULT FOR TYPE dim_range USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 dim_range_hash(dim_range),
    FUNCTION 2 dim_range_hash_extended(dim_range, bigint);
COMMENT ON OPERATOR CLASS dim_range_ops USING hash IS 'hashing of values of dim_range';

CREATE FUNCTION within_range(dimvec, dim_range) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_within_range';
COMMENT ON FUNCTION within_range(dimvec, dim_range) IS 'whether the vector has the dimension, and its value there lies between the bounds or on one of them';
CREATE FUNCTION range_holds(dim_range, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'range_holds_dimvec';
COMMENT ON FUNCTION range_holds(dim_range, dimvec) IS 'whether the vector has the dimension, and its value there lies between the bounds or on one of them';

CREATE OPERATOR <@ (
    LEFTARG = dimvec, RIGHTARG = dim_range, FUNCTION = within_range,
    COMMUTATOR = @>, RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <@ (dimvec, dim_range) IS 'has a value within';
CREATE OPERATOR @> (
    LEFTARG = dim_range, RIGHTARG = dimvec, FUNCTION = range_holds,
    COMMUTATOR = <@, RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR @> (dim_range, dimvec) IS 'holds a value of';

-- dimspace: the index access method for searches of single dimensions of vectors.
CREATE FUNCTION dimspace_handler(internal) RETURNS index_am_handler
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'dimspace_handler';
COMMENT ON FUNCTION dimspace_handler(internal) IS 'dimspace index access method handler';
CREATE ACCESS METHOD dimspace TYPE INDEX HANDLER dimspace_handler;
COMMENT ON ACCESS METHOD dimspace IS 'index of vectors for ranges of single dimensions';

CREATE FUNCTION dimspace_cosine_metric() RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimspace_cosine_metric_wrapper';
COMMENT ON FUNCTION dimspace_cosine_metric() IS 'support function of operator classes: cells of directions';
CREATE FUNCTION dimspace_l2_metric() RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimspace_l2_metric_wrapper';
COMMENT ON FUNCTION dimspace_l2_metric() IS 'support function of operator classes: cells of the Euclidean distance';
CREATE FUNCTION dimspace_ip_metric() RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimspace_ip_metric_wrapper';
COMMENT ON FUNCTION dimspace_ip_metric() IS 'support function of operator classes: cells of the inner product';

CREATE FUNCTION dimspace_sel(internal, oid, internal, integer) RETURNS double precision
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimspace_sel_wrapper';
COMMENT ON FUNCTION dimspace_sel(internal, oid, internal, integer) IS 'restriction selectivity of <@ and @> with a range, from the quantiles of a dimspace index';
ALTER OPERATOR <@ (dimvec, dim_range) SET (RESTRICT = dimspace_sel);
ALTER OPERATOR @> (dim_range, dimvec) SET (RESTRICT = dimspace_sel);
CREATE FUNCTION dimspace_range_cost(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimspace_range_cost_wrapper';
COMMENT ON FUNCTION dimspace_range_cost(internal) IS 'planner support function of <@ and @> with a range: vectors that are stored out of line cost their fetching';
ALTER FUNCTION within_range(dimvec, dim_range) SUPPORT dimspace_range_cost;
ALTER FUNCTION range_holds(dim_range, dimvec) SUPPORT dimspace_range_cost;

CREATE OPERATOR CLASS dimvec_cosine_ops DEFAULT FOR TYPE dimvec USING dimspace AS
    OPERATOR 1 <@ (dimvec, dim_range),
    FUNCTION 1 dimspace_cosine_metric();
COMMENT ON OPERATOR CLASS dimvec_cosine_ops USING dimspace IS 'ranges of dimensions; cells by the cosine distance';
CREATE OPERATOR CLASS dimvec_l2_ops FOR TYPE dimvec USING dimspace AS
    OPERATOR 1 <@ (dimvec, dim_range),
    FUNCTION 1 dimspace_l2_metric();
COMMENT ON OPERATOR CLASS dimvec_l2_ops USING dimspace IS 'ranges of dimensions; cells by the Euclidean distance';
CREATE OPERATOR CLASS dimvec_ip_ops FOR TYPE dimvec USING dimspace AS
    OPERATOR 1 <@ (dimvec, dim_range),
    FUNCTION 1 dimspace_ip_metric();
COMMENT ON OPERATOR CLASS dimvec_ip_ops USING dimspace IS 'ranges of dimensions; cells by the inner product';

CREATE FUNCTION dimspace_last_scan() RETURNS TABLE (index regclass, cells bigint, pages bigint, rows bigint, rechecks bigint, repeated_cells bigint)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'dimspace_last_scan_wrapper';
COMMENT ON FUNCTION dimspace_last_scan() IS 'what this session''s last scan of a dimspace index read and found; no row before the first';
CREATE FUNCTION dimspace_check(index regclass, heap boolean DEFAULT false) RETURNS SETOF text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'dimspace_check_wrapper';
COMMENT ON FUNCTION dimspace_check(regclass, boolean) IS 'which rules of its layout a dimspace index breaks, and with heap how it differs from its table; no row where it is sound; nobody writes to the table meanwhile; 42501 without SELECT and one of UPDATE, DELETE and TRUNCATE on it';
CREATE FUNCTION dimspace_stats(index regclass) RETURNS TABLE (rows bigint, dead_rows bigint, odd_rows bigint, dimensions integer, cells integer,
    cell_rows_min bigint, cell_rows_median bigint, cell_rows_max bigint, segments bigint, tail_rows bigint, tail_pages bigint, scale_sets integer,
    clamped_rows bigint, misplaced_share double precision, pages bigint, free_pages bigint, bytes bigint, bytes_per_value double precision)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'dimspace_stats_wrapper';
COMMENT ON FUNCTION dimspace_stats(regclass) IS 'what a dimspace index holds, in how many pages; 42501 without SELECT on its table';

CREATE FUNCTION index_embeddings(model_id bigint, dimensions integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    IF dimensions > 16000 THEN
        RAISE NOTICE 'embeddings of % dimensions have no index: dimspace takes at most 16,000', dimensions;
        RETURN false;
    END IF;
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON atoms.%I USING dimspace (value) WITH (dimensions = %s)',
        format('embedding_%s_dimspace', model_id), format('embedding_%s', model_id), dimensions);
    RETURN true;
END $$;
COMMENT ON FUNCTION index_embeddings(bigint, integer) IS 'gives the partition of a model its index dimspace, unless it has too many dimensions; returns whether it has one';

CREATE OR REPLACE FUNCTION register_embedding_model(model text, dimensions integer, element_type text DEFAULT 'float32', metadata jsonb DEFAULT '{}')
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id        bigint;
    partition text;
BEGIN
    IF model IS NULL OR dimensions IS NULL OR element_type IS NULL THEN
        RAISE EXCEPTION 'model, dimensions and element_type must be given' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM atoms.check_model_name(model);
    PERFORM atoms.check_vector_form(dimensions, element_type);
    PERFORM atoms.lock_for_partition('SHARE ROW EXCLUSIVE');
    INSERT INTO atoms.embedding_model AS m (name, dimensions, element_type, metadata)
        VALUES (model, dimensions, element_type, coalesce(metadata, '{}')) ON CONFLICT (name) DO NOTHING RETURNING m.model_id INTO id;
    IF id IS NULL THEN
        RAISE EXCEPTION 'embedding model "%" exists already', model USING ERRCODE = 'duplicate_object',
            HINT = 'drop_embedding_model(model) drops it with its embeddings.';
    END IF;
    partition := format('embedding_%s', id);
    EXECUTE format('CREATE TABLE atoms.%1$I (
        source_atom_id bigint NOT NULL CONSTRAINT %2$I PRIMARY KEY CONSTRAINT %3$I REFERENCES atoms.atom ON DELETE CASCADE,
        model_id bigint NOT NULL CONSTRAINT %4$I CHECK (model_id = %6$s),
        value atoms.dimvec NOT NULL CONSTRAINT %5$I CHECK (atoms.vector_dims(value) = %7$s AND atoms.element_type(value) = %8$L)
        ) WITH (toast_tuple_target = 8160)', partition, partition || '_pkey', partition || '_source_atom_id_fkey',
        partition || '_model_check', partition || '_form_check', id, dimensions, element_type);
    EXECUTE format('ALTER TABLE atoms.embedding ATTACH PARTITION atoms.%I FOR VALUES IN (%s)', partition, id);
    EXECUTE format('COMMENT ON TABLE atoms.%I IS %L', partition, 'embeddings of ' || model);
    PERFORM atoms.index_embeddings(id, dimensions);
    RETURN id;
END $$;

-- What single dimensions say.
CREATE OR REPLACE FUNCTION dimension_search(
    model text, dimension integer, value double precision, tolerance double precision DEFAULT 0.05, max_rows bigint DEFAULT NULL)
    RETURNS TABLE (source_atom_id bigint, dimension_value double precision)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
BEGIN
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    IF owner.model_id IS NULL OR dimension IS NULL OR value IS NULL OR tolerance IS NULL THEN
        RETURN;
    ELSIF dimension NOT BETWEEN 0 AND owner.dimensions - 1 THEN
        RAISE EXCEPTION 'dimension % is not one of 0 to %', dimension, owner.dimensions - 1 USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT (tolerance >= 0 AND tolerance < 'infinity' AND abs(value) < 'infinity') THEN
        RAISE EXCEPTION 'value and tolerance must be finite numbers, and the tolerance not negative' USING ERRCODE = 'invalid_parameter_value';
    ELSIF max_rows < 0 THEN
        RAISE EXCEPTION 'max_rows must not be negative' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Number, dimension and bounds stand in the text, so that the planner sees one partition, its index and its statistics.
    RETURN QUERY EXECUTE format('SELECT e.source_atom_id, d.value
        FROM atoms.embedding e CROSS JOIN LATERAL atoms.dimension_value(e.value, %2$s) d (value)
        WHERE e.model_id = %1$s AND e.value OPERATOR(atoms.<@) atoms.dim_range(%2$s, %3$L, %4$L)
        ORDER BY abs(d.value - $1), e.source_atom_id LIMIT $2', owner.model_id, dimension, value - tolerance, value + tolerance) USING value, max_rows;
END $$;

CREATE OR REPLACE FUNCTION dimension_storage_report(model text)
    RETURNS TABLE (layout text, item text, count bigint, bytes bigint, bytes_per_value double precision, arithmetic text)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner     atoms.embedding_model;
    partition regclass;
    rows      bigint;
    packed    bigint;
    different bigint;
    numbers   bigint;
    width     integer;
BEGIN
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    partition := format('atoms.embedding_%s', owner.model_id)::regclass;
    SELECT count(*), coalesce(sum(pg_column_size(e.value)), 0), atoms.count_distinct_values(e.value)
        INTO rows, packed, different FROM atoms.embedding e WHERE e.model_id = owner.model_id;
    numbers := rows * owner.dimensions;
    width := octet_length(atoms.serialize_vector(atoms.zero_vector(1, owner.element_type)));
    RETURN QUERY SELECT l.layout, l.item, l.count, l.bytes, l.bytes::double precision / nullif(numbers, 0), l.arithmetic FROM (VALUES
        ('raw', 'values', numbers, numbers * width, format('%s embeddings x %s dimensions x %s bytes', rows, owner.dimensions, width)),
        ('raw', 'distinct values', different, different * width,
            CASE WHEN different IS NULL THEN 'not counted for float64'
                 ELSE format('%s of %s values are distinct: each occurs %s times', different, numbers, round(numbers / nullif(different, 0)::numeric, 3)) END),
        -- One row per atom and one per dimension, with their indexes, as measured on the tables of docs/bench.md.
        ('literal', 'atom rows', coalesce(different, numbers), coalesce(different, numbers) * 200,
            format('%s rows x 200 bytes: row 101, unique hash 76, key 23', coalesce(different, numbers))),
        ('literal', 'atom_embedding rows', numbers, numbers * 255,
            format('%s rows x 255 bytes: row 84, key 23, unique key 32, spatial index 77, dimension index 39', numbers)),
        ('literal', 'total', numbers, coalesce(different, numbers) * 200 + numbers * 255, 'atom rows + atom_embedding rows'),
        ('packed', 'vectors', rows, packed, format('up to 4 bytes of length, 4 of header, and the values as %s or narrower', owner.element_type)),
        ('packed', 'table', rows, pg_table_size(partition), 'pages of the table, its TOAST and its maps'),
        ('packed', 'indexes', rows, pg_indexes_size(partition), 'the key, the index dimspace, and indexes that you made'),
        ('packed', 'total', numbers, pg_total_relation_size(partition), 'table + indexes; dimension atoms take no row')
    ) l (layout, item, count, bytes, arithmetic);
END $$;

-- Who may do what.  Nothing is granted to PUBLIC but the input and output of types; grant_access gives a role a level.
CREATE OR REPLACE FUNCTION access_rules() RETURNS TABLE (level text, routine regprocedure)
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

REVOKE ALL ON ALL ROUTINES IN SCHEMA atoms FROM PUBLIC;
GRANT EXECUTE ON FUNCTION content_hash_in(cstring), content_hash_out(content_hash), content_hash_recv(internal), content_hash_send(content_hash),
    dimvec_in(cstring, oid, integer), dimvec_out(dimvec), dimvec_recv(internal, oid, integer), dimvec_send(dimvec),
    dimvec_typmod_in(cstring[]), dimvec_typmod_out(integer),
    dim_point_in(cstring), dim_point_out(dim_point), dim_point_recv(internal), dim_point_send(dim_point),
    dim_range_in(cstring), dim_range_out(dim_range), dim_range_recv(internal), dim_range_send(dim_range) TO PUBLIC;

-- The partitions there are get the index that register_embedding_model makes for new ones.
SELECT atoms.index_embeddings(m.model_id, m.dimensions) FROM atoms.embedding_model m ORDER BY m.model_id;

DO $$
BEGIN
    -- A warning, because the server shows no notice of a script of an extension.
    RAISE WARNING 'roles that atoms.grant_access gave a level need it again for the new functions'
        USING HINT = 'SELECT atoms.grant_access(role, level);';
END $$;
