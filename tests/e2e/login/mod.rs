//! The login mode: the operator keeps a login alive at a real authorization server.

mod refresh;
mod required;
