//! `deploy/policies` on a real API server: what each refuses, in which words, and what it leaves alone.

mod brake;
mod connectors;
mod governed;
mod life;
mod no_hooks;
mod on_call;
mod production;
mod roles;
mod warnings;
