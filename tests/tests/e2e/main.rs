//! Promises of Roost, tested on a real cluster: a file for each. One program, as the tests wait more than they work.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]

mod access;
mod acknowledged;
mod bad_input;
mod ceiling;
mod class_changes;
mod classes;
mod deletion;
mod encryption;
mod garbage;
mod gitops;
mod images;
mod life;
mod moments;
mod names;
mod objects;
mod rights;
mod sources;
mod sql;
mod suspension;
mod unreplayable;
