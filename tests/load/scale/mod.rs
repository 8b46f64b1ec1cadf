//! What the operator survives with very many objects: an outage, and a restart in the middle of the work.

mod crowd;
mod figures;
mod outage;
mod restart;
