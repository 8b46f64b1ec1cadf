//! The measurements of a scenario: a name, a value and an optional goal each.

use std::fmt;

/// The goal of a measurement, judged by the median of the runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
        }
    }
}

/// One measurement of one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) goal: Option<Goal>,
}

/// The measurements of one run, in the order in which the report shows them.
#[derive(Debug, Default)]
pub(crate) struct Figures(pub(crate) Vec<Figure>);

impl Figures {
    pub(crate) fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        self.0.push(Figure { name: name.into(), unit, value, goal: None });
    }

    pub(crate) fn judge(&mut self, name: impl Into<String>, unit: &'static str, value: f64, goal: Goal) {
        self.0.push(Figure { name: name.into(), unit, value, goal: Some(goal) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_bound_and_never_by_nan() {
        assert!(Goal::AtLeast(0.95).is_met_by(0.95) && !Goal::AtLeast(0.95).is_met_by(0.94));
        assert!(Goal::AtMost(1.3).is_met_by(1.3) && !Goal::AtMost(1.3).is_met_by(1.31));
        assert!(!Goal::AtMost(1.3).is_met_by(f64::NAN) && !Goal::AtLeast(1.3).is_met_by(f64::NAN));
    }
}
