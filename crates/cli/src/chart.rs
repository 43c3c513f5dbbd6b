//! Charts made of characters: a histogram with a bar a line, and one small enough for a cell of a table.

use std::env;

use crate::figures::{float, grouped_i64};

/// Columns where nobody knows how many there are.
const WIDTH_DEFAULT: usize = 80;
/// A bar is never shorter than this, however narrow the terminal is.
const BAR_CELLS_MIN: usize = 10;
/// Parts of a cell that are filled from the left, by eighths.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
/// Cells that are filled from below; the first is for no values at all.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same by how dark a character is.
const LEVELS_ASCII: [char; 9] = [' ', '.', ':', '-', '=', '+', '*', '#', '@'];

/// What charts are drawn with.
#[derive(Debug, Clone, Copy)]
pub struct Pen {
    ascii: bool,
    width: usize,
}

impl Pen {
    /// Returns the pen for standard output: as wide as the terminal, with block characters where the locale has them.
    pub fn for_stdout(ascii: bool) -> Self {
        let terminal = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| env::var(name).ok());
        Self { ascii: ascii || !is_utf8(&locale), width: terminal.filter(|width| *width > 0).unwrap_or(WIDTH_DEFAULT) }
    }

    /// Returns a character per bucket, dark or tall as its count; blank where there are no values.
    pub fn sparkline(&self, counts: &[i64]) -> String {
        let most = counts.iter().copied().max().unwrap_or(0);
        let levels = if self.ascii { LEVELS_ASCII } else { LEVELS };
        counts.iter().map(|count| levels[share(*count, most, levels.len() - 1)]).collect()
    }

    /// Returns a line per bucket of equal width from `min` to `max`: its range, a bar, the count.
    pub fn histogram(&self, min: f64, max: f64, counts: &[i64]) -> String {
        let edges: Vec<String> = (0..=counts.len()).map(|index| float(edge(min, max, index, counts.len()))).collect();
        let numbers: Vec<String> = counts.iter().copied().map(grouped_i64).collect();
        let edge_width = longest(&edges);
        let number_width = longest(&numbers);
        let around = 2 * edge_width + number_width + " ..   ".len() + 2;
        let cells = self.width.saturating_sub(around).max(BAR_CELLS_MIN);
        let most = counts.iter().copied().max().unwrap_or(0);
        let mut text = String::new();
        for ((range, number), count) in edges.windows(2).zip(&numbers).zip(counts) {
            let bar = self.bar(*count, most, cells);
            let (low, high) = (&range[0], &range[1]);
            text.push_str(&format!(
                "{low:>edge_width$} .. {high:>edge_width$}  {bar:<cells$}  {number:>number_width$}\n"
            ));
        }
        text
    }

    fn bar(&self, count: i64, most: i64, cells: usize) -> String {
        if self.ascii {
            return "#".repeat(share(count, most, cells));
        }
        let eighths = share(count, most, cells * 8);
        let mut bar = "█".repeat(eighths / 8);
        if !eighths.is_multiple_of(8) {
            bar.push(EIGHTHS[eighths % 8]);
        }
        bar
    }
}

/// Returns the border before bucket `index` of `buckets`; weighted, because `max - min` may be too large for a float.
fn edge(min: f64, max: f64, index: usize, buckets: usize) -> f64 {
    let share = index as f64 / buckets as f64;
    let edge = min * (1.0 - share) + max * share;
    // What is left of 0 after rounding would be shown as 2.77556e-17.
    if edge.abs() < min.abs().max(max.abs()) * 1e-12 { 0.0 } else { edge }
}

/// Returns `count` of `most` as steps, at most `steps`; a count above 0 is never shown as none.
fn share(count: i64, most: i64, steps: usize) -> usize {
    if count <= 0 || most <= 0 {
        return 0;
    }
    let exact = count as f64 / most as f64 * steps as f64;
    (exact.round() as usize).clamp(1, steps)
}

fn longest(texts: &[String]) -> usize {
    texts.iter().map(|text| text.chars().count()).max().unwrap_or(0)
}

/// Whether the first variable that says anything, as for `setlocale`, names UTF-8.
fn is_utf8(locale: &[Option<String>]) -> bool {
    let said = locale.iter().flatten().find(|value| !value.is_empty());
    said.is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNICODE: Pen = Pen { ascii: false, width: 40 };
    const ASCII: Pen = Pen { ascii: true, width: 40 };

    #[test]
    fn a_sparkline_has_a_character_per_bucket() {
        assert_eq!(UNICODE.sparkline(&[0, 1, 50, 100]), " ▁▄█");
        assert_eq!(ASCII.sparkline(&[0, 1, 50, 100]), " .=@");
        assert_eq!(UNICODE.sparkline(&[0, 0]), "  ");
        assert_eq!(UNICODE.sparkline(&[]), "");
        assert_eq!(UNICODE.sparkline(&[i64::MAX, -1]), "█ ");
    }

    #[test]
    fn a_histogram_fills_the_width() {
        let text = ASCII.histogram(-1.0, 1.0, &[1, 1000, 0, 500]);
        let expected = [
            "  -1 .. -0.5  #                      1",
            "-0.5 ..    0  ################## 1,000",
            "   0 ..  0.5                         0",
            " 0.5 ..    1  #########            500",
        ];
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let found: Vec<String> = text.lines().map(squeezed).collect();
        assert_eq!(found.len(), 4);
        assert!(text.lines().all(|line| line.chars().count() == 40), "{text}");
        for (found, expected) in found.iter().zip(expected.map(squeezed)) {
            let without_bar = |line: &str| line.replace('#', "").split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(without_bar(found), without_bar(&expected));
        }
        let bars: Vec<usize> = text.lines().map(|line| line.matches('#').count()).collect();
        assert_eq!(bars[0], 1, "little is not nothing");
        assert_eq!((bars[2], bars[3]), (0, bars[1].div_ceil(2)));
    }

    #[test]
    fn bars_end_within_a_cell() {
        assert_eq!(UNICODE.bar(100, 100, 4), "████");
        assert_eq!(UNICODE.bar(45, 100, 4), "█▊");
        assert_eq!(UNICODE.bar(1, 1_000_000, 4), "▏");
        assert_eq!(UNICODE.bar(0, 100, 4), "");
        assert!(UNICODE.histogram(0.0, 1.0, &[3]).lines().all(|line| line.chars().count() == 40));
    }

    #[test]
    fn narrow_terminals_and_extreme_ranges_do_no_harm() {
        let narrow = Pen { ascii: true, width: 0 };
        assert!(narrow.histogram(0.0, 1.0, &[1]).contains("##########"));
        assert!(ASCII.histogram(f64::MIN, f64::MAX, &[1, 1]).contains("0 .. "));
        assert!(ASCII.histogram(-0.1, 0.3, &[1; 4]).contains(" 0 .. "));
        assert_eq!(ASCII.histogram(2.0, 2.0, &[7]).split_whitespace().last(), Some("7"));
        assert_eq!(ASCII.histogram(0.0, 0.0, &[]), "");
    }

    #[test]
    fn the_locale_is_what_the_first_variable_says() {
        let said = |values: [&str; 3]| is_utf8(&values.map(|value| Some(value.to_owned())));
        assert!(said(["", "", "de_DE.UTF-8"]));
        assert!(said(["C.utf8", "C", "C"]));
        assert!(!said(["C", "en_US.UTF-8", "en_US.UTF-8"]));
        assert!(!is_utf8(&[None, None, None]));
    }
}
