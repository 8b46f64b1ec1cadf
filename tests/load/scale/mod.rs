//! Very many objects: an outage, a restart in the middle of the work, and a start with suspended requests.

mod crowd;
mod metrics;
mod outage;
mod preview;
mod restart;
