//! Very many objects: an outage, and a restart in the middle of the work.

mod crowd;
mod metrics;
mod outage;
mod preview;
mod restart;
