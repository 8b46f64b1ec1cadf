//! `deploy/policies` on a real API server: what each policy rejects, with which message, and what it allows.

mod brake;
mod connectors;
mod governed;
mod life;
mod no_hooks;
mod on_call;
mod production;
mod roles;
mod warnings;
