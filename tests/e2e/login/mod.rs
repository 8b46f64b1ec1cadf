//! The login mode: the operator keeps a login alive at a real authorization server.

mod answers;
mod crash;
mod refresh;
mod required;
mod secrecy;
mod secret;
mod stop;
