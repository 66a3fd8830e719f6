/** What SQL in a flow may call by name: functions, operators and types of PostgreSQL that only compute, and cannot be made to work for ever. */

const names = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter(Boolean))

/**
 * Each is immutable, or an aggregate or window function of such. What grows a short text into a long one (repeat, lpad), runs patterns
 * that backtrack (regexp_*), makes rows from nothing (generate_series), reads the clock, the catalog, files or settings is not here.
 */
export const FUNCTIONS = names(`
  count sum avg min max bool_and bool_or every array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg
  mode percentile_cont percentile_disc corr covar_pop covar_samp stddev stddev_pop stddev_samp variance var_pop var_samp
  row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
  lower upper initcap length char_length character_length octet_length btrim ltrim rtrim left right substr substring position strpos
  concat concat_ws replace translate split_part starts_with reverse overlay md5 like_escape
  abs ceil ceiling floor round trunc mod div sign sqrt cbrt power exp ln log greatest least width_bucket
  date_trunc date_part extract date_bin age make_date make_time make_timestamp make_interval timezone
  array_length cardinality array_position array_append array_prepend array_cat array_remove array_to_string unnest
  jsonb_array_length jsonb_typeof jsonb_build_object jsonb_build_array json_build_object json_build_array to_jsonb
  jsonb_extract_path jsonb_extract_path_text jsonb_array_elements jsonb_array_elements_text jsonb_object_keys jsonb_strip_nulls
  to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_rank ts_rank_cd
  similarity word_similarity cosine_distance l2_distance inner_product
`)

/** Comparison, arithmetic, texts, JSON, arrays, full text, and the distances of pg_trgm and pgvector. No regular expressions. */
export const OPERATORS = names(`
  = <> != < > <= >= + - * / % ^ || & | # << >>
  ~~ !~~ ~~* !~~* -> ->> #> #>> @> <@ && @@ <-> <=> <#>
`)

/** A cast to any of these computes; one to `regclass` or `xml` reads the catalog or parses what was sent. */
export const TYPES = names(`
  text varchar name bool int2 int4 int8 float4 float8 numeric uuid json jsonb bytea
  date time timetz timestamp timestamptz interval inet cidr tsvector tsquery vector
`)
