//! `cde-operator check` as a person in need calls it: the real program against a real API server and the CDE sandbox.

mod fixture;
mod kubernetes;
mod output;
mod the_cde;
