//! The listener of the admin server.

use std::io::{ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

use super::Error;

const PORT: u16 = 8080;

/// Binds `address`, the value of `--listen`; by default all IPv6 and IPv4 addresses of the host.
pub(super) async fn bind(address: Option<SocketAddr>) -> std::result::Result<TcpListener, Error> {
    let named = address.unwrap_or_else(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)));
    let bound = match address {
        Some(address) => TcpListener::bind(address).await,
        None => bind_all(PORT).await,
    };
    bound.map_err(|error| Error::Configuration(format!("--listen {named} cannot be used: {error}")))
}

/// Binds `[::]`, which includes IPv4, or `0.0.0.0` on hosts without IPv6.
async fn bind_all(port: u16) -> Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            tracing::info!(%error, "this host has no IPv6; listening on IPv4 only");
            Ok(listener)
        }
        bound => bound,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    /// Fault 55.
    #[tokio::test]
    async fn the_default_address_serves_ipv6_and_ipv4_clients() {
        let listener = bind_all(0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok());
        // A host without IPv6 has no address ::1 either.
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_not_mistaken_for_missing_ipv6() {
        let first = bind_all(0).await.unwrap();
        let port = first.local_addr().unwrap().port();
        assert_eq!(bind_all(port).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}
