//! The process dies between any two steps.
