//! How `GitOps` tools treat requests: Argo CD's scripts under Lua, the kstatus library, and the effects of replacing,
//! pruning, backups and rebuilt clusters. All tests use statuses that the operator itself wrote.

mod actions;
mod argocd_cm;
mod cases;
mod examples;
mod health;
mod kept;
mod kstatus;
mod lifecycle;
mod lua;
mod tenant;
