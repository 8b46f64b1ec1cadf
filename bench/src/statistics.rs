//! Statistics of measured values.

/// Minimum, median and maximum.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// Returns the spread of `values`, or NaN if there are none.
pub(crate) fn spread(values: &[f64]) -> Spread {
    let sorted = sorted(values);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let last = sorted.len().saturating_sub(1);
    Spread { min: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), max: at(last) }
}

/// Returns the percentile `hundredths` of `values`, or NaN if there are none.
pub(crate) fn percentile(values: &[f64], hundredths: usize) -> f64 {
    let sorted = sorted(values);
    let rank = (sorted.len() * hundredths).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// Returns the slope of the least-squares line through the points, or 0 if it is undefined.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count(points.len());
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let common: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let own: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if own > 0.0 { common / own } else { 0.0 }
}

/// Converts a count for arithmetic.
#[expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two_middle_ones() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Spread { min: 1.0, median: 2.5, max: 4.0 });
        assert_eq!(spread(&[7.0]), Spread { min: 7.0, median: 7.0, max: 7.0 });
        assert!(spread(&[]).median.is_nan());
    }

    #[test]
    fn a_percentile_is_the_least_value_that_so_many_values_do_not_exceed() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let found = [50, 99, 100].map(|hundredths| percentile(&values, hundredths));
        assert_eq!(found.map(f64::to_bits), [100.0, 198.0, 200.0].map(f64::to_bits));
        assert_eq!(percentile(&[5.0], 1).to_bits(), 5.0_f64.to_bits());
        assert!(percentile(&[], 50).is_nan());
    }

    #[test]
    fn the_slope_is_that_of_the_line_through_the_points() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), 2.0));
        assert!(close(slope(&[(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)]), 0.0));
        assert!(close(slope(&[(1.0, 1.0)]), 0.0) && close(slope(&[]), 0.0));
    }
}
