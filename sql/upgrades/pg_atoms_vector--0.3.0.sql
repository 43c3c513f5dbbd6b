\echo Use "CREATE EXTENSION pg_atoms_vector" to load this file. \quit

-- Casts between dimvec and the types of pgvector, whose schema is in the search path of this script, because the extension
-- requires vector.  Implicit towards dimvec, where nothing is lost.

CREATE FUNCTION dimvec(vector, integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_vector_wrapper';
COMMENT ON FUNCTION dimvec(vector, integer, boolean) IS 'the same numbers as a dimvec, float32 unless the type modifier says otherwise';
CREATE CAST (vector AS dimvec) WITH FUNCTION dimvec(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS dimvec) IS 'the same numbers as a dimvec';
CREATE FUNCTION dimvec(halfvec, integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_halfvec_wrapper';
COMMENT ON FUNCTION dimvec(halfvec, integer, boolean) IS 'the same numbers as a dimvec, float16 unless the type modifier says otherwise';
CREATE CAST (halfvec AS dimvec) WITH FUNCTION dimvec(halfvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (halfvec AS dimvec) IS 'the same numbers as a dimvec';
CREATE FUNCTION dimvec(sparsevec, integer, boolean) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_from_sparsevec_wrapper';
COMMENT ON FUNCTION dimvec(sparsevec, integer, boolean) IS 'the same numbers as a dimvec, float32 unless the type modifier says otherwise';
CREATE CAST (sparsevec AS dimvec) WITH FUNCTION dimvec(sparsevec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (sparsevec AS dimvec) IS 'the same numbers as a dimvec';

CREATE FUNCTION vector(dimvec) RETURNS vector
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_to_vector_wrapper';
COMMENT ON FUNCTION vector(dimvec) IS 'the same numbers, rounded to float32; 54000 above the 16,000 dimensions that vector has';
CREATE CAST (dimvec AS vector) WITH FUNCTION vector(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS vector) IS 'the same numbers as pgvector''s vector';

CREATE FUNCTION halfvec(dimvec) RETURNS halfvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_to_halfvec_wrapper';
COMMENT ON FUNCTION halfvec(dimvec) IS 'the same numbers, rounded to float16 (22003 beyond it); 54000 above the 16,000 dimensions that halfvec has';
CREATE CAST (dimvec AS halfvec) WITH FUNCTION halfvec(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS halfvec) IS 'the same numbers as pgvector''s halfvec';

CREATE FUNCTION sparsevec(dimvec) RETURNS sparsevec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimvec_to_sparsevec_wrapper';
COMMENT ON FUNCTION sparsevec(dimvec) IS 'the same numbers, rounded to float32; 54000 above the 16,000 values that sparsevec has';
CREATE CAST (dimvec AS sparsevec) WITH FUNCTION sparsevec(dimvec) AS ASSIGNMENT;
COMMENT ON CAST (dimvec AS sparsevec) IS 'the same numbers as pgvector''s sparsevec';

-- As all functions of pg_atoms: for roles that atoms.grant_access gives a level, again where they have one already.
REVOKE ALL ON FUNCTION dimvec(vector, integer, boolean), dimvec(halfvec, integer, boolean), dimvec(sparsevec, integer, boolean),
    vector(dimvec), halfvec(dimvec), sparsevec(dimvec) FROM PUBLIC;
