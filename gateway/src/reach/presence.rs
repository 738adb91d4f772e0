//! The presence of a pod, as its open connections tell.
//!
//! A pod that ends closes its connections, or its kernel does; a node that vanished is noticed by TCP keepalive. So the
//! end of a connection by the other side is the news that the pod leaves, long before a connect to an address where
//! nobody is left would time out.

use prometheus_client::metrics::counter::Counter;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Presence of a pod, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The operator has just named it; nobody has connected yet.
    Named,
    /// So many connections to it are open.
    Connected(usize),
    /// The last connection was closed on this side: nobody would notice if the pod left.
    Unwatched,
    /// The last connection was closed by the pod, or broke.
    Gone,
}

/// The side that ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This side.
    Ours,
    /// The pod, its kernel or the network.
    Theirs,
}

/// Follows the connections to one pod.
#[derive(Debug)]
pub struct Presence {
    standing: Mutex<Standing>,
    departures: Counter,
}

impl Presence {
    /// The presence of a pod that the operator has just named; counts in `departures` when it is found gone.
    pub const fn new(departures: Counter) -> Self {
        Self { standing: Mutex::new(Standing::Named), departures }
    }

    /// Its presence, as far as it is known now.
    pub fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operator says that the pod serves.
    pub fn named(&self) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*standing, Standing::Connected(_)) {
            *standing = Standing::Named;
        }
    }

    /// A connection is open.
    pub fn connected(self: &Arc<Self>) -> OpenConnection {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let open = if let Standing::Connected(open) = *standing { open } else { 0 };
        *standing = Standing::Connected(open + 1);
        OpenConnection { presence: Arc::clone(self), open: AtomicBool::new(true) }
    }

    fn disconnected(&self, end: End) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        *standing = match (*standing, end) {
            (Standing::Connected(open), _) if open > 1 => Standing::Connected(open - 1),
            (_, End::Ours) => Standing::Unwatched,
            (_, End::Theirs) => {
                self.departures.inc();
                Standing::Gone
            }
        };
    }
}

/// An open connection to a pod, as the pod's presence counts it. Its end is told once, by whoever notices it first;
/// dropped untold, it was ended on this side.
#[derive(Debug)]
pub struct OpenConnection {
    presence: Arc<Presence>,
    open: AtomicBool,
}

impl OpenConnection {
    /// Tells that the connection is over.
    pub fn ended(&self, end: End) {
        if self.open.swap(false, Ordering::AcqRel) {
            self.presence.disconnected(end);
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.ended(End::Ours);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_connection_decides() {
        let departures = Counter::default();
        let presence = Arc::new(Presence::new(departures.clone()));
        assert_eq!(presence.standing(), Standing::Named);
        let (first, second) = (presence.connected(), presence.connected());
        presence.named();
        assert_eq!(presence.standing(), Standing::Connected(2));
        first.ended(End::Theirs);
        // Whoever comes later says nothing new.
        first.ended(End::Ours);
        first.ended(End::Theirs);
        assert_eq!((presence.standing(), departures.get()), (Standing::Connected(1), 0));
        second.ended(End::Ours);
        assert_eq!((presence.standing(), departures.get()), (Standing::Unwatched, 0));
        presence.connected().ended(End::Theirs);
        assert_eq!((presence.standing(), departures.get()), (Standing::Gone, 1));
        presence.named();
        assert_eq!(presence.standing(), Standing::Named);
    }
}
