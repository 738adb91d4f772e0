//! TCP keepalive: the other side's kernel is asked whether it is still there.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::net::TcpStream;

/// When a silent connection is probed, and when it is given up: after `after + probes * interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe; whole seconds.
    pub after: Duration,
    /// Pause between two probes; whole seconds.
    pub interval: Duration,
    /// Probes without an answer that end the connection.
    pub probes: u32,
}

impl Keepalive {
    /// Makes the kernel probe this connection.
    pub fn apply(self, stream: &TcpStream) -> io::Result<()> {
        let keepalive =
            TcpKeepalive::new().with_time(self.after).with_interval(self.interval).with_retries(self.probes);
        SockRef::from(stream).set_tcp_keepalive(&keepalive)
    }
}
