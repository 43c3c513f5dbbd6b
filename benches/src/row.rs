//! One row of the results: a figure of ours, a figure of a peer, their ratio, and what the ratio should be.

use serde_json::{Map, Value, json};

use crate::contest::{Lap, median};

/// What a ratio should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// This or more: a ratio of throughputs.
    AtLeast(f64),
    /// This or less: a ratio of sizes.
    AtMost(f64),
}

impl Goal {
    /// Returns whether a ratio is as it should be.
    pub fn holds(self, ratio: f64) -> bool {
        match self {
            Goal::AtLeast(least) => ratio >= least,
            Goal::AtMost(most) => ratio <= most,
        }
    }

    /// Returns the number to compare with.
    pub fn number(self) -> f64 {
        match self {
            Goal::AtLeast(number) | Goal::AtMost(number) => number,
        }
    }

    /// Returns how to compare.
    pub fn word(self) -> &'static str {
        match self {
            Goal::AtLeast(_) => "at least",
            Goal::AtMost(_) => "at most",
        }
    }
}

/// A figure, with a peer's and a goal where there are any.
#[derive(Clone, Debug)]
pub struct Row {
    /// `family/what`.
    pub name: String,
    /// Our figure.
    pub value: f64,
    /// What both figures count.
    pub unit: &'static str,
    /// Who the peer is.
    pub peer: Option<String>,
    /// The peer's figure.
    pub peer_value: Option<f64>,
    /// What `value / peer_value` should be.
    pub goal: Option<Goal>,
    /// CPU seconds of the server per GB, ours and the peer's.
    pub server_cpu: Option<(f64, Option<f64>)>,
    /// More members of the JSON object.
    pub details: Map<String, Value>,
}

impl Row {
    /// Returns a row without peer, goal and details.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Row {
        let details = Map::new();
        Row { name: name.into(), value, unit, peer: None, peer_value: None, goal: None, server_cpu: None, details }
    }

    /// Returns a row of median throughputs.
    pub fn of_laps(name: &str, ours: &[Lap]) -> Row {
        let mut row = Row::new(name, median_rate(ours), "MB/s").detail("rounds", rates(ours));
        row.server_cpu = Some((server_cpu_per_gb(ours), None));
        row.detail("server_cpu_s_per_gb", round(server_cpu_per_gb(ours)))
            .detail("client_cpu_s_per_gb", round(client_cpu_per_gb(ours)))
    }

    /// Adds a peer's laps to [`Row::of_laps`].
    pub fn against_laps(self, peer: &str, laps: &[Lap]) -> Row {
        let mut row = self.against(peer, median_rate(laps)).detail("peer_rounds", rates(laps));
        row.server_cpu = row.server_cpu.map(|(ours, _)| (ours, Some(server_cpu_per_gb(laps))));
        row.detail("peer_server_cpu_s_per_gb", round(server_cpu_per_gb(laps)))
            .detail("peer_client_cpu_s_per_gb", round(client_cpu_per_gb(laps)))
    }

    /// Adds a peer's figure.
    pub fn against(mut self, peer: impl Into<String>, value: f64) -> Row {
        self.peer = Some(peer.into());
        self.peer_value = Some(value);
        self
    }

    /// Adds a goal; none changes nothing.
    pub fn goal(mut self, goal: Option<Goal>) -> Row {
        self.goal = goal;
        self
    }

    /// Adds a member to the JSON object.
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Row {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Returns our figure divided by the peer's.
    pub fn ratio(&self) -> Option<f64> {
        self.peer_value.map(|peer| self.value / peer).filter(|ratio| ratio.is_finite())
    }

    /// Returns whether the goal holds; `None` where there is no goal.
    pub fn holds(&self) -> Option<bool> {
        Some(self.goal?.holds(self.ratio()?))
    }

    /// Returns the row as an object of results.json.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "name": self.name,
            "value": round(self.value),
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": self.peer_value.map(round),
            "ratio": self.ratio().map(round),
            "goal": self.goal.map(Goal::number),
            "goal_is": self.goal.map(Goal::word),
            "holds": self.holds(),
        });
        object.as_object_mut().expect("made above").extend(self.details.clone());
        object
    }
}

/// Returns a figure with four decimals, which are more than any of these is worth.
pub fn round(figure: f64) -> f64 {
    (figure * 1e4).round() / 1e4
}

fn rates(laps: &[Lap]) -> Vec<f64> {
    laps.iter().map(|lap| round(lap.rate())).collect()
}

fn median_rate(laps: &[Lap]) -> f64 {
    median(laps.iter().map(Lap::rate))
}

fn server_cpu_per_gb(laps: &[Lap]) -> f64 {
    median(laps.iter().map(|lap| lap.server_cpu_seconds * 1e9 / lap.bytes as f64))
}

fn client_cpu_per_gb(laps: &[Lap]) -> f64 {
    median(laps.iter().map(|lap| lap.client_cpu_seconds * 1e9 / lap.bytes as f64))
}

#[cfg(test)]
mod tests {
    use super::{Goal, Row};

    #[test]
    fn goals_compare_either_way() {
        let row = Row::new("a", 3.0, "x").against("b", 2.0);
        assert_eq!(row.holds(), None);
        assert_eq!(row.clone().goal(Some(Goal::AtLeast(1.5))).holds(), Some(true));
        assert_eq!(row.clone().goal(Some(Goal::AtLeast(1.6))).holds(), Some(false));
        assert_eq!(row.clone().goal(Some(Goal::AtMost(1.5))).holds(), Some(true));
        assert_eq!(row.goal(Some(Goal::AtMost(1.4))).holds(), Some(false));
    }

    #[test]
    fn json_has_every_member_with_and_without_a_peer() {
        let alone = Row::new("a", 3.0, "x").detail("hashes", 7).to_json();
        assert!(alone["ratio"].is_null() && alone["goal"].is_null() && alone["holds"].is_null());
        assert_eq!(alone["hashes"], 7);
        let both = Row::new("a", 1.0, "x").against("b", 3.0).goal(Some(Goal::AtMost(0.4))).to_json();
        assert_eq!((both["ratio"].as_f64(), both["goal_is"].as_str()), (Some(0.3333), Some("at most")));
        assert_eq!(both["holds"], true);
    }

    #[test]
    fn a_peer_of_nothing_has_no_ratio() {
        assert_eq!(Row::new("a", 3.0, "x").against("b", 0.0).goal(Some(Goal::AtMost(1.0))).holds(), None);
    }
}
