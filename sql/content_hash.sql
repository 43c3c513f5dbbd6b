-- content_hash: the SHA-256 of a byte string, 32 bytes by reference, hexadecimal in and out.

CREATE TYPE content_hash;

CREATE FUNCTION content_hash_in(cstring) RETURNS content_hash
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_in_wrapper';
CREATE FUNCTION content_hash_out(content_hash) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_out_wrapper';
CREATE FUNCTION content_hash_recv(internal) RETURNS content_hash
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_recv_wrapper';
CREATE FUNCTION content_hash_send(content_hash) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_send_wrapper';

CREATE TYPE content_hash (
    INPUT = content_hash_in,
    OUTPUT = content_hash_out,
    RECEIVE = content_hash_recv,
    SEND = content_hash_send,
    INTERNALLENGTH = 32,
    ALIGNMENT = char,
    STORAGE = plain
);
COMMENT ON TYPE content_hash IS 'SHA-256 of a byte string: the identity of an atom.  Text form: 64 hexadecimal digits';
COMMENT ON FUNCTION content_hash_in(cstring) IS 'I/O: reads 64 hexadecimal digits, with or without a leading \x';
COMMENT ON FUNCTION content_hash_out(content_hash) IS 'I/O: writes 64 lower-case hexadecimal digits';
COMMENT ON FUNCTION content_hash_recv(internal) IS 'I/O: reads 32 bytes';
COMMENT ON FUNCTION content_hash_send(content_hash) IS 'I/O: writes 32 bytes';

CREATE FUNCTION content_hash(bytea) RETURNS content_hash
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_from_bytea_wrapper';
CREATE FUNCTION bytea(content_hash) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_to_bytea_wrapper';
COMMENT ON FUNCTION content_hash(bytea) IS 'takes the 32 bytes of a digest as a content hash (it does not hash: see hash_bytes); 22023 for any other length';
COMMENT ON FUNCTION bytea(content_hash) IS 'the 32 bytes of the hash';

-- Implicit, so that sha256(x) compares with a content hash and passes where one is wanted.
CREATE CAST (bytea AS content_hash) WITH FUNCTION content_hash(bytea) AS IMPLICIT;
CREATE CAST (content_hash AS bytea) WITH FUNCTION bytea(content_hash) AS ASSIGNMENT;

CREATE FUNCTION hash_bytes(data bytea) RETURNS content_hash
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'hash_bytes_wrapper';
COMMENT ON FUNCTION hash_bytes(bytea) IS 'SHA-256 of the bytes (FIPS 180-4), as a content hash';

CREATE FUNCTION content_hash_eq(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_eq_wrapper';
COMMENT ON FUNCTION content_hash_eq(content_hash, content_hash) IS 'implementation of the = operator';
CREATE FUNCTION content_hash_ne(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_ne_wrapper';
COMMENT ON FUNCTION content_hash_ne(content_hash, content_hash) IS 'implementation of the <> operator';
CREATE FUNCTION content_hash_lt(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_lt_wrapper';
COMMENT ON FUNCTION content_hash_lt(content_hash, content_hash) IS 'implementation of the < operator';
CREATE FUNCTION content_hash_le(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_le_wrapper';
COMMENT ON FUNCTION content_hash_le(content_hash, content_hash) IS 'implementation of the <= operator';
CREATE FUNCTION content_hash_gt(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_gt_wrapper';
COMMENT ON FUNCTION content_hash_gt(content_hash, content_hash) IS 'implementation of the > operator';
CREATE FUNCTION content_hash_ge(content_hash, content_hash) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_ge_wrapper';
COMMENT ON FUNCTION content_hash_ge(content_hash, content_hash) IS 'implementation of the >= operator';
CREATE FUNCTION content_hash_cmp(content_hash, content_hash) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_cmp_wrapper';
COMMENT ON FUNCTION content_hash_cmp(content_hash, content_hash) IS 'less, equal, greater: -1, 0, 1; byte by byte';
CREATE FUNCTION content_hash_hash(content_hash) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_hash_wrapper';
COMMENT ON FUNCTION content_hash_hash(content_hash) IS 'hash for hash joins and hash indexes';
CREATE FUNCTION content_hash_hash_extended(content_hash, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'content_hash_hash_extended_wrapper';
COMMENT ON FUNCTION content_hash_hash_extended(content_hash, bigint) IS 'seeded hash for hash partitions';

CREATE OPERATOR = (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR = (content_hash, content_hash) IS 'equal to';
CREATE OPERATOR <> (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (content_hash, content_hash) IS 'not equal to';
CREATE OPERATOR < (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (content_hash, content_hash) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (content_hash, content_hash) IS 'less than or equal to';
CREATE OPERATOR > (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (content_hash, content_hash) IS 'greater than';
CREATE OPERATOR >= (
    LEFTARG = content_hash, RIGHTARG = content_hash, FUNCTION = content_hash_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (content_hash, content_hash) IS 'greater than or equal to';

CREATE OPERATOR CLASS content_hash_ops DEFAULT FOR TYPE content_hash USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 content_hash_cmp(content_hash, content_hash),
    FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS content_hash_ops USING btree IS 'byte order of content hashes';

CREATE OPERATOR CLASS content_hash_ops DEFAULT FOR TYPE content_hash USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 content_hash_hash(content_hash),
    FUNCTION 2 content_hash_hash_extended(content_hash, bigint);
COMMENT ON OPERATOR CLASS content_hash_ops USING hash IS 'hashing of content hashes';
COMMENT ON CAST (bytea AS content_hash) IS 'takes the 32 bytes of a digest';
COMMENT ON CAST (content_hash AS bytea) IS 'the 32 bytes of the hash';
