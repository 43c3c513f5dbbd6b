//! Damaged pages: the check tells them, and nothing panics.

use dimspace::check::{check, rows};
use dimspace::memory::{MemoryPages, Random};
use dimspace::{Block, Kind, Page, Pages};

use crate::history::{History, Range};
use crate::over_seeds;
use crate::world::{Case, built_index, scan};

fn index(seed: u64) -> (MemoryPages, u32) {
    let mut random = Random::new(seed);
    let dimensions = [1, 17, 400][random.below(3)];
    let mut case = Case::new(&mut random, dimensions);
    case.rows_max += 20;
    (built_index(&mut random, &case, dimensions, &mut History::default()), dimensions)
}

/// Pages whose loss is seen: all that something leads to.
fn used_blocks(pages: &MemoryPages) -> Vec<Block> {
    (0..pages.blocks()).map(Block).filter(|block| !pages.page(*block).is_free()).collect()
}

#[test]
fn a_page_that_is_lost_is_told() {
    for seed in 1..10 {
        let (pages, _) = index(seed);
        assert_eq!(check(&pages), Ok(Vec::new()));
        for block in used_blocks(&pages) {
            let before = pages.page(block);
            pages.damage(block, |page| *page = Page::default());
            assert_ne!(check(&pages), Ok(Vec::new()), "page {block} of kind {:?} is lost (seed {seed})", before.kind());
            pages.damage(block, |page| page.init(Kind::PlaneB, u64::MAX));
            assert_ne!(check(&pages), Ok(Vec::new()), "page {block} became another (seed {seed})");
            pages.damage(block, |page| *page = before);
        }
    }
}

#[test]
fn any_damage_ends_without_a_panic() {
    over_seeds(1, 300, |seed| {
        let (pages, dimensions) = index(seed % 20);
        let mut random = Random::new(seed);
        for _ in 0..20 {
            let block = Block(random.below(pages.blocks() as usize) as u32);
            // Most numbers of a page lie in front.
            let most = if random.one_in(2) { 128 } else { 8_128 };
            let payload = 64 + random.below(most);
            let byte = if random.one_in(8) { 8_176 + random.below(16) } else { payload };
            pages.damage(block, |page| page.0[byte] = random.bits() as u8);
        }
        let _ = check(&pages).expect("damage is a problem, not an error");
        let _ = rows(&pages, &mut |_| Ok(()));
        let dimension = random.below(dimensions as usize) as u32;
        let _ = scan(&pages, &[Range { dimension, lo: -0.5, hi: 0.5 }]);
        1
    });
}
