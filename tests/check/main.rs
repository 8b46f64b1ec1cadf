//! `cde-operator check` as a person in need calls it: the real program against a real API server and the CDE sandbox.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

mod fixture;
mod kubernetes;
mod output;
mod the_cde;
