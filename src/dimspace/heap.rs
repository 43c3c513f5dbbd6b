//! Comparing an index with its table: every row is there once, with the codes of its value.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use ::dimspace::Tid;
use ::dimspace::check::{Codes, Stored, StoredRow, rows};
use ::dimspace::layout::OddKind;
use vector::Packed;

use super::refuse;
use crate::pg::buffer::IndexPages;
use crate::pg::error::PgResult;
use crate::pg::index_am::maintenance_kib;
use crate::pg::index_user::NamedIndex;

/// Bytes of what is kept of a row.
const KEPT_BYTES: usize = 64;
/// Rows of a block of a table at most.
const ROWS_PER_BLOCK_MAX: usize = 291;
/// Problems that are told.
const PROBLEMS_MAX: usize = 1000;

/// What is kept of a row of the index: of its bytes a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Vector { scale_set: u16, hash: u64 },
    Odd(OddKind),
    Twice,
}

/// Returns how an index that keeps its own rules differs from its table.  Reads the index once for each part of the table whose
/// rows fit the memory that maintenance may use.
pub fn differences(named: &NamedIndex, pages: &IndexPages<'_>) -> PgResult<Vec<String>> {
    let _owner = named.as_owner();
    let table = named.rows();
    let codes = Codes::read(pages).map_err(refuse)?;
    let rows_at_once = maintenance_kib().max(0) as usize * 1024 / KEPT_BYTES;
    let blocks_at_once = (rows_at_once / ROWS_PER_BLOCK_MAX).max(1) as u32;
    let blocks = table.blocks();
    let mut problems = Vec::new();
    // Once at least: an index may name rows of a table without any.
    for first in (0..blocks.max(1)).step_by(blocks_at_once as usize) {
        let part = first..first.saturating_add(blocks_at_once).min(blocks);
        let kept = kept_rows(pages, &part, &mut |Tid { block, offset }| {
            if first == 0 && block >= blocks && problems.len() < PROBLEMS_MAX {
                problems.push(format!("row ({block},{offset}) of the index lies behind the end of the table"));
            }
        })?;
        table.of_blocks(first, part.end - first, &mut |tid, value| {
            problems.extend(difference(&codes, kept.get(&tid), tid, value).filter(|_| problems.len() < PROBLEMS_MAX));
            Ok(())
        });
    }
    Ok(problems)
}

/// Returns the rows of the index that lie in a part of the table; `elsewhere` is told of the others.
fn kept_rows(
    pages: &IndexPages<'_>,
    part: &Range<u32>,
    elsewhere: &mut dyn FnMut(Tid),
) -> PgResult<HashMap<Tid, Kept>> {
    let mut kept = HashMap::new();
    rows(pages, &mut |row: StoredRow| {
        if part.contains(&row.tid.block) {
            kept.entry(row.tid).and_modify(|before| *before = Kept::Twice).or_insert_with(|| of_stored(&row.stored));
        } else {
            elsewhere(row.tid);
        }
        Ok(())
    })
    .map_err(refuse)?;
    Ok(kept)
}

fn of_stored(stored: &Stored) -> Kept {
    match stored {
        Stored::Odd(kind) => Kept::Odd(*kind),
        Stored::Vector { scale_set, record, bytes, .. } => {
            Kept::Vector { scale_set: *scale_set, hash: hash(&[&record.to_bytes(), bytes]) }
        }
    }
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.iter().for_each(|part| hasher.write(part));
    hasher.finish()
}

/// Returns what is wrong with what the index has of a row of the table.
fn difference(codes: &Codes, kept: Option<&Kept>, tid: Tid, value: Option<&Packed<'_>>) -> Option<String> {
    let row = format!("row ({},{}) of the table", tid.block, tid.offset);
    let values = value.map(Packed::to_f32);
    let is_right = match (kept, &values) {
        (None, _) => return Some(format!("{row} is not in the index")),
        (Some(Kept::Twice), _) => return Some(format!("{row} is in the index more than once")),
        (Some(Kept::Odd(kind)), None) => *kind == OddKind::Null,
        (Some(Kept::Odd(kind)), Some(values)) => *kind == OddKind::Zero && values.iter().all(|&value| value == 0.0),
        (Some(Kept::Vector { .. }), None) => false,
        (Some(Kept::Vector { scale_set, hash: stored }), Some(values)) => {
            codes.of(*scale_set, tid, values).is_some_and(|bytes| hash(&[&bytes]) == *stored)
        }
    };
    (!is_right).then(|| format!("{row} has another value than the index has codes of"))
}
