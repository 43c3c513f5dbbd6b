//! What an index is, from its operator class, its column and its options.

use ::dimspace::Settings;
use ::dimspace::Tuning;
use ::dimspace::metric::Metric;
use ::dimspace::{DIMENSIONS_MAX, DimspaceError};
use vector::{Element, Packed};

use super::refuse;
use crate::dimvec::typmod::Typmod;
use crate::pg::error::{PgResult, code, fault};
use crate::pg::guc;
use crate::pg::index_am::random_number;
use crate::pg::index_relation::IndexRelation;

/// The definition of an index.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// What cells are trained with.
    pub metric: Metric,
    /// Byte planes.
    pub planes: u8,
    /// Dimensions; 0: those of the first row.
    pub dimensions: u32,
    /// Whether the column's vectors are float64.
    pub is_rounded: bool,
    /// Cells that the user wants; 0: as many as rows ask for.
    pub cells: usize,
}

impl Definition {
    /// Reads the definition of an index.  Errors: too many dimensions, an option that no version can follow yet.
    pub fn of(index: IndexRelation<'_>) -> PgResult<Self> {
        let options = index.options();
        if options.one_bit {
            return Err(
                fault(code::UNSUPPORTED, "one-bit codes are not supported yet").set_hint("Leave one_bit false.")
            );
        }
        let (dimensions, element) = column(index);
        let wanted = options.dimensions.max(0) as u32;
        if dimensions != 0 && wanted != 0 && dimensions != wanted {
            let message = format!("the column's vectors have {dimensions} dimensions, the option says {wanted}");
            return Err(fault(code::ARGUMENT, message).set_hint("Leave the option dimensions out."));
        }
        let dimensions = if dimensions == 0 { wanted } else { dimensions };
        if dimensions > DIMENSIONS_MAX {
            return Err(refuse(DimspaceError::TooManyDimensions { found: dimensions }));
        }
        let metric = u8::try_from(index.metric()).ok().and_then(Metric::from_number);
        Ok(Self {
            metric: metric.ok_or_else(|| fault(code::ARGUMENT, "the operator class names no metric that is known"))?,
            planes: options.planes.clamp(1, 2) as u8,
            dimensions,
            is_rounded: element == Element::Float64,
            cells: options.cells.max(0) as usize,
        })
    }

    /// Returns the settings of a new index.
    pub fn settings(&self) -> Settings {
        Settings {
            metric: self.metric,
            planes: self.planes,
            is_rounded: self.is_rounded,
            dimensions: self.dimensions,
            build: random_number(),
        }
    }
}

/// Returns the dimensions that the column demands, 0 for any, and its element type.
fn column(index: IndexRelation<'_>) -> (u32, Element) {
    if index.values().are_converted() {
        // The types of pgvector have the number itself, or -1.
        return (index.typmod().max(0) as u32, Element::Float32);
    }
    let typmod = Typmod::from_number(index.typmod());
    (typmod.dimensions() as u32, typmod.element())
}

/// Returns what the user may set of an index that is there.
pub fn tuning(index: IndexRelation<'_>) -> Tuning {
    Tuning { fold_rows: index.options().fold_rows.max(0) as u32, path: guc::simd(), ..Tuning::default() }
}

/// Returns whether values of a vector are rounded to float32 before they are coded.
pub fn is_rounded(packed: &Packed<'_>) -> bool {
    packed.element() == Element::Float64
}

/// Refuses a vector of other dimensions; those of an index that has none are the vector's from then on.
pub fn agree(dimensions: &mut u32, packed: &Packed<'_>) -> PgResult<()> {
    let found = packed.dimensions() as u32;
    if found > DIMENSIONS_MAX {
        return Err(refuse(DimspaceError::TooManyDimensions { found }));
    } else if *dimensions == 0 {
        *dimensions = found;
    } else if found != *dimensions {
        return Err(refuse(DimspaceError::Dimensions { expected: *dimensions, found }));
    }
    Ok(())
}
