//! What Roost promises, on a real cluster: a file for each promise. One program, as they wait more than they work.

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
