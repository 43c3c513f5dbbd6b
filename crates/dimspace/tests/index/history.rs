//! What an index must and may hold: every row that was ever inserted, with when that began, was done, and was undone.

use std::collections::BTreeMap;
use std::sync::Arc;

use dimspace::Tid;

/// A value: `None` for NULL; otherwise what the user gave, of which the index knows the nearest float32.
pub type Value = Option<Arc<[f64]>>;

/// A moment: on the clock of the test, and in records of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub clock: u64,
    pub records: usize,
}

/// A row that was inserted, or of which only the attempt is known.
#[derive(Debug, Clone)]
pub struct Row {
    pub value: Value,
    pub began: Moment,
    /// When its insert had returned; never, if that failed.
    pub done: Option<Moment>,
    /// When the table declared it dead.
    pub dead: Option<Moment>,
    /// When a deletion that was told so had returned.
    pub gone: Option<Moment>,
}

impl Row {
    /// Whether a scan from one moment to another has to find it.
    pub fn must_be_found(&self, from: u64, to: u64) -> bool {
        self.done.is_some_and(|done| done.clock <= from) && self.dead.is_none_or(|dead| dead.clock > to)
    }

    /// Whether such a scan is allowed to.
    pub fn may_be_found(&self, from: u64, to: u64) -> bool {
        self.began.clock <= to && self.gone.is_none_or(|gone| gone.clock > from)
    }
}

/// A closed range of one dimension.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub dimension: u32,
    pub lo: f64,
    pub hi: f64,
}

/// Whether a value lies in all ranges.
pub fn matches(value: &Value, ranges: &[Range]) -> bool {
    let Some(values) = value else { return false };
    ranges.iter().all(|range| {
        let x = values[range.dimension as usize];
        range.lo <= x && x <= range.hi
    })
}

/// All rows by their place in the table; places are used again.
#[derive(Debug, Clone, Default)]
pub struct History {
    rows: BTreeMap<Tid, Vec<Row>>,
    clock: u64,
    /// How often places were handed out; used-up ones come back from `free`.
    places: u32,
    free: Vec<Tid>,
}

impl History {
    pub fn now(&mut self, records: usize) -> Moment {
        self.clock += 1;
        Moment { clock: self.clock, records }
    }

    /// Returns a place where no row is, often one where some row was.
    pub fn place(&mut self) -> Tid {
        self.free.pop().unwrap_or_else(|| {
            self.places += 1;
            Tid { block: self.places / 100, offset: (self.places % 100 + 1) as u16 }
        })
    }

    pub fn begin(&mut self, tid: Tid, value: Value, began: Moment) {
        self.rows.entry(tid).or_default().push(Row { value, began, done: None, dead: None, gone: None });
    }

    /// Ends the insert; one that failed leaves a row that is dead.
    pub fn end(&mut self, tid: Tid, is_done: bool, now: Moment) {
        if let Some(row) = self.rows.get_mut(&tid).and_then(|rows| rows.last_mut()) {
            if is_done { row.done = Some(now) } else { row.dead = Some(now) }
        }
    }

    /// Returns the places of the rows that are there.
    pub fn live(&self) -> Vec<Tid> {
        let is_live = |row: &Row| row.done.is_some() && row.dead.is_none();
        self.rows.iter().filter(|(_, rows)| rows.last().is_some_and(is_live)).map(|(tid, _)| *tid).collect()
    }

    pub fn kill(&mut self, tid: Tid, now: Moment) {
        if let Some(row) = self.rows.get_mut(&tid).and_then(|rows| rows.last_mut()) {
            row.dead.get_or_insert(now);
        }
    }

    /// Returns the places whose rows are dead but maybe still in the index.
    pub fn dead(&self) -> Vec<Tid> {
        let is_dead = |row: &Row| row.dead.is_some() && row.gone.is_none();
        self.rows.iter().filter(|(_, rows)| rows.last().is_some_and(is_dead)).map(|(tid, _)| *tid).collect()
    }

    /// A deletion of these places has returned: they are used again.
    pub fn delete(&mut self, tids: &[Tid], now: Moment) {
        for tid in tids {
            if let Some(row) = self.rows.get_mut(tid).and_then(|rows| rows.last_mut()) {
                row.gone = Some(now);
                self.free.push(*tid);
            }
        }
    }

    /// Forgets rows that are gone, and where in the log the others stand, because it begins anew.
    pub fn checkpoint(&mut self) {
        for rows in self.rows.values_mut() {
            rows.retain(|row| row.gone.is_none());
            for row in rows {
                row.began.records = 0;
                for moment in [&mut row.done, &mut row.dead].into_iter().flatten() {
                    moment.records = 0;
                }
            }
        }
        self.rows.retain(|_, rows| !rows.is_empty());
    }

    /// Goes back to what was when the log had so many records; what was under way may have happened or not.
    pub fn crash(&mut self, keep: usize) {
        for rows in self.rows.values_mut() {
            rows.retain(|row| row.began.records < keep || row.began.records == 0);
            for row in rows {
                row.gone = row.gone.filter(|gone| gone.records <= keep);
                row.dead = row.dead.filter(|dead| dead.records <= keep);
                if !row.done_by(keep) {
                    row.done = None;
                    row.dead = row.dead.or(Some(row.began));
                }
            }
        }
        self.rows.retain(|_, rows| !rows.is_empty());
        self.checkpoint();
        self.free.retain(|tid| !self.rows.contains_key(tid));
    }

    /// Compares what a scan found with what it must and may find.
    pub fn check_scan(&self, ranges: &[Range], found: &[(Tid, bool)], from: u64, to: u64) {
        let mut times: BTreeMap<Tid, usize> = BTreeMap::new();
        for &(tid, recheck) in found {
            *times.entry(tid).or_default() += 1;
            let candidates = self.candidates(tid, from, to);
            assert!(!candidates.is_empty(), "{tid:?} is found and was never there, or deleted before; {ranges:?}");
            let is_right = recheck || candidates.iter().any(|row| matches(&row.value, ranges));
            assert!(is_right, "{tid:?} is found without recheck, and does not match {ranges:?}: {candidates:?}");
            assert!(times[&tid] <= candidates.len(), "{tid:?} is found {} times by {ranges:?}", times[&tid]);
        }
        for (tid, rows) in &self.rows {
            for row in rows.iter().filter(|row| row.must_be_found(from, to) && matches(&row.value, ranges)) {
                assert!(times.contains_key(tid), "{tid:?} is not found by {ranges:?}: {row:?}");
            }
        }
    }

    fn candidates(&self, tid: Tid, from: u64, to: u64) -> Vec<&Row> {
        let rows = self.rows.get(&tid).map_or(&[][..], Vec::as_slice);
        rows.iter().filter(|row| row.may_be_found(from, to)).collect()
    }

    /// Returns the rows that are or may be there now.
    pub fn values(&self) -> impl Iterator<Item = (Tid, &Row)> {
        self.rows.iter().flat_map(|(tid, rows)| rows.iter().filter(|row| row.gone.is_none()).map(|row| (*tid, row)))
    }
}

impl Row {
    fn done_by(&self, keep: usize) -> bool {
        self.done.is_some_and(|done| done.records <= keep)
    }
}
