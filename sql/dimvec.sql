-- dimvec: a vector of 1 to 65,535 numbers of a declared element type.  docs/layout/dimvec.md draws how it lies in a row.
--
-- Dimensions are counted from 0 in every function and view; positions, as pgvector has them, from 1 in subvector and in the
-- sparse text form.

CREATE TYPE dimvec;

CREATE FUNCTION dimvec_in(cstring, oid, integer) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_in_wrapper';
COMMENT ON FUNCTION dimvec_in(cstring, oid, integer) IS 'I/O: reads [1,2.5] or {1:0.5,3:2}/5 (positions from 1), after the name of the element type and a colon where it is not float32 (in COPY: not the column''s)';
CREATE FUNCTION dimvec_out(dimvec) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_out_wrapper';
COMMENT ON FUNCTION dimvec_out(dimvec) IS 'I/O: writes [1,2.5], after the name of the element type and a colon where it is not float32';
CREATE FUNCTION dimvec_recv(internal, oid, integer) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_recv_wrapper';
COMMENT ON FUNCTION dimvec_recv(internal, oid, integer) IS 'I/O: reads the binary form, which of float32 is that of pgvector';
CREATE FUNCTION dimvec_send(dimvec) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_send_wrapper';
COMMENT ON FUNCTION dimvec_send(dimvec) IS 'I/O: writes the binary form, which of float32 is that of pgvector';
CREATE FUNCTION dimvec_typmod_in(cstring[]) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_typmod_in_wrapper';
COMMENT ON FUNCTION dimvec_typmod_in(cstring[]) IS 'I/O: reads the type modifier: dimensions, element type, or both';
CREATE FUNCTION dimvec_typmod_out(integer) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_typmod_out_wrapper';
COMMENT ON FUNCTION dimvec_typmod_out(integer) IS 'I/O: writes the type modifier';

-- External: numbers hardly compress, so what is longer than a row takes lies in TOAST as it is.
CREATE TYPE dimvec (
    INPUT = dimvec_in,
    OUTPUT = dimvec_out,
    RECEIVE = dimvec_recv,
    SEND = dimvec_send,
    TYPMOD_IN = dimvec_typmod_in,
    TYPMOD_OUT = dimvec_typmod_out,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);
COMMENT ON TYPE dimvec IS 'vector of 1 to 65,535 numbers; dimvec(384), dimvec(384, float16): element types float32 (default), float16, bfloat16, int8, uint8, float64';

-- Casts.

CREATE FUNCTION dimvec(dimvec, integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_enforce_wrapper';
COMMENT ON FUNCTION dimvec(dimvec, integer, boolean) IS 'enforces the type modifier: 22023 for other dimensions; values are rounded to the element type, 22003 beyond it';
CREATE FUNCTION dimvec(real[], integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_float4_array_wrapper';
COMMENT ON FUNCTION dimvec(real[], integer, boolean) IS 'a vector of the elements, float32 unless the type modifier says otherwise; 22023 for NULLs, 22003 for NaN and infinities';
CREATE FUNCTION dimvec(double precision[], integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_float8_array_wrapper';
COMMENT ON FUNCTION dimvec(double precision[], integer, boolean) IS 'a vector of the elements, float64 unless the type modifier says otherwise; 22023 for NULLs, 22003 for NaN and infinities';
CREATE FUNCTION dimvec(bytea, integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_bytea_wrapper';
COMMENT ON FUNCTION dimvec(bytea, integer, boolean) IS 'a vector of little-endian elements, float32 unless the type modifier says otherwise; 22P03 where they do not fill the bytes';
CREATE FUNCTION dimvec_of_numbers(double precision[], integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_of_numbers_wrapper';
COMMENT ON FUNCTION dimvec_of_numbers(double precision[], integer, boolean) IS 'a vector of the elements, float32 unless the type modifier says otherwise';
CREATE FUNCTION dimvec(integer[], integer, boolean) RETURNS dimvec
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT atoms.dimvec_of_numbers($1::pg_catalog.float8[], $2, $3)';
COMMENT ON FUNCTION dimvec(integer[], integer, boolean) IS 'a vector of the elements, float32 unless the type modifier says otherwise';
CREATE FUNCTION dimvec(numeric[], integer, boolean) RETURNS dimvec
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT atoms.dimvec_of_numbers($1::pg_catalog.float8[], $2, $3)';
COMMENT ON FUNCTION dimvec(numeric[], integer, boolean) IS 'a vector of the elements, by way of float64, float32 unless the type modifier says otherwise';
CREATE FUNCTION float4_array(dimvec) RETURNS real[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_to_float4_array_wrapper';
COMMENT ON FUNCTION float4_array(dimvec) IS 'all values, zeros included; 22003 where a float64 is beyond real';
CREATE FUNCTION float8_array(dimvec) RETURNS double precision[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_to_float8_array_wrapper';
COMMENT ON FUNCTION float8_array(dimvec) IS 'all values, zeros included';
CREATE FUNCTION serialize_vector(dimvec) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'serialize_vector_wrapper';
COMMENT ON FUNCTION serialize_vector(dimvec) IS 'all values as little-endian elements of the declared type';
CREATE FUNCTION deserialize_vector(data bytea, element_type text DEFAULT 'float32') RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deserialize_vector_wrapper';
COMMENT ON FUNCTION deserialize_vector(bytea, text) IS 'a vector of little-endian elements of that type';

-- Not implicit from arrays: the operators of arrays would be ambiguous.
CREATE CAST (dimvec AS dimvec) WITH FUNCTION dimvec(dimvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (dimvec AS dimvec) IS 'enforces the type modifier';
CREATE CAST (real[] AS dimvec) WITH FUNCTION dimvec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS dimvec) IS 'a vector of the elements';
CREATE CAST (double precision[] AS dimvec) WITH FUNCTION dimvec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS dimvec) IS 'a vector of the elements';
CREATE CAST (integer[] AS dimvec) WITH FUNCTION dimvec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS dimvec) IS 'a vector of the elements';
CREATE CAST (numeric[] AS dimvec) WITH FUNCTION dimvec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS dimvec) IS 'a vector of the elements';
CREATE CAST (bytea AS dimvec) WITH FUNCTION dimvec(bytea, integer, boolean);
COMMENT ON CAST (bytea AS dimvec) IS 'a vector of little-endian elements';
CREATE CAST (dimvec AS real[]) WITH FUNCTION float4_array(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS real[]) IS 'all values';
CREATE CAST (dimvec AS double precision[]) WITH FUNCTION float8_array(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS double precision[]) IS 'all values';
CREATE CAST (dimvec AS bytea) WITH FUNCTION serialize_vector(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS bytea) IS 'all values as little-endian elements of the declared type';

-- Parts.

CREATE FUNCTION vector_dims(dimvec) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vector_dims_wrapper';
COMMENT ON FUNCTION vector_dims(dimvec) IS 'how many dimensions the vector has';
CREATE FUNCTION element_type(dimvec) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'element_type_wrapper';
COMMENT ON FUNCTION element_type(dimvec) IS 'the declared element type';
CREATE FUNCTION stored_form(dimvec) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'stored_form_wrapper';
COMMENT ON FUNCTION stored_form(dimvec) IS 'the element type that the values are stored in, after the word sparse where zeros are left out';
CREATE FUNCTION sparse_text(dimvec) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'sparse_text_wrapper';
COMMENT ON FUNCTION sparse_text(dimvec) IS 'the sparse text form {1:0.5,3:2}/5, positions counted from 1 as in pgvector';
CREATE FUNCTION dimension_value(value dimvec, dimension integer) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimension_value_wrapper';
COMMENT ON FUNCTION dimension_value(dimvec, integer) IS 'the value of one dimension, counted from 0; 22023 where there is none';
CREATE FUNCTION with_dimension(value dimvec, dimension integer, new_value double precision) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'with_dimension_wrapper';
COMMENT ON FUNCTION with_dimension(dimvec, integer, double precision) IS 'the vector with one value replaced, rounded to its element type; dimensions are counted from 0';
CREATE FUNCTION vector_dimensions(value dimvec)
    RETURNS TABLE (dimension_index integer, dimension_atom_id bigint, dimension_value double precision)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 384 AS 'MODULE_PATHNAME', 'vector_dimensions_wrapper';
COMMENT ON FUNCTION vector_dimensions(dimvec) IS 'each dimension with its value and the id of the value''s atom (NULL for float64), zeros included';
CREATE FUNCTION parse_vector_to_dimensions(embedding_vector dimvec) RETURNS TABLE (dimension_index integer, dimension_value double precision)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 384 AS 'MODULE_PATHNAME', 'parse_vector_to_dimensions_wrapper';
COMMENT ON FUNCTION parse_vector_to_dimensions(dimvec) IS 'each dimension, counted from 0, with its value, zeros included';
CREATE FUNCTION parse_vector_to_dimensions(embedding_vector bytea) RETURNS TABLE (dimension_index integer, dimension_value double precision)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 384 AS 'SELECT * FROM atoms.parse_vector_to_dimensions(atoms.deserialize_vector($1))';
COMMENT ON FUNCTION parse_vector_to_dimensions(bytea) IS 'the same of little-endian float32; 22P03 where they do not fill the bytes';
CREATE FUNCTION parse_vector_to_dimensions(embedding_vector real[]) RETURNS TABLE (dimension_index integer, dimension_value double precision)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 384 AS 'SELECT * FROM atoms.parse_vector_to_dimensions($1::atoms.dimvec)';
COMMENT ON FUNCTION parse_vector_to_dimensions(real[]) IS 'the same of an array';
CREATE FUNCTION subvector(dimvec, start integer, count integer) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'subvector_wrapper';
COMMENT ON FUNCTION subvector(dimvec, integer, integer) IS 'count dimensions from position start, counted from 1 as in pgvector';
CREATE FUNCTION binary_quantize(dimvec) RETURNS bit
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'binary_quantize_wrapper';
COMMENT ON FUNCTION binary_quantize(dimvec) IS 'a bit per dimension: 1 where the value is above 0';

-- Arithmetic: of one element type in that type, beside float64 in float64, else in float32.

CREATE FUNCTION dimvec_add(dimvec, dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_add_wrapper';
COMMENT ON FUNCTION dimvec_add(dimvec, dimvec) IS 'implementation of the + operator';
CREATE FUNCTION dimvec_subtract(dimvec, dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_subtract_wrapper';
COMMENT ON FUNCTION dimvec_subtract(dimvec, dimvec) IS 'implementation of the - operator';
CREATE FUNCTION dimvec_multiply(dimvec, dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_multiply_wrapper';
COMMENT ON FUNCTION dimvec_multiply(dimvec, dimvec) IS 'implementation of the * operator';
CREATE FUNCTION dimvec_concatenate(dimvec, dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_concatenate_wrapper';
COMMENT ON FUNCTION dimvec_concatenate(dimvec, dimvec) IS 'implementation of the || operator';
CREATE OPERATOR + (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_add, COMMUTATOR = +);
COMMENT ON OPERATOR + (dimvec, dimvec) IS 'sum, dimension by dimension; 22003 beyond the element type';
CREATE OPERATOR - (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_subtract);
COMMENT ON OPERATOR - (dimvec, dimvec) IS 'difference, dimension by dimension; 22003 beyond the element type';
CREATE OPERATOR * (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_multiply, COMMUTATOR = *);
COMMENT ON OPERATOR * (dimvec, dimvec) IS 'product, dimension by dimension; 22003 beyond the element type';
CREATE OPERATOR || (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_concatenate);
COMMENT ON OPERATOR || (dimvec, dimvec) IS 'the dimensions of one after those of the other';
CREATE FUNCTION l1_norm(dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'l1_norm_wrapper';
COMMENT ON FUNCTION l1_norm(dimvec) IS 'sum of the magnitudes';
CREATE FUNCTION l2_norm(dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'l2_norm_wrapper';
COMMENT ON FUNCTION l2_norm(dimvec) IS 'Euclidean norm';
CREATE FUNCTION l2_normalize(dimvec) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'l2_normalize_wrapper';
COMMENT ON FUNCTION l2_normalize(dimvec) IS 'the vector divided by its Euclidean norm; zeros stay zeros';

-- Distances.  float32 sums run in 16 lanes of fused multiply-add, added in a fixed tree: equal to the last bit on every CPU.

CREATE FUNCTION l2_distance(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_l2_distance';
COMMENT ON FUNCTION l2_distance(dimvec, dimvec) IS 'Euclidean distance';
CREATE FUNCTION inner_product(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_inner_product';
COMMENT ON FUNCTION inner_product(dimvec, dimvec) IS 'sum of the products';
CREATE FUNCTION negative_inner_product(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_negative_inner_product';
COMMENT ON FUNCTION negative_inner_product(dimvec, dimvec) IS 'inner product, negated, so that the nearest comes first';
CREATE FUNCTION cosine_similarity(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_cosine_similarity';
COMMENT ON FUNCTION cosine_similarity(dimvec, dimvec) IS 'cosine of the angle, -1 to 1; NaN beside a zero vector';
CREATE FUNCTION cosine_distance(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_cosine_distance';
COMMENT ON FUNCTION cosine_distance(dimvec, dimvec) IS '1 - cosine_similarity; NaN beside a zero vector, which sorts last';
CREATE FUNCTION l1_distance(dimvec, dimvec) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_l1_distance';
COMMENT ON FUNCTION l1_distance(dimvec, dimvec) IS 'sum of the magnitudes of the differences';
CREATE OPERATOR <-> (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = l2_distance, COMMUTATOR = <->);
COMMENT ON OPERATOR <-> (dimvec, dimvec) IS 'Euclidean distance';
CREATE OPERATOR <#> (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = negative_inner_product, COMMUTATOR = <#>);
COMMENT ON OPERATOR <#> (dimvec, dimvec) IS 'negative inner product';
CREATE OPERATOR <=> (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = cosine_distance, COMMUTATOR = <=>);
COMMENT ON OPERATOR <=> (dimvec, dimvec) IS 'cosine distance';
CREATE OPERATOR <+> (LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = l1_distance, COMMUTATOR = <+>);
COMMENT ON OPERATOR <+> (dimvec, dimvec) IS 'L1 (taxicab) distance';

-- Comparison: number by number, then by the number of dimensions.  Element types do not matter, so there is no btequalimage.

CREATE FUNCTION dimvec_eq(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_eq_wrapper';
COMMENT ON FUNCTION dimvec_eq(dimvec, dimvec) IS 'implementation of the = operator';
CREATE FUNCTION dimvec_ne(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_ne_wrapper';
COMMENT ON FUNCTION dimvec_ne(dimvec, dimvec) IS 'implementation of the <> operator';
CREATE FUNCTION dimvec_lt(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_lt_wrapper';
COMMENT ON FUNCTION dimvec_lt(dimvec, dimvec) IS 'implementation of the < operator';
CREATE FUNCTION dimvec_le(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_le_wrapper';
COMMENT ON FUNCTION dimvec_le(dimvec, dimvec) IS 'implementation of the <= operator';
CREATE FUNCTION dimvec_gt(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_gt_wrapper';
COMMENT ON FUNCTION dimvec_gt(dimvec, dimvec) IS 'implementation of the > operator';
CREATE FUNCTION dimvec_ge(dimvec, dimvec) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_ge_wrapper';
COMMENT ON FUNCTION dimvec_ge(dimvec, dimvec) IS 'implementation of the >= operator';
CREATE FUNCTION dimvec_cmp(dimvec, dimvec) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_cmp_wrapper';
COMMENT ON FUNCTION dimvec_cmp(dimvec, dimvec) IS 'less, equal, greater: -1, 0, 1; number by number, then by the number of dimensions';
CREATE FUNCTION dimvec_hash(dimvec) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_hash_wrapper';
COMMENT ON FUNCTION dimvec_hash(dimvec) IS 'hash for hash joins and hash indexes';
CREATE FUNCTION dimvec_hash_extended(dimvec, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_hash_extended_wrapper';
COMMENT ON FUNCTION dimvec_hash_extended(dimvec, bigint) IS 'seeded hash for hash partitions';

CREATE OPERATOR = (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR = (dimvec, dimvec) IS 'equal to';
CREATE OPERATOR <> (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (dimvec, dimvec) IS 'not equal to';
CREATE OPERATOR < (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (dimvec, dimvec) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (dimvec, dimvec) IS 'less than or equal to';
CREATE OPERATOR > (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (dimvec, dimvec) IS 'greater than';
CREATE OPERATOR >= (
    LEFTARG = dimvec, RIGHTARG = dimvec, FUNCTION = dimvec_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (dimvec, dimvec) IS 'greater than or equal to';

CREATE OPERATOR CLASS dimvec_ops DEFAULT FOR TYPE dimvec USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 dimvec_cmp(dimvec, dimvec);
COMMENT ON OPERATOR CLASS dimvec_ops USING btree IS 'order number by number';

CREATE OPERATOR CLASS dimvec_ops DEFAULT FOR TYPE dimvec USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 dimvec_hash(dimvec),
    FUNCTION 2 dimvec_hash_extended(dimvec, bigint);
COMMENT ON OPERATOR CLASS dimvec_ops USING hash IS 'hashing of values of dimvec';

-- Aggregates.

CREATE FUNCTION dimvec_accumulate(internal, dimvec) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_accumulate_wrapper';
COMMENT ON FUNCTION dimvec_accumulate(internal, dimvec) IS 'aggregate: adds a vector';
CREATE FUNCTION dimvec_combine(internal, internal) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_combine_wrapper';
COMMENT ON FUNCTION dimvec_combine(internal, internal) IS 'aggregate: adds what a parallel worker has';
CREATE FUNCTION dimvec_sum_serialize(internal) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_sum_serialize_wrapper';
COMMENT ON FUNCTION dimvec_sum_serialize(internal) IS 'aggregate: sums for another process';
CREATE FUNCTION dimvec_sum_deserialize(bytea, internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_sum_deserialize_wrapper';
COMMENT ON FUNCTION dimvec_sum_deserialize(bytea, internal) IS 'aggregate: sums of another process';
CREATE FUNCTION dimvec_sum(internal) RETURNS dimvec
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_sum_wrapper';
COMMENT ON FUNCTION dimvec_sum(internal) IS 'aggregate: the sum';
CREATE FUNCTION dimvec_average(internal) RETURNS dimvec
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_average_wrapper';
COMMENT ON FUNCTION dimvec_average(internal) IS 'aggregate: the mean';
CREATE AGGREGATE sum(dimvec) (
    SFUNC = dimvec_accumulate, STYPE = internal, SSPACE = 8192, FINALFUNC = dimvec_sum,
    COMBINEFUNC = dimvec_combine, SERIALFUNC = dimvec_sum_serialize, DESERIALFUNC = dimvec_sum_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(dimvec) IS 'sum of the vectors, in float64 and rounded once; int8 and uint8 give float32; 22003 beyond the element type';
CREATE AGGREGATE avg(dimvec) (
    SFUNC = dimvec_accumulate, STYPE = internal, SSPACE = 8192, FINALFUNC = dimvec_average,
    COMBINEFUNC = dimvec_combine, SERIALFUNC = dimvec_sum_serialize, DESERIALFUNC = dimvec_sum_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(dimvec) IS 'mean of the vectors, in float64 and rounded once; int8 and uint8 give float32';
CREATE FUNCTION dimvec_distinct_add(internal, dimvec) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_distinct_add_wrapper';
COMMENT ON FUNCTION dimvec_distinct_add(internal, dimvec) IS 'aggregate: adds the values of a vector';
CREATE FUNCTION dimvec_distinct_count(internal) RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_distinct_count_wrapper';
COMMENT ON FUNCTION dimvec_distinct_count(internal) IS 'aggregate: the count';
CREATE AGGREGATE count_distinct_values(dimvec) (
    SFUNC = dimvec_distinct_add, STYPE = internal, SSPACE = 33554432, FINALFUNC = dimvec_distinct_count
);
COMMENT ON AGGREGATE count_distinct_values(dimvec) IS 'how many distinct numbers the vectors hold, zero included; exact, in at most 512 MiB; NULL for float64';
CREATE FUNCTION dimvec_moments_add(internal, dimvec) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_moments_add_wrapper';
COMMENT ON FUNCTION dimvec_moments_add(internal, dimvec) IS 'aggregate: adds a vector';
CREATE FUNCTION dimvec_moments(internal) RETURNS double precision[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_moments_wrapper';
COMMENT ON FUNCTION dimvec_moments(internal) IS 'aggregate: the moments';
CREATE AGGREGATE dimension_moments(dimvec) (
    SFUNC = dimvec_moments_add, STYPE = internal, SSPACE = 32768, FINALFUNC = dimvec_moments
);
COMMENT ON AGGREGATE dimension_moments(dimvec) IS 'six numbers of each dimension in turn: count, zeros, min, max, mean, population deviation';
