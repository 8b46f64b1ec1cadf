//! The plugin as a person runs it: its program, a real API server and a real authorization server.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests panic on unexpected results, and their names document them"
)]

mod access;
mod chromium;
mod fixture;
mod login;
mod logout;
mod manifest;
mod redirects;
mod secrecy;
mod secret;
mod settings;
mod terminal;
mod unstored;
mod web;
mod whoami;
