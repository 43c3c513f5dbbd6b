//! What a connection needs, filled in from the URL, then the environment, then libpq's defaults.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use postgres::config::SslMode;

use super::parameters::{self, Parameters};
use super::passfile::{self, Wanted};
use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// Where Debian and upstream PostgreSQL put the socket of a local server.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];
const PORT_DEFAULT: u16 = 5432;

/// How far TLS is asked for; the names are libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server offers it; `allow` is treated the same.
    Prefer,
    /// Always, whoever the server is.
    Require,
    /// Always, and the certificate must be signed by `sslrootcert`.
    VerifyCa,
    /// As before, and the certificate must name the host.
    VerifyFull,
}

/// What a connection needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Host names or socket directories, tried in order.
    pub hosts: Vec<String>,
    /// Addresses of the hosts, when given.
    pub host_addresses: Vec<IpAddr>,
    /// One port, or one for each host.
    pub ports: Vec<u16>,
    /// Who connects.
    pub user: String,
    /// To which database.
    pub database: String,
    /// With which password.
    pub password: Option<String>,
    /// What the server shows in `pg_stat_activity`.
    pub application_name: String,
    /// How long to wait for a host; `None` is for ever.
    pub connect_timeout_seconds: Option<u64>,
    /// Command-line options for the session, as in PGOPTIONS.
    pub options: Option<String>,
    /// How far TLS is asked for.
    pub tls_mode: TlsMode,
    /// File with the certificates of trusted authorities.
    pub root_certificates: Option<PathBuf>,
}

impl Settings {
    /// Finds the settings from `--url` and the environment of this process.
    pub fn find(url: Option<&str>) -> Result<Self> {
        let os_user = whoami::username().ok();
        Self::resolve(url, |name| std::env::var(name).ok(), os_user)
    }

    fn resolve(url: Option<&str>, variable: impl Fn(&str) -> Option<String>, os_user: Option<String>) -> Result<Self> {
        let mut parameters = parameters::from_environment(&variable)?;
        if let Some(text) = url {
            let given = parameters::from_text(text)?;
            // A host that is named belongs to no address of the environment.
            if given.contains_key("host") && !given.contains_key("hostaddr") {
                parameters.remove("hostaddr");
            }
            parameters.extend(given.into_iter().filter(|(_, value)| !value.is_empty()));
        }
        let home = variable("HOME").map(PathBuf::from);
        let mut settings = Self::from_parameters(&parameters, os_user)?;
        settings.complete_root_certificates(home.as_deref());
        if settings.password.is_none() {
            settings.password = settings.password_from_file(&parameters, home.as_deref());
        }
        Ok(settings)
    }

    fn from_parameters(parameters: &Parameters, os_user: Option<String>) -> Result<Self> {
        let get = |name: &str| parameters.get(name).cloned();
        let user = get("user")
            .or(os_user)
            .ok_or_else(|| Failure::new(Exit::Usage, "no database user: set PGUSER or name one in --url"))?;
        let ports = ports(parameters.get("port").map_or("", String::as_str))?;
        let host_addresses = addresses(parameters.get("hostaddr").map_or("", String::as_str))?;
        let hosts = match get("host") {
            Some(hosts) => hosts.split(',').map(str::to_owned).collect(),
            None if host_addresses.is_empty() => vec![local_host(ports[0])],
            None => host_addresses.iter().map(IpAddr::to_string).collect(),
        };
        if ports.len() > 1 && ports.len() != hosts.len() {
            let message = format!("{} ports are given for {} hosts", ports.len(), hosts.len());
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(Self {
            database: get("dbname").unwrap_or_else(|| user.clone()),
            hosts,
            host_addresses,
            ports,
            user,
            password: get("password"),
            application_name: get("application_name").unwrap_or_else(|| "atoms".to_owned()),
            connect_timeout_seconds: timeout(parameters.get("connect_timeout"))?,
            options: get("options"),
            tls_mode: tls_mode(parameters.get("sslmode").map_or("prefer", String::as_str))?,
            root_certificates: get("sslrootcert").map(PathBuf::from),
        })
    }

    /// As libpq: without a named file, `~/.postgresql/root.crt` counts when it is there, and turns `require` into `verify-ca`.
    fn complete_root_certificates(&mut self, home: Option<&Path>) {
        if self.root_certificates.is_none() {
            self.root_certificates = home.map(|home| home.join(".postgresql/root.crt")).filter(|path| path.exists());
        }
        if self.tls_mode == TlsMode::Require && self.root_certificates.is_some() {
            self.tls_mode = TlsMode::VerifyCa;
        }
    }

    fn password_from_file(&self, parameters: &Parameters, home: Option<&Path>) -> Option<String> {
        let path = match parameters.get("passfile") {
            Some(path) => PathBuf::from(path),
            None => home?.join(".pgpass"),
        };
        let host = self.hosts.first()?;
        let port = self.ports.first()?.to_string();
        // A server behind the usual socket is called localhost in the file.
        let name = if SOCKET_DIRECTORIES.contains(&host.as_str()) { "localhost" } else { host };
        let wanted = Wanted { host: name, port: &port, database: &self.database, user: &self.user };
        passfile::look_up(&path, wanted)
    }

    /// Returns where the connection goes, for messages.
    pub fn target(&self) -> String {
        let port = self.ports.first().copied().unwrap_or(PORT_DEFAULT);
        format!("database \"{}\" on {}, port {port}, as \"{}\"", self.database, self.hosts.join(", "), self.user)
    }

    /// Returns the driver's mode; over a Unix socket there is no TLS, as in libpq.
    pub fn driver_ssl_mode(&self) -> SslMode {
        if self.hosts.iter().all(|host| is_socket_directory(host)) {
            return SslMode::Disable;
        }
        match self.tls_mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        }
    }
}

fn is_socket_directory(host: &str) -> bool {
    host.starts_with('/') || host.starts_with('@')
}

/// Returns the socket directory where a local server listens on that port, else localhost.
fn local_host(port: u16) -> String {
    let listens = |directory: &&str| Path::new(directory).join(format!(".s.PGSQL.{port}")).exists();
    SOCKET_DIRECTORIES.iter().copied().find(listens).unwrap_or("localhost").to_owned()
}

fn ports(text: &str) -> Result<Vec<u16>> {
    let port = |text: &str| match text.trim() {
        "" => Ok(PORT_DEFAULT),
        digits => digits
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("invalid port number \"{digits}\""))),
    };
    text.split(',').map(port).collect()
}

fn addresses(text: &str) -> Result<Vec<IpAddr>> {
    let address = |text: &str| {
        text.trim().parse().map_err(|_| Failure::new(Exit::Usage, format!("invalid address \"{text}\" in hostaddr")))
    };
    text.split(',').filter(|entry| !entry.is_empty()).map(address).collect()
}

fn timeout(text: Option<&String>) -> Result<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    let seconds: i64 = text
        .trim()
        .parse()
        .map_err(|_| Failure::new(Exit::Usage, format!("invalid connect_timeout \"{text}\": it is whole seconds")))?;
    // As libpq: zero or less waits for ever.
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0))
}

fn tls_mode(text: &str) -> Result<TlsMode> {
    match text {
        "disable" => Ok(TlsMode::Disable),
        "allow" | "prefer" => Ok(TlsMode::Prefer),
        "require" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        other => Err(Failure::new(Exit::Usage, format!("invalid sslmode \"{other}\""))
            .hint("It is disable, allow, prefer, require, verify-ca or verify-full.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: Option<&str>, environment: &[(&str, &str)]) -> Result<Settings> {
        let variable =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::resolve(url, variable, Some("me".to_owned()))
    }

    #[test]
    fn the_environment_alone_is_enough() {
        let environment = [("PGHOST", "/run/x"), ("PGPORT", "5433"), ("PGUSER", "u"), ("PGPASSWORD", "p")];
        let settings = resolve(None, &environment).unwrap();
        assert_eq!(settings.hosts, ["/run/x"]);
        assert_eq!(settings.ports, [5433]);
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("u", "u"));
        assert_eq!(settings.password.as_deref(), Some("p"));
        assert_eq!(settings.driver_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn the_url_goes_before_the_environment() {
        let environment = [("PGHOST", "a"), ("PGHOSTADDR", "10.0.0.1"), ("PGUSER", "u"), ("PGSSLMODE", "disable")];
        let settings = resolve(Some("postgres://b:7/d"), &environment).unwrap();
        assert_eq!(settings.hosts, ["b"]);
        assert_eq!(settings.host_addresses, Vec::<IpAddr>::new());
        assert_eq!(settings.ports, [7]);
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("u", "d"));
        assert_eq!(settings.tls_mode, TlsMode::Disable);
    }

    #[test]
    fn the_user_of_the_system_is_the_default() {
        let settings = resolve(Some("host=h"), &[]).unwrap();
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("me", "me"));
        assert_eq!(settings.application_name, "atoms");
        assert_eq!(settings.driver_ssl_mode(), SslMode::Prefer);
    }

    #[test]
    fn several_hosts_have_one_port_or_one_each() {
        assert_eq!(resolve(Some("postgres://a:1,b:2/"), &[]).unwrap().ports, [1, 2]);
        assert_eq!(resolve(Some("postgres://a:1,b/"), &[]).unwrap().ports, [1, 5432]);
        assert!(resolve(Some("host=a,b,c port=1,2"), &[]).is_err());
    }

    #[test]
    fn bad_values_are_usage_errors() {
        for bad in ["port=0 host=h", "port=x host=h", "sslmode=maybe", "connect_timeout=soon", "hostaddr=x"] {
            assert_eq!(resolve(Some(bad), &[]).unwrap_err().exit(), Exit::Usage, "{bad}");
        }
        assert_eq!(resolve(Some("connect_timeout=0"), &[]).unwrap().connect_timeout_seconds, None);
        assert_eq!(resolve(Some("connect_timeout=9"), &[]).unwrap().connect_timeout_seconds, Some(9));
    }

    #[cfg(unix)]
    #[test]
    fn the_password_comes_from_the_file_last() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".pgpass");
        std::fs::write(&path, "localhost:5432:d:me:from-socket\nh:5432:d:me:from-file\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let home = dir.path().to_str().unwrap();
        let password = |url| resolve(Some(url), &[("HOME", home)]).unwrap().password;
        assert_eq!(password("postgres://h/d").as_deref(), Some("from-file"));
        assert_eq!(password("postgres:///d?host=/tmp").as_deref(), Some("from-socket"));
        assert_eq!(password("postgres://:given@h/d").as_deref(), Some("given"));
        assert_eq!(password("postgres://other/d"), None);
    }
}
