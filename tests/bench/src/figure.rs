//! Figures that a benchmark found, and the table of all.

use serde::Serialize;
use std::fmt::Write as _;

/// One figure of ours, and what it was measured beside in the same run.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// `benchmark.what`.
    pub name: String,
    /// Ours: a median unless the name says otherwise.
    pub value: f64,
    /// Of `value` and `reference`.
    pub unit: &'static str,
    /// The reference; none for a part of another figure.
    pub reference: Option<f64>,
    /// `value / reference`.
    pub ratio: Option<f64>,
    /// Smallest and largest of ours.
    #[serde(skip)]
    pub spread: Option<(f64, f64)>,
    /// Name of the reference, in words.
    #[serde(skip)]
    pub beside: &'static str,
}

impl Figure {
    /// A figure without reference or spread.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, reference: None, ratio: None, spread: None, beside: "" }
    }

    /// The median of a sample with its spread.
    pub fn median(name: impl Into<String>, sample: &Sample, unit: &'static str) -> Self {
        Self { spread: Some(sample.range()), ..Self::new(name, sample.median(), unit) }
    }

    /// Puts it beside its reference.
    #[must_use]
    pub fn beside(self, reference: f64, beside: &'static str) -> Self {
        let ratio = (reference > 0.0).then(|| self.value / reference);
        Self { reference: Some(reference), ratio, beside, ..self }
    }
}

/// Measurements of one thing.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// One more.
    pub fn push(&mut self, value: f64) {
        let at = self.0.partition_point(|other| *other < value);
        self.0.insert(at, value);
    }

    /// The value that a share (0 to 1) of all does not exceed; 0 when there are none.
    pub fn quantile(&self, share: f64) -> f64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a rank within the sample"
        )]
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Counts its values.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Smallest and largest.
    pub fn range(&self) -> (f64, f64) {
        (self.quantile(0.0), self.quantile(1.0))
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sample = Self::default();
        values.into_iter().for_each(|value| sample.push(value));
        sample
    }
}

/// All figures as a Markdown table.
pub fn table(figures: &[Figure]) -> String {
    let header = ["figure", "ours", "lowest to highest", "reference", "ratio", "beside"];
    let number = |value: f64, unit: &str| format!("{} {unit}", digits(value));
    let mut rows = vec![header.map(str::to_owned), header.map(|_| String::from("---"))];
    rows.extend(figures.iter().map(|figure| {
        [
            figure.name.clone(),
            number(figure.value, figure.unit),
            figure.spread.map_or(String::new(), |(low, high)| format!("{} to {}", digits(low), digits(high))),
            figure.reference.map_or(String::new(), |reference| number(reference, figure.unit)),
            figure.ratio.map_or(String::new(), |ratio| format!("{}x", digits(ratio))),
            figure.beside.to_owned(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
    }
    text
}

/// Three digits that say something, without exponents.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    #[allow(clippy::cast_possible_truncation, reason = "the logarithm of a number is small")]
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(2 - magnitude).unwrap_or(0).min(6);
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let sample: Sample = [5.0, 1.0, 4.0, 2.0, 3.0].into_iter().collect();
        for (share, expected) in [(0.0, 1.0), (0.5, 3.0), (0.8, 4.0), (0.99, 5.0), (1.0, 5.0)] {
            assert!((sample.quantile(share) - expected).abs() < f64::EPSILON, "{share}");
        }
        assert!(Sample::default().median().abs() < f64::EPSILON);
    }

    #[test]
    fn a_table_has_a_line_for_each_figure() {
        let figures = [Figure::new("a.b", 1.5, "ms").beside(3.0, "half"), Figure::new("c", 1234.5, "MB")];
        let table = table(&figures);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[2].contains("1.50 ms") && lines[2].contains("0.500x"), "{table}");
        assert!(lines[3].contains("1234 MB") || lines[3].contains("1235 MB"), "{table}");
    }

    #[test]
    fn the_file_holds_exactly_what_readers_expect() {
        let json = serde_json::to_value(Figure::new("a", 1.0, "s").beside(2.0, "x")).unwrap();
        let expected = serde_json::json!(
            {"name": "a", "value": 1.0, "unit": "s", "reference": 2.0, "ratio": 0.5}
        );
        assert_eq!(json, expected);
    }
}
