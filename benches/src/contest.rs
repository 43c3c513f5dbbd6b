//! Contestants take turns, round after round, so that whatever slows the machine slows all of them; medians are compared.

use std::fmt::Debug;

use crate::row::{Goal, Row};
use crate::support::{Bench, Result};

/// One turn of one contestant.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// Bytes that were stored, read or hashed.
    pub bytes: u64,
    /// Wall clock.
    pub seconds: f64,
    /// CPU seconds of all processes of the server.
    pub server_cpu_seconds: f64,
    /// CPU seconds of this program and of those it started.
    pub client_cpu_seconds: f64,
}

impl Lap {
    /// Returns the throughput in MB/s (10^6 bytes).
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.seconds / 1e6
    }
}

/// A row of throughputs to be measured.
pub struct Comparison<C: 'static> {
    /// The row's name.
    pub name: &'static str,
    /// Who is measured.
    pub ours: C,
    /// Who it is compared with.
    pub peer: Option<C>,
    /// The least ratio.
    pub goal: Option<f64>,
}

/// What happens in a family of rows.
pub trait Contest {
    /// Somebody who takes turns.
    type Contestant: Copy + PartialEq + Debug + 'static;

    /// Returns what a contestant is called in the table.
    fn label(contestant: Self::Contestant) -> &'static str;

    /// Makes what the round's turns need; rounds are counted from 0.
    fn begin_round(&mut self, round: u32, contestants: &[Self::Contestant]) -> Result<()>;

    /// Runs one turn.
    fn lap(&mut self, contestant: Self::Contestant) -> Result<Lap>;
}

/// Returns the comparisons that are asked for.
pub fn wanted<C>(bench: &Bench, all: &'static [Comparison<C>]) -> Vec<&'static Comparison<C>> {
    all.iter().filter(|comparison| bench.args.wants(comparison.name)).collect()
}

/// Lets everyone who occurs in `comparisons` take a turn in each round, and returns the rows.
pub fn run<T: Contest>(bench: &Bench, contest: &mut T, comparisons: &[&Comparison<T::Contestant>]) -> Result<Vec<Row>> {
    let contestants = contestants_of(comparisons);
    let mut laps = vec![Vec::new(); contestants.len()];
    for round in 0..bench.args.rounds {
        contest.begin_round(round, &contestants)?;
        for (contestant, laps) in contestants.iter().zip(&mut laps) {
            let lap = contest.lap(*contestant)?;
            bench.say(&format!("round {}: {}, {:.0} MB/s", round + 1, T::label(*contestant), lap.rate()));
            laps.push(lap);
        }
    }
    let laps_of = |contestant: T::Contestant| {
        let place = contestants.iter().position(|other| *other == contestant);
        laps[place.expect("contestants were taken from the comparisons")].as_slice()
    };
    let row = |comparison: &&Comparison<T::Contestant>| {
        let row = Row::of_laps(comparison.name, laps_of(comparison.ours));
        match comparison.peer {
            Some(peer) => row.against_laps(T::label(peer), laps_of(peer)).goal(comparison.goal.map(Goal::AtLeast)),
            None => row,
        }
    };
    Ok(comparisons.iter().map(row).collect())
}

/// Each once, in the order in which they occur.
fn contestants_of<C: Copy + PartialEq>(comparisons: &[&Comparison<C>]) -> Vec<C> {
    let mut contestants = Vec::new();
    for comparison in comparisons {
        for contestant in [Some(comparison.ours), comparison.peer].into_iter().flatten() {
            if !contestants.contains(&contestant) {
                contestants.push(contestant);
            }
        }
    }
    contestants
}

/// Returns the middle of some figures, of an even number of them the mean of the middle two; NaN of none.
pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, contestants_of, median};

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 100.0].into_iter()), 3.0);
        assert_eq!(median([4.0, 1.0, 2.0, 100.0].into_iter()), 3.0);
        assert!(median([].into_iter()).is_nan());
    }

    #[test]
    fn a_contestant_of_two_rows_runs_once() {
        let row = |ours, peer| Comparison { name: "", ours, peer, goal: None };
        let rows = [row('a', Some('x')), row('a', Some('y')), row('b', Some('x')), row('c', None)];
        assert_eq!(contestants_of(&rows.iter().collect::<Vec<_>>()), ['a', 'x', 'y', 'b', 'c']);
    }
}
