//! How Go's fmt prints values: `%v` and the other verbs.
//!
//! Runs in: anywhere. Touches nothing.

use serde_json::Value;

/// Wider fields are refused, as in Go: Rust's own formatting panics.
const WIDEST: usize = u16::MAX as usize;

/// `%v`.
pub(super) fn plain(value: &Value) -> String {
    Verb { letter: 'v', ..Verb::default() }.value(value)
}

/// A space stands between two operands when neither is a string.
pub(super) fn print(args: &[Value]) -> String {
    let mut text = String::new();
    let mut was_string = true;
    for arg in args {
        if !was_string && !arg.is_string() {
            text.push(' ');
        }
        text.push_str(&plain(arg));
        was_string = arg.is_string();
    }
    text
}

#[derive(Debug, Clone, Default)]
struct Verb {
    letter: char,
    /// Of `-+# 0`.
    flags: String,
    width: Option<usize>,
    precision: Option<usize>,
}

pub(super) fn format(format: &str, args: &[Value]) -> Result<String, String> {
    let mut text = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = chars.next_if(|c| "-+# 0".contains(*c)) {
            verb.flags.push(flag);
        }
        let mut number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if chars.next_if_eq(&'*').is_some() {
                let given = args.next().and_then(Value::as_i64);
                return given.map(|n| (n < 0, usize::try_from(n.unsigned_abs()).unwrap_or(0)));
            }
            let digits: String =
                std::iter::from_fn(|| chars.next_if(char::is_ascii_digit)).collect();
            digits.parse().ok().map(|n| (false, n))
        };
        if let Some((negative, width)) = number(&mut chars) {
            verb.flags.extend(negative.then_some('-'));
            verb.width = Some(width);
        }
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(&mut chars).map_or(0, |(_, n)| n));
        }
        if verb.width.max(verb.precision).is_some_and(|n| n > WIDEST) {
            return Err("a field is too wide".to_owned());
        }
        let Some(letter) = chars.next() else {
            text.push_str("%!(NOVERB)");
            break;
        };
        verb.letter = letter;
        if letter == '%' {
            text.push('%');
            continue;
        }
        match args.next() {
            Some(arg) => text.push_str(&verb.value(arg)),
            None => text.push_str(&format!("%!{letter}(MISSING)")),
        }
    }
    let extra: Vec<String> = args.map(|a| format!("{}={}", go_type(a), plain(a))).collect();
    if !extra.is_empty() {
        text.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(text)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

impl Verb {
    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn value(&self, value: &Value) -> String {
        if self.letter == 'T' {
            return self.padded(go_type(value), false);
        }
        match value {
            Value::Null if self.letter == 'v' => self.padded("<nil>", false),
            Value::Null => format!("%!{}(<nil>)", self.letter),
            Value::Bool(b) if matches!(self.letter, 'v' | 't') => {
                self.padded(&b.to_string(), false)
            }
            Value::String(s) => self.string(s).unwrap_or_else(|| self.bad(value)),
            Value::Number(n) => {
                let text = match n.as_i128() {
                    Some(n) => self.integer(n),
                    None => n.as_f64().and_then(|n| self.float(n)),
                };
                text.unwrap_or_else(|| self.bad(value))
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.value(item)).collect();
                format!("[{}]", items.join(" "))
            }
            Value::Object(map) => {
                let key = |key: &String| self.value(&Value::String(key.clone()));
                let items: Vec<String> =
                    map.iter().map(|(k, v)| format!("{}:{}", key(k), self.value(v))).collect();
                format!("map[{}]", items.join(" "))
            }
            Value::Bool(_) => self.bad(value),
        }
    }

    fn bad(&self, value: &Value) -> String {
        format!("%!{}({}={})", self.letter, go_type(value), plain(value))
    }

    /// In characters; zeros go behind the sign.
    fn padded(&self, text: &str, numeric: bool) -> String {
        let width = self.width.unwrap_or_default();
        let fill = width.saturating_sub(text.chars().count());
        if self.has('-') {
            return format!("{text}{:fill$}", "");
        }
        if self.has('0') && !(numeric && self.precision.is_some()) {
            let sign = text.len() - text.trim_start_matches(['+', '-', ' ']).len();
            let sign = if numeric { sign } else { 0 };
            let (sign, digits) = text.split_at(sign);
            return format!("{sign}{}{digits}", "0".repeat(fill));
        }
        format!("{:fill$}{text}", "")
    }

    fn string(&self, text: &str) -> Option<String> {
        let cut: String = match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text.to_owned(),
        };
        let shown = match self.letter {
            'v' | 's' => cut,
            'q' if self.has('#') && !cut.contains('`') => format!("`{cut}`"),
            'q' => quote(&cut),
            'x' => cut.bytes().map(|b| format!("{b:02x}")).collect(),
            'X' => cut.bytes().map(|b| format!("{b:02X}")).collect(),
            _ => return None,
        };
        Some(self.padded(&shown, false))
    }

    fn integer(&self, number: i128) -> Option<String> {
        let size = number.unsigned_abs();
        let letter = || u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
        let digits = match self.letter {
            'v' | 'd' => size.to_string(),
            'x' if self.has('#') => format!("{size:#x}"),
            'x' => format!("{size:x}"),
            'X' if self.has('#') => format!("0X{size:X}"),
            'X' => format!("{size:X}"),
            'o' if self.has('#') => format!("0{size:o}"),
            'o' => format!("{size:o}"),
            'O' => format!("{size:#o}"),
            'b' if self.has('#') => format!("{size:#b}"),
            'b' => format!("{size:b}"),
            'c' => return Some(self.padded(&letter().to_string(), false)),
            'q' => return Some(self.padded(&format!("{:?}", letter()), false)),
            'U' => return Some(self.padded(&format!("U+{size:04X}"), false)),
            _ => return None,
        };
        let missing = self.precision.unwrap_or_default().saturating_sub(digits.len());
        let digits = format!("{}{digits}", "0".repeat(missing));
        Some(self.padded(&(self.sign(number < 0).to_owned() + &digits), true))
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.has('+'), self.has(' ')) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    fn float(&self, number: f64) -> Option<String> {
        let size = number.abs();
        let digits = match self.letter {
            'f' | 'F' => format!("{size:.*}", self.precision.unwrap_or(6)),
            'e' => exponent(&format!("{size:.*e}", self.precision.unwrap_or(6))),
            'E' => exponent(&format!("{size:.*e}", self.precision.unwrap_or(6))).to_uppercase(),
            'v' | 'g' => general(size, self.precision),
            'G' => general(size, self.precision).to_uppercase(),
            _ => return None,
        };
        let text = self.sign(number.is_sign_negative()).to_owned() + &digits;
        Some(Self { precision: None, ..self.clone() }.padded(&text, true))
    }
}

/// Rust's `2.5e0` as C and Go have it: `2.5e+00`.
fn exponent(text: &str) -> String {
    let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

/// `%g`: with an exponent where it is below -4, or not below the precision (6 when there is none).
fn general(number: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(digits) => format!("{number:.*e}", digits.max(1) - 1),
        None => format!("{number:e}"),
    };
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    let digits = if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    };
    let limit = precision.map_or(6, |n| i32::try_from(n.max(1)).unwrap_or(i32::MAX));
    if power < -4 || power >= limit {
        return exponent(&format!("{digits}e{power}"));
    }
    let behind = i32::try_from(digits.len().saturating_sub(2)).unwrap_or_default();
    let behind = if digits.contains('.') { behind } else { 0 };
    let decimals = usize::try_from(behind - power).unwrap_or_default();
    format!("{number:.decimals$}")
}

/// As Go writes a string in its source.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
