//! What Roost promises, on a real cluster: a file for each promise. One program, as they wait more than they work.

mod access;
mod acknowledged;
mod bad_input;
mod ceiling;
mod classes;
mod deletion;
mod images;
mod life;
mod sql;
mod suspension;
