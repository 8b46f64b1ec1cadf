//! What the operator tells, as those who watch it get it: figures that promtool accepts, rules that fire when they
//! should, a dashboard with data behind each query, logs without noise, and a runbook that leaves nothing out.

mod alerts;
mod commands;
mod dashboard;
mod figures;
mod logs;
mod names;
mod prometheus;
mod repository;
mod runbook;
mod scene;
