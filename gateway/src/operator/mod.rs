//! Waking: which operator replica to ask, asking it, and asking once for all who wait.

mod endpoints;
mod flight;
mod operator;

pub use endpoints::{EndpointsReceiver, follow as follow_endpoints};
pub use flight::{FlightLimits, Flights};
pub use operator::{Operator, out_of_time};
