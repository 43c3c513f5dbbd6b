\echo Use "ALTER EXTENSION pg_atoms_vector UPDATE" to load this file. \quit

-- Ranges of a dimension, read from pgvector's bytes; a sparsevec is cast to a dimvec for it.
CREATE FUNCTION within_range(vector, dim_range) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vector_within_range';
COMMENT ON FUNCTION within_range(vector, dim_range) IS 'whether the vector has the dimension, and its value there lies between the bounds or on one of them';
CREATE FUNCTION range_holds(dim_range, vector) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'range_holds_vector';
COMMENT ON FUNCTION range_holds(dim_range, vector) IS 'whether the vector has the dimension, and its value there lies between the bounds or on one of them';
CREATE OPERATOR <@ (
    LEFTARG = vector, RIGHTARG = dim_range, FUNCTION = within_range,
    COMMUTATOR = @>, RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <@ (vector, dim_range) IS 'has a value within';
CREATE OPERATOR @> (
    LEFTARG = dim_range, RIGHTARG = vector, FUNCTION = range_holds,
    COMMUTATOR = <@, RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR @> (dim_range, vector) IS 'holds a value of';

CREATE FUNCTION within_range(halfvec, dim_range) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'halfvec_within_range';
COMMENT ON FUNCTION within_range(halfvec, dim_range) IS 'whether the vector has the dimension, and its value there lies between the bounds or on one of them';
CREATE FUNCTION range_holds(dim_range, halfvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'range_holds_halfvec';
COMMENT ON FUNCTION range_holds(dim_range, halfvec) IS 'whether the vector has the dimension, and its value there lies between the bounds or on one of them';
CREATE OPERATOR <@ (
    LEFTARG = halfvec, RIGHTARG = dim_range, FUNCTION = within_range,
    COMMUTATOR = @>, RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <@ (halfvec, dim_range) IS 'has a value within';
CREATE OPERATOR @> (
    LEFTARG = dim_range, RIGHTARG = halfvec, FUNCTION = range_holds,
    COMMUTATOR = <@, RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR @> (dim_range, halfvec) IS 'holds a value of';

-- Indexes of dimspace over the types of pgvector; a sparsevec is cast to a dimvec for it.
ALTER OPERATOR <@ (vector, dim_range) SET (RESTRICT = dimspace_sel);
ALTER OPERATOR @> (dim_range, vector) SET (RESTRICT = dimspace_sel);
ALTER FUNCTION within_range(vector, dim_range) SUPPORT dimspace_range_cost;
ALTER FUNCTION range_holds(dim_range, vector) SUPPORT dimspace_range_cost;
CREATE OPERATOR CLASS vector_cosine_ops DEFAULT FOR TYPE vector USING dimspace AS
    OPERATOR 1 <@ (vector, dim_range),
    FUNCTION 1 dimspace_cosine_metric(),
    FUNCTION 2 dimvec(vector, integer, boolean);
COMMENT ON OPERATOR CLASS vector_cosine_ops USING dimspace IS 'ranges of dimensions; cells by the cosine distance';
CREATE OPERATOR CLASS vector_l2_ops FOR TYPE vector USING dimspace AS
    OPERATOR 1 <@ (vector, dim_range),
    FUNCTION 1 dimspace_l2_metric(),
    FUNCTION 2 dimvec(vector, integer, boolean);
COMMENT ON OPERATOR CLASS vector_l2_ops USING dimspace IS 'ranges of dimensions; cells by the Euclidean distance';
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING dimspace AS
    OPERATOR 1 <@ (vector, dim_range),
    FUNCTION 1 dimspace_ip_metric(),
    FUNCTION 2 dimvec(vector, integer, boolean);
COMMENT ON OPERATOR CLASS vector_ip_ops USING dimspace IS 'ranges of dimensions; cells by the inner product';

ALTER OPERATOR <@ (halfvec, dim_range) SET (RESTRICT = dimspace_sel);
ALTER OPERATOR @> (dim_range, halfvec) SET (RESTRICT = dimspace_sel);
ALTER FUNCTION within_range(halfvec, dim_range) SUPPORT dimspace_range_cost;
ALTER FUNCTION range_holds(dim_range, halfvec) SUPPORT dimspace_range_cost;
CREATE OPERATOR CLASS halfvec_cosine_ops DEFAULT FOR TYPE halfvec USING dimspace AS
    OPERATOR 1 <@ (halfvec, dim_range),
    FUNCTION 1 dimspace_cosine_metric(),
    FUNCTION 2 dimvec(halfvec, integer, boolean);
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING dimspace IS 'ranges of dimensions; cells by the cosine distance';
CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING dimspace AS
    OPERATOR 1 <@ (halfvec, dim_range),
    FUNCTION 1 dimspace_l2_metric(),
    FUNCTION 2 dimvec(halfvec, integer, boolean);
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING dimspace IS 'ranges of dimensions; cells by the Euclidean distance';
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING dimspace AS
    OPERATOR 1 <@ (halfvec, dim_range),
    FUNCTION 1 dimspace_ip_metric(),
    FUNCTION 2 dimvec(halfvec, integer, boolean);
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING dimspace IS 'ranges of dimensions; cells by the inner product';

REVOKE ALL ON FUNCTION dimvec(vector, integer, boolean), dimvec(halfvec, integer, boolean), dimvec(sparsevec, integer, boolean),
    vector(dimvec), halfvec(dimvec), sparsevec(dimvec),
    within_range(vector, dim_range), within_range(halfvec, dim_range), range_holds(dim_range, vector), range_holds(dim_range, halfvec) FROM PUBLIC;
