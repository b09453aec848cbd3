//! Time on paper: milliseconds to horizontal places, round marks, and numbers a person reads.
//!
//! Pure. A window without extent is given one, so that nothing divides by zero.

/// A stretch of time drawn between two places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// First moment, milliseconds.
    pub(super) from_ms: f64,
    /// Last moment, milliseconds.
    pub(super) to_ms: f64,
    /// Where the first moment is.
    pub(super) left: f64,
    /// Where the last moment is.
    pub(super) right: f64,
}

impl Scale {
    /// `from_ms..to_ms` between `left` and `right`.
    pub(super) fn new(from_ms: f64, to_ms: f64, left: f64, right: f64) -> Self {
        let to_ms = to_ms.max(from_ms + 1.0);
        Self {
            from_ms,
            to_ms,
            left,
            right,
        }
    }

    /// Where a moment is. Moments outside are put at the edge.
    pub(super) fn x(&self, t_ms: f64) -> f64 {
        let share = (t_ms - self.from_ms) / (self.to_ms - self.from_ms);
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Whether a moment is inside.
    pub(super) fn shows(&self, t_ms: f64) -> bool {
        (self.from_ms..=self.to_ms).contains(&t_ms)
    }

    /// How long it covers.
    pub(super) fn span_ms(&self) -> f64 {
        self.to_ms - self.from_ms
    }

    /// Round moments, counted from `zero_ms`, so far apart that their numbers have room.
    pub(super) fn marks(&self, zero_ms: f64) -> (f64, Vec<f64>) {
        const STEPS: [f64; 18] = [
            1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 3e4,
            6e4, 12e4, 3e5,
        ];
        let room = ((self.right - self.left) / 72.0).max(1.0);
        let wanted = self.span_ms() / room;
        let step = STEPS
            .into_iter()
            .find(|step| *step >= wanted)
            .unwrap_or((wanted / 6e5).ceil() * 6e5);
        let first = ((self.from_ms - zero_ms) / step).ceil();
        let marks = (0..1000)
            .map(|index| zero_ms + (first + f64::from(index)) * step)
            .take_while(|t| *t <= self.to_ms + 1e-6);
        (step, marks.collect())
    }
}

/// A moment on the axis, in seconds, with as many digits as its step needs.
pub(super) fn axis_s(relative_ms: f64, step_ms: f64) -> String {
    let digits = match step_ms {
        step if step >= 1000.0 => 0,
        step if step >= 100.0 => 1,
        step if step >= 10.0 => 2,
        _ => 3,
    };
    let seconds = relative_ms / 1000.0;
    if seconds.abs() < 1e-9 {
        return "0".to_owned();
    }
    minus(format!("{seconds:.digits$}"))
}

/// A moment in a list: signed seconds to the millisecond.
pub(super) fn moment_s(relative_ms: f64) -> String {
    minus(format!("{:+.3}", relative_ms / 1000.0))
}

/// How long something took: `0.4 ms`, `37 ms`, `1,502 ms`.
pub(super) fn duration_ms(ms: f64) -> String {
    if ms.abs() < 9.95 {
        return minus(format!("{ms:.1} ms"));
    }
    let digits = format!("{:.0}", ms.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let sign = if ms < 0.0 { "−" } else { "" };
    format!("{sign}{text} ms")
}

/// The typographic minus, which is as wide as a digit.
fn minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_places_and_stay_inside() {
        let scale = Scale::new(1000.0, 3000.0, 100.0, 300.0);
        assert!((scale.x(2000.0) - 200.0).abs() < 1e-9);
        assert!((scale.x(0.0) - 100.0).abs() < 1e-9);
        assert!((scale.x(9000.0) - 300.0).abs() < 1e-9);
        let nothing = Scale::new(5.0, 5.0, 0.0, 10.0);
        assert!(nothing.x(5.0).is_finite());
    }

    #[test]
    fn marks_are_round_from_the_zero_and_few() {
        let scale = Scale::new(830.0, 4210.0, 0.0, 900.0);
        let (step, marks) = scale.marks(1030.0);
        assert!(marks.len() <= 13 && marks.len() >= 5, "{marks:?}");
        for mark in &marks {
            let steps = (mark - 1030.0) / step;
            assert!((steps - steps.round()).abs() < 1e-9);
            assert!(scale.shows(*mark));
        }
        let hour = Scale::new(0.0, 3.6e7, 0.0, 900.0);
        assert!(hour.marks(0.0).1.len() <= 13);
    }

    #[test]
    fn numbers_read_well() {
        let table = [
            (0.42, "0.4 ms"),
            (9.97, "10 ms"),
            (999.6, "1,000 ms"),
            (1502.2, "1,502 ms"),
            (1_234_567.0, "1,234,567 ms"),
            (-25.0, "−25 ms"),
        ];
        for (ms, text) in table {
            assert_eq!(duration_ms(ms), text);
        }
        assert_eq!(axis_s(-500.0, 500.0), "−0.5");
        assert_eq!(axis_s(0.0, 500.0), "0");
        assert_eq!(axis_s(12_000.0, 2000.0), "12");
        assert_eq!(moment_s(1021.4), "+1.021");
        assert_eq!(moment_s(-3.0), "−0.003");
    }
}
