//! CREATE INDEX: a sample trains cells, one pass over the table codes every row, and rows are written cell by cell.

use std::ffi::CStr;

use ::dimspace::kmeans::Matrix;
use ::dimspace::layout::OddKind;
use ::dimspace::{Builder, Encoder, Trained, create, train};
use ::dimspace::{Pages, Tid};
use vector::Packed;

use super::definition::{Definition, agree, is_rounded};
use super::sample::{self, Sample};
use super::{insert, refuse};
use crate::pg::buffer::IndexPages;
use crate::pg::error::{PgResult, code, fault};
use crate::pg::guc;
use crate::pg::index_am::{maintenance_kib, report_phase, report_rows};
use crate::pg::index_build::TableRows;
use crate::pg::index_relation::IndexRelation;
use crate::pg::interrupt::Backend;
use crate::pg::spool::Spool;
use crate::pg::worker::{self, Stream, Threads};

/// What `pg_stat_progress_create_index` shows; the server itself begins with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Phase {
    /// Begins.
    Initializing = 1,
    /// Reads some blocks.
    Sampling = 2,
    /// Finds the cells.
    Training = 3,
    /// Reads the table, and codes its rows.
    Coding = 4,
    /// Sorts rows by cell.
    Sorting = 5,
    /// Writes pages.
    Writing = 6,
}

impl Phase {
    const ALL: [Self; 6] =
        [Self::Initializing, Self::Sampling, Self::Training, Self::Coding, Self::Sorting, Self::Writing];

    /// Returns the phase of a number.
    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase as i64 == number)
    }

    /// Returns its name.
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Initializing => c"initializing",
            Self::Sampling => c"sampling rows",
            Self::Training => c"training cells",
            Self::Coding => c"coding rows",
            Self::Sorting => c"sorting rows by cell",
            Self::Writing => c"writing pages",
        }
    }

    fn begin(self) {
        report_phase(self as i64);
    }
}

/// What a build has done.
pub struct Built {
    /// Rows of the table.
    pub table_rows: f64,
    /// Rows of the index.
    pub index_rows: u64,
}

/// Builds an index.
pub fn build(index: IndexRelation<'_>, table: &TableRows<'_>) -> PgResult<Built> {
    let pages = IndexPages::for_build(index);
    if pages.blocks() > 0 {
        return Err(fault(code::STATE, "the index to build has pages already"));
    }
    let mut definition = Definition::of(index)?;
    Phase::Sampling.begin();
    let sample = sample::take(table, &mut definition)?;
    let built = if sample.rows.rows() == 0 {
        insert_all(index, &pages, table, &definition)?
    } else {
        code_all(&pages, table, definition, sample)?
    };
    pages.log_whole();
    Ok(built)
}

/// Writes the pages that an unlogged index has again after a crash.
pub fn build_empty(index: IndexRelation<'_>) -> PgResult<()> {
    let pages = IndexPages::for_empty(index);
    create(&pages, &Definition::of(index)?.settings()).map_err(refuse)?;
    pages.log_whole();
    Ok(())
}

/// Builds an index of rows that no cell can be trained with: none, or NULLs and zero vectors.
fn insert_all(
    index: IndexRelation<'_>,
    pages: &IndexPages<'_>,
    table: &TableRows<'_>,
    definition: &Definition,
) -> PgResult<Built> {
    create(pages, &definition.settings()).map_err(refuse)?;
    let mut index_rows = 0;
    let table_rows = table.all(&mut |tid, value| {
        index_rows += 1;
        insert::insert_into(index, pages, tid, value)
    });
    Ok(Built { table_rows, index_rows })
}

fn code_all(
    pages: &IndexPages<'_>,
    table: &TableRows<'_>,
    mut definition: Definition,
    sample: Sample,
) -> PgResult<Built> {
    Phase::Training.begin();
    let path = guc::simd();
    let trained = train(&sample.rows, sample.cells, definition.metric, path, &Threads, &Backend)
        .map_err(|error| refuse(error.into()))?;
    let estimate = sample.table_rows;
    drop(sample);
    Phase::Coding.begin();
    let mut coded = Coded::new(&trained);
    let encoder = Encoder::new(&trained, &definition.settings(), path);
    let mut batch = Batch::new(definition.dimensions);
    let table_rows = worker::stream(
        |batch: Batch| batch.encoded(&encoder),
        |stream| {
            let table_rows = table.all(&mut |tid, value| {
                let Some(packed) = value else {
                    coded.put_odd(tid, OddKind::Null);
                    return Ok(());
                };
                agree(&mut definition.dimensions, packed)?;
                definition.is_rounded |= is_rounded(packed);
                batch.push(tid, packed);
                if batch.is_full() {
                    coded.take_from(&stream, batch.replace());
                    report_rows(coded.rows, estimate);
                }
                Ok(())
            });
            coded.take_from(&stream, batch);
            stream.finish(|encoded| coded.put(&encoded));
            table_rows
        },
    );
    drop(encoder);
    coded.write(pages, &definition, &trained)?;
    Ok(Built { table_rows, index_rows: coded.rows })
}

/// Values of some rows.
struct Batch {
    tids: Vec<Tid>,
    values: Matrix,
}

impl Batch {
    const ROWS_MAX: usize = 1000;
    const VALUES_MAX: usize = 1 << 18;

    fn new(dimensions: u32) -> Self {
        Self { tids: Vec::new(), values: Matrix::new(dimensions as usize) }
    }

    fn replace(&mut self) -> Self {
        let dimensions = self.values.dimensions() as u32;
        std::mem::replace(self, Self::new(dimensions))
    }

    fn push(&mut self, tid: Tid, packed: &Packed<'_>) {
        self.tids.push(tid);
        self.values.push(&packed.to_f32());
    }

    fn is_full(&self) -> bool {
        self.tids.len() == Self::ROWS_MAX || self.values.values().len() >= Self::VALUES_MAX
    }

    /// Codes the rows, on any thread.
    fn encoded(self, encoder: &Encoder) -> Encoded {
        let mut encoded = Encoded { bytes: Vec::new(), rows: Vec::with_capacity(self.tids.len()) };
        for (number, (&tid, cell)) in self.tids.iter().zip(encoder.cells(&self.values)).enumerate() {
            let has_cell = encoder.code(tid, self.values.row(number), &mut encoded.bytes);
            encoded.rows.push((tid, has_cell.then_some(cell), encoded.bytes.len()));
        }
        encoded
    }
}

/// Codes of some rows.
struct Encoded {
    bytes: Vec<u8>,
    /// Place in the table, cell unless it is a zero vector, end of its bytes.
    rows: Vec<(Tid, Option<u32>, usize)>,
}

/// All rows coded, on their way into cells.
struct Coded {
    spool: Spool,
    rows_per_cell: Vec<u64>,
    rows: u64,
}

/// Sorts before every cell.
const ODD: i32 = -1;
const ODD_BYTES: usize = 7;

impl Coded {
    fn new(trained: &Trained) -> Self {
        let cells = trained.centroids.rows();
        // Centroids are there twice, and batches are under way; half is left to the sort in any case.
        let others = (trained.centroids.values().len() * 8 / 1024).saturating_add(8 << 10);
        let memory = maintenance_kib();
        let sort = memory.saturating_sub(others.min(i32::MAX as usize) as i32).max(memory / 2);
        Self { spool: Spool::new(sort), rows_per_cell: vec![0; cells], rows: 0 }
    }

    fn take_from(&mut self, stream: &Stream<'_, Batch, Encoded>, batch: Batch) {
        stream.push(batch, |encoded| self.put(&encoded));
    }

    fn put(&mut self, encoded: &Encoded) {
        let mut from = 0;
        for &(tid, cell, end) in &encoded.rows {
            match cell {
                None => self.put_odd(tid, OddKind::Zero),
                Some(cell) => {
                    self.spool.put(cell as i32, &encoded.bytes[from..end]);
                    self.rows_per_cell[cell as usize] += 1;
                    self.rows += 1;
                }
            }
            from = end;
        }
    }

    fn put_odd(&mut self, tid: Tid, kind: OddKind) {
        let mut bytes = [kind as u8; ODD_BYTES];
        bytes[1..5].copy_from_slice(&tid.block.to_le_bytes());
        bytes[5..].copy_from_slice(&tid.offset.to_le_bytes());
        self.spool.put(ODD, &bytes);
        self.rows += 1;
    }

    fn write(&mut self, pages: &IndexPages<'_>, definition: &Definition, trained: &Trained) -> PgResult<()> {
        Phase::Sorting.begin();
        self.spool.sort();
        Phase::Writing.begin();
        let mut builder = Builder::new(pages, &definition.settings(), trained, &self.rows_per_cell).map_err(refuse)?;
        let mut done = 0;
        while let Some((cell, row)) = self.spool.next() {
            match u32::try_from(cell) {
                Ok(cell) => builder.push(cell, row),
                Err(_) => {
                    let (tid, kind) = odd_row(row);
                    builder.push_odd(tid, kind)
                }
            }
            .map_err(refuse)?;
            done += 1;
            if done % Batch::ROWS_MAX as u64 == 0 {
                pages.check_interrupt().map_err(refuse)?;
                report_rows(done, self.rows);
            }
        }
        Ok(())
    }
}

/// Reads what [`Coded::put_odd`] wrote.
fn odd_row(bytes: &[u8]) -> (Tid, OddKind) {
    let [kind, a, b, c, d, e, f]: [u8; ODD_BYTES] = bytes.try_into().expect("the spool returns what it was given");
    let kind = if kind == OddKind::Zero as u8 { OddKind::Zero } else { OddKind::Null };
    (Tid { block: u32::from_le_bytes([a, b, c, d]), offset: u16::from_le_bytes([e, f]) }, kind)
}
