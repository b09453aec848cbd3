//! What many measurements of one thing come to. Pure.

use serde::{Deserialize, Serialize};

/// Milliseconds, measured again and again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// All of them, as they came, milliseconds.
    pub ms: Vec<f64>,
}

impl Samples {
    /// The smallest sample that at least `share` of all do not exceed (nearest rank). `None` without samples.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        let wanted = share * sorted.len() as f64;
        let covers = |rank: usize| rank as f64 + 1.0 >= wanted;
        (0..sorted.len())
            .find(|rank| covers(*rank))
            .map(|rank| sorted[rank])
    }

    /// Half are not greater.
    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// The greatest.
    pub fn worst(&self) -> Option<f64> {
        self.quantile(1.0)
    }

    /// `median / p99 / worst (n)`; a p99 of few samples is the worst, and is not shown twice.
    pub fn cell(&self) -> String {
        let (Some(median), Some(worst)) = (self.median(), self.worst()) else {
            return "not measured".to_owned();
        };
        let number = |ms: f64| {
            if ms < 100.0 {
                format!("{ms:.2}")
            } else {
                format!("{ms:.0}")
            }
        };
        match self.quantile(0.99) {
            Some(p99) if self.ms.len() >= 100 => {
                format!("{} / {} / {}", number(median), number(p99), number(worst))
            }
            _ => format!("{} / – / {}", number(median), number(worst)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples = Samples {
            ms: (1..=200).rev().map(f64::from).collect(),
        };
        assert_eq!(samples.median(), Some(100.0));
        assert_eq!(samples.quantile(0.99), Some(198.0));
        assert_eq!(samples.worst(), Some(200.0));
        assert_eq!(samples.cell(), "100 / 198 / 200");
        assert_eq!(Samples::default().median(), None);
        assert_eq!(Samples { ms: vec![1.234] }.cell(), "1.23 / – / 1.23");
    }
}
