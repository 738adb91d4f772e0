//! Ports for the processes that tests start.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ports that the kernel gives to connections: one of them might have it before the process does.
const FIRST: u16 = 20_000;

/// A port that nothing listens on, and that nobody in this process was given before.
///
/// # Panics
///
/// Once all are used.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port >= FIRST, "no port is free");
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
