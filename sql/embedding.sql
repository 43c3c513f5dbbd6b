-- Embeddings: a vector per source atom and model, and each of its dimensions as an atom.
--
-- `embedding` is partitioned by model.  The parent has columns only: a key there cannot be restored by pg_restore.  Each
-- partition is a plain table that register_embedding_model makes, with its own key, foreign key and checks.

CREATE TABLE embedding_model (
    model_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dimensions   integer NOT NULL CHECK (dimensions BETWEEN 1 AND 65535),
    name         text NOT NULL CONSTRAINT embedding_model_name_key UNIQUE,
    element_type text NOT NULL DEFAULT 'float32',
    metadata     jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE embedding_model IS 'models that embeddings come from; register_embedding_model adds one';
COMMENT ON COLUMN embedding_model.model_id IS 'id; the partition of its embeddings is embedding_ and this number';
COMMENT ON COLUMN embedding_model.dimensions IS 'dimensions of each vector, 1 to 65,535';
COMMENT ON COLUMN embedding_model.name IS 'unique name: what every function takes';
COMMENT ON COLUMN embedding_model.element_type IS 'element type of each vector';
COMMENT ON COLUMN embedding_model.metadata IS 'facts about the model';
COMMENT ON COLUMN embedding_model.created_at IS 'when it was registered';

CREATE TABLE embedding (
    source_atom_id bigint NOT NULL,
    model_id       bigint NOT NULL,
    value          dimvec NOT NULL
) PARTITION BY LIST (model_id);
COMMENT ON TABLE embedding IS 'a vector per source atom and model; a partition per model';
COMMENT ON COLUMN embedding.source_atom_id IS 'the atom that was embedded; the row goes with it';
COMMENT ON COLUMN embedding.model_id IS 'the model that the vector comes from';
COMMENT ON COLUMN embedding.value IS 'the vector';

CREATE TABLE dimension_change (
    source_atom_id   bigint NOT NULL REFERENCES atom ON DELETE CASCADE,
    model_id         bigint NOT NULL REFERENCES embedding_model ON DELETE CASCADE,
    changed_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    old_value        double precision NOT NULL,
    new_value        double precision NOT NULL,
    dimension_index  integer NOT NULL,
    changed_by_model text NOT NULL
);
-- Rows have no key, and a publication of all tables must be able to delete them.
ALTER TABLE dimension_change REPLICA IDENTITY FULL;
CREATE INDEX dimension_change_embedding ON dimension_change (source_atom_id, model_id, dimension_index);
CREATE INDEX dimension_change_model ON dimension_change (model_id);
COMMENT ON TABLE dimension_change IS 'provenance of single dimensions: what set_dimension and atom_embedding changed since the vector came';
COMMENT ON COLUMN dimension_change.source_atom_id IS 'source atom of the embedding';
COMMENT ON COLUMN dimension_change.model_id IS 'model of the embedding';
COMMENT ON COLUMN dimension_change.changed_at IS 'when';
COMMENT ON COLUMN dimension_change.old_value IS 'value before';
COMMENT ON COLUMN dimension_change.new_value IS 'value after';
COMMENT ON COLUMN dimension_change.dimension_index IS 'dimension, counted from 0';
COMMENT ON COLUMN dimension_change.changed_by_model IS 'who computed the new value';

-- Models.

CREATE FUNCTION embedding_model_id(model text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    SELECT m.model_id INTO id FROM atoms.embedding_model m WHERE m.name = embedding_model_id.model;
    IF id IS NULL THEN
        RAISE EXCEPTION 'embedding model "%" does not exist', embedding_model_id.model
            USING ERRCODE = 'undefined_object', HINT = 'register_embedding_model(model, dimensions) adds one; atoms.embedding_model_summary lists them.';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION embedding_model_id(text) IS 'id of an embedding model by its name; 42704 when there is none';

-- Making or dropping a partition locks atom (its foreign key) and embedding, in this order and before anything else, so that two
-- of them never wait for each other; writers lock atom first too: hold_source_atoms.  Whoever waits for such a lock holds up all
-- who come after: so wait shortly, and often.  Both waits together are shorter than the second after which another session looks
-- whether it is in a deadlock, so of two that wait for each other this one gives way; it looks earlier, and so stops autovacuum.
CREATE FUNCTION lock_for_partition(mode text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, atoms, pg_temp SET lock_timeout = '450ms' SET deadlock_timeout = '300ms' AS $$
BEGIN
    FOR attempt IN 1..16 LOOP
        BEGIN
            EXECUTE format('LOCK TABLE atoms.atom IN %s MODE', mode);
            EXECUTE format('LOCK TABLE atoms.embedding IN %s MODE', mode);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.025 * attempt);
        END;
    END LOOP;
    RAISE EXCEPTION 'other transactions keep atoms.atom or atoms.embedding locked' USING ERRCODE = 'lock_not_available',
        HINT = 'A long transaction writes atoms or reads them: repeat when it has ended.  pg_stat_activity shows it.';
END $$;
COMMENT ON FUNCTION lock_for_partition(text) IS 'locks what making or dropping a partition of embedding needs; 55P03 after some ten seconds';

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

CREATE FUNCTION register_embedding_model(model text, dimensions integer, element_type text DEFAULT 'float32', metadata jsonb DEFAULT '{}')
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
COMMENT ON FUNCTION register_embedding_model(text, integer, text, jsonb)
    IS 'adds an embedding model and the partition of its embeddings, and returns its id; 42710 when it is there.  Call it in a transaction of its own';

CREATE FUNCTION drop_embedding_model(model text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id      bigint;
    dropped bigint;
BEGIN
    -- Before the locks, so that a wrong name holds up nobody.
    PERFORM atoms.embedding_model_id(model);
    PERFORM atoms.lock_for_partition('ACCESS EXCLUSIVE');
    id := atoms.embedding_model_id(model);
    EXECUTE format('SELECT count(*) FROM atoms.%I', format('embedding_%s', id)) INTO dropped;
    EXECUTE format('DROP TABLE atoms.%I', format('embedding_%s', id));
    DELETE FROM atoms.embedding_model m WHERE m.model_id = id;
    RETURN dropped;
END $$;
COMMENT ON FUNCTION drop_embedding_model(text)
    IS 'drops an embedding model with its embeddings, and returns how many there were; their source atoms stay.  Call it in a transaction of its own';

CREATE VIEW embedding_model_summary AS
SELECT m.name AS model, m.model_id, m.dimensions, m.element_type, c.embeddings,
       coalesce(pg_catalog.pg_total_relation_size(pg_catalog.to_regclass('atoms.embedding_' OPERATOR(pg_catalog.||) m.model_id::text)), 0) AS size_bytes,
       m.created_at, m.metadata
FROM atoms.embedding_model m
CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS embeddings FROM atoms.embedding e WHERE e.model_id OPERATOR(pg_catalog.=) m.model_id) c;
COMMENT ON VIEW embedding_model_summary IS 'embedding models, how many embeddings they have and what those take on disk';
COMMENT ON COLUMN embedding_model_summary.model IS 'name of the model';
COMMENT ON COLUMN embedding_model_summary.model_id IS 'id';
COMMENT ON COLUMN embedding_model_summary.dimensions IS 'dimensions of each vector';
COMMENT ON COLUMN embedding_model_summary.element_type IS 'element type of each vector';
COMMENT ON COLUMN embedding_model_summary.embeddings IS 'how many embeddings there are';
COMMENT ON COLUMN embedding_model_summary.size_bytes IS 'bytes on disk of their table, its indexes and TOAST';
COMMENT ON COLUMN embedding_model_summary.created_at IS 'when the model was registered';
COMMENT ON COLUMN embedding_model_summary.metadata IS 'facts about the model';

-- Writing.  Writes go to the partition, because ON CONFLICT does not work through a parent without a key.

CREATE FUNCTION hold_source_atoms(source_atom_ids bigint[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    held    bigint;
    missing bigint;
BEGIN
    -- With this lock no partition comes or goes, so that no writer waits for whoever waits for it.
    LOCK TABLE ONLY atoms.atom IN ROW EXCLUSIVE MODE;
    -- In one order, and before the embeddings: the collector locks FOR UPDATE, so no atom goes between here and the foreign key.
    SELECT count(*) INTO held FROM (
        SELECT 1 FROM atoms.atom a WHERE a.atom_id = ANY (source_atom_ids) ORDER BY a.atom_id FOR KEY SHARE) a;
    IF held < cardinality(source_atom_ids) THEN
        SELECT u.id INTO missing FROM unnest(source_atom_ids) u (id)
            WHERE NOT EXISTS (SELECT 1 FROM atoms.atom a WHERE a.atom_id = u.id) LIMIT 1;
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'atom % does not exist', missing USING ERRCODE = 'undefined_object',
                HINT = 'upsert_atom(value, type) stores what was embedded and returns its id.';
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION hold_source_atoms(bigint[]) IS 'keeps atoms from being collected until the transaction ends; 42704 where one is gone';

CREATE FUNCTION put_embeddings(model text, source_atom_ids bigint[], embeddings dimvec[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
    twice bigint;
BEGIN
    IF cardinality(source_atom_ids) <> cardinality(embeddings) THEN
        RAISE EXCEPTION '% source atoms for % embeddings', cardinality(source_atom_ids), cardinality(embeddings)
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF array_position(source_atom_ids, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a source atom is NULL' USING ERRCODE = 'invalid_parameter_value';
    ELSIF array_position(embeddings, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'embedding % of the batch, counted from 1, is NULL', array_position(embeddings, NULL) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Before the locks, so that a wrong name holds up nobody; and behind them, when no model is dropped any more.
    PERFORM atoms.embedding_model_id(model);
    PERFORM atoms.hold_source_atoms(source_atom_ids);
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    SELECT u.id INTO twice FROM unnest(source_atom_ids) u (id) GROUP BY u.id HAVING count(*) > 1 LIMIT 1;
    IF twice IS NOT NULL THEN
        RAISE EXCEPTION 'atom % occurs twice', twice USING ERRCODE = 'invalid_parameter_value', HINT = 'An atom has one embedding of a model.';
    END IF;
    EXECUTE format('INSERT INTO atoms.%1$I AS e (source_atom_id, model_id, value)
        SELECT u.id, %2$s, atoms.fit_vector(u.value, %3$s, %4$L) FROM unnest($1, $2) u (id, value) ORDER BY u.id
        ON CONFLICT (source_atom_id) DO UPDATE SET value = EXCLUDED.value',
        format('embedding_%s', owner.model_id), owner.model_id, owner.dimensions, owner.element_type) USING source_atom_ids, embeddings;
    -- Behind the embeddings, whose locks keep others from changing a dimension.
    DELETE FROM atoms.dimension_change c WHERE c.model_id = owner.model_id AND c.source_atom_id = ANY (source_atom_ids);
    RETURN cardinality(source_atom_ids);
END $$;
COMMENT ON FUNCTION put_embeddings(text, bigint[], dimvec[]) IS 'stores embeddings, replacing those that are there; returns how many';

CREATE FUNCTION insert_embeddings(model text, source_atom_ids bigint[], embeddings dimvec[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    RETURN atoms.put_embeddings(model, source_atom_ids, embeddings);
END $$;
COMMENT ON FUNCTION insert_embeddings(text, bigint[], dimvec[])
    IS 'stores an embedding of each source atom, replacing what is there; returns how many.  Values are rounded to the model''s element type';

CREATE FUNCTION insert_embeddings(model text, source_atom_ids bigint[], embeddings bytea) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
BEGIN
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    RETURN atoms.put_embeddings(model, source_atom_ids, ARRAY(SELECT atoms.split_vectors(embeddings, owner.dimensions, owner.element_type)));
END $$;
COMMENT ON FUNCTION insert_embeddings(text, bigint[], bytea)
    IS 'the same; the vectors stand one after the other as little-endian elements of the model''s type';

CREATE FUNCTION insert_embeddings(model text, source_atom_ids bigint[], embeddings double precision[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
BEGIN
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    RETURN atoms.put_embeddings(model, source_atom_ids, ARRAY(SELECT atoms.split_vectors(embeddings, owner.dimensions, owner.element_type)));
END $$;
COMMENT ON FUNCTION insert_embeddings(text, bigint[], double precision[])
    IS 'the same; the array, of any type of number, has a vector per row, or all their elements one after the other';

CREATE FUNCTION insert_embedding(model text, source_atom_id bigint, embedding dimvec) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    PERFORM atoms.put_embeddings(model, ARRAY[source_atom_id], ARRAY[embedding]);
END $$;
COMMENT ON FUNCTION insert_embedding(text, bigint, dimvec) IS 'stores the embedding of a source atom, replacing what is there; cast arrays: ARRAY[...]::dimvec';

CREATE FUNCTION delete_embedding(model text, source_atom_id bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id      bigint := atoms.embedding_model_id(model);
    deleted boolean;
BEGIN
    -- In the order of hold_source_atoms, but an atom that is gone has no embedding.
    LOCK TABLE ONLY atoms.atom IN ROW EXCLUSIVE MODE;
    PERFORM 1 FROM atoms.atom a WHERE a.atom_id = delete_embedding.source_atom_id FOR KEY SHARE;
    DELETE FROM atoms.embedding e WHERE e.model_id = id AND e.source_atom_id = delete_embedding.source_atom_id;
    deleted := FOUND;
    DELETE FROM atoms.dimension_change c WHERE c.model_id = id AND c.source_atom_id = delete_embedding.source_atom_id;
    RETURN deleted;
END $$;
COMMENT ON FUNCTION delete_embedding(text, bigint) IS 'deletes the embedding of a source atom; false when there was none';

CREATE FUNCTION split_vectors(embeddings bytea, dimensions integer, element_type text) RETURNS SETOF dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'split_vectors_of_bytes_wrapper';
COMMENT ON FUNCTION split_vectors(bytea, integer, text) IS 'vectors that stand one after the other as little-endian elements; 22023 where they do not fill the bytes';
CREATE FUNCTION split_vectors(embeddings double precision[], dimensions integer, element_type text) RETURNS SETOF dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'split_vectors_of_array_wrapper';
COMMENT ON FUNCTION split_vectors(double precision[], integer, text) IS 'vectors whose elements stand one after the other; 22023 where they do not fill the array';
CREATE FUNCTION fit_vector(value dimvec, dimensions integer, element_type text) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fit_vector_wrapper';
COMMENT ON FUNCTION fit_vector(dimvec, integer, text) IS 'the vector in that element type, rounded; 22023 for other dimensions';
CREATE FUNCTION check_vector_form(dimensions integer, element_type text) RETURNS void
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_vector_form_wrapper';
COMMENT ON FUNCTION check_vector_form(integer, text) IS '54000 for more than 65,535 dimensions, 22023 for none and for an unknown element type';

-- Reading.

CREATE FUNCTION reconstruct_vector(model text, source_atom_id bigint) RETURNS dimvec
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id     bigint := atoms.embedding_model_id(model);
    vector atoms.dimvec;
BEGIN
    SELECT e.value INTO vector FROM atoms.embedding e WHERE e.model_id = id AND e.source_atom_id = reconstruct_vector.source_atom_id;
    IF vector IS NULL THEN
        RAISE EXCEPTION 'atom % has no embedding of model "%"', reconstruct_vector.source_atom_id, model USING ERRCODE = 'undefined_object';
    END IF;
    RETURN vector;
END $$;
COMMENT ON FUNCTION reconstruct_vector(text, bigint)
    IS 'the embedding of a source atom, the bits that went in; cast it to real[] or bytea.  42704 when there is none';

CREATE FUNCTION reconstruct_vectors(model text, source_atom_ids bigint[]) RETURNS TABLE (source_atom_id bigint, embedding dimvec)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000 AS $$
    SELECT e.source_atom_id, e.value FROM atoms.embedding e
    WHERE e.model_id OPERATOR(pg_catalog.=) (SELECT atoms.embedding_model_id($1)) AND e.source_atom_id OPERATOR(pg_catalog.=) ANY ($2)
$$;
COMMENT ON FUNCTION reconstruct_vectors(text, bigint[]) IS 'the embeddings of many source atoms, in no order; those that have none are left out';

-- Dimensions as atoms.

CREATE FUNCTION upsert_dimension_atom(value real) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upsert_dimension_atom_wrapper';
COMMENT ON FUNCTION upsert_dimension_atom(real)
    IS 'id of the atom that a float32 is: -(1 + 4 * 2^32 + its bits), so nothing needs to be stored; 22003 for NaN and infinities';
CREATE FUNCTION upsert_dimension_atom(value double precision, element_type text) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upsert_dimension_atom_of_type_wrapper';
COMMENT ON FUNCTION upsert_dimension_atom(double precision, text)
    IS 'the same of the nearest value of another element type: -(1 + bytes * 2^32 + its bits); 22023 for float64, whose values are no atoms';
CREATE FUNCTION dimension_atom_value(dimension_atom_id bigint, element_type text DEFAULT 'float32') RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dimension_atom_value_wrapper';
COMMENT ON FUNCTION dimension_atom_value(bigint, text) IS 'the number that a dimension atom is; 22023 for an id that is none of that element type';

CREATE VIEW atom_embedding AS
SELECT (e.model_id::numeric OPERATOR(pg_catalog.*) 9223372036854775808 OPERATOR(pg_catalog.+) e.source_atom_id) OPERATOR(pg_catalog.*) 65536
           OPERATOR(pg_catalog.+) d.dimension_index AS atom_embedding_id,
       e.source_atom_id, d.dimension_index, d.dimension_atom_id, d.dimension_value, e.model_id,
       atoms.dim_point(d.dimension_value, d.dimension_index, e.model_id) AS spatial_key
FROM atoms.embedding e CROSS JOIN LATERAL atoms.vector_dimensions(e.value) d;
COMMENT ON VIEW atom_embedding IS 'a row per dimension of each embedding, zeros included; INSERT sets a dimension that is 0, UPDATE changes one, DELETE sets it to 0; 40001 where another session changed it meanwhile';
COMMENT ON COLUMN atom_embedding.atom_embedding_id IS 'computed: (model_id * 2^63 + source_atom_id) * 65,536 + dimension_index; not indexed';
COMMENT ON COLUMN atom_embedding.source_atom_id IS 'source atom of the embedding';
COMMENT ON COLUMN atom_embedding.dimension_index IS 'dimension, counted from 0';
COMMENT ON COLUMN atom_embedding.dimension_atom_id IS 'atom of the value in the model''s element type; NULL for float64';
COMMENT ON COLUMN atom_embedding.dimension_value IS 'the value';
COMMENT ON COLUMN atom_embedding.model_id IS 'model of the embedding';
COMMENT ON COLUMN atom_embedding.spatial_key IS 'value, dimension and model as a point';

CREATE FUNCTION change_dimension(owner embedding_model, source_atom_id bigint, dimension integer, new_value double precision, changed_by_model text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    before atoms.dimvec;
    after  atoms.dimvec;
BEGIN
    SELECT e.value INTO before FROM atoms.embedding e
        WHERE e.model_id = owner.model_id AND e.source_atom_id = change_dimension.source_atom_id FOR UPDATE;
    IF before IS NULL THEN
        RAISE EXCEPTION 'atom % has no embedding of model "%"', change_dimension.source_atom_id, owner.name USING ERRCODE = 'undefined_object';
    END IF;
    PERFORM atoms.check_model_name(coalesce(changed_by_model, owner.name));
    after := atoms.with_dimension(before, dimension, new_value);
    IF after OPERATOR(atoms.=) before THEN
        RETURN false;
    END IF;
    UPDATE atoms.embedding e SET value = after WHERE e.model_id = owner.model_id AND e.source_atom_id = change_dimension.source_atom_id;
    INSERT INTO atoms.dimension_change (source_atom_id, model_id, dimension_index, old_value, new_value, changed_by_model)
        VALUES (change_dimension.source_atom_id, owner.model_id, dimension, atoms.dimension_value(before, dimension),
                atoms.dimension_value(after, dimension), coalesce(changed_by_model, owner.name));
    RETURN true;
END $$;
COMMENT ON FUNCTION change_dimension(embedding_model, bigint, integer, double precision, text) IS 'writes one dimension and its provenance, the source atom being held; false when it had that value';

CREATE FUNCTION set_dimension(
    model text, source_atom_id bigint, dimension integer, value double precision, changed_by_model text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    owner atoms.embedding_model;
BEGIN
    IF model IS NULL OR source_atom_id IS NULL OR dimension IS NULL OR value IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = atoms.embedding_model_id(model);
    PERFORM atoms.hold_source_atoms(ARRAY[source_atom_id]);
    RETURN atoms.change_dimension(owner, source_atom_id, dimension, value, changed_by_model);
END $$;
COMMENT ON FUNCTION set_dimension(text, bigint, integer, double precision, text)
    IS 'changes one dimension of an embedding, and keeps in dimension_change who did (the model itself, if not said); false when it had that value';

CREATE FUNCTION write_atom_embedding() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    target record;
    owner  atoms.embedding_model;
    given  double precision := 0;
    held   double precision;
BEGIN
    target := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    PERFORM atoms.hold_source_atoms(ARRAY[target.source_atom_id]);
    SELECT m.* INTO owner FROM atoms.embedding_model m WHERE m.model_id = target.model_id;
    IF owner.model_id IS NULL THEN
        RAISE EXCEPTION 'there is no embedding model with id %', target.model_id USING ERRCODE = 'undefined_object';
    ELSIF target.source_atom_id IS NULL OR target.dimension_index IS NULL THEN
        RAISE EXCEPTION 'source_atom_id and dimension_index must be given' USING ERRCODE = 'not_null_violation';
    ELSIF TG_OP = 'UPDATE' AND (OLD.atom_embedding_id, OLD.source_atom_id, OLD.dimension_index, OLD.model_id)
            IS DISTINCT FROM (NEW.atom_embedding_id, NEW.source_atom_id, NEW.dimension_index, NEW.model_id) THEN
        RAISE EXCEPTION 'a dimension cannot be moved' USING ERRCODE = 'feature_not_supported', HINT = 'DELETE it there and INSERT it here.';
    ELSIF TG_OP = 'UPDATE' AND (NEW.dimension_value IS NULL OR NEW.spatial_key IS NULL
            OR NEW.dimension_atom_id IS NULL AND OLD.dimension_atom_id IS NOT NULL) THEN
        RAISE EXCEPTION 'a dimension has a value' USING ERRCODE = 'not_null_violation', HINT = 'DELETE sets it to 0.';
    END IF;
    IF TG_OP <> 'DELETE' THEN
        given := atoms.given_dimension_value(owner, target.dimension_value, target.dimension_atom_id, target.spatial_key,
            CASE TG_OP WHEN 'UPDATE' THEN OLD.dimension_value END, target.dimension_index);
    END IF;
    IF TG_OP = 'INSERT' THEN
        -- Two sessions may write dimensions of one new embedding: the second finds the zeros of the first, and what it set.
        EXECUTE format('INSERT INTO atoms.%I (source_atom_id, model_id, value) VALUES ($1, $2, atoms.zero_vector($3, $4)) ON CONFLICT DO NOTHING',
            format('embedding_%s', owner.model_id)) USING target.source_atom_id, owner.model_id, owner.dimensions, owner.element_type;
        SELECT atoms.dimension_value(e.value, target.dimension_index) INTO held FROM atoms.embedding e
            WHERE e.model_id = owner.model_id AND e.source_atom_id = target.source_atom_id FOR UPDATE;
        IF held <> 0 THEN
            RAISE EXCEPTION 'dimension % of the embedding of atom % by model "%" is there already', target.dimension_index, target.source_atom_id, owner.name
                USING ERRCODE = 'unique_violation', HINT = 'UPDATE changes it.';
        END IF;
    ELSE
        -- The server evaluated the new value from what the statement saw; a trigger cannot evaluate it anew.
        SELECT atoms.dimension_value(e.value, OLD.dimension_index) INTO held FROM atoms.embedding e
            WHERE e.model_id = owner.model_id AND e.source_atom_id = OLD.source_atom_id FOR UPDATE;
        IF held IS DISTINCT FROM OLD.dimension_value THEN
            RAISE EXCEPTION 'dimension % of the embedding of atom % by model "%" was changed meanwhile', OLD.dimension_index, OLD.source_atom_id, owner.name
                USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
        END IF;
    END IF;
    PERFORM atoms.change_dimension(owner, target.source_atom_id, target.dimension_index, given, NULL);
    IF TG_OP <> 'DELETE' THEN
        -- For RETURNING.
        SELECT d.* INTO target FROM atoms.atom_embedding d
            WHERE d.model_id = owner.model_id AND d.source_atom_id = target.source_atom_id AND d.dimension_index = target.dimension_index;
    END IF;
    RETURN target;
END $$;
COMMENT ON FUNCTION write_atom_embedding() IS 'trigger: writes one dimension of an embedding through atom_embedding';

CREATE FUNCTION given_dimension_value(
    owner embedding_model, dimension_value double precision, dimension_atom_id bigint, spatial_key dim_point, old_value double precision, dimension_index integer)
    RETURNS double precision
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    of_atom  double precision := atoms.dimension_atom_value(dimension_atom_id, owner.element_type);
    of_point double precision := atoms.dim_value(spatial_key);
    given    double precision;
BEGIN
    -- Of an updated row, what still is as it was does not count.
    SELECT u.value INTO given FROM unnest(ARRAY[dimension_value, of_atom, of_point]) WITH ORDINALITY u (value, n)
        WHERE u.value IS NOT NULL ORDER BY (u.value IS NOT DISTINCT FROM old_value), u.n LIMIT 1;
    IF given IS NULL THEN
        RAISE EXCEPTION 'no value is given' USING ERRCODE = 'not_null_violation', HINT = 'Give dimension_value, dimension_atom_id or spatial_key.';
    ELSIF EXISTS (SELECT 1 FROM unnest(ARRAY[dimension_value, of_atom, of_point]) u (value)
                  WHERE atoms.nearest_value(u.value, owner.element_type) <> atoms.nearest_value(given, owner.element_type)
                    AND u.value IS DISTINCT FROM old_value)
          OR atoms.dim_index(spatial_key) <> dimension_index OR atoms.dim_model(spatial_key) <> owner.model_id THEN
        RAISE EXCEPTION 'dimension_value, dimension_atom_id and spatial_key do not agree' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of them is enough.';
    END IF;
    RETURN given;
END $$;
COMMENT ON FUNCTION given_dimension_value(embedding_model, double precision, bigint, dim_point, double precision, integer)
    IS 'the value that a row of atom_embedding says in any of its three ways; 22023 where they do not agree';
CREATE FUNCTION nearest_value(value double precision, element_type text) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'nearest_value_wrapper';
COMMENT ON FUNCTION nearest_value(double precision, text) IS 'the nearest value of an element type, -0 as 0; 22003 beyond it';
CREATE FUNCTION zero_vector(dimensions integer, element_type text) RETURNS dimvec
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'zero_vector_wrapper';
COMMENT ON FUNCTION zero_vector(integer, text) IS 'a vector of zeros';

CREATE TRIGGER write_atom_embedding INSTEAD OF INSERT OR UPDATE OR DELETE ON atom_embedding
    FOR EACH ROW EXECUTE FUNCTION write_atom_embedding();
COMMENT ON TRIGGER write_atom_embedding ON atom_embedding IS 'writes one dimension of an embedding';

-- What single dimensions say.

CREATE FUNCTION dimension_search(
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
COMMENT ON FUNCTION dimension_search(text, integer, double precision, double precision, bigint)
    IS 'embeddings whose value in one dimension (from 0) lies within value - tolerance and value + tolerance, compared as float8 (a float32 is 0.1::real, not 0.1), the nearest first';

CREATE FUNCTION dimension_stats(model text, dimension integer DEFAULT NULL)
    RETURNS TABLE (dimension_index integer, embeddings bigint, zeros bigint, min double precision, max double precision,
                   mean double precision, deviation double precision, distinct_values bigint)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 384 AS $$
    SELECT d.n, d.numbers[1]::bigint, d.numbers[2]::bigint, d.numbers[3], d.numbers[4], d.numbers[5], d.numbers[6],
           (SELECT pg_catalog.count(DISTINCT atoms.dimension_value(e.value, d.n)) FROM atoms.embedding e WHERE e.model_id OPERATOR(pg_catalog.=) i.id)
    FROM (SELECT atoms.embedding_model_id($1) AS id OFFSET 0) i
    CROSS JOIN LATERAL (SELECT atoms.dimension_moments(e.value) AS moments FROM atoms.embedding e WHERE e.model_id OPERATOR(pg_catalog.=) i.id OFFSET 0) m
    -- OFFSET keeps the moments of all dimensions out of the rows, which somebody may sort.
    CROSS JOIN LATERAL (SELECT n, m.moments[6 OPERATOR(pg_catalog.*) n OPERATOR(pg_catalog.+) 1 : 6 OPERATOR(pg_catalog.*) n OPERATOR(pg_catalog.+) 6] AS numbers
                        FROM pg_catalog.generate_series(0, pg_catalog.cardinality(m.moments) OPERATOR(pg_catalog./) 6 OPERATOR(pg_catalog.-) 1) n
                        WHERE $2 IS NULL OR n OPERATOR(pg_catalog.=) $2 OFFSET 0) d
$$;
COMMENT ON FUNCTION dimension_stats(text, integer)
    IS 'what each dimension (from 0), or one, holds; deviation is that of the population.  distinct_values costs a sort of each dimension, where asked for';

CREATE FUNCTION dimension_importance(model text) RETURNS TABLE (dimension_index integer, variance double precision, variance_share double precision)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 384 AS $$
    SELECT v.dimension_index, v.variance,
           CASE WHEN v.total OPERATOR(pg_catalog.>) 0::pg_catalog.float8 THEN v.variance OPERATOR(pg_catalog./) v.total END
    FROM (SELECT s.dimension_index, s.deviation OPERATOR(pg_catalog.*) s.deviation AS variance,
                 pg_catalog.sum(s.deviation OPERATOR(pg_catalog.*) s.deviation) OVER () AS total
          FROM atoms.dimension_stats($1) s) v
$$;
COMMENT ON FUNCTION dimension_importance(text) IS 'variance of each dimension (from 0) and its share of that of all; NULL where no dimension varies';

CREATE FUNCTION dimension_storage_report(model text)
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
COMMENT ON FUNCTION dimension_storage_report(text)
    IS 'what the embeddings of a model take on disk (packed), beside their numbers alone (raw) and one row per float and atom (literal), with the arithmetic';
