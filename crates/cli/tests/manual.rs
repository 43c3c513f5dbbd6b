//! Completions, manual pages and help name every command and need no database.

use std::process::{Command, Output};

const COMMANDS: [&str; 18] = [
    "import",
    "ls",
    "show",
    "tensors",
    "stats",
    "values",
    "diff",
    "findings",
    "inspect",
    "export",
    "verify",
    "report",
    "rm",
    "gc",
    "imports",
    "embed",
    "completions",
    "man",
];

fn atoms(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atoms")).args(args).env("PGPORT", "none").output().unwrap()
}

#[track_caller]
fn text(args: &[&str]) -> String {
    let output = atoms(args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The list above is that of the program.
#[test]
fn help_lists_these_commands() {
    let help = text(&["--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names[..names.len() - 1], COMMANDS);
    assert_eq!(names.last(), Some(&"help"));
}

#[test]
fn completions_of_every_shell_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} knows nothing of {command}");
        }
        assert!(script.contains("strict"), "{shell} knows no options");
    }
    assert_eq!(atoms(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn bash_takes_its_completions() {
    let script = text(&["completions", "bash"]);
    let checked = Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
}

#[test]
fn each_command_has_a_manual_page() {
    let page = text(&["man"]);
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("share/man1");
    text(&["man", "--dir", pages.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(pages.join("atoms.1")).unwrap(), page);
    for command in COMMANDS {
        assert!(page.contains(&format!("atoms\\-{command}(1)")), "{command} is not in the page of atoms");
        let own = std::fs::read_to_string(pages.join(format!("atoms-{command}.1"))).unwrap();
        assert!(own.starts_with(".ie") && own.contains(&format!(".TH atoms-{command} 1")), "{own}");
        assert!(own.contains(&format!("\\fBatoms {command}\\fR")), "{own}");
    }
}
