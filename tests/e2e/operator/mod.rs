//! Whole lives of objects: the operator's own program under the role of the manifests, a real API server, and
//! the CDE API over real sockets; seen through the API server, as a user sees them.

mod admission;
mod confirm;
mod deletion;
mod edits;
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
mod turns;
mod unreadable;
mod verify_restore;
mod verify_rollback;
