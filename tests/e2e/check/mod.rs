//! `cde-operator check` as a user runs it: the real program against a real API server and the CDE sandbox.

mod cde_api;
mod fixture;
mod kubernetes;
mod names;
mod output;
