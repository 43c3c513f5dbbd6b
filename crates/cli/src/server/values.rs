//! The numbers in tensors, how models differ, and what is worth knowing of their files.

use serde::Serialize;

use super::{Server, Tensor};
use crate::failure::Result;
use crate::figures;

/// What the numbers of a tensor look like.  Extremes, mean and deviation are those of the finite values, if there are any.
#[derive(Debug, Clone, Serialize)]
pub struct TensorStats {
    /// All values.
    pub count: i64,
    /// The least.
    #[serde(serialize_with = "figures::serialize")]
    pub min: Option<f64>,
    /// The greatest.
    #[serde(serialize_with = "figures::serialize")]
    pub max: Option<f64>,
    /// The mean.
    #[serde(serialize_with = "figures::serialize")]
    pub mean: Option<f64>,
    /// The standard deviation, as of a whole population.
    #[serde(serialize_with = "figures::serialize")]
    pub deviation: Option<f64>,
    /// Values that are 0 or -0.
    pub zeros: i64,
    /// Values that are NaN.
    pub nans: i64,
    /// Values that are infinite.
    pub infinities: i64,
    /// Values per bucket; the buckets have equal width, from `min` to `max`.
    pub histogram: Vec<i64>,
}

/// A tensor of two models, or of one of them.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// Name; with the file before it where several files of a model have it.
    pub tensor: String,
    /// `same`, `changed`, `only in a` or `only in b`.
    pub status: String,
    /// `|a - b| / |a|`; `None` where shapes differ or there are no values.
    #[serde(serialize_with = "figures::serialize")]
    pub distance: Option<f64>,
    /// Element types; nothing is known where the tensor is missing.
    pub dtype_a: Option<String>,
    /// The same in the second model.
    pub dtype_b: Option<String>,
    /// Dimensions.
    pub shape_a: Option<Vec<i64>>,
    /// The same in the second model.
    pub shape_b: Option<Vec<i64>>,
    /// Files they are in.
    pub file_a: Option<String>,
    /// The same in the second model.
    pub file_b: Option<String>,
}

/// One thing worth knowing of a stored file.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Name of the model.
    pub model: String,
    /// Path of the file in it.
    pub file: String,
    /// Name of the rule.
    pub rule: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// First position in the file that it concerns.
    pub byte_offset: Option<i64>,
    /// What is so.
    pub message: String,
}

impl Server {
    /// Returns the tensor that a name stands for; `FILE::TENSOR` where several files have it.
    pub fn tensor(&mut self, model: &str, tensor: &str) -> Result<Tensor> {
        const SQL: &str = "SELECT file, tensor, dtype, shape, byte_offset, size_bytes, chunks FROM atoms.tensor_detail \
                           WHERE tensor_id = atoms.find_tensor($1::text, $2::text)";
        Tensor::from_row(&self.row(SQL, &[&model, &tensor])?)
    }

    /// Returns the statistics of a tensor.
    pub fn tensor_stats(&mut self, model: &str, tensor: &str, buckets: i32) -> Result<TensorStats> {
        const SQL: &str = "SELECT count, min, max, mean, deviation, zeros, nans, infinities, histogram \
                           FROM atoms.tensor_stats($1::text, $2::text, $3::int)";
        let row = self.row(SQL, &[&model, &tensor, &buckets])?;
        Ok(TensorStats {
            count: row.try_get(0)?,
            min: row.try_get(1)?,
            max: row.try_get(2)?,
            mean: row.try_get(3)?,
            deviation: row.try_get(4)?,
            zeros: row.try_get(5)?,
            nans: row.try_get(6)?,
            infinities: row.try_get(7)?,
            histogram: row.try_get(8)?,
        })
    }

    /// Returns values of a tensor, row-major; fewer at its end.
    pub fn tensor_values(&mut self, model: &str, tensor: &str, start: i64, count: i64) -> Result<Vec<f64>> {
        const SQL: &str = "SELECT atoms.tensor_values($1::text, $2::text, $3::bigint, $4::bigint)";
        Ok(self.row(SQL, &[&model, &tensor, &start, &count])?.try_get(0)?)
    }

    /// Compares the tensors of two models by name.
    pub fn diff_models(&mut self, model_a: &str, model_b: &str) -> Result<Vec<Pair>> {
        const SQL: &str = "SELECT tensor, status, distance, dtype_a, dtype_b, shape_a, shape_b, file_a, file_b \
                           FROM atoms.diff_models($1::text, $2::text)";
        self.rows(SQL, &[&model_a, &model_b])?
            .iter()
            .map(|row| {
                Ok(Pair {
                    tensor: row.try_get(0)?,
                    status: row.try_get(1)?,
                    distance: row.try_get(2)?,
                    dtype_a: row.try_get(3)?,
                    dtype_b: row.try_get(4)?,
                    shape_a: row.try_get(5)?,
                    shape_b: row.try_get(6)?,
                    file_a: row.try_get(7)?,
                    file_b: row.try_get(8)?,
                })
            })
            .collect()
    }

    /// Returns what is worth knowing of the files of a model, or of all models.
    pub fn findings(&mut self, model: Option<&str>) -> Result<Vec<Finding>> {
        const ALL_SQL: &str = "SELECT model, file, rule, severity, byte_offset, message FROM atoms.model_findings \
                               ORDER BY model COLLATE \"C\", file COLLATE \"C\", byte_offset, rule COLLATE \"C\"";
        // A condition of its own, so that the files of other models are not read.
        const MODEL_SQL: &str = "SELECT model, file, rule, severity, byte_offset, message FROM atoms.model_findings \
                                 WHERE model = $1 ORDER BY file COLLATE \"C\", byte_offset, rule COLLATE \"C\"";
        let rows = match model {
            Some(model) => self.rows(MODEL_SQL, &[&model])?,
            None => self.rows(ALL_SQL, &[])?,
        };
        rows.iter().map(Finding::from_row).collect()
    }
}

impl Finding {
    fn from_row(row: &postgres::Row) -> Result<Self> {
        Ok(Self {
            model: row.try_get(0)?,
            file: row.try_get(1)?,
            rule: row.try_get(2)?,
            severity: row.try_get(3)?,
            byte_offset: row.try_get(4)?,
            message: row.try_get(5)?,
        })
    }
}
