//! What the operator survives with very many objects: an outage, a restart in the middle of the work, and a start with
//! suspended ones.

mod crowd;
mod figures;
mod outage;
mod preview;
mod restart;
