//! Observability, as its users see it: metrics that promtool accepts, alerts that fire when they should, a dashboard
//! with data behind each query, logs without noise, and a complete runbook.

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
