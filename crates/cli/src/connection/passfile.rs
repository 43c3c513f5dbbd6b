//! The password file: `host:port:database:user:password` lines, `*` for any, `\` before `:` and `\`.

use std::path::Path;

/// What a line of the file must match.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Host name or socket directory.
    pub host: &'a str,
    /// Port as text.
    pub port: &'a str,
    /// Database.
    pub database: &'a str,
    /// User.
    pub user: &'a str,
}

/// Returns the password of the first line that matches; `None` also when the file cannot be read or others can read it.
pub fn look_up(path: &Path, wanted: Wanted<'_>) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() {
        eprintln!("WARNING: password file \"{}\" is not a plain file", path.display());
        return None;
    }
    if readable_by_others(&metadata) {
        eprintln!("WARNING: password file \"{}\" is ignored: group or others can read it (chmod 0600)", path.display());
        return None;
    }
    find(&std::fs::read_to_string(path).ok()?, wanted)
}

#[cfg(unix)]
fn readable_by_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn readable_by_others(_: &std::fs::Metadata) -> bool {
    false
}

fn find(text: &str, wanted: Wanted<'_>) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [host, port, database, user, password] = fields.as_slice() else { return None };
        let matches = host.matches(wanted.host)
            && port.matches(wanted.port)
            && database.matches(wanted.database)
            && user.matches(wanted.user);
        matches.then(|| password.text.clone())
    })
}

/// One field; an escaped star is a star and not a wildcard.
#[derive(Debug, Default)]
struct Field {
    text: String,
    escaped: bool,
}

impl Field {
    fn matches(&self, wanted: &str) -> bool {
        (self.text == "*" && !self.escaped) || self.text == wanted
    }
}

/// Splits a line at the first four colons that are not escaped; what follows them is the password.
fn fields(line: &str) -> Vec<Field> {
    let mut fields = vec![Field::default()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let count = fields.len();
        let Some(field) = fields.last_mut() else { break };
        match character {
            '\\' => {
                field.escaped = true;
                field.text.extend(characters.next());
            }
            ':' if count < 5 => fields.push(Field::default()),
            other => field.text.push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'static> = Wanted { host: "h", port: "5432", database: "d", user: "u" };

    #[test]
    fn the_first_matching_line_counts() {
        let file = "# note\nx:*:*:*:no\n\nh:5432:d:u:first\n*:*:*:*:second\n";
        assert_eq!(find(file, WANTED).as_deref(), Some("first"));
        assert_eq!(find("*:*:*:*:any", WANTED).as_deref(), Some("any"));
        assert_eq!(find("h:1:d:u:p", WANTED), None);
        assert_eq!(find("h:5432:d:u", WANTED), None);
    }

    #[test]
    fn backslashes_escape_colons_and_stars() {
        let wanted = Wanted { host: "::1", ..WANTED };
        assert_eq!(find(r"\:\:1:*:d:u:a\:b\\c", wanted).as_deref(), Some(r"a:b\c"));
        assert_eq!(find(r"*:*:\*:u:p", WANTED), None);
        assert_eq!(find("h:*:*:*:a:b", WANTED).as_deref(), Some("a:b"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgpass");
        std::fs::write(&path, "*:*:*:*:secret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(look_up(&path, WANTED), None);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(look_up(&path, WANTED).as_deref(), Some("secret"));
    }
}
