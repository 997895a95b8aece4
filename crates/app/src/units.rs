//! The values of the app file that have a unit: times, sizes, processor shares, percentages.
//!
//! Each keeps one canonical form, is written in the file's own notation, and reads only that.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Why a text is not a value of its unit; the message says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct UnitError {
    /// What the value should look like, with an example.
    pub expected: &'static str,
}

/// A length of time, to the millisecond: `"500ms"`, `"30s"`, `"2m"`, `"1h"`, `"7d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    milliseconds: u64,
}

/// An amount of memory or disk in bytes: `"512MiB"`, `"512Mi"`, `"512M"`, `"1GiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    bytes: u64,
}

/// Processor time in thousandths of a core: `0.5`, `2` or `"500m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu {
    thousandths: u32,
}

/// A share in hundredths of a percent: `"70%"`, `"0.5%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    hundredths: u32,
}

const TIME: &str = "a time such as \"30s\", \"2m\" or \"7d\"";
const SIZE: &str = "a size such as \"512MiB\" or \"1GiB\"";
const CPU: &str = "cores such as 0.5 or \"500m\"";
const SHARE: &str = "a share such as \"70%\"";

impl Time {
    /// A time of so many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self { milliseconds }
    }

    /// A time of so many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self {
            milliseconds: seconds * 1000,
        }
    }

    /// The whole time in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.milliseconds
    }

    /// The same as the standard library's type.
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.milliseconds)
    }
}

impl Size {
    /// A size of so many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

impl Cpu {
    /// So many thousandths of a core.
    pub const fn from_thousandths(thousandths: u32) -> Self {
        Self { thousandths }
    }

    /// Thousandths of a core.
    pub const fn thousandths(self) -> u32 {
        self.thousandths
    }
}

impl Share {
    /// So many hundredths of a percent.
    pub const fn from_hundredths(hundredths: u32) -> Self {
        Self { hundredths }
    }

    /// Hundredths of a percent.
    pub const fn hundredths(self) -> u32 {
        self.hundredths
    }

    /// The share as a fraction of one.
    pub fn fraction(self) -> f64 {
        f64::from(self.hundredths) / 10_000.0
    }
}

/// Splits `12.5MiB` into the number and the unit behind it.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (!number.is_empty()).then_some((number, unit))
}

/// Multiplies a decimal number by a whole one, without the rounding of floating point.
fn scaled(number: &str, by: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.len() > 9 {
        return None;
    }
    let mut value = whole.parse::<u64>().ok()?.checked_mul(by)?;
    if !fraction.is_empty() {
        let part = fraction.parse::<u64>().ok()?.checked_mul(by)?;
        let divisor = 10u64.pow(u32::try_from(fraction.len()).ok()?);
        if part % divisor != 0 {
            return None;
        }
        value = value.checked_add(part / divisor)?;
    }
    Some(value)
}

impl FromStr for Time {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = UnitError { expected: TIME };
        let (number, unit) = split(text).ok_or(error.clone())?;
        let by = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(error),
        };
        scaled(number, by).map(Self::from_millis).ok_or(error)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = UnitError { expected: SIZE };
        let (number, unit) = split(text).ok_or(error.clone())?;
        // As memory is counted everywhere it is limited: M and MiB are the same here.
        let by = match unit {
            "B" => 1,
            "K" | "Ki" | "KiB" => 1 << 10,
            "M" | "Mi" | "MiB" => 1 << 20,
            "G" | "Gi" | "GiB" => 1 << 30,
            "T" | "Ti" | "TiB" => 1 << 40,
            _ => return Err(error),
        };
        scaled(number, by).map(Self::from_bytes).ok_or(error)
    }
}

impl FromStr for Cpu {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = UnitError { expected: CPU };
        let value = match text.strip_suffix('m') {
            Some(thousandths) => thousandths.parse().ok(),
            None => scaled(text, 1000).and_then(|value| u32::try_from(value).ok()),
        };
        value
            .filter(|value| *value > 0)
            .map(Self::from_thousandths)
            .ok_or(error)
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = UnitError { expected: SHARE };
        let number = text.strip_suffix('%').ok_or(error.clone())?;
        scaled(number, 100)
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| *value <= 10_000)
            .map(Self::from_hundredths)
            .ok_or(error)
    }
}

/// Writes the value with the largest unit that divides it.
fn largest(f: &mut fmt::Formatter<'_>, value: u64, units: &[(u64, &str)]) -> fmt::Result {
    for (by, unit) in units {
        if value != 0 && value.is_multiple_of(*by) {
            return write!(f, "{}{unit}", value / by);
        }
    }
    match units.last() {
        Some((_, unit)) => write!(f, "{value}{unit}"),
        None => write!(f, "{value}"),
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
            (1, "ms"),
        ];
        largest(f, self.milliseconds, &units)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (1 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
            (1, "B"),
        ];
        largest(f, self.bytes, &units)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        largest(f, u64::from(self.thousandths), &[(1000, ""), (1, "m")])
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.hundredths / 100, self.hundredths % 100);
        match rest {
            0 => write!(f, "{whole}%"),
            rest if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            rest => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

macro_rules! as_text {
    ($($unit:ty),*) => {$(
        impl Serialize for $unit {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

as_text!(Time, Size, Cpu, Share);
