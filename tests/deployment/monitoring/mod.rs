//! Monitoring as users get it: metrics that promtool accepts, alerts that fire when they should, a dashboard with data
//! for each query, logs without noise, and a complete runbook.

mod alerts;
mod commands;
mod dashboard;
mod fixture;
mod login;
mod logs;
mod metrics;
mod names;
mod prometheus;
mod repository;
mod runbook;
mod smoke;
