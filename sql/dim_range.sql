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
