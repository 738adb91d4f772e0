//! Connections that do not come about.

use crate::support::{A_MOMENT, PATIENCE};
use roost_transport::{
    dial::{DialError, dial},
    tls::client_config,
};
use tokio::net::TcpListener;

#[tokio::test]
async fn why_there_is_no_connection_is_told() {
    let ca = rcgen::generate_simple_self_signed(vec!["ca".into()]).unwrap().cert.pem();
    let tls = client_config(ca.as_bytes(), &[]).unwrap();
    // The kernel accepts for it, but nobody speaks TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = (silent.local_addr().unwrap(), silent);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let slow = dial(silent.0, "rt-1.example", &tls, A_MOMENT, None).await.unwrap_err();
    assert!(matches!(slow, DialError::Timeout(patience) if patience == A_MOMENT), "{slow}");
    let refused = dial(nobody, "rt-1.example", &tls, PATIENCE, None).await.unwrap_err();
    assert!(matches!(refused, DialError::Io(_)), "{refused}");
    let bad = dial(nobody, "no name", &tls, PATIENCE, None).await.unwrap_err();
    assert!(matches!(bad, DialError::BadName(ref name) if name == "no name"), "{bad}");
}
