//! What the tools of `GitOps` make of requests: Argo CD's scripts under Lua, kstatus' own libraries, and what replacing,
//! pruning, backups and rebuilt clusters come to; all on statuses that the operator itself wrote.

mod actions;
mod argocd_cm;
mod examples;
mod health;
mod kept;
mod kstatus;
mod lua;
mod scene;
mod tenant;
mod trials;
