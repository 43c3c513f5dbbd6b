//! Findings: what a careful reader would want to know of a file that can be read.

use crate::Structure;
use crate::fault::Quoted;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Against the format's specification or custom; most loaders read on.
    Warning,
    /// A loader in wide use refuses the file.
    Error,
}

impl Severity {
    /// Returns the lower-case name that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing worth knowing.  A file has at most one finding per rule; it counts the places and names the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name, e.g. `tensor_unaligned`; `docs/formats.md` lists them.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The first position in the file that it concerns.
    pub offset: u64,
    /// What is so, and what it means; a sentence without a full stop.
    pub message: String,
}

/// Collects findings; places of one rule become one finding.
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<(Finding, u64)>,
}

impl Findings {
    /// Adds a finding about the file as a whole.
    pub(crate) fn say(&mut self, rule: &'static str, severity: Severity, offset: u64, message: String) {
        self.list.push((Finding { rule, severity, offset, message }, 1));
    }

    /// Adds a place of a rule: a tensor or key, and what is so with it.
    pub(crate) fn note(&mut self, rule: &'static str, severity: Severity, offset: u64, name: &str, what: &str) {
        match self.list.iter_mut().find(|(finding, _)| finding.rule == rule) {
            Some((_, places)) => *places = places.saturating_add(1),
            None => self.say(rule, severity, offset, format!("{} {what}", Quoted(name))),
        }
    }

    /// Returns the findings, each with the number of its further places.
    pub(crate) fn into_list(self) -> Vec<Finding> {
        let list = self.list.into_iter().map(|(mut finding, places)| {
            match places.saturating_sub(1) {
                0 => {}
                more => finding.message.push_str(&format!(" (and {more} more)")),
            }
            finding
        });
        list.collect()
    }
}

/// Most names are ASCII, where bytes say it sooner than characters.
fn has_control_characters(name: &str) -> bool {
    match name.is_ascii() {
        true => name.bytes().any(|byte| byte.is_ascii_control()),
        false => name.chars().any(char::is_control),
    }
}

/// Looks for names that loaders, shells and terminals disagree on, in any format.
pub(crate) fn check_names(structure: &Structure, findings: &mut Findings) {
    for tensor in &structure.tensors {
        if tensor.name.is_empty() {
            findings.say("name_empty", Severity::Warning, tensor.offset, "a tensor has the empty name".to_owned());
        }
        if has_control_characters(&tensor.name) {
            let what = "holds control characters, which some loaders cut or refuse";
            findings.note("name_control_characters", Severity::Warning, tensor.offset, &tensor.name, what);
        }
    }
}
