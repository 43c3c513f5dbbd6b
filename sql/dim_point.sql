-- dim_point: one value, in one dimension, of one embedding model; the spatial key of atom_embedding.

CREATE TYPE dim_point;

CREATE FUNCTION dim_point_in(cstring) RETURNS dim_point
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_in_wrapper';
COMMENT ON FUNCTION dim_point_in(cstring) IS 'I/O: reads (value,dimension_index,model_id)';
CREATE FUNCTION dim_point_out(dim_point) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_out_wrapper';
COMMENT ON FUNCTION dim_point_out(dim_point) IS 'I/O: writes (value,dimension_index,model_id)';
CREATE FUNCTION dim_point_recv(internal) RETURNS dim_point
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_recv_wrapper';
COMMENT ON FUNCTION dim_point_recv(internal) IS 'I/O: reads float8, int4 and int8, big-endian';
CREATE FUNCTION dim_point_send(dim_point) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_send_wrapper';
COMMENT ON FUNCTION dim_point_send(dim_point) IS 'I/O: writes float8, int4 and int8, big-endian';

CREATE TYPE dim_point (
    INPUT = dim_point_in,
    OUTPUT = dim_point_out,
    RECEIVE = dim_point_recv,
    SEND = dim_point_send,
    INTERNALLENGTH = 20,
    ALIGNMENT = char,
    STORAGE = plain
);
COMMENT ON TYPE dim_point IS 'a value in a dimension of an embedding model; text form (value,dimension_index,model_id)';

CREATE FUNCTION dim_point(value double precision, dimension_index integer, model_id bigint) RETURNS dim_point
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_wrapper';
COMMENT ON FUNCTION dim_point(double precision, integer, bigint) IS 'makes a point; 22003 for NaN and infinities, 22023 for a dimension below 0 or above 65,534';
CREATE FUNCTION dim_value(dim_point) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_value_wrapper';
COMMENT ON FUNCTION dim_value(dim_point) IS 'the value';
CREATE FUNCTION dim_index(dim_point) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_index_wrapper';
COMMENT ON FUNCTION dim_index(dim_point) IS 'the dimension, counted from 0';
CREATE FUNCTION dim_model(dim_point) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_model_wrapper';
COMMENT ON FUNCTION dim_model(dim_point) IS 'the id of the model';

CREATE FUNCTION dim_point_eq(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_eq_wrapper';
COMMENT ON FUNCTION dim_point_eq(dim_point, dim_point) IS 'implementation of the = operator';
CREATE FUNCTION dim_point_ne(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_ne_wrapper';
COMMENT ON FUNCTION dim_point_ne(dim_point, dim_point) IS 'implementation of the <> operator';
CREATE FUNCTION dim_point_lt(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_lt_wrapper';
COMMENT ON FUNCTION dim_point_lt(dim_point, dim_point) IS 'implementation of the < operator';
CREATE FUNCTION dim_point_le(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_le_wrapper';
COMMENT ON FUNCTION dim_point_le(dim_point, dim_point) IS 'implementation of the <= operator';
CREATE FUNCTION dim_point_gt(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_gt_wrapper';
COMMENT ON FUNCTION dim_point_gt(dim_point, dim_point) IS 'implementation of the > operator';
CREATE FUNCTION dim_point_ge(dim_point, dim_point) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_ge_wrapper';
COMMENT ON FUNCTION dim_point_ge(dim_point, dim_point) IS 'implementation of the >= operator';
CREATE FUNCTION dim_point_cmp(dim_point, dim_point) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_cmp_wrapper';
COMMENT ON FUNCTION dim_point_cmp(dim_point, dim_point) IS 'less, equal, greater: -1, 0, 1; by model, then dimension, then value';
CREATE FUNCTION dim_point_hash(dim_point) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_hash_wrapper';
COMMENT ON FUNCTION dim_point_hash(dim_point) IS 'hash for hash joins and hash indexes';
CREATE FUNCTION dim_point_hash_extended(dim_point, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'dim_point_hash_extended_wrapper';
COMMENT ON FUNCTION dim_point_hash_extended(dim_point, bigint) IS 'seeded hash for hash partitions';

CREATE OPERATOR = (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR = (dim_point, dim_point) IS 'equal to';
CREATE OPERATOR <> (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (dim_point, dim_point) IS 'not equal to';
CREATE OPERATOR < (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (dim_point, dim_point) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (dim_point, dim_point) IS 'less than or equal to';
CREATE OPERATOR > (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (dim_point, dim_point) IS 'greater than';
CREATE OPERATOR >= (
    LEFTARG = dim_point, RIGHTARG = dim_point, FUNCTION = dim_point_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (dim_point, dim_point) IS 'greater than or equal to';

CREATE OPERATOR CLASS dim_point_ops DEFAULT FOR TYPE dim_point USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 dim_point_cmp(dim_point, dim_point);
COMMENT ON OPERATOR CLASS dim_point_ops USING btree IS 'order by model, dimension, value';

CREATE OPERATOR CLASS dim_point_ops DEFAULT FOR TYPE dim_point USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 dim_point_hash(dim_point),
    FUNCTION 2 dim_point_hash_extended(dim_point, bigint);
COMMENT ON OPERATOR CLASS dim_point_ops USING hash IS 'hashing of values of dim_point';
