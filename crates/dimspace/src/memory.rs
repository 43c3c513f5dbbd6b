//! Pages in memory that can crash, and sessions whose turns a seed decides: what the tests run the index on.
//!
//! Every change lies in a log, of which a crash keeps a prefix.  Under a [`Schedule`] exactly one session runs at a time and
//! another may go on wherever one locks, unlocks, commits or looks for an interrupt.  Breaking a rule of [`Pages`] panics:
//! only tests use this module.

use std::any::Any;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use crate::error::{DimspaceError, Result};
use crate::page::{Block, CellLock, Kind, Page, Pages, RECORD_PAGES_MAX, Record, Slot};
use crate::scan::Maps;

/// The session of a thread that no schedule started.
const NO_SESSION: usize = usize::MAX;
/// Turns after which sessions that never end are a failure.
const TURNS_MAX: u64 = 5_000_000;

thread_local! {
    static SESSION: Cell<usize> = const { Cell::new(NO_SESSION) };
}

/// Numbers from a seed (splitmix64, Steele and others 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Returns the generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a limit; 0 for the limit 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.bits().checked_rem(limit as u64).unwrap_or(0) as usize
    }

    /// Returns whether one of so many chances came up.
    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// A page, to read it.
    Share(Block),
    /// A page, to change it.
    Exclusive(Block),
    /// A cell.
    Cell(CellLock),
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(block) => write!(f, "page {block} to read"),
            Self::Exclusive(block) => write!(f, "page {block} to write"),
            Self::Cell(CellLock::GROWTH) => write!(f, "growth"),
            Self::Cell(CellLock(cell)) => write!(f, "cell {cell}"),
        }
    }
}

/// Who holds a page.
#[derive(Debug, Default)]
struct Holders {
    readers: Vec<usize>,
    writer: Option<usize>,
}

/// The pages as a record left them.
type Logged = Vec<(Block, Arc<Page>)>;

/// Everything behind the mutex.
#[derive(Default)]
struct State {
    pages: Vec<Arc<Page>>,
    /// The pages before the first record of the log.
    base: Vec<Arc<Page>>,
    log: Vec<Logged>,
    /// The map of free pages; it may be wrong.
    free: BTreeSet<Block>,
    holders: BTreeMap<Block, Holders>,
    cells: BTreeMap<CellLock, usize>,
    /// Pages that a session has locked.
    locked: BTreeMap<usize, usize>,
    /// How often a session may still look for an interrupt.
    cancels: BTreeMap<usize, u64>,
    turns: Option<Turns>,
}

impl State {
    fn page(&self, block: Block, rule: &'static str) -> Result<&Arc<Page>> {
        self.pages.get(block.0 as usize).ok_or(DimspaceError::damaged(block, rule))
    }

    fn locked_by(&self, session: usize) -> usize {
        self.locked.get(&session).copied().unwrap_or(0)
    }

    fn is_available(&self, want: Want) -> bool {
        match want {
            Want::Share(block) => self.holders.get(&block).is_none_or(|holders| holders.writer.is_none()),
            Want::Exclusive(block) => !self.holders.contains_key(&block),
            Want::Cell(cell) => !self.cells.contains_key(&cell),
        }
    }

    fn take(&mut self, session: usize, want: Want) {
        match want {
            Want::Share(block) => self.holders.entry(block).or_default().readers.push(session),
            Want::Exclusive(block) => self.holders.entry(block).or_default().writer = Some(session),
            Want::Cell(cell) => drop(self.cells.insert(cell, session)),
        }
        if !matches!(want, Want::Cell(_)) {
            *self.locked.entry(session).or_default() += 1;
        }
    }

    fn give_back(&mut self, session: usize, want: Want) {
        let (Want::Share(block) | Want::Exclusive(block)) = want else {
            if let Want::Cell(cell) = want {
                self.cells.remove(&cell);
            }
            return;
        };
        if let Some(locked) = self.locked.get_mut(&session) {
            *locked -= 1;
        }
        let holders = self.holders.entry(block).or_default();
        match holders.readers.iter().position(|reader| *reader == session) {
            Some(place) => drop(holders.readers.swap_remove(place)),
            None => holders.writer = None,
        }
        if holders.readers.is_empty() && holders.writer.is_none() {
            self.holders.remove(&block);
        }
    }

    fn who_holds(&self, want: Want) -> Vec<usize> {
        match want {
            Want::Share(block) | Want::Exclusive(block) => self
                .holders
                .get(&block)
                .map_or(Vec::new(), |holders| holders.readers.iter().copied().chain(holders.writer).collect()),
            Want::Cell(cell) => self.cells.get(&cell).copied().into_iter().collect(),
        }
    }

    /// Returns who goes on, as session `me` wants something, or nothing special.
    fn next_turn(&mut self, me: usize, want: Option<Want>) -> std::result::Result<usize, String> {
        let Some(mut turns) = self.turns.take() else { return Ok(me) };
        let next = turns.next(me, want, |want| self.is_available(want));
        let next = next.ok_or_else(|| self.deadlock(&turns));
        self.turns = Some(turns);
        next
    }

    fn deadlock(&self, turns: &Turns) -> String {
        if turns.count > TURNS_MAX {
            return format!("sessions take {TURNS_MAX} turns and do not end (seed {})", turns.seed);
        }
        let mut text = format!("deadlock (seed {}):", turns.seed);
        for (session, want) in turns.wants.iter().enumerate() {
            let Some(want) = want else { continue };
            let _ = write!(text, " session {session} waits for {want}, held by {:?};", self.who_holds(*want));
        }
        text
    }

    /// Fails for the session whose count of such points ends here.
    fn count_down(&mut self, session: usize) -> Result<()> {
        match self.cancels.get_mut(&session) {
            Some(1) => {
                self.cancels.remove(&session);
                Err(DimspaceError::Interrupted)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Whose turn it is.
struct Turns {
    seed: u64,
    random: Random,
    /// A session goes on in all but one of so many cases.
    patience: usize,
    count: u64,
    threads: Vec<Thread>,
    wants: Vec<Option<Want>>,
    is_done: Vec<bool>,
    /// The turn before which a session stays behind while others can go on, so that long operations overtake it.
    asleep_until: Vec<u64>,
    failure: Option<Box<dyn Any + Send>>,
}

impl Turns {
    fn new(seed: u64, sessions: usize) -> Self {
        let mut random = Random::new(seed);
        Self {
            seed,
            patience: 1 << random.below(4),
            random,
            count: 0,
            threads: Vec::new(),
            wants: vec![None; sessions],
            is_done: vec![false; sessions],
            asleep_until: vec![0; sessions],
            failure: None,
        }
    }

    fn next(&mut self, me: usize, want: Option<Want>, is_available: impl Fn(Want) -> bool) -> Option<usize> {
        self.wants[me] = want;
        self.count += 1;
        if self.count > TURNS_MAX {
            return None;
        } else if self.random.one_in(64) {
            self.asleep_until[me] = self.count + self.random.below(2_000) as u64;
        }
        let can_run = |session: usize| !self.is_done[session] && self.wants[session].is_none_or(&is_available);
        let is_awake = |session: usize| self.asleep_until[session] <= self.count;
        if want.is_none() && can_run(me) && is_awake(me) && !self.random.one_in(self.patience) {
            return Some(me);
        }
        let ready = (0..self.wants.len()).filter(|session| can_run(*session));
        let awake = ready.clone().filter(|session| is_awake(*session));
        match (awake.clone().count(), ready.clone().count()) {
            (0, 0) if self.is_done.iter().all(|is_done| *is_done) => Some(me),
            (0, 0) => None,
            (0, count) => ready.clone().nth(self.random.below(count)),
            (count, _) => awake.clone().nth(self.random.below(count)),
        }
    }
}

/// Pages in memory.
#[derive(Default)]
pub struct MemoryPages {
    state: Mutex<State>,
    /// The session whose turn it is.
    turn: AtomicUsize,
    /// Whether a session of the schedule failed: the others end.
    has_failed: AtomicBool,
    /// Whether records may break the rules that damaged pages make them break.
    is_lenient: bool,
    /// What scans leave to later ones; gone after a crash, as every session is.
    maps: Mutex<Maps>,
}

impl MemoryPages {
    /// Returns an index without pages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what an earlier scan left.
    pub fn take_maps(&self) -> Maps {
        std::mem::take(&mut self.maps.lock().expect("nobody fails while holding it"))
    }

    /// Leaves the maps of a scan to later ones.
    pub fn keep_maps(&self, maps: Maps) {
        *self.maps.lock().expect("nobody fails while holding it") = maps;
    }

    /// Returns how many records the log has since the beginning or the last crash.
    pub fn records(&self) -> usize {
        self.state().log.len()
    }

    /// Forgets the log: what is there now survives every crash.
    pub fn checkpoint(&self) {
        let mut state = self.state();
        state.base = state.pages.clone();
        state.log.clear();
    }

    /// Returns the state after a crash that only the first records survive.
    pub fn crash(&self, keep: usize) -> Self {
        let state = self.state();
        let mut random = Random::new(keep as u64 ^ (state.log.len() as u64) << 32);
        let mut pages = state.base.clone();
        for (block, page) in state.log.iter().take(keep).flatten() {
            extend(&mut pages, block.0 as usize + 1);
            pages[block.0 as usize] = Arc::clone(page);
        }
        let unlogged = state.pages.len().saturating_sub(pages.len());
        let blocks = pages.len() + random.below(unlogged + 1);
        extend(&mut pages, blocks);
        let free = some_free(&pages, &mut random);
        let state = State { base: pages.clone(), pages, free, ..State::default() };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    /// Makes the n-th look for an interrupt, allocation or wait for a cell of this session fail, once; 0: none.
    pub fn cancel_after(&self, n: u64) {
        let mut state = self.state();
        match n {
            0 => state.cancels.remove(&session()),
            _ => state.cancels.insert(session(), n),
        };
    }

    /// Returns a copy of a page; all zero beyond the end.
    pub fn page(&self, block: Block) -> Page {
        self.state().pages.get(block.0 as usize).map(|page| Page::clone(page)).unwrap_or_default()
    }

    /// Changes a page behind the back of every rule.
    pub fn damage(&self, block: Block, change: impl FnOnce(&mut Page)) {
        if let Some(page) = self.state().pages.get_mut(block.0 as usize) {
            change(Arc::make_mut(page));
        }
    }

    /// Returns the pages for damage: the order in which a record locks and what may become of a page are not asserted, and a page
    /// that a record locks twice is damage.
    pub fn lenient(self) -> Self {
        Self { is_lenient: true, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the session can have something, and takes it.
    fn acquire(&self, want: Want) {
        self.hand_over(None);
        loop {
            let mut state = self.state();
            if state.is_available(want) {
                return state.take(session(), want);
            }
            let holders = state.who_holds(want);
            drop(state);
            assert!(session() != NO_SESSION, "the only session waits for {want}, held by {holders:?}");
            assert!(!holders.contains(&session()), "session {} waits for itself: {want}", session());
            self.hand_over(Some(want));
        }
    }

    fn give_back(&self, want: Want) {
        self.state().give_back(session(), want);
        self.hand_over(None);
    }

    /// Lets another session go on, or the same one; with something wanted, not before that can be had.
    fn hand_over(&self, want: Option<Want>) {
        let me = session();
        if me == NO_SESSION || thread::panicking() {
            return;
        }
        let next = self.state().next_turn(me, want);
        let next = next.unwrap_or_else(|failure| panic!("{failure}"));
        if next != me {
            self.wake(next);
            self.wait(me);
        }
    }

    fn wake(&self, session: usize) {
        let thread = self.state().turns.as_ref().and_then(|turns| turns.threads.get(session).cloned());
        self.turn.store(session, Ordering::Release);
        if let Some(thread) = thread {
            thread.unpark();
        }
    }

    fn wait(&self, me: usize) {
        while self.turn.load(Ordering::Acquire) != me {
            assert!(!self.has_failed.load(Ordering::Acquire), "another session failed");
            thread::park();
        }
        assert!(!self.has_failed.load(Ordering::Acquire), "another session failed");
    }

    fn run_session(&self, me: usize, work: impl FnOnce()) {
        SESSION.set(me);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            self.wait(me);
            work();
        }));
        match outcome.and_then(|()| catch_unwind(AssertUnwindSafe(|| self.end_session(me)))) {
            Ok(()) => {}
            Err(failure) => self.fail(failure),
        }
    }

    fn end_session(&self, me: usize) {
        let mut state = self.state();
        assert!(state.locked_by(me) == 0, "session {me} ends with pages locked");
        assert!(state.cells.values().all(|holder| *holder != me), "session {me} ends with cells locked");
        state.cancels.remove(&me);
        if let Some(turns) = &mut state.turns {
            turns.is_done[me] = true;
        }
        let next = state.next_turn(me, None);
        drop(state);
        self.wake(next.unwrap_or_else(|failure| panic!("{failure}")));
    }

    fn fail(&self, failure: Box<dyn Any + Send>) {
        let mut state = self.state();
        let Some(turns) = &mut state.turns else { return };
        turns.failure.get_or_insert(failure);
        self.has_failed.store(true, Ordering::Release);
        turns.threads.iter().for_each(Thread::unpark);
    }
}

fn session() -> usize {
    SESSION.get()
}

fn extend(pages: &mut Vec<Arc<Page>>, blocks: usize) {
    if blocks > pages.len() {
        pages.resize(blocks, Arc::new(Page::default()));
    }
}

/// Returns a map of free pages as a crash may leave it: some are missing, some that are named are in use.
fn some_free(pages: &[Arc<Page>], random: &mut Random) -> BTreeSet<Block> {
    let mut is_named = |page: &Page| if page.is_free() { !random.one_in(4) } else { random.one_in(8) };
    (0..).map(Block).zip(pages).filter(|(_, page)| is_named(page)).map(|(block, _)| block).collect()
}

/// A page locked against writers.
pub struct MemoryGuard<'a> {
    pages: &'a MemoryPages,
    block: Block,
    page: Arc<Page>,
}

impl Deref for MemoryGuard<'_> {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}

impl Drop for MemoryGuard<'_> {
    fn drop(&mut self) {
        self.pages.give_back(Want::Share(self.block));
    }
}

/// The lock of a cell.
pub struct MemoryLock<'a> {
    pages: &'a MemoryPages,
    cell: CellLock,
}

impl Drop for MemoryLock<'_> {
    fn drop(&mut self) {
        self.pages.give_back(Want::Cell(self.cell));
    }
}

/// A change under way.
pub struct MemoryRecord<'a> {
    pages: &'a MemoryPages,
    slots: Vec<Locked>,
}

/// A page of a record.
struct Locked {
    block: Block,
    is_new: bool,
    page: Box<Page>,
}

impl Locked {
    /// Returns the place in the order in which a record locks.
    fn order(&self) -> (u8, u64) {
        match self.page.kind() {
            _ if self.is_new => (5, u64::from(self.block.0)),
            Some(Kind::Cells) => (0, self.page.owner()),
            Some(Kind::Tail) => (1, 0),
            Some(Kind::Rows) => (2, 0),
            Some(Kind::Meta) => (4, 0),
            _ => (3, 0),
        }
    }
}

impl MemoryRecord<'_> {
    fn add(&mut self, locked: Locked) -> Slot {
        let order = locked.order();
        let place = format!("{} ({:?})", locked.block, locked.page.kind());
        self.slots.push(locked);
        let slot = self.slots.len() - 1;
        let last = slot.checked_sub(1).map(|before| &self.slots[before]);
        if let Some(last) = last.filter(|_| !self.pages.is_lenient) {
            // What the page was when it was locked counts, not what the record made of it since.
            let before = Locked { page: Box::new(self.pages.page(last.block)), ..*last }.order();
            assert!(before <= order, "page {place} is locked behind page {}, against the order", last.block);
        }
        slot
    }

    fn assert_can_lock(&self, block: Block) {
        assert!(self.slots.len() < RECORD_PAGES_MAX, "a record locks more than {RECORD_PAGES_MAX} pages");
        assert!(!self.has_locked(block), "a record locks page {block} twice");
        let locked = self.pages.state().locked_by(session());
        assert!(locked == self.slots.len(), "page {block} is locked while a guard or another record holds a page");
    }

    fn has_locked(&self, block: Block) -> bool {
        self.slots.iter().any(|locked| locked.block == block)
    }

    fn unlock(&mut self) {
        let mut state = self.pages.state();
        for locked in self.slots.drain(..) {
            state.give_back(session(), Want::Exclusive(locked.block));
        }
    }
}

impl Record for MemoryRecord<'_> {
    fn lock(&mut self, block: Block) -> Result<Slot> {
        if self.pages.is_lenient && self.has_locked(block) {
            return Err(DimspaceError::damaged(block, "a record locks a page once"));
        }
        self.assert_can_lock(block);
        self.pages.state().page(block, "a page that is written exists")?;
        self.pages.acquire(Want::Exclusive(block));
        let page = Box::new(self.pages.page(block));
        Ok(self.add(Locked { block, is_new: false, page }))
    }

    fn lock_new(&mut self, block: Block) -> Result<Option<Slot>> {
        if self.pages.is_lenient && self.has_locked(block) {
            return Ok(None);
        }
        self.assert_can_lock(block);
        self.pages.hand_over(None);
        let mut state = self.pages.state();
        let page = Box::new(Page::clone(state.page(block, "a page that was allocated exists")?));
        // Nobody waits here: the map may name a page whose holder waits for one of ours.
        let want = Want::Exclusive(block);
        if !state.is_available(want) || !page.is_free() {
            return Ok(None);
        }
        state.take(session(), want);
        drop(state);
        Ok(Some(self.add(Locked { block, is_new: true, page })))
    }

    fn page(&self, slot: Slot) -> &Page {
        &self.slots[slot].page
    }

    fn page_mut(&mut self, slot: Slot) -> &mut Page {
        &mut self.slots[slot].page
    }

    fn commit(mut self) -> Result<()> {
        let mut state = self.pages.state();
        let mut logged = Logged::new();
        for locked in &self.slots {
            let page = &mut state.pages[locked.block.0 as usize];
            if !self.pages.is_lenient {
                assert_can_become(locked.block, page, &locked.page);
            }
            *page = Arc::new(Page::clone(&locked.page));
            logged.push((locked.block, Arc::clone(page)));
        }
        if !logged.is_empty() {
            state.log.push(logged);
        }
        drop(state);
        self.unlock();
        Ok(())
    }
}

impl Drop for MemoryRecord<'_> {
    fn drop(&mut self) {
        self.unlock();
        self.pages.hand_over(None);
    }
}

/// Panics when a page may not change like this.
fn assert_can_become(block: Block, old: &Page, new: &Page) {
    let (Some(from), Some(to)) = (old.kind(), new.kind()) else {
        panic!("page {block} has a kind that does not exist");
    };
    if old.is_free() || to == Kind::Free {
        return;
    }
    assert!(from == to, "page {block} becomes {to:?} from {from:?} without being free in between");
    if matches!(from, Kind::Scales | Kind::PlaneA | Kind::PlaneB | Kind::TailRest) {
        assert!(old == new, "page {block} ({from:?}) is written once, and changes");
    } else if matches!(from, Kind::Tail | Kind::Rows | Kind::Cells) {
        assert!(old.owner() == new.owner(), "page {block} ({from:?}) gets another owner without being free in between");
    }
}

impl Pages for MemoryPages {
    type Guard<'a> = MemoryGuard<'a>;
    type Record<'a> = MemoryRecord<'a>;
    type Lock<'a> = MemoryLock<'a>;

    fn blocks(&self) -> u32 {
        self.state().pages.len() as u32
    }

    fn read(&self, block: Block) -> Result<MemoryGuard<'_>> {
        let locked = self.state().locked_by(session());
        assert!(locked == 0, "page {block} is read while {locked} pages are locked");
        self.state().page(block, "a page that a link names exists")?;
        self.acquire(Want::Share(block));
        let page = Arc::clone(&self.state().pages[block.0 as usize]);
        Ok(MemoryGuard { pages: self, block, page })
    }

    fn begin(&self) -> MemoryRecord<'_> {
        MemoryRecord { pages: self, slots: Vec::with_capacity(RECORD_PAGES_MAX) }
    }

    fn allocate(&self) -> Result<Block> {
        self.hand_over(None);
        let mut state = self.state();
        assert!(state.locked_by(session()) == 0, "a page is allocated while a page is locked");
        state.count_down(session())?;
        if let Some(block) = state.free.pop_first() {
            return Ok(block);
        }
        let blocks = state.pages.len();
        extend(&mut state.pages, blocks + 1);
        Ok(Block(blocks as u32))
    }

    fn release(&self, block: Block) {
        self.state().free.insert(block);
    }

    fn lock(&self, cell: CellLock) -> Result<MemoryLock<'_>> {
        let mut state = self.state();
        assert!(state.locked_by(session()) == 0, "cell {} is waited for while a page is locked", cell.0);
        let holds_later = state.cells.iter().any(|(held, holder)| *holder == session() && *held >= cell);
        let holds_any = state.cells.values().any(|holder| *holder == session());
        assert!(!holds_later, "cell {} is waited for behind a later one", cell.0);
        assert!(!holds_any || cell != CellLock::GROWTH, "growth is waited for while a cell is locked");
        state.count_down(session())?;
        drop(state);
        self.acquire(Want::Cell(cell));
        Ok(MemoryLock { pages: self, cell })
    }

    fn try_lock(&self, cell: CellLock) -> Result<Option<MemoryLock<'_>>> {
        self.hand_over(None);
        let mut state = self.state();
        assert!(state.cells.get(&cell) != Some(&session()), "cell {} is tried by who holds it", cell.0);
        if !state.is_available(Want::Cell(cell)) {
            return Ok(None);
        }
        state.take(session(), Want::Cell(cell));
        Ok(Some(MemoryLock { pages: self, cell }))
    }

    fn check_interrupt(&self) -> Result<()> {
        self.hand_over(None);
        let mut state = self.state();
        assert!(state.locked_by(session()) == 0, "an interrupt is looked for while a page is locked");
        state.count_down(session())
    }
}

/// Sessions that take turns by a seed.
pub struct Schedule {
    seed: u64,
}

impl Schedule {
    /// Returns the schedule of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Runs sessions over pages until all are done.  When one fails, all end and its panic goes on; the seed is printed.
    pub fn run<'s>(&self, pages: &MemoryPages, sessions: Vec<Box<dyn FnOnce() + Send + 's>>) {
        pages.turn.store(NO_SESSION, Ordering::Release);
        pages.has_failed.store(false, Ordering::Release);
        pages.state().turns = Some(Turns::new(self.seed, sessions.len()));
        thread::scope(|scope| {
            let start = |(me, work)| scope.spawn(move || pages.run_session(me, work)).thread().clone();
            let threads = sessions.into_iter().enumerate().map(start).collect();
            if let Some(turns) = &mut pages.state().turns {
                turns.threads = threads;
            }
            pages.wake(0);
        });
        if let Some(failure) = pages.state().turns.take().and_then(|turns| turns.failure) {
            eprintln!("schedule of seed {} failed", self.seed);
            resume_unwind(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(pages: &MemoryPages, kind: Kind, owner: u64, byte: u8) -> Block {
        let block = pages.allocate().unwrap();
        let mut record = pages.begin();
        let slot = record.lock_new(block).unwrap().unwrap();
        record.page_mut(slot).init(kind, owner);
        record.page_mut(slot).payload_mut()[0] = byte;
        record.commit().unwrap();
        block
    }

    fn add_one(pages: &MemoryPages, block: Block) {
        let mut record = pages.begin();
        let slot = record.lock(block).unwrap();
        let byte = &mut record.page_mut(slot).payload_mut()[0];
        *byte = byte.wrapping_add(1);
        record.commit().unwrap();
    }

    fn failure_of(work: impl FnOnce()) -> String {
        let failure = catch_unwind(AssertUnwindSafe(work)).expect_err("breaks a rule");
        failure
            .downcast_ref::<String>()
            .cloned()
            .or(failure.downcast_ref::<&str>().map(|text| text.to_string()))
            .unwrap()
    }

    #[test]
    fn a_crash_keeps_the_first_records_and_the_map_may_lie() {
        let pages = MemoryPages::new();
        let block = write(&pages, Kind::Tail, 1, 7);
        add_one(&pages, block);
        add_one(&pages, block);
        let byte = |pages: &MemoryPages| pages.page(block).payload()[0];
        assert_eq!((pages.records(), byte(&pages)), (3, 9));
        assert_eq!([1, 2, 3].map(|keep| byte(&pages.crash(keep))), [7, 8, 9]);
        assert!(pages.crash(0).page(block).is_free());
        let crashed = pages.crash(2);
        add_one(&crashed, block);
        assert_eq!(byte(&crashed.crash(0)), 8, "what a crash left survives the next one");
    }

    #[test]
    fn a_page_in_use_is_not_taken_again() {
        let pages = MemoryPages::new();
        let block = write(&pages, Kind::Tail, 1, 7);
        pages.release(block);
        assert_eq!(pages.allocate(), Ok(block));
        assert_eq!(pages.begin().lock_new(block), Ok(None));
        assert_eq!(pages.allocate(), Ok(Block(1)));
    }

    #[test]
    fn a_record_that_is_dropped_changes_nothing() {
        let pages = MemoryPages::new();
        let block = write(&pages, Kind::Tail, 1, 7);
        let mut record = pages.begin();
        let slot = record.lock(block).unwrap();
        record.page_mut(slot).payload_mut()[0] = 1;
        drop(record);
        assert_eq!((pages.records(), pages.read(block).unwrap().payload()[0]), (1, 7));
    }

    #[test]
    fn breaking_a_rule_fails() {
        let pages = MemoryPages::new();
        let (tail, cells) = (write(&pages, Kind::Tail, 1, 7), write(&pages, Kind::Cells, 0, 7));
        let codes = write(&pages, Kind::PlaneA, 1, 7);
        let order = failure_of(|| {
            let mut record = pages.begin();
            record.lock(tail).unwrap();
            record.lock(cells).unwrap();
        });
        assert!(order.contains("against the order"), "{order}");
        let two = failure_of(|| {
            let _guard = pages.read(tail).unwrap();
            let _second = pages.read(cells);
        });
        assert!(two.contains("is read while 1 pages"), "{two}");
        let once = failure_of(|| add_one(&pages, codes));
        assert!(once.contains("written once"), "{once}");
        let waits = failure_of(|| {
            let _guard = pages.read(tail).unwrap();
            let _lock = pages.lock(CellLock(1));
        });
        assert!(waits.contains("while a page is locked"), "{waits}");
        let other_kind = failure_of(|| {
            let mut record = pages.begin();
            let slot = record.lock(tail).unwrap();
            record.page_mut(slot).init(Kind::Rows, 1);
            record.commit().unwrap();
        });
        assert!(other_kind.contains("without being free"), "{other_kind}");
        add_one(&pages, tail);
    }

    #[test]
    fn the_nth_look_for_an_interrupt_fails_once() {
        let pages = MemoryPages::new();
        pages.cancel_after(2);
        assert_eq!(pages.check_interrupt(), Ok(()));
        assert_eq!(pages.allocate(), Err(DimspaceError::Interrupted));
        assert_eq!(pages.check_interrupt(), Ok(()));
    }

    /// Returns in what order sessions add to a page of their own log.
    fn order_of(seed: u64) -> Vec<usize> {
        let (pages, order) = (MemoryPages::new(), Mutex::new(Vec::new()));
        let block = write(&pages, Kind::Tail, 1, 0);
        let add = |me: usize| {
            for _ in 0..50 {
                add_one(&pages, block);
                order.lock().unwrap().push(me);
            }
        };
        let sessions = (0..3).map(|me| Box::new(move || add(me)) as Box<dyn FnOnce() + Send>).collect();
        Schedule::new(seed).run(&pages, sessions);
        assert_eq!(pages.page(block).payload()[0], 150);
        order.into_inner().unwrap()
    }

    #[test]
    fn a_seed_decides_the_turns() {
        assert_eq!(order_of(1), order_of(1));
        assert_ne!(order_of(1), order_of(2));
    }

    #[test]
    fn a_deadlock_is_told() {
        let wait_crosswise = |seed: u64| {
            let pages = MemoryPages::new();
            let work = |first: u32| {
                let _first = pages.try_lock(CellLock(first)).unwrap();
                let _second = pages.try_lock(CellLock(1 - first)).unwrap();
                if _second.is_none() {
                    pages.acquire(Want::Cell(CellLock(1 - first)));
                }
            };
            Schedule::new(seed).run(&pages, vec![Box::new(|| work(0)), Box::new(|| work(1))]);
        };
        let failures = (0..50).filter_map(|seed| catch_unwind(|| wait_crosswise(seed)).err());
        let texts: Vec<String> = failures.filter_map(|failure| failure.downcast_ref::<String>().cloned()).collect();
        assert!(texts.iter().any(|text| text.contains("session 0 waits for cell 1, held by [1]")), "{texts:?}");
    }
}
