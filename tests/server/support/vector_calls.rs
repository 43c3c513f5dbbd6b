//! A call of every routine of vectors and embeddings that only reads.

use pg_test::Result;
use postgres::Client;

/// Routine and call; the calls ask about the embeddings of [`prepare_embeddings`].  What only an aggregate may call is called by it.
pub const VECTOR_CALLS: [(&str, &str); 107] = [
    ("dimvec_add", "SELECT atoms.dimvec_add('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_subtract", "SELECT atoms.dimvec_subtract('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_multiply", "SELECT atoms.dimvec_multiply('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_concatenate", "SELECT atoms.dimvec_concatenate('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("l2_distance", "SELECT atoms.l2_distance('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("inner_product", "SELECT atoms.inner_product('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    (
        "negative_inner_product",
        "SELECT atoms.negative_inner_product('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)",
    ),
    ("cosine_similarity", "SELECT atoms.cosine_similarity('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("cosine_distance", "SELECT atoms.cosine_distance('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("l1_distance", "SELECT atoms.l1_distance('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_eq", "SELECT atoms.dimvec_eq('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_ne", "SELECT atoms.dimvec_ne('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_lt", "SELECT atoms.dimvec_lt('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_le", "SELECT atoms.dimvec_le('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_gt", "SELECT atoms.dimvec_gt('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_ge", "SELECT atoms.dimvec_ge('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("dimvec_cmp", "SELECT atoms.dimvec_cmp('[0.1,2,3]'::atoms.dimvec, '[4,5,6]'::atoms.dimvec)"),
    ("vector_dims", "SELECT atoms.vector_dims('[0.1,2,3]'::atoms.dimvec)"),
    ("element_type", "SELECT atoms.element_type('[0.1,2,3]'::atoms.dimvec)"),
    ("stored_form", "SELECT atoms.stored_form('[0.1,2,3]'::atoms.dimvec)"),
    ("sparse_text", "SELECT atoms.sparse_text('[0.1,2,3]'::atoms.dimvec)"),
    ("serialize_vector", "SELECT atoms.serialize_vector('[0.1,2,3]'::atoms.dimvec)"),
    ("l1_norm", "SELECT atoms.l1_norm('[0.1,2,3]'::atoms.dimvec)"),
    ("l2_norm", "SELECT atoms.l2_norm('[0.1,2,3]'::atoms.dimvec)"),
    ("l2_normalize", "SELECT atoms.l2_normalize('[0.1,2,3]'::atoms.dimvec)"),
    ("dimvec_hash", "SELECT atoms.dimvec_hash('[0.1,2,3]'::atoms.dimvec)"),
    ("float4_array", "SELECT atoms.float4_array('[0.1,2,3]'::atoms.dimvec)"),
    ("float8_array", "SELECT atoms.float8_array('[0.1,2,3]'::atoms.dimvec)"),
    ("dimvec_hash_extended", "SELECT atoms.dimvec_hash_extended('[0.1,2,3]'::atoms.dimvec, 7)"),
    ("dimvec", "SELECT '[1,2]'::atoms.dimvec(2, float16)"),
    (
        "dimvec",
        "SELECT ARRAY[0.1,2]::real[]::atoms.dimvec, ARRAY[0.1,2]::double precision[]::atoms.dimvec, '\\x0000803f'::bytea::atoms.dimvec(1)",
    ),
    ("dimvec_of_numbers", "SELECT ARRAY[0.1,2]::numeric[]::atoms.dimvec, ARRAY[1,2]::atoms.dimvec"),
    ("deserialize_vector", "SELECT atoms.deserialize_vector('\\x003c', 'float16')"),
    ("dimension_value", "SELECT atoms.dimension_value('[0.1,2,3]'::atoms.dimvec, 2)"),
    ("with_dimension", "SELECT atoms.with_dimension('[0.1,2,3]'::atoms.dimvec, 2, 0.25)"),
    ("vector_dimensions", "SELECT * FROM atoms.vector_dimensions('[0.1,2,3]'::atoms.dimvec)"),
    ("parse_vector_to_dimensions", "SELECT * FROM atoms.parse_vector_to_dimensions('[0.1,2,3]'::atoms.dimvec)"),
    ("parse_vector_to_dimensions", "SELECT * FROM atoms.parse_vector_to_dimensions('\\x0000803f'::bytea)"),
    ("binary_quantize", "SELECT atoms.binary_quantize('[0.1,-2,3]'::atoms.dimvec)"),
    ("subvector", "SELECT atoms.subvector('[0.1,2,3]'::atoms.dimvec, 2, 2)"),
    (
        "dimvec_accumulate",
        "SELECT atoms.avg(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "dimvec_combine",
        "SELECT atoms.avg(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "dimvec_sum_serialize",
        "SELECT atoms.avg(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "dimvec_sum_deserialize",
        "SELECT atoms.avg(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "dimvec_average",
        "SELECT atoms.avg(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "avg",
        "SELECT atoms.avg(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "dimvec_sum",
        "SELECT atoms.sum(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "sum",
        "SELECT atoms.sum(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    ("dimvec_distinct_add", "SELECT atoms.count_distinct_values(value) FROM atoms.embedding"),
    ("dimvec_distinct_count", "SELECT atoms.count_distinct_values(value) FROM atoms.embedding"),
    ("count_distinct_values", "SELECT atoms.count_distinct_values(value) FROM atoms.embedding"),
    (
        "dimvec_moments_add",
        "SELECT atoms.dimension_moments(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "dimvec_moments",
        "SELECT atoms.dimension_moments(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "dimension_moments",
        "SELECT atoms.dimension_moments(value) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('words')",
    ),
    (
        "operators of dimvec",
        "SELECT '[0.1,2,3]'::atoms.dimvec OPERATOR(atoms.<->) '[4,5,6]'::atoms.dimvec, '[0.1,2,3]'::atoms.dimvec OPERATOR(atoms.<#>) '[4,5,6]'::atoms.dimvec, '[0.1,2,3]'::atoms.dimvec OPERATOR(atoms.<=>) '[4,5,6]'::atoms.dimvec, '[0.1,2,3]'::atoms.dimvec OPERATOR(atoms.<+>) '[4,5,6]'::atoms.dimvec, '[0.1,2,3]'::atoms.dimvec OPERATOR(atoms.+) '[4,5,6]'::atoms.dimvec",
    ),
    ("dim_point", "SELECT atoms.dim_point(0.5, 1, 2)"),
    ("dim_value", "SELECT atoms.dim_value('(0.5,1,2)'::atoms.dim_point)"),
    ("dim_index", "SELECT atoms.dim_index('(0.5,1,2)'::atoms.dim_point)"),
    ("dim_model", "SELECT atoms.dim_model('(0.5,1,2)'::atoms.dim_point)"),
    ("dim_point_hash", "SELECT atoms.dim_point_hash('(0.5,1,2)'::atoms.dim_point)"),
    ("dim_point_hash_extended", "SELECT atoms.dim_point_hash_extended('(0.5,1,2)'::atoms.dim_point, 7)"),
    ("dim_point_eq", "SELECT atoms.dim_point_eq('(0.5,1,2)'::atoms.dim_point, '(0.5,1,2)'::atoms.dim_point)"),
    ("dim_point_ne", "SELECT atoms.dim_point_ne('(0.5,1,2)'::atoms.dim_point, '(0.5,1,2)'::atoms.dim_point)"),
    ("dim_point_lt", "SELECT atoms.dim_point_lt('(0.5,1,2)'::atoms.dim_point, '(0.5,1,2)'::atoms.dim_point)"),
    ("dim_point_le", "SELECT atoms.dim_point_le('(0.5,1,2)'::atoms.dim_point, '(0.5,1,2)'::atoms.dim_point)"),
    ("dim_point_gt", "SELECT atoms.dim_point_gt('(0.5,1,2)'::atoms.dim_point, '(0.5,1,2)'::atoms.dim_point)"),
    ("dim_point_ge", "SELECT atoms.dim_point_ge('(0.5,1,2)'::atoms.dim_point, '(0.5,1,2)'::atoms.dim_point)"),
    ("dim_point_cmp", "SELECT atoms.dim_point_cmp('(0.5,1,2)'::atoms.dim_point, '(0.5,1,2)'::atoms.dim_point)"),
    ("dim_range", "SELECT atoms.dim_range(1, 0, 0.5)"),
    ("range_dimension", "SELECT atoms.range_dimension('(1,0,0.5)'::atoms.dim_range)"),
    ("range_low", "SELECT atoms.range_low('(1,0,0.5)'::atoms.dim_range)"),
    ("range_high", "SELECT atoms.range_high('(1,0,0.5)'::atoms.dim_range)"),
    ("dim_range_hash", "SELECT atoms.dim_range_hash('(1,0,0.5)'::atoms.dim_range)"),
    ("dim_range_hash_extended", "SELECT atoms.dim_range_hash_extended('(1,0,0.5)'::atoms.dim_range, 7)"),
    ("dim_range_eq", "SELECT atoms.dim_range_eq('(1,0,0.5)'::atoms.dim_range, '(1,0,0.5)'::atoms.dim_range)"),
    ("dim_range_ne", "SELECT atoms.dim_range_ne('(1,0,0.5)'::atoms.dim_range, '(1,0,0.5)'::atoms.dim_range)"),
    (
        "within_range",
        "SELECT atoms.within_range('[0.1,0.2]'::atoms.dimvec, '(1,0,0.5)'::atoms.dim_range), '[0.1,0.2]'::atoms.dimvec OPERATOR(atoms.<@) '(1,0,0.5)'::atoms.dim_range",
    ),
    (
        "range_holds",
        "SELECT atoms.range_holds('(1,0,0.5)'::atoms.dim_range, '[0.1,0.2]'::atoms.dimvec), '(1,0,0.5)'::atoms.dim_range OPERATOR(atoms.@>) '[0.1,0.2]'::atoms.dimvec",
    ),
    (
        "dimspace_handler",
        "SELECT count(*) FROM public.searched WHERE v OPERATOR(atoms.<@) '(1,0,0.5)'::atoms.dim_range",
    ),
    ("dimspace_sel", "SELECT count(*) FROM public.searched WHERE v OPERATOR(atoms.<@) '(1,0,0.5)'::atoms.dim_range"),
    (
        "dimspace_range_cost",
        "SELECT count(*) FROM public.searched WHERE v OPERATOR(atoms.<@) '(1,0,0.5)'::atoms.dim_range",
    ),
    (
        "dimspace_cosine_metric",
        "SELECT atoms.dimspace_cosine_metric(), atoms.dimspace_l2_metric(), atoms.dimspace_ip_metric()",
    ),
    ("dimspace_l2_metric", "SELECT atoms.dimspace_l2_metric()"),
    ("dimspace_ip_metric", "SELECT atoms.dimspace_ip_metric()"),
    ("dimspace_last_scan", "SELECT * FROM atoms.dimspace_last_scan()"),
    ("dimspace_check", "SELECT atoms.dimspace_check('public.searched_v')"),
    ("dimspace_stats", "SELECT * FROM atoms.dimspace_stats('public.searched_v')"),
    ("embedding_model_id", "SELECT atoms.embedding_model_id('words')"),
    ("split_vectors", "SELECT atoms.split_vectors('\\x0000803f00000040'::bytea, 1, 'float32')"),
    ("split_vectors", "SELECT atoms.split_vectors(ARRAY[1,2,3,4], 2, 'int8')"),
    ("fit_vector", "SELECT atoms.fit_vector('[0.1,2,3]'::atoms.dimvec, 3, 'float16')"),
    ("check_vector_form", "SELECT atoms.check_vector_form(3, 'float16')"),
    ("nearest_value", "SELECT atoms.nearest_value(0.1, 'float16')"),
    ("zero_vector", "SELECT atoms.zero_vector(3, 'float16')"),
    (
        "reconstruct_vector",
        "SELECT atoms.reconstruct_vector('wide', source_atom_id) FROM atoms.embedding WHERE model_id OPERATOR(pg_catalog.=) atoms.embedding_model_id('wide')",
    ),
    (
        "reconstruct_vectors",
        "SELECT r.* FROM (SELECT array_agg(source_atom_id) AS ids FROM atoms.embedding) e, atoms.reconstruct_vectors('words', e.ids) r",
    ),
    ("upsert_dimension_atom", "SELECT atoms.upsert_dimension_atom(0.5), atoms.upsert_dimension_atom(0.5, 'float16')"),
    ("dimension_atom_value", "SELECT atoms.dimension_atom_value(atoms.upsert_dimension_atom(0.5))"),
    (
        "given_dimension_value",
        "SELECT atoms.given_dimension_value(m, 0.5, NULL, NULL, NULL, 0) FROM atoms.embedding_model m",
    ),
    ("dimension_search", "SELECT * FROM atoms.dimension_search('words', 1, 0.2, 0.1)"),
    ("dimension_stats", "SELECT * FROM atoms.dimension_stats('words')"),
    ("dimension_importance", "SELECT * FROM atoms.dimension_importance('words')"),
    ("dimension_storage_report", "SELECT layout, item, count FROM atoms.dimension_storage_report('words')"),
    ("view atom_embedding", "SELECT * FROM atoms.atom_embedding"),
    (
        "view embedding_model_summary",
        "SELECT model, dimensions, element_type, embeddings FROM atoms.embedding_model_summary",
    ),
    ("partitions of embedding", "SELECT * FROM atoms.embedding"),
    ("table dimension_change", "SELECT * FROM atoms.dimension_change"),
];

/// Registers two models of embeddings, one of them of float64, and stores some of each, with a change of one dimension.
pub fn prepare_embeddings(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "SELECT atoms.register_embedding_model('words', 4), atoms.register_embedding_model('wide', 2, 'float64')",
    )?;
    client.batch_execute(
        "WITH source AS (SELECT array_agg(u) AS ids FROM atoms.upsert_atoms('{first,second,third}', 'text') u) \
         SELECT atoms.insert_embeddings('words', ids, '{{0.1,0.2,0.3,0.4},{1,2,3,4},{0,0,0,0}}'::real[]), \
                atoms.insert_embeddings('wide', ids[1:1], ARRAY[0.1, 1e300]::double precision[]), \
                atoms.set_dimension('words', ids[2], 3, 0.5, 'somebody') FROM source",
    )?;
    Ok(())
}
