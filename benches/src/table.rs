//! The results as text.

use crate::row::Row;

const HEAD: [&str; 9] = ["name", "ours", "unit", "peer", "peer's", "ratio", "goal", "", "server CPU s/GB"];

/// Columns that hold numbers, which stand to the right.
const RIGHT: [bool; 9] = [false, true, false, false, true, true, false, false, false];

/// Returns the rows as a table, and below it how many goals hold and which do not.
pub fn render(rows: &[Row]) -> String {
    let cells: Vec<_> = rows.iter().map(cells).collect();
    let mut text = grid(&HEAD.map(str::to_owned), &cells, &RIGHT);
    let judged = rows.iter().filter(|row| row.holds().is_some()).count();
    let missed: Vec<_> = rows.iter().filter(|row| row.holds() == Some(false)).map(|row| row.name.as_str()).collect();
    text.push_str(&format!("\n{} of {judged} goals hold\n", judged - missed.len()));
    if !missed.is_empty() {
        text.push_str(&format!("MISSED: {}\n", missed.join(", ")));
    }
    text
}

fn cells(row: &Row) -> [String; 9] {
    let cpu = match row.server_cpu {
        Some((ours, Some(peer))) => format!("{ours:.2} / {peer:.2}"),
        Some((ours, None)) => format!("{ours:.2}"),
        None => String::new(),
    };
    let verdict = match row.holds() {
        Some(true) => "holds",
        Some(false) => "MISSED",
        None => "",
    };
    [
        row.name.clone(),
        figure(row.value),
        row.unit.to_owned(),
        row.peer.clone().unwrap_or_default(),
        row.peer_value.map(figure).unwrap_or_default(),
        row.ratio().map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
        row.goal.map(|goal| format!("{} {}", goal.word(), goal.number())).unwrap_or_default(),
        verdict.to_owned(),
        cpu,
    ]
}

/// Sizes whole, anything else with a decimal.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// Returns lines of columns as wide as their widest cell; `right` says which stand to the right.
pub fn grid<const N: usize>(head: &[String; N], lines: &[[String; N]], right: &[bool; N]) -> String {
    let width = |column: usize| {
        let all = std::iter::once(head).chain(lines);
        all.map(|line| line[column].chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in std::iter::once(head).chain(lines) {
        let padded = (0..N).map(|i| match right[i] {
            true => format!("{:>1$}", line[i], widths[i]),
            false => format!("{:<1$}", line[i], widths[i]),
        });
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::row::{Goal, Row};

    #[test]
    fn a_missed_goal_is_named() {
        let rows = [
            Row::new("good", 2.0, "MB/s").against("peer", 1.0).goal(Some(Goal::AtLeast(1.5))),
            Row::new("bad", 1.0, "MB/s").against("peer", 1.0).goal(Some(Goal::AtLeast(1.5))),
            Row::new("alone", 1.5, "MB/s"),
        ];
        let text = render(&rows);
        assert!(text.contains("1 of 2 goals hold\nMISSED: bad\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("MISSED")).count(), 2);
    }
}
