//! Connection parameters by their libpq names: from a URL, from `key=value` text, from the environment.

use std::collections::BTreeMap;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// The parameters that this program understands, and the variables that give their defaults.
const KNOWN: [(&str, &str); 12] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("application_name", "PGAPPNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("options", "PGOPTIONS"),
    ("passfile", "PGPASSFILE"),
];

/// Parameters of libpq that change nothing here.
const WITHOUT_EFFECT: [&str; 4] = ["client_encoding", "fallback_application_name", "gssencmode", "sslcompression"];

/// Parameters by name.
pub type Parameters = BTreeMap<&'static str, String>;

/// Reads what `--url` was given: a URL, `key=value` pairs, or the name of a database.
pub fn from_text(text: &str) -> Result<Parameters> {
    if let Some(rest) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
        from_url(rest)
    } else if text.contains('=') {
        from_pairs(text)
    } else {
        Ok(Parameters::from([("dbname", text.to_owned())]))
    }
}

/// Reads the variables that libpq reads; an empty one counts as not set.
pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Parameters> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("PGSERVICE").is_some() {
        return Err(Failure::new(Exit::Unsupported, "connection services (PGSERVICE) are not supported")
            .hint("Give --url, or set PGHOST, PGPORT, PGUSER and PGDATABASE."));
    }
    Ok(KNOWN.iter().filter_map(|(name, env)| Some((*name, set(env)?))).collect())
}

fn from_url(rest: &str) -> Result<Parameters> {
    let mut parameters = Parameters::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    // libpq takes the first @, so one in a password has to be written %40.
    let (credentials, hosts) = authority.split_once('@').unwrap_or(("", authority));
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (credentials, None),
    };
    let (hosts, ports) = split_hosts(hosts)?;
    let parts = [
        ("user", user),
        ("password", password.unwrap_or("")),
        ("host", &hosts),
        ("port", &ports),
        ("dbname", database),
    ];
    for (name, value) in parts {
        if !value.is_empty() {
            set(&mut parameters, name, decode(value)?)?;
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| bad_url(format!("\"{pair}\" has no \"=\"")))?;
        let (name, value) = (decode(name)?, decode(value)?);
        match name.as_str() {
            "ssl" if value == "true" => set(&mut parameters, "sslmode", "require".to_owned())?,
            _ => set(&mut parameters, &name, value)?,
        }
    }
    Ok(parameters)
}

/// Splits `host:port,[::1]:port` into the comma-separated hosts and ports that the parameters have.
fn split_hosts(text: &str) -> Result<(String, String)> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for entry in text.split(',') {
        let (host, port) = if let Some(rest) = entry.strip_prefix('[') {
            let (host, tail) = rest.split_once(']').ok_or_else(|| bad_url("\"[\" without \"]\""))?;
            (host, tail.strip_prefix(':').unwrap_or(tail))
        } else {
            entry.split_once(':').unwrap_or((entry, ""))
        };
        hosts.push(host);
        ports.push(port);
    }
    let ports = if ports.iter().all(|port| port.is_empty()) { String::new() } else { ports.join(",") };
    Ok((hosts.join(","), ports))
}

fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or_else(|| bad_url("\"%\" without two digits"))?;
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(|| bad_url("\"%\" without two digits"));
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| bad_url("it is not UTF-8"))
}

fn bad_url(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("malformed connection URL: {why}"))
}

fn from_pairs(text: &str) -> Result<Parameters> {
    let mut parameters = Parameters::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').ok_or_else(|| bad_pairs(format!("\"{rest}\" has no \"=\"")))?;
        let (value, tail) = pair_value(tail.trim_start())?;
        set(&mut parameters, name.trim(), value)?;
        rest = tail.trim_start();
    }
    Ok(parameters)
}

/// Takes one value, quoted or not, off the front; a backslash takes the next character as it is.
fn pair_value(text: &str) -> Result<(String, &str)> {
    let (quoted, body) = match text.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            '\'' if quoted => return Ok((value, &body[at + 1..])),
            blank if !quoted && blank.is_whitespace() => return Ok((value, &body[at..])),
            other => value.push(other),
        }
    }
    if quoted { Err(bad_pairs("a quote is not closed")) } else { Ok((value, "")) }
}

fn bad_pairs(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("malformed connection parameters: {why}"))
}

fn set(parameters: &mut Parameters, name: &str, value: String) -> Result<()> {
    if WITHOUT_EFFECT.contains(&name) {
        return Ok(());
    }
    match KNOWN.iter().find(|(known, _)| *known == name) {
        Some((known, _)) => {
            parameters.insert(known, value);
            Ok(())
        }
        None => Err(Failure::new(Exit::Usage, format!("connection parameter \"{name}\" is not supported"))
            .hint(format!("Supported are {}.", KNOWN.map(|(known, _)| known).join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(&'static str, String)> {
        from_text(text).unwrap().into_iter().collect()
    }

    fn expect(text: &str, expected: &[(&str, &str)]) {
        let found = pairs(text);
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn urls_are_taken_apart() {
        expect("postgres://", &[]);
        expect("postgres:///db", &[("dbname", "db")]);
        expect("postgresql://h", &[("host", "h")]);
        expect(
            "postgres://us%40er:p%3Aw@host:5433/my%20db?sslmode=disable&application_name=x",
            &[
                ("application_name", "x"),
                ("dbname", "my db"),
                ("host", "host"),
                ("password", "p:w"),
                ("port", "5433"),
                ("sslmode", "disable"),
                ("user", "us@er"),
            ],
        );
        expect("postgres://u@[::1]:5/d", &[("dbname", "d"), ("host", "::1"), ("port", "5"), ("user", "u")]);
        expect("postgres:///d?host=/tmp/s&port=7", &[("dbname", "d"), ("host", "/tmp/s"), ("port", "7")]);
        expect("postgres://%2Ftmp%2Fs/d", &[("dbname", "d"), ("host", "/tmp/s")]);
        expect("postgres://a:1,b/d", &[("dbname", "d"), ("host", "a,b"), ("port", "1,")]);
        expect("postgres://h?ssl=true", &[("host", "h"), ("sslmode", "require")]);
    }

    #[test]
    fn pairs_and_plain_names_are_taken() {
        expect("mydb", &[("dbname", "mydb")]);
        expect("host=/tmp port = 7", &[("host", "/tmp"), ("port", "7")]);
        expect(r"password='it\'s a \\' dbname=x", &[("dbname", "x"), ("password", r"it's a \")]);
        expect("user='' host=h", &[("host", "h"), ("user", "")]);
        expect("client_encoding=utf8 host=h", &[("host", "h")]);
    }

    #[test]
    fn malformed_text_is_a_usage_error() {
        for bad in [
            "postgres://h?sslmode",
            "postgres://h%4",
            "postgres://h%zz",
            "postgres://%ff",
            "postgres://[::1",
            "postgres://h?nonsense=1",
            "host='x",
            "host=a junk",
            "nonsense=1",
        ] {
            assert_eq!(from_text(bad).unwrap_err().exit(), Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn the_environment_gives_what_is_set_and_not_empty() {
        let environment = |name: &str| match name {
            "PGHOST" => Some("/tmp".to_owned()),
            "PGPORT" => Some(String::new()),
            "PGDATABASE" => Some("d".to_owned()),
            _ => None,
        };
        let found: Vec<_> = from_environment(environment).unwrap().into_iter().collect();
        assert_eq!(found, [("dbname", "d".to_owned()), ("host", "/tmp".to_owned())]);
        let service = |name: &str| (name == "PGSERVICE").then(|| "s".to_owned());
        assert_eq!(from_environment(service).unwrap_err().exit(), Exit::Unsupported);
    }
}
