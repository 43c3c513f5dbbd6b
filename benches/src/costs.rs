//! What two contestants' backends spent, as a row.

use crate::contest::median;
use crate::row::{Row, round};
use crate::support::Result;
use crate::support::backend::Cost;

/// What two contestants spent, turn by turn.
pub struct Costs {
    /// Ours.
    pub ours: Vec<Cost>,
    /// The peer's, who may have had fewer turns.
    pub theirs: Vec<Cost>,
}

impl Costs {
    /// Lets the contestants take turns.
    pub fn of_turns(
        turns: u32,
        mut ours: impl FnMut() -> Result<Cost>,
        mut theirs: impl FnMut() -> Result<Cost>,
    ) -> Result<Costs> {
        let mut costs = Costs { ours: Vec::new(), theirs: Vec::new() };
        for _ in 0..turns {
            costs.ours.push(ours()?);
            costs.theirs.push(theirs()?);
        }
        Ok(costs)
    }

    /// Returns the row of two figures that are made of a turn's seconds: of CPU the figures, of the clock details.
    pub fn row(&self, name: &str, unit: &'static str, peer: &str, [ours, theirs]: [impl Fn(f64) -> f64; 2]) -> Row {
        let cpu = |costs: &[Cost], figure: &dyn Fn(f64) -> f64| figures(costs, |cost| figure(cost.cpu_seconds));
        let wall = |costs: &[Cost], figure: &dyn Fn(f64) -> f64| middle(&figures(costs, |cost| figure(cost.seconds)));
        let (ours_cpu, theirs_cpu) = (cpu(&self.ours, &ours), cpu(&self.theirs, &theirs));
        Row::new(name, middle(&ours_cpu), unit)
            .against(peer, middle(&theirs_cpu))
            .detail("rounds", ours_cpu)
            .detail("peer_rounds", theirs_cpu)
            .detail("wall_value", wall(&self.ours, &ours))
            .detail("peer_wall_value", wall(&self.theirs, &theirs))
    }
}

fn figures(costs: &[Cost], figure: impl Fn(&Cost) -> f64) -> Vec<f64> {
    costs.iter().map(|cost| round(figure(cost))).collect()
}

fn middle(figures: &[f64]) -> f64 {
    median(figures.iter().copied())
}
