//! Several sessions that take turns: two insert, two scan, one deletes.  A scan finds every row whose insert had returned before
//! it began and that was not dead before it ended, once, and nothing whose deletion had returned before it began.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dimspace::memory::{MemoryPages, Random, Schedule};
use dimspace::{Cache, DimspaceError, cleanup};

use crate::history::{History, Moment};
use crate::world::{Case, built_index, check_all, delete, empty_index, insert_value, ranges, scan, value};
use crate::{long_steps, over_seeds};

/// What the sessions share.
struct Shared {
    pages: MemoryPages,
    history: Mutex<History>,
    case: Case,
    dimensions: u32,
    /// What each writer inserts in a round.
    inserts: usize,
}

impl Shared {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        self.history().now(self.pages.records())
    }

    fn maybe_cancel(&self, random: &mut Random) {
        if random.one_in(20) {
            self.pages.cancel_after(1 + random.below(40) as u64);
        }
    }

    /// Returns whether something was done; what was cancelled was not.
    fn is_done(&self, result: Result<(), DimspaceError>) -> bool {
        self.pages.cancel_after(0);
        match result {
            Ok(()) => true,
            Err(DimspaceError::Interrupted) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn write(&self, mut random: Random) {
        let mut cache = Cache::default();
        for _ in 0..self.inserts {
            if self.history().live().len() > self.case.rows_max {
                return;
            }
            let value = value(&mut random, &self.case, self.dimensions, &self.pages);
            let began = self.now();
            let tid = self.history().place();
            self.history().begin(tid, value.clone(), began);
            self.maybe_cancel(&mut random);
            let result = insert_value(&self.pages, &mut cache, &self.case, tid, &value);
            let is_done = self.is_done(result);
            let now = self.now();
            self.history().end(tid, is_done, now);
        }
    }

    fn read(&self, mut random: Random) {
        for _ in 0..self.inserts / 4 {
            let ranges = ranges(&mut random, &self.history(), self.dimensions, &self.pages);
            let from = self.now();
            let found = scan(&self.pages, &ranges).expect("nothing fails in memory");
            let to = self.now();
            self.history().check_scan(&ranges, &found, from.clock, to.clock);
        }
    }

    fn vacuum(&self, mut random: Random) {
        for _ in 0..1 + self.inserts / 12 {
            self.kill(&mut random);
            let dead = self.history().dead();
            let live = self.history().live();
            self.maybe_cancel(&mut random);
            let result = delete(&self.pages, &dead, &live);
            if self.is_done(result) {
                let now = self.now();
                self.history().delete(&dead, now);
            }
            if random.one_in(2) {
                self.maybe_cancel(&mut random);
                let result = cleanup(&self.pages, &self.case.tuning).map(drop);
                self.is_done(result);
            }
        }
    }

    fn kill(&self, random: &mut Random) {
        let now = self.now();
        let live = self.history().live();
        for _ in 0..live.len() / 4 {
            self.history().kill(live[random.below(live.len())], now);
        }
    }

    fn round(&self, random: &mut Random) {
        let mut random = || Random::new(random.bits());
        let (turns, one, two, three, four, five) = (random(), random(), random(), random(), random(), random());
        Schedule::new(turns.clone().bits()).run(
            &self.pages,
            vec![
                Box::new(move || self.write(one)),
                Box::new(move || self.write(two)),
                Box::new(move || self.read(three)),
                Box::new(move || self.read(four)),
                Box::new(move || self.vacuum(five)),
            ],
        );
        self.check(random);
    }

    /// Checks what is there when nobody works.
    fn check(&self, mut random: impl FnMut() -> Random) {
        let mut history = self.history();
        check_all(&self.pages, &history);
        let ranges = ranges(&mut random(), &history, self.dimensions, &self.pages);
        let from = history.now(0);
        let found = scan(&self.pages, &ranges).expect("nothing fails in memory");
        history.check_scan(&ranges, &found, from.clock, from.clock);
    }
}

fn run(seed: u64, dimensions: u32, inserts: usize) -> u64 {
    const ROUNDS: u64 = 3;
    let mut random = Random::new(seed);
    let case = Case::new(&mut random, dimensions);
    let mut history = History::default();
    let is_built = random.one_in(3);
    let pages = if is_built { built_index(&mut random, &case, dimensions, &mut history) } else { empty_index(&case) };
    let mut shared = Shared { pages, history: Mutex::new(history), case, dimensions, inserts };
    for _ in 0..ROUNDS {
        shared.pages.checkpoint();
        shared.history().checkpoint();
        shared.round(&mut random);
        for _ in 0..3 {
            shared = crashed(&shared, &mut random);
            shared.check(|| Random::new(random.bits()));
        }
    }
    ROUNDS * 2 * inserts as u64
}

fn crashed(shared: &Shared, random: &mut Random) -> Shared {
    let keep = random.below(shared.pages.records() + 1);
    let mut history = shared.history().clone();
    history.crash(keep);
    let (case, dimensions, inserts) = (shared.case.clone(), shared.dimensions, shared.inserts);
    Shared { pages: shared.pages.crash(keep), history: Mutex::new(history), case, dimensions, inserts }
}

#[test]
fn sessions_with_narrow_vectors() {
    over_seeds(1, 8_000, |seed| run(seed, [1, 3, 17][seed as usize % 3], 40));
}

#[test]
fn sessions_with_wide_vectors() {
    over_seeds(1, 600, |seed| run(seed, [384, 2_100][seed as usize % 2], 25));
}

#[test]
#[ignore = "long"]
fn sessions_for_long() {
    over_seeds(1_000_000, long_steps(), |seed| run(seed, [1, 3, 17, 384, 2_100, 5_000][seed as usize % 6], 60));
}
