//! The share of a table's rows that lie in a range.

use ::dimspace::quantiles::Quantiles;
use vector::DimRange;

use crate::pg::buffer::IndexPages;
use crate::pg::planner::Restriction;

/// Where nothing is known: few enough that an index is used.
const UNKNOWN: f64 = 0.005;

/// Returns the share by the quantiles of an index over the column.
pub fn of(restriction: Restriction) -> f64 {
    match restriction {
        Restriction::Nothing => 0.0,
        Restriction::Unknown => UNKNOWN,
        Restriction::Range(range, index, values) => {
            let pages = IndexPages::of(index.index());
            quantiles(&pages, &range).map_or(UNKNOWN, |quantiles| values * quantiles.share(range.lo(), range.hi()))
        }
    }
}

/// Returns the quantiles of the range's dimension.  An estimate is no place to tell of damage.
fn quantiles(pages: &IndexPages<'_>, range: &DimRange) -> Option<Quantiles> {
    let dimension = u32::try_from(range.dimension()).ok()?;
    ::dimspace::quantiles_of(pages, dimension).ok().flatten()
}
