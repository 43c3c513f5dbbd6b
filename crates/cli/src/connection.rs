//! Opening connections: settings as libpq finds them, TLS where it is asked for, cancellation on Ctrl-C.

mod parameters;
mod passfile;
mod settings;
mod tls;

use std::time::Duration;

use postgres::config::SslMode;
use postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use settings::Settings;

use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::output::printable_lines;

/// Opens further connections with the same settings.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    target: String,
}

impl Connector {
    /// Prepares connections with these settings; opens none.
    pub fn new(settings: &Settings, quiet: bool) -> Result<Self> {
        let mut config = driver_config(settings);
        config.notice_callback(move |notice| {
            if !quiet {
                eprintln!("{}: {}", notice.severity(), printable_lines(notice.message()));
            }
        });
        let tls = if config.get_ssl_mode() == SslMode::Disable { None } else { Some(tls::connector(settings)?) };
        Ok(Self { config, tls, target: settings.target() })
    }

    /// Opens a connection; Ctrl-C cancels its statement from now on.
    pub fn connect(&self) -> Result<Client> {
        let opened = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        let client = opened.map_err(|error| self.refused(error))?;
        let token = client.cancel_token();
        let tls = self.tls.clone();
        // A cancel request that does not arrive leaves the server to notice the closed connection by itself.
        interrupt::cancel_with(move || {
            let _ = match tls {
                Some(tls) => token.cancel_query(tls),
                None => token.cancel_query(NoTls),
            };
        });
        Ok(client)
    }

    fn refused(&self, error: postgres::Error) -> Failure {
        let failure = Failure::from(error).context(format!("no connection to {}", self.target));
        if failure.hint.is_some() || failure.sqlstate.is_some() {
            return failure;
        }
        failure.hint("Give --url, or set PGHOST, PGPORT, PGUSER and PGDATABASE as for psql.")
    }
}

fn driver_config(settings: &Settings) -> Config {
    let mut config = Config::new();
    for host in &settings.hosts {
        config.host(host);
    }
    for address in &settings.host_addresses {
        config.hostaddr(*address);
    }
    for port in &settings.ports {
        config.port(*port);
    }
    config.user(&settings.user).dbname(&settings.database).application_name(&settings.application_name);
    if let Some(password) = &settings.password {
        config.password(password);
    }
    if let Some(options) = &settings.options {
        config.options(options);
    }
    if let Some(seconds) = settings.connect_timeout_seconds {
        config.connect_timeout(Duration::from_secs(seconds));
    }
    config.ssl_mode(settings.driver_ssl_mode());
    config
}
