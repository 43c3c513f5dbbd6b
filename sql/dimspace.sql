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
