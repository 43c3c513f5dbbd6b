//! Numbers for people: grouped digits, thousands and billions, floats to six digits.

/// Returns a count with its digits in groups of three: `1,128,283`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a count from SQL, which is never negative, with grouped digits.
pub fn grouped_i64(number: i64) -> String {
    grouped(u64::try_from(number).unwrap_or(0))
}

/// Returns a number of parameters as the field says it, with three digits: `512`, `1.23 M`, `7.00 B`.
pub fn parameters(number: u64) -> String {
    const UNITS: [&str; 4] = ["k", "M", "B", "T"];
    if number < 1000 {
        return number.to_string();
    }
    in_thousands(number, &UNITS)
}

/// Returns a number of at least a thousand with three digits, in the unit of a thousand that leaves it below a thousand.
pub fn in_thousands(number: u64, units: &[&str]) -> String {
    let mut value = number as f64 / 1000.0;
    let mut unit = 0;
    // 999.5 would be shown as 1000.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {}", units[unit])
}

/// Returns a float with up to six digits, as a plain decimal where that is short: `-0.0125`, `3.1e-9`, `NaN`, `Infinity`.
pub fn float(value: f64) -> String {
    if !value.is_finite() {
        return special(value).to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        // A finite value has such an exponent; the number of decimals is from 0 to 9.
        Ok(exponent @ -4..=6) => without_zeros(&format!("{value:.*}", (5 - exponent).max(0) as usize)).to_owned(),
        _ => format!("{}e{exponent}", without_zeros(digits)),
    }
}

/// Returns a float that may be missing; a missing one is blank.
pub fn float_or_blank(value: Option<f64>) -> String {
    value.map(float).unwrap_or_default()
}

/// Returns what PostgreSQL calls a value that is not finite.
fn special(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

fn without_zeros(decimal: &str) -> &str {
    if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal }
}

/// Returns a float as JSON, which has no NaN and no infinities: these are strings.
pub fn json(value: f64) -> serde_json::Value {
    serde_json::Number::from_f64(value).map_or_else(|| special(value).into(), serde_json::Value::Number)
}

/// Serializes a float that may be missing, as [`json`] does.
pub fn serialize<S: serde::Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&value.map(json), serializer)
}

/// Returns a float with all its digits: the shortest decimal that leads back to the same bits.
pub fn exact(value: f64) -> String {
    match json(value) {
        serde_json::Value::String(special) => special,
        number => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(grouped_i64(-1), "0");
    }

    #[test]
    fn parameters_are_said_as_the_field_says_them() {
        let table = [
            (0, "0"),
            (999, "999"),
            (1000, "1.00 k"),
            (1_230_000, "1.23 M"),
            (999_499_999, "999 M"),
            (999_500_000, "1.00 B"),
            (1_235_814_400, "1.24 B"),
            (70_553_706_496, "70.6 B"),
            (u64::MAX, "18446744 T"),
        ];
        for (number, text) in table {
            assert_eq!(parameters(number), text, "{number}");
        }
    }

    #[test]
    fn floats_have_six_digits_at_most() {
        let table = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-0.0125, "-0.0125"),
            (1.0 / 3.0, "0.333333"),
            (0.000_123_456_78, "0.000123457"),
            (0.000_012_345, "1.2345e-5"),
            (999_999.96, "1000000"),
            (1_234_567.8, "1234568"),
            (12_345_678.0, "1.23457e7"),
            (f64::MAX, "1.79769e308"),
            (f64::from_bits(1), "4.94066e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in table {
            assert_eq!(float(value), text, "{value:e}");
        }
        assert_eq!(float_or_blank(None), "");
    }

    #[test]
    fn exact_floats_lead_back_to_the_same_bits() {
        for value in [0.1, -0.0, f64::MAX, f64::from_bits(1), 1e300, 123_456_789.0, f64::from(0.1_f32)] {
            assert_eq!(exact(value).parse::<f64>().unwrap().to_bits(), value.to_bits(), "{value:e}");
        }
        assert_eq!([exact(f64::NAN), exact(f64::NEG_INFINITY)], ["NaN", "-Infinity"]);
        assert_eq!(json(f64::INFINITY), serde_json::json!("Infinity"));
    }
}
