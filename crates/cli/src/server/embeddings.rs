//! Embeddings: their models, the vectors as bytes, and what their dimensions are like.

use std::borrow::Cow;
use std::collections::HashMap;

use postgres::types::ToSql;
use serde::Serialize;
use vector::Element;

use super::{Server, TIME};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::figures;

/// An embedding model with what is stored for it.
#[derive(Debug, Clone, Serialize)]
pub struct EmbeddingModel {
    /// Name.
    pub model: String,
    /// Dimensions of each vector.
    pub dimensions: i32,
    /// Declared type of the values.
    pub element_type: String,
    /// Number of vectors.
    pub embeddings: i64,
    /// Bytes on disk.
    pub size_bytes: i64,
    /// When it was registered (ISO 8601, UTC).
    pub created_at: String,
}

/// What vectors of a model have to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorType {
    /// Dimensions of each.
    pub dimensions: usize,
    /// Declared type of the values.
    pub element: Element,
}

/// The atoms that vectors were made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceAtoms {
    /// Atoms that are stored.
    Ids(Vec<i64>),
    /// Texts to be stored.
    Texts(Vec<String>),
}

impl SourceAtoms {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Texts(texts) => texts.len(),
        }
    }
}

/// A line of the report on what vectors cost.
#[derive(Debug, Clone, Serialize)]
pub struct StorageLine {
    /// How values could lie, or lie.
    pub layout: String,
    /// What of it.
    pub item: String,
    /// How many there are.
    pub count: Option<i64>,
    /// Their bytes.
    pub bytes: Option<i64>,
    /// Bytes for each value of a vector.
    #[serde(serialize_with = "figures::serialize")]
    pub bytes_per_value: Option<f64>,
    /// How the figure comes about.
    pub arithmetic: Option<String>,
}

/// What the values of a dimension look like.
#[derive(Debug, Clone, Serialize)]
pub struct DimensionStats {
    /// Number of the dimension, from 0.
    pub dimension_index: i32,
    /// Vectors that were looked at.
    pub embeddings: i64,
    /// Values that are 0.
    pub zeros: i64,
    /// The least.
    #[serde(serialize_with = "figures::serialize")]
    pub min: Option<f64>,
    /// The greatest.
    #[serde(serialize_with = "figures::serialize")]
    pub max: Option<f64>,
    /// The mean.
    #[serde(serialize_with = "figures::serialize")]
    pub mean: Option<f64>,
    /// The standard deviation.
    #[serde(serialize_with = "figures::serialize")]
    pub deviation: Option<f64>,
    /// The variance, by which dimensions are ordered.
    #[serde(serialize_with = "figures::serialize")]
    pub variance: Option<f64>,
    /// Its share in the variance of all dimensions.
    #[serde(serialize_with = "figures::serialize")]
    pub variance_share: Option<f64>,
    /// How many different values there are, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_values: Option<i64>,
}

fn embedding_model(row: &postgres::Row) -> Result<EmbeddingModel> {
    Ok(EmbeddingModel {
        model: row.try_get(0)?,
        dimensions: row.try_get(1)?,
        element_type: row.try_get(2)?,
        embeddings: row.try_get(3)?,
        size_bytes: row.try_get(4)?,
        created_at: row.try_get(5)?,
    })
}

fn vector_type(row: &postgres::Row) -> Result<VectorType> {
    let (dimensions, name): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
    let strange = || Failure::new(Exit::Extension, format!("the server has vectors of {dimensions} {name} values"));
    Ok(VectorType {
        dimensions: usize::try_from(dimensions).map_err(|_| strange())?,
        element: Element::from_name(name).ok_or_else(strange)?,
    })
}

fn no_model(model: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("embedding model \"{model}\" does not exist"))
        .hint("atoms embed ls lists the embedding models.")
}

impl Server {
    /// Returns all embedding models by name.
    pub fn embedding_models(&mut self) -> Result<Vec<EmbeddingModel>> {
        const SQL: &str = "SELECT model, dimensions, element_type, embeddings, size_bytes, to_char(created_at AT TIME ZONE 'UTC', $1) \
                           FROM atoms.embedding_model_summary ORDER BY model COLLATE \"C\"";
        self.rows(SQL, &[&TIME])?.iter().map(embedding_model).collect()
    }

    /// Returns one embedding model.
    pub fn embedding_model(&mut self, model: &str) -> Result<EmbeddingModel> {
        const SQL: &str = "SELECT model, dimensions, element_type, embeddings, size_bytes, to_char(created_at AT TIME ZONE 'UTC', $2) \
                           FROM atoms.embedding_model_summary WHERE model = $1";
        let rows = self.rows(SQL, &[&model, &TIME])?;
        embedding_model(rows.first().ok_or_else(|| no_model(model))?)
    }

    /// Returns what vectors of a model have to be like; `None` when there is no such model.
    pub fn vector_type(&mut self, model: &str) -> Result<Option<VectorType>> {
        // The view would count the vectors, which takes the longer the more there are.
        const SQL: &str = "SELECT dimensions, element_type FROM atoms.embedding_model WHERE name = $1";
        self.rows(SQL, &[&model])?.first().map(vector_type).transpose()
    }

    /// Registers an embedding model.
    pub fn register_embedding_model(&mut self, model: &str, vectors: VectorType) -> Result<()> {
        const SQL: &str = "SELECT atoms.register_embedding_model($1::text, $2::integer, $3::text)";
        let dimensions = i32::try_from(vectors.dimensions).unwrap_or(i32::MAX);
        self.row(SQL, &[&model, &dimensions, &vectors.element.name()])?;
        Ok(())
    }

    /// Drops an embedding model with its vectors, and returns how many they were.
    pub fn drop_embedding_model(&mut self, model: &str) -> Result<i64> {
        Ok(self.row("SELECT atoms.drop_embedding_model($1::text)", &[&model])?.try_get(0)?)
    }

    /// Stores vectors, and the texts they were made from, in one transaction.
    ///
    /// `values` are little-endian, in the model's type, row after row.  A vector takes the place of an earlier one of its atom,
    /// stored or in the same call.
    pub fn insert_embeddings(&mut self, model: &str, sources: &SourceAtoms, values: &[u8]) -> Result<()> {
        const ATOMS_SQL: &str = "SELECT atoms.upsert_atoms($1::bytea[], 'text')";
        const SQL: &str = "SELECT atoms.insert_embeddings($1::text, $2::bigint[], $3::bytea)";
        let (upsert, insert) = (self.statement(ATOMS_SQL)?, self.statement(SQL)?);
        let mut transaction = self.client.transaction()?;
        let ids = match sources {
            SourceAtoms::Ids(ids) => Cow::Borrowed(ids),
            SourceAtoms::Texts(texts) => {
                let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
                let rows = transaction.query(&upsert, &[&texts])?;
                Cow::Owned(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
            }
        };
        let (ids, values) = last_of_each(&ids, values);
        transaction.query(&insert, &[&model, &ids.as_ref(), &values.as_ref()])?;
        Ok(transaction.commit()?)
    }

    /// Returns what the vectors of a model cost, beside other layouts.
    pub fn dimension_storage_report(&mut self, model: &str) -> Result<Vec<StorageLine>> {
        const SQL: &str = "SELECT layout, item, count, bytes, bytes_per_value, arithmetic \
                           FROM atoms.dimension_storage_report($1::text)";
        self.rows(SQL, &[&model])?
            .iter()
            .map(|row| {
                Ok(StorageLine {
                    layout: row.try_get(0)?,
                    item: row.try_get(1)?,
                    count: row.try_get(2)?,
                    bytes: row.try_get(3)?,
                    bytes_per_value: row.try_get(4)?,
                    arithmetic: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// Returns what dimensions look like, those with the greatest variance first: all, or one, or the first `top`.
    ///
    /// Different values are counted only when that is asked for: it costs a sort of each dimension.
    pub fn dimension_stats(
        &mut self,
        model: &str,
        dimension: Option<i32>,
        top: Option<i64>,
        distinct: bool,
    ) -> Result<Vec<DimensionStats>> {
        const PLAIN_SQL: &str = "SELECT s.dimension_index, s.embeddings, s.zeros, s.min, s.max, s.mean, s.deviation, \
                                 i.variance, i.variance_share, NULL::bigint \
                                 FROM atoms.dimension_stats($1::text, $2::integer) s \
                                 LEFT JOIN atoms.dimension_importance($1::text) i USING (dimension_index) \
                                 ORDER BY i.variance DESC NULLS LAST, s.dimension_index LIMIT $3::bigint";
        const DISTINCT_SQL: &str = "SELECT s.dimension_index, s.embeddings, s.zeros, s.min, s.max, s.mean, s.deviation, \
                                    i.variance, i.variance_share, s.distinct_values \
                                    FROM atoms.dimension_stats($1::text, $2::integer) s \
                                    LEFT JOIN atoms.dimension_importance($1::text) i USING (dimension_index) \
                                    ORDER BY i.variance DESC NULLS LAST, s.dimension_index LIMIT $3::bigint";
        let parameters: [&(dyn ToSql + Sync); 3] = [&model, &dimension, &top];
        let rows = self.rows(if distinct { DISTINCT_SQL } else { PLAIN_SQL }, &parameters)?;
        rows.iter().map(dimension_stats).collect()
    }
}

/// Returns the ids with the rows of values that belong to them, of equal ids only the last.
fn last_of_each<'v>(ids: &'v [i64], values: &'v [u8]) -> (Cow<'v, [i64]>, Cow<'v, [u8]>) {
    let last: HashMap<i64, usize> = ids.iter().copied().zip(0..).collect();
    if last.len() == ids.len() {
        return (ids.into(), values.into());
    }
    let row_bytes = (values.len() / ids.len()).max(1);
    let is_last = |(row, id): &(usize, &i64)| last.get(id) == Some(row);
    let rows = ids.iter().enumerate().zip(values.chunks_exact(row_bytes)).filter(|(row, _)| is_last(row));
    let (ids, values): (Vec<i64>, Vec<&[u8]>) = rows.map(|((_, id), values)| (*id, values)).unzip();
    (ids.into(), values.concat().into())
}

fn dimension_stats(row: &postgres::Row) -> Result<DimensionStats> {
    Ok(DimensionStats {
        dimension_index: row.try_get(0)?,
        embeddings: row.try_get(1)?,
        zeros: row.try_get(2)?,
        min: row.try_get(3)?,
        max: row.try_get(4)?,
        mean: row.try_get(5)?,
        deviation: row.try_get(6)?,
        variance: row.try_get(7)?,
        variance_share: row.try_get(8)?,
        distinct_values: row.try_get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_vectors_of_one_atom_the_last_stays() {
        assert_eq!(last_of_each(&[], &[]), ((&[][..]).into(), (&[][..]).into()));
        let (ids, values) = last_of_each(&[3, 1, 2], &[30, 31, 10, 11, 20, 21]);
        assert!(matches!((&ids, &values), (Cow::Borrowed([3, 1, 2]), Cow::Borrowed([30, 31, 10, 11, 20, 21]))));
        let (ids, values) = last_of_each(&[3, 1, 3, 2, 1], &[30, 10, 31, 20, 11]);
        assert_eq!((&*ids, &*values), (&[3, 2, 1][..], &[31, 20, 11][..]));
    }
}
