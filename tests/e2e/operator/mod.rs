//! Whole lives of objects: the operator's program with the role of the manifests, a real API server, and the CDE API
//! over real sockets. The tests check what a user sees through the API server.

mod admission;
mod confirm;
mod connector_queue;
mod deletion;
mod edits;
mod ipv6;
mod kstatus;
mod kubectl;
mod limits;
mod preconditions;
mod refusals;
mod resolution;
mod restart;
mod retry;
mod success;
mod suspend;
mod transient;
mod unreadable;
mod verify_restore;
mod verify_rollback;
