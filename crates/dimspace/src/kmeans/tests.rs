//! Training finds clusters, takes any values, and gives the same on every path and for any crew.

use std::sync::atomic::{AtomicUsize, Ordering};

use atom::Never;
use proptest::prelude::*;

use super::*;

fn matrix(rows: &[Vec<f32>]) -> Matrix {
    let mut matrix = Matrix::new(rows.first().map_or(2, Vec::len));
    rows.iter().for_each(|row| matrix.push(row));
    matrix
}

fn noise() -> impl FnMut() -> f32 {
    let mut random = Random::new();
    move || random.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0
}

/// Rows around so many centres that lie far apart, in turn.
fn clustered(rows: usize, clusters: usize, dimensions: usize) -> Matrix {
    let mut noise = noise();
    let centres: Vec<Vec<f32>> = (0..clusters).map(|_| (0..dimensions).map(|_| 10.0 * noise()).collect()).collect();
    let mut row = |number: usize| centres[number % clusters].iter().map(|x| x + 0.1 * noise()).collect();
    matrix(&(0..rows).map(&mut row).collect::<Vec<_>>())
}

fn trained(sample: &Matrix, cells: usize, metric: Metric) -> Matrix {
    train(sample, cells, metric, Path::best(), &Alone, &Never).unwrap()
}

/// Works from the last item to the first.
struct Backwards;

impl Crew for Backwards {
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let mut results: Vec<R> = items.iter().rev().map(work).collect();
        results.reverse();
        results
    }
}

struct After(AtomicUsize);

impl Interrupt for After {
    fn check(&self) -> Result<(), Interrupted> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Interrupted)
    }
}

#[test]
fn two_clusters_are_two_halves() {
    let rows = clustered(300, 2, 24);
    for metric in Metric::ALL {
        let [a, b] = halves(&rows, metric, Path::best(), &Alone, &Never).unwrap();
        let cells = Nearest::new(matrix(&[a, b]), metric, Path::best()).nearest_all(&rows);
        assert!((0..300).all(|row| (cells[row] == cells[0]) == (row % 2 == 0)), "{metric:?}");
    }
}

#[test]
fn a_row_apart_has_a_half_of_its_own() {
    let mut rows = vec![vec![1.0, 2.0]; 50];
    rows.push(vec![2.0, 1.0]);
    for metric in Metric::ALL {
        let [a, b] = halves(&matrix(&rows), metric, Path::best(), &Alone, &Never).unwrap();
        let cells = Nearest::new(matrix(&[a, b]), metric, Path::best()).nearest_all(&matrix(&rows));
        assert!(cells[..50].iter().all(|cell| *cell == cells[0]) && cells[50] != cells[0]);
    }
}

#[test]
fn training_begins_with_distinct_rows() {
    let rows = matrix(&(0..100).map(|row| vec![(row / 98) as f32, (row / 99) as f32]).collect::<Vec<_>>());
    let (metric, path) = (Metric::L2, Path::best());
    let mut training = Training { rows: &rows, metric, path, random: Random::new(), assigned: Vec::new() };
    for cells in 1..=5 {
        let first = training.first_centroids(cells, &Never).unwrap();
        let distinct: HashSet<u64> = (0..cells).map(|cell| first.fingerprint(cell)).collect();
        assert_eq!((first.rows(), distinct.len()), (cells, cells.min(3)));
    }
}

#[test]
fn training_brings_centroids_nearer() {
    let rows = clustered(2000, 10, 16);
    let distance = |centroids: &Matrix| -> f64 {
        let nearest = Nearest::new(centroids.clone(), Metric::L2, Path::best());
        let apart = |row: &[f32]| {
            let centroid = centroids.row(nearest.nearest(row));
            row.iter().zip(centroid).map(|(x, c)| f64::from(x - c).powi(2)).sum::<f64>()
        };
        (0..rows.rows()).map(|row| apart(rows.row(row))).sum()
    };
    let one = distance(&trained(&rows, 1, Metric::L2));
    assert!(distance(&trained(&rows, 40, Metric::L2)) < one / 20.0);
}

#[test]
fn equal_rows_have_equal_halves() {
    for value in [0.1, 0.0, 3e38, 1e-38, -7.3] {
        let rows = matrix(&vec![vec![value, 0.3 * value, value]; 99]);
        for metric in Metric::ALL {
            let [a, b] = halves(&rows, metric, Path::best(), &Alone, &Never).unwrap();
            assert_eq!(a, b);
            assert!(metric == Metric::Cosine || a == rows.row(0));
        }
    }
}

#[test]
fn there_are_as_many_centroids_as_rows_or_cells() {
    for metric in Metric::ALL {
        for (rows, cells, expected) in [(0, 5, 1), (1, 5, 1), (5, 0, 1), (5, 3, 3), (5, 5, 5), (3, 9, 3)] {
            let sample = clustered(rows, 2, 2);
            assert_eq!(trained(&sample, cells, metric).rows(), expected);
        }
        let few = matrix(&(0..40).map(|row| vec![(row % 2) as f32, 1.0]).collect::<Vec<_>>());
        let centroids = trained(&few, 9, metric);
        let rows: HashSet<u64> = (0..9).map(|cell| centroids.fingerprint(cell)).collect();
        assert_eq!(rows.len(), 2);
    }
}

#[test]
fn paths_and_crews_change_no_bit() {
    let rows = clustered(500, 30, 21);
    for metric in Metric::ALL {
        let expected = trained(&rows, 25, metric);
        for path in Path::available() {
            assert_eq!(train(&rows, 25, metric, path, &Backwards, &Never).unwrap(), expected);
        }
    }
}

#[test]
fn training_can_be_interrupted_anywhere() {
    let rows = clustered(50, 3, 4);
    let interrupted = (0..1000).take_while(|&count| {
        let after = After(AtomicUsize::new(count));
        train(&rows, 5, Metric::L2, Path::best(), &Alone, &after) == Err(Interrupted)
    });
    assert!((4..100).contains(&interrupted.count()));
}

#[test]
fn groups_are_all_items_in_order() {
    for (count, products_each) in [(0, 1), (1, usize::MAX), (40, PIECE_PRODUCTS), (1000, PIECE_PRODUCTS / 3), (9, 0)] {
        let groups: Vec<Vec<Range<usize>>> = groups(count, products_each).collect();
        assert!(groups.iter().all(|pieces| pieces.len() <= PIECES_AT_ONCE));
        assert!(groups.into_iter().flatten().flatten().eq(0..count));
    }
}

fn exact(row: &[f32], centroids: &Matrix, metric: Metric, cell: usize) -> f64 {
    let terms = row.iter().zip(centroids.row(cell)).map(|(&x, &c)| (f64::from(x), f64::from(c)));
    match metric {
        Metric::Cosine => -terms.map(|(x, c)| x * c).sum::<f64>(),
        _ => terms.map(|(x, c)| (x - c).powi(2)).sum(),
    }
}

proptest! {
    #[test]
    fn any_values_train_finite_centroids(
        bits in prop::collection::vec(any::<[u32; 3]>(), 1..30),
        cells in 1usize..8,
        metric in prop::sample::select(Metric::ALL.to_vec()),
        exponent in prop::sample::select(vec![-149, -126, -60, 0, 60, 127]),
    ) {
        let number = |bits: u32| ((bits % 2000) as f32 / 1000.0 - 1.0) as f64 * 2f64.powi(exponent);
        let rows: Vec<Vec<f32>> = bits.iter().map(|row| row.map(|bits| number(bits) as f32).to_vec()).collect();
        let wild: Vec<Vec<f32>> = bits.iter().map(|row| row.map(f32::from_bits).map(|x| if x.is_finite() { x } else { 1.0 }).to_vec()).collect();
        for rows in [rows, wild] {
            let sample = matrix(&rows);
            let centroids = trained(&sample, cells, metric);
            prop_assert!(centroids.values().iter().all(|x| x.is_finite()));
            let nearest = Nearest::new(centroids.clone(), metric, Path::best());
            for (row, cell) in rows.iter().zip(nearest.nearest_all(&sample)) {
                prop_assert!((cell as usize) < centroids.rows());
                prop_assert_eq!(nearest.nearest(row), cell as usize);
            }
        }
    }

    #[test]
    fn the_nearest_is_nearest(rows in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, 5), 1..20), scale in -145i32..120) {
        let scale = 2f64.powi(scale) as f32;
        for metric in Metric::ALL {
            let scaled: Vec<Vec<f32>> = rows.iter().map(|row| row.iter().map(|x| x * scale).collect()).collect();
            let centroids = matrix(if metric == Metric::Cosine { &rows } else { &scaled });
            let nearest = Nearest::new(centroids.clone(), metric, Path::best());
            for row in &scaled {
                let found = exact(row, &centroids, metric, nearest.nearest(row));
                let best = (0..centroids.rows()).map(|cell| exact(row, &centroids, metric, cell)).fold(f64::INFINITY, f64::min);
                let slack = f64::from(scale).powi(if metric == Metric::Cosine { 1 } else { 2 }) * 1e-5;
                prop_assert!(found <= best + slack, "{} instead of {}", found, best);
            }
        }
    }
}

#[test]
#[ignore = "measures; run with --release"]
fn time_of_training() {
    let mut noise = noise();
    let mut rows = Matrix::with_rows(384, 10_000);
    (0..10_000).for_each(|_| rows.push(&(0..384).map(|_| noise()).collect::<Vec<_>>()));
    for path in Path::available().into_iter().skip(1) {
        let start = std::time::Instant::now();
        let centroids = train(&rows, 100, Metric::Cosine, path, &Alone, &Never).unwrap();
        println!("{} training of 10,000 x 384 in 100 cells: {} ms", path.name(), start.elapsed().as_millis());
        let nearest = Nearest::new(centroids, Metric::Cosine, path);
        let start = std::time::Instant::now();
        nearest.nearest_all(&rows);
        println!("{} nearest of 10,000: {} ms", path.name(), start.elapsed().as_millis());
    }
}
