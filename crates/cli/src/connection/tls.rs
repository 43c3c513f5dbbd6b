//! TLS by rustls: which certificates count follows libpq's sslmode.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings::{Settings, TlsMode};
use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// Prepares TLS as the settings ask for it.
pub fn connector(settings: &Settings) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let verifier = SslModeVerifier {
        chain: match settings.tls_mode {
            TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => None,
            TlsMode::VerifyCa | TlsMode::VerifyFull => Some(chain_verifier(settings, &provider)?),
        },
        check_name: settings.tls_mode == TlsMode::VerifyFull,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn unusable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Connection, format!("TLS could not be set up: {error}"))
}

fn chain_verifier(settings: &Settings, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let Some(path) = &settings.root_certificates else {
        return Err(Failure::new(
            Exit::Usage,
            "sslmode verify-ca and verify-full need the certificate of an authority",
        )
        .hint("Name its PEM file in PGSSLROOTCERT or sslrootcert, or put it into ~/.postgresql/root.crt."));
    };
    let roots = Arc::new(root_certificates(path)?);
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build().map_err(|error| unusable(&error))
}

fn root_certificates(path: &Path) -> Result<RootCertStore> {
    let malformed = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Invalid, format!("could not read certificates from \"{}\": {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| malformed(&error))? {
        roots.add(certificate.map_err(|error| malformed(&error))?).map_err(|error| malformed(&error))?;
    }
    Ok(roots)
}

/// Checks of a server's certificate what the mode asks for; the handshake's signature always.
#[derive(Debug)]
struct SslModeVerifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    check_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for SslModeVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last, so the chain has been found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
