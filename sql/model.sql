-- Models, their files, the parts that the files are joined from, and their tensors.  docs/layout/model.md draws how they join.

CREATE TABLE model (
    model_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CONSTRAINT model_name_key UNIQUE,
    kind        text NOT NULL DEFAULT 'weights',
    base_family text,
    metadata    jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE model IS 'a complete set of files; imports under way are in model_import';
COMMENT ON COLUMN model.model_id IS 'id';
COMMENT ON COLUMN model.name IS 'unique name: what every function takes';
COMMENT ON COLUMN model.kind IS 'weights, unless told otherwise';
COMMENT ON COLUMN model.base_family IS 'family of the base model, where known';
COMMENT ON COLUMN model.metadata IS 'facts about the model';
COMMENT ON COLUMN model.created_at IS 'when its import was finished';

CREATE TABLE model_file (
    file_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id     bigint NOT NULL REFERENCES model ON DELETE CASCADE,
    path         text NOT NULL,
    size_bytes   bigint NOT NULL,
    content_hash content_hash NOT NULL,
    format       text,
    variant      text,
    note         text,
    CONSTRAINT model_file_path_key UNIQUE (model_id, path)
);
CREATE INDEX model_file_content ON model_file (size_bytes, content_hash);
COMMENT ON TABLE model_file IS 'files of models; each comes back byte for byte';
COMMENT ON COLUMN model_file.file_id IS 'id';
COMMENT ON COLUMN model_file.model_id IS 'its model';
COMMENT ON COLUMN model_file.path IS 'path inside the model, with / between names';
COMMENT ON COLUMN model_file.size_bytes IS 'length of the file';
COMMENT ON COLUMN model_file.content_hash IS 'SHA-256 of the whole file';
COMMENT ON COLUMN model_file.format IS 'format whose structure was read; NULL: the file is opaque';
COMMENT ON COLUMN model_file.variant IS 'variant of the format';
COMMENT ON COLUMN model_file.note IS 'what an opaque file is, or why it was not read further';

CREATE TABLE file_part (
    file_id     bigint NOT NULL REFERENCES model_file ON DELETE CASCADE,
    atom_id     bigint NOT NULL REFERENCES atom,
    byte_offset bigint NOT NULL,
    byte_length bigint NOT NULL,
    part_no     integer NOT NULL,
    modality    text NOT NULL,
    PRIMARY KEY (file_id, part_no)
);
CREATE INDEX file_part_atom ON file_part (atom_id, file_id);
COMMENT ON TABLE file_part IS 'the parts of a file: joined in order they are the file';
COMMENT ON COLUMN file_part.file_id IS 'the file';
COMMENT ON COLUMN file_part.atom_id IS 'atom with the part''s bytes';
COMMENT ON COLUMN file_part.byte_offset IS 'first byte in the file';
COMMENT ON COLUMN file_part.byte_length IS 'length, the atom''s size';
COMMENT ON COLUMN file_part.part_no IS 'number of the part, from 0';
COMMENT ON COLUMN file_part.modality IS 'tensor: payload of a tensor; file: anything else';

CREATE TABLE tensor (
    tensor_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_id     bigint NOT NULL REFERENCES model_file ON DELETE CASCADE,
    name        text NOT NULL,
    dtype       text NOT NULL,
    shape       bigint[] NOT NULL,
    byte_offset bigint,
    size_bytes  bigint NOT NULL,
    layout      text NOT NULL DEFAULT 'contiguous',
    CONSTRAINT tensor_name_key UNIQUE (file_id, name)
);
COMMENT ON TABLE tensor IS 'tensors of the files whose structure was read';
COMMENT ON COLUMN tensor.tensor_id IS 'id';
COMMENT ON COLUMN tensor.file_id IS 'its file';
COMMENT ON COLUMN tensor.name IS 'name, unique in the file';
COMMENT ON COLUMN tensor.dtype IS 'element type, as the format names it';
COMMENT ON COLUMN tensor.shape IS 'dimensions; empty for a scalar';
COMMENT ON COLUMN tensor.byte_offset IS 'first byte in the file; NULL when the bytes are not contiguous there';
COMMENT ON COLUMN tensor.size_bytes IS 'length of the stored bytes';
COMMENT ON COLUMN tensor.layout IS 'contiguous: the bytes stand in the file as they are; big-endian: so do they, their numbers big-endian';

CREATE TABLE tensor_part (
    tensor_id   bigint NOT NULL REFERENCES tensor ON DELETE CASCADE,
    atom_id     bigint NOT NULL,
    first_byte  bigint NOT NULL,
    byte_length bigint NOT NULL,
    chunk_index integer NOT NULL,
    PRIMARY KEY (tensor_id, chunk_index)
);
COMMENT ON TABLE tensor_part IS 'where a tensor''s bytes lie; repeats what file_part says, and is not counted as a reference';
COMMENT ON COLUMN tensor_part.tensor_id IS 'the tensor';
COMMENT ON COLUMN tensor_part.atom_id IS 'atom that holds the chunk';
COMMENT ON COLUMN tensor_part.first_byte IS 'first byte of the chunk in the atom';
COMMENT ON COLUMN tensor_part.byte_length IS 'length of the chunk';
COMMENT ON COLUMN tensor_part.chunk_index IS 'number of the chunk, from 0';

CREATE FUNCTION model_id(model text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    SELECT m.model_id INTO id FROM atoms.model m WHERE m.name = model_id.model;
    IF id IS NULL THEN
        RAISE EXCEPTION 'model "%" does not exist', model_id.model
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM atoms.model lists the models; imports under way are in atoms.list_imports().';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION model_id(text) IS 'id of a model; 42704 when there is none of that name';

CREATE FUNCTION file_id(model text, file text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    SELECT f.file_id INTO id FROM atoms.model_file f WHERE f.model_id = atoms.model_id(file_id.model) AND f.path = file_id.file;
    IF id IS NULL THEN
        RAISE EXCEPTION 'model "%" has no file "%"', file_id.model, file_id.file
            USING ERRCODE = 'undefined_object', HINT = 'SELECT path FROM atoms.model_file lists the files.';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION file_id(text, text) IS 'id of a file of a model; 42704 when there is none';

CREATE FUNCTION drop_model(model text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    DELETE FROM atoms.model m WHERE m.model_id = atoms.model_id(drop_model.model);
END $$;
COMMENT ON FUNCTION drop_model(text) IS 'drops a model and its references; vacuum_atoms collects the atoms that nothing else names';

CREATE FUNCTION rename_model(model text, new_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, atoms, pg_temp AS $$
BEGIN
    PERFORM atoms.check_model_name(rename_model.new_name);
    UPDATE atoms.model m SET name = rename_model.new_name WHERE m.model_id = atoms.model_id(rename_model.model);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'model "%" exists already', rename_model.new_name USING ERRCODE = 'duplicate_object';
END $$;
COMMENT ON FUNCTION rename_model(text, text) IS 'gives a model another name; 42710 when it is taken';

CREATE FUNCTION check_model_name(model text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF model IS NULL OR model = '' OR octet_length(model) > 1000 OR model ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'a model name has 1 to 1,000 bytes and no control characters' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;
COMMENT ON FUNCTION check_model_name(text) IS 'refuses (22023) what cannot name a model';

CREATE FUNCTION shared_atoms(model_a text, model_b text)
    RETURNS TABLE (atom_id bigint, content_hash content_hash, size_bytes bigint, modality text)
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, atoms, pg_temp AS $$
    SELECT a.atom_id, a.content_hash, a.size_bytes, a.modality FROM atoms.atom a
    WHERE a.atom_id IN (
        SELECT p.atom_id FROM atoms.file_part p JOIN atoms.model_file f USING (file_id) WHERE f.model_id = atoms.model_id(model_a)
        INTERSECT
        SELECT p.atom_id FROM atoms.file_part p JOIN atoms.model_file f USING (file_id) WHERE f.model_id = atoms.model_id(model_b))
    ORDER BY a.size_bytes DESC, a.atom_id
$$;
COMMENT ON FUNCTION shared_atoms(text, text) IS 'atoms that files of both models are joined from, largest first';

CREATE VIEW atom_detail AS
SELECT a.atom_id, a.content_hash, atoms.atom_value(a.atom_id) AS atomic_value, atoms.reference_count(a.atom_id) AS reference_count,
       pg_catalog.initcap(a.modality) AS atom_type, a.modality,
       ARRAY(SELECT a.modality
             UNION SELECT p.modality FROM atoms.file_part p WHERE p.atom_id = a.atom_id
             UNION SELECT p.modality FROM atoms.atom_pin p WHERE p.atom_id = a.atom_id ORDER BY 1) AS modalities,
       a.subtype, a.canonical_text, a.metadata, a.size_bytes, a.created_at
FROM atoms.atom a;
COMMENT ON VIEW atom_detail IS 'stored atoms as the documented table showed them; atomic_value of an atom above 1 GB raises 54000';
COMMENT ON COLUMN atom_detail.atom_id IS 'id';
COMMENT ON COLUMN atom_detail.content_hash IS 'SHA-256 of the bytes';
COMMENT ON COLUMN atom_detail.atomic_value IS 'the bytes; 54000 above 1 GB, see atom_slice';
COMMENT ON COLUMN atom_detail.reference_count IS 'references counted now';
COMMENT ON COLUMN atom_detail.atom_type IS 'modality with a capital letter';
COMMENT ON COLUMN atom_detail.modality IS 'what it was first stored as';
COMMENT ON COLUMN atom_detail.modalities IS 'everything that references use it as';
COMMENT ON COLUMN atom_detail.subtype IS 'finer kind';
COMMENT ON COLUMN atom_detail.canonical_text IS 'readable form';
COMMENT ON COLUMN atom_detail.metadata IS 'facts given with the first store';
COMMENT ON COLUMN atom_detail.size_bytes IS 'length of the bytes';
COMMENT ON COLUMN atom_detail.created_at IS 'when the bytes were first stored';

CREATE VIEW tensor_atom_coefficient AS
SELECT pg_catalog.row_number() OVER (ORDER BY p.tensor_id, p.chunk_index) AS coefficient_id,
       f.model_id, p.atom_id AS tensor_atom_id, t.name AS tensor_name, p.chunk_index,
       pg_catalog.count(*) OVER (PARTITION BY p.tensor_id)::integer AS total_chunks,
       1.0::double precision AS coefficient_value, m.created_at
FROM atoms.tensor_part p JOIN atoms.tensor t USING (tensor_id) JOIN atoms.model_file f USING (file_id) JOIN atoms.model m USING (model_id);
COMMENT ON VIEW tensor_atom_coefficient IS 'which atoms a tensor consists of, in the documented columns';
COMMENT ON COLUMN tensor_atom_coefficient.coefficient_id IS 'number of the row in this view; not stable';
COMMENT ON COLUMN tensor_atom_coefficient.model_id IS 'model';
COMMENT ON COLUMN tensor_atom_coefficient.tensor_atom_id IS 'atom that holds the chunk';
COMMENT ON COLUMN tensor_atom_coefficient.tensor_name IS 'tensor';
COMMENT ON COLUMN tensor_atom_coefficient.chunk_index IS 'number of the chunk, from 0';
COMMENT ON COLUMN tensor_atom_coefficient.total_chunks IS 'chunks of the tensor';
COMMENT ON COLUMN tensor_atom_coefficient.coefficient_value IS 'always 1: bytes are not scaled';
COMMENT ON COLUMN tensor_atom_coefficient.created_at IS 'when the model was imported';

CREATE VIEW tensor_detail AS
SELECT m.name AS model, f.path AS file, t.name AS tensor, t.dtype, t.shape, t.byte_offset, t.size_bytes, t.layout,
       (SELECT pg_catalog.count(*) FROM atoms.tensor_part p WHERE p.tensor_id = t.tensor_id) AS chunks, t.tensor_id
FROM atoms.tensor t JOIN atoms.model_file f USING (file_id) JOIN atoms.model m USING (model_id);
COMMENT ON VIEW tensor_detail IS 'every tensor with its model and file';
COMMENT ON COLUMN tensor_detail.model IS 'name of the model';
COMMENT ON COLUMN tensor_detail.file IS 'path of the file in the model';
COMMENT ON COLUMN tensor_detail.tensor IS 'name of the tensor';
COMMENT ON COLUMN tensor_detail.dtype IS 'element type';
COMMENT ON COLUMN tensor_detail.shape IS 'dimensions';
COMMENT ON COLUMN tensor_detail.byte_offset IS 'first byte in the file';
COMMENT ON COLUMN tensor_detail.size_bytes IS 'length of the stored bytes';
COMMENT ON COLUMN tensor_detail.layout IS 'how the bytes lie in the file';
COMMENT ON COLUMN tensor_detail.chunks IS 'parts it was cut into';
COMMENT ON COLUMN tensor_detail.tensor_id IS 'id';

CREATE VIEW model_summary AS
SELECT m.name AS model, m.kind, m.base_family, f.files, f.size_bytes, t.tensors, f.formats, m.created_at, m.metadata, m.model_id
FROM atoms.model m,
     LATERAL (SELECT pg_catalog.count(*) AS files, coalesce(pg_catalog.sum(f.size_bytes), 0)::bigint AS size_bytes,
                     pg_catalog.array_agg(DISTINCT coalesce(f.format, 'opaque')) AS formats
              FROM atoms.model_file f WHERE f.model_id = m.model_id) f,
     LATERAL (SELECT pg_catalog.count(*) AS tensors FROM atoms.tensor t JOIN atoms.model_file f USING (file_id) WHERE f.model_id = m.model_id) t;
COMMENT ON VIEW model_summary IS 'a line per model';
COMMENT ON COLUMN model_summary.model IS 'name';
COMMENT ON COLUMN model_summary.kind IS 'kind of model';
COMMENT ON COLUMN model_summary.base_family IS 'family of the base model, where known';
COMMENT ON COLUMN model_summary.files IS 'number of files';
COMMENT ON COLUMN model_summary.size_bytes IS 'bytes of all files';
COMMENT ON COLUMN model_summary.tensors IS 'number of tensors';
COMMENT ON COLUMN model_summary.formats IS 'formats of its files';
COMMENT ON COLUMN model_summary.created_at IS 'when it was imported';
COMMENT ON COLUMN model_summary.metadata IS 'facts about the model';
COMMENT ON COLUMN model_summary.model_id IS 'id';
