//! `atoms man`: the manual pages, made from the same description that parses the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;

use crate::args::{Cli, ManArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Output, count, printable};

/// A page and the name of its file.
struct Page {
    name: String,
    text: String,
}

pub fn run(output: Output, args: &ManArgs) -> Result<()> {
    let pages = pages()?;
    match &args.dir {
        Some(dir) => {
            write_pages(dir, &pages)?;
            let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
            output.result(&json!({ "directory": dir.to_string_lossy(), "pages": names }), || {
                let written = count(names.len() as u64, "page", "pages");
                format!("wrote {written} to \"{}\"", printable(&dir.to_string_lossy()))
            })
        }
        None => {
            let page = pages.first().map(|page| page.text.as_str()).unwrap_or_default();
            output.result(&json!({ "page": page }), || page.to_owned())
        }
    }
}

/// Returns the page of `atoms`, then those of its commands.
fn pages() -> Result<Vec<Page>> {
    // A page for `help` would say nothing.
    let mut root = Cli::command().disable_help_subcommand(true);
    // Now each command knows the options it has from above.
    root.build();
    let mut pages = Vec::new();
    add_pages(&root, "atoms", &mut pages)
        .map_err(|error| Failure::new(Exit::of_io(error.kind()), format!("could not make a page: {error}")))?;
    Ok(pages)
}

fn add_pages(command: &Command, name: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let mut text = Vec::new();
    Man::new(command.clone()).title(name).render(&mut text)?;
    pages.push(Page { name: format!("{name}.1"), text: String::from_utf8_lossy(&text).into_owned() });
    for below in command.get_subcommands() {
        add_pages(below, &format!("{name}-{}", below.get_name()), pages)?;
    }
    Ok(())
}

fn write_pages(dir: &Path, pages: &[Page]) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| Failure::io("make", dir, &error))?;
    for page in pages {
        let path = dir.join(&page.name);
        fs::write(&path, &page.text).map_err(|error| Failure::io("write", &path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_of_its_own_name() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        assert_eq!(names[0], "atoms.1");
        for command in Cli::command().get_subcommands() {
            assert!(names.contains(&format!("atoms-{}.1", command.get_name()).as_str()), "{names:?}");
        }
        assert!(names.contains(&"atoms-imports-abort.1"));
    }
}
