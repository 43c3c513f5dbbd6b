//! How many distinct values there are among many vectors: exact, in bounded memory.
//!
//! A value of at most 32 bits is a place in a bitmap of 2^32 bits, of which only the pages of 65,536 bits that are touched exist:
//! 512 MiB at the very most; vectors of real models touch a few thousand pages of 8 KiB.

use crate::{Element, Packed};

const PAGE_BITS: usize = 1 << 16;
const WORD_BITS: usize = 64;

type Page = Box<[u64; PAGE_BITS / WORD_BITS]>;

/// Distinct values, counted as float32 numbers.
#[derive(Default)]
pub struct Distinct {
    pages: Vec<Option<Page>>,
    count: u64,
    zeros: bool,
    /// A vector of float64 was added: its values do not fit.
    too_wide: bool,
}

impl Distinct {
    /// Adds the values of a vector, zeros included.
    pub fn add(&mut self, vector: &Packed<'_>) {
        if vector.element() == Element::Float64 {
            self.too_wide = true;
            return;
        }
        let mut stored = 0;
        for (_, value) in vector.entries() {
            self.add_bits((value as f32).to_bits());
            stored += 1;
        }
        self.zeros |= stored < vector.dimensions();
    }

    /// Returns how many distinct values were added; `None` when float64 vectors were among them.
    pub fn count(&self) -> Option<u64> {
        // Zeros that a sparse vector leaves out count once with those that are stored.
        let left_out = self.zeros && !self.has(0f32.to_bits());
        (!self.too_wide).then_some(self.count + u64::from(left_out))
    }

    fn add_bits(&mut self, bits: u32) {
        if self.pages.is_empty() {
            self.pages.resize_with(PAGE_BITS, || None);
        }
        let (page, word, mask) = place(bits);
        let Some(page) = self.pages.get_mut(page) else { return };
        let page = page.get_or_insert_with(|| Box::new([0; PAGE_BITS / WORD_BITS]));
        self.count += u64::from(page[word] & mask == 0);
        page[word] |= mask;
    }

    fn has(&self, bits: u32) -> bool {
        let (page, word, mask) = place(bits);
        self.pages.get(page).and_then(Option::as_ref).is_some_and(|page| page[word] & mask != 0)
    }
}

/// Returns page, word in it and bit in that.
fn place(bits: u32) -> (usize, usize, u64) {
    let within = bits as usize % PAGE_BITS;
    (bits as usize / PAGE_BITS, within / WORD_BITS, 1 << (within % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::Distinct;
    use crate::{Element, Packed, pack_f64};

    fn count(vectors: &[(Element, Vec<f64>)]) -> Option<u64> {
        let mut distinct = Distinct::default();
        for (element, values) in vectors {
            distinct.add(&Packed::read(&pack_f64(*element, values).unwrap()).unwrap());
        }
        distinct.count()
    }

    #[test]
    fn each_value_counts_once() {
        let float = |values: &[f64]| (Element::Float32, values.to_vec());
        assert_eq!(count(&[]), Some(0));
        assert_eq!(count(&[float(&[0.5, 0.5, -0.5]), float(&[0.25, 0.5])]), Some(3));
        assert_eq!(count(&[float(&[0.0; 1000]), float(&[0.0, 0.1])]), Some(2));
        assert_eq!(count(&[float(&[0.0; 1000])]), Some(1));
        assert_eq!(count(&[(Element::Int8, vec![1.0]), (Element::Float16, vec![1.0])]), Some(1));
        let many: Vec<f64> = (0..60_000).map(|n| f64::from(n as f32 * 0.37)).collect();
        assert_eq!(count(&[float(&many), float(&many)]), Some(60_000));
    }

    #[test]
    fn float64_is_not_counted() {
        assert_eq!(count(&[(Element::Float64, vec![0.1])]), None);
    }
}
