//! One session: after each step the index holds what the model holds, also after a crash or a cancel in the middle.

use dimspace::memory::{MemoryPages, Random};
use dimspace::{Cache, DimspaceError, cleanup};

use crate::history::History;
use crate::world::{Case, built_index, check_all, delete, empty_index, insert_value, ranges, scan, value};
use crate::{long_steps, over_seeds};

struct Run {
    random: Random,
    case: Case,
    dimensions: u32,
    pages: MemoryPages,
    /// Two sessions, whose caches grow stale in turn.
    caches: [Cache; 2],
    history: History,
}

impl Run {
    fn new(seed: u64, dimensions: u32) -> Self {
        let mut random = Random::new(seed);
        let case = Case::new(&mut random, dimensions);
        let mut history = History::default();
        let is_built = random.one_in(3);
        let mut run = Self {
            pages: if is_built {
                built_index(&mut random, &case, dimensions, &mut history)
            } else {
                empty_index(&case)
            },
            random,
            case,
            dimensions,
            caches: Default::default(),
            history,
        };
        run.checkpoint();
        run
    }

    fn step(&mut self) {
        let is_full = self.history.live().len() > self.case.rows_max;
        match self.random.below(100) {
            0..60 if !is_full => self.insert(),
            0..75 => self.kill(),
            75..80 => self.vacuum(),
            80..84 => self.cleanup(),
            84..97 => self.scan(),
            _ => self.crash(),
        }
        if self.random.one_in(8) {
            check_all(&self.pages, &self.history);
        }
        if self.pages.records() > 500 {
            self.checkpoint();
        }
    }

    fn checkpoint(&mut self) {
        self.pages.checkpoint();
        self.history.checkpoint();
    }

    /// Now and then lets what follows fail in the middle.
    fn maybe_cancel(&mut self) {
        if self.random.one_in(6) {
            self.pages.cancel_after(1 + self.random.below(40) as u64);
        }
    }

    /// Returns whether something was done; what was cancelled was not.
    fn is_done(&mut self, result: Result<(), DimspaceError>) -> bool {
        self.pages.cancel_after(0);
        match result {
            Ok(()) => true,
            Err(DimspaceError::Interrupted) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn insert(&mut self) {
        let tid = self.history.place();
        let value = value(&mut self.random, &self.case, self.dimensions, &self.pages);
        let now = self.history.now(self.pages.records());
        self.history.begin(tid, value.clone(), now);
        self.maybe_cancel();
        let cache = &mut self.caches[self.random.below(2)];
        let result = insert_value(&self.pages, cache, &self.case, tid, &value);
        let is_done = self.is_done(result);
        let now = self.history.now(self.pages.records());
        self.history.end(tid, is_done, now);
    }

    fn kill(&mut self) {
        let live = self.history.live();
        let count = if self.random.one_in(20) { live.len() } else { self.random.below(8) };
        let now = self.history.now(self.pages.records());
        for _ in 0..count {
            if let Some(tid) = live.get(self.random.below(live.len())) {
                self.history.kill(*tid, now);
            }
        }
    }

    fn vacuum(&mut self) {
        let (dead, live) = (self.history.dead(), self.history.live());
        self.maybe_cancel();
        let result = delete(&self.pages, &dead, &live);
        if self.is_done(result) {
            let now = self.history.now(self.pages.records());
            self.history.delete(&dead, now);
        }
    }

    fn cleanup(&mut self) {
        self.maybe_cancel();
        let result = cleanup(&self.pages, &self.case.tuning).map(drop);
        self.is_done(result);
    }

    fn scan(&mut self) {
        let ranges = ranges(&mut self.random, &self.history, self.dimensions, &self.pages);
        let from = self.history.now(0);
        let found = scan(&self.pages, &ranges).expect("nothing fails in memory");
        let to = self.history.now(0);
        self.history.check_scan(&ranges, &found, from.clock, to.clock);
    }

    fn crash(&mut self) {
        let keep = self.random.below(self.pages.records() + 1);
        self.pages = self.pages.crash(keep);
        self.history.crash(keep);
        self.caches = Default::default();
        check_all(&self.pages, &self.history);
    }
}

fn run(seed: u64, dimensions: u32, steps: u64) -> u64 {
    let mut run = Run::new(seed, dimensions);
    (0..steps).for_each(|_| run.step());
    check_all(&run.pages, &run.history);
    run.scan();
    steps
}

#[test]
fn narrow_vectors() {
    over_seeds(1, 6_000, |seed| run(seed, [1, 3, 17][seed as usize % 3], 500));
}

#[test]
fn wide_vectors() {
    over_seeds(1, 600, |seed| run(seed, 384, 150));
}

#[test]
fn rows_wider_than_a_page() {
    over_seeds(1, 300, |seed| run(seed, [2_100, 5_000][seed as usize % 2], 75));
}

#[test]
#[ignore = "long"]
fn any_vectors_for_long() {
    over_seeds(1_000_000, long_steps(), |seed| run(seed, [1, 3, 17, 384, 2_100, 5_000][seed as usize % 6], 1_000));
}
