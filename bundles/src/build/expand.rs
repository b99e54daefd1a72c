//! Variables in the words of a Dockerfile: `$NAME`, `${NAME}` and the forms with a modifier, as a
//! POSIX shell has them; quotes and escapes go.
//!
//! Runs in: pure. See "Environment replacement" of the Dockerfile reference, and "Parameter
//! Expansion" of POSIX.1.

use std::fmt;

/// Words inside of words: `${a:-${b:-…}}`.
const DEEPEST: usize = 32;

/// What the variables of one word may give, in bytes: the kernel takes no longer string for a program
/// (`MAX_ARG_STRLEN`), and variables made of variables double with each line.
const LONGEST: usize = 128 << 10;

/// The value that a pattern is looked for in, in bytes: the time grows with its square.
const LONGEST_SEARCHED: usize = 16 << 10;

/// The value of a variable, if it has one.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A word that can't be understood; the offset is in bytes, from its beginning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) offset: usize,
    text: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One word, whatever its variables contain.
pub(crate) fn word(text: &str, escape: char, lookup: &Lookup<'_>) -> Result<String, Wrong> {
    let mut reader = Reader { text, at: 0, escape, lookup, depth: 0, given: 0 };
    reader.until(None).map(|made| made.text)
}

/// The same, where blanks in the values of variables split it.
pub(crate) fn words(text: &str, escape: char, lookup: &Lookup<'_>) -> Result<Vec<String>, Wrong> {
    let mut reader = Reader { text, at: 0, escape, lookup, depth: 0, given: 0 };
    let made = reader.until(None)?;
    let mut words = vec![String::new()];
    for (at, c) in made.text.char_indices() {
        let splits = c.is_whitespace() && made.open.iter().any(|open| open.contains(&at));
        match words.last_mut() {
            Some(word) if !splits => word.push(c),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

/// Of a here-document: variables, and no quotes.
pub(crate) fn document(text: &str, escape: char, lookup: &Lookup<'_>) -> Result<String, Wrong> {
    let mut reader = Reader { text, at: 0, escape, lookup, depth: 0, given: 0 };
    let mut made = String::new();
    while let Some(c) = reader.next() {
        match c {
            '$' => made.push_str(&reader.variable()?),
            c if c == escape && reader.peek().is_some_and(|next| next == '$' || next == escape) => {
                made.extend(reader.next());
            }
            c => made.push(c),
        }
    }
    Ok(made)
}

/// What was read, and the parts of it that nobody quoted and variables gave.
#[derive(Default)]
struct Made {
    text: String,
    open: Vec<std::ops::Range<usize>>,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    escape: char,
    lookup: &'a Lookup<'a>,
    depth: usize,
    /// Bytes that variables have given so far.
    given: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn wrong<T>(&self, text: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong { offset: self.at, text: text.into() })
    }

    /// To the end, or to a character that stands in no quotes; that is taken too.
    fn until(&mut self, stop: Option<&[char]>) -> Result<Made, Wrong> {
        let mut made = Made::default();
        let begin = self.at;
        while let Some(c) = self.next() {
            match c {
                c if stop.is_some_and(|stop| stop.contains(&c)) => {
                    self.at -= c.len_utf8();
                    return Ok(made);
                }
                '\'' => self.quoted(&mut made.text)?,
                '"' => self.double_quoted(&mut made.text)?,
                '$' => {
                    let from = made.text.len();
                    made.text.push_str(&self.variable()?);
                    made.open.push(from..made.text.len());
                }
                c if c == self.escape => made.text.extend(self.next()),
                c => made.text.push(c),
            }
        }
        if stop.is_some() {
            self.at = begin;
            return self.wrong("no } ends ${");
        }
        Ok(made)
    }

    fn quoted(&mut self, made: &mut String) -> Result<(), Wrong> {
        let begin = self.at - 1;
        while let Some(c) = self.next() {
            if c == '\'' {
                return Ok(());
            }
            made.push(c);
        }
        self.at = begin;
        self.wrong("no second ' ends the quotation")
    }

    /// Inside, the escape is one only before what has a meaning there.
    fn double_quoted(&mut self, made: &mut String) -> Result<(), Wrong> {
        let begin = self.at - 1;
        while let Some(c) = self.next() {
            match c {
                '"' => return Ok(()),
                '$' => made.push_str(&self.variable()?),
                c if c == self.escape => match self.peek() {
                    Some(next) if next == '"' || next == '$' || next == self.escape => {
                        made.extend(self.next());
                    }
                    _ => made.push(c),
                },
                c => made.push(c),
            }
        }
        self.at = begin;
        self.wrong("no second \" ends the quotation")
    }

    /// Behind a `$`.
    fn variable(&mut self) -> Result<String, Wrong> {
        let begin = self.at - 1;
        let value = self.value()?;
        self.given += value.len();
        if self.given > LONGEST {
            self.at = begin;
            return self.wrong(format!("variables give more than {LONGEST} bytes"));
        }
        Ok(value)
    }

    fn value(&mut self) -> Result<String, Wrong> {
        if self.take('{') {
            return self.braced();
        }
        let lookup = self.lookup;
        match self.name() {
            "" => Ok("$".to_owned()),
            name => Ok(lookup(name).unwrap_or_default()),
        }
    }

    /// A name, or one of the parameters that only shells have: those are empty here.
    fn name(&mut self) -> &str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let length = match rest.chars().next() {
            Some(c) if is_first(c) => {
                rest.find(|c: char| !is_first(c) && !c.is_ascii_digit()).unwrap_or(rest.len())
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => 1,
            _ => 0,
        };
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn braced(&mut self) -> Result<String, Wrong> {
        let begin = self.at - 2;
        let name = self.name().to_owned();
        if name.is_empty() {
            self.at = begin;
            return self.wrong("${ needs a name");
        }
        let value = (self.lookup)(&name);
        let colon = self.take(':');
        let Some(sign) = self.next() else {
            self.at = begin;
            return self.wrong("no } ends ${");
        };
        match sign {
            '}' if !colon => Ok(value.unwrap_or_default()),
            '-' | '+' | '?' => {
                let rest = self.inner(&['}'])?;
                self.at += 1;
                let value = value.filter(|value| !colon || !value.is_empty());
                match (sign, value) {
                    ('-', value) => Ok(value.unwrap_or(rest)),
                    ('+', value) => Ok(value.map(|_| rest).unwrap_or_default()),
                    (_, Some(value)) => Ok(value),
                    (_, None) => {
                        self.at = begin;
                        let why =
                            if rest.is_empty() { "is not allowed to be unset" } else { &rest };
                        self.wrong(format!("{name}: {why}"))
                    }
                }
            }
            '#' | '%' | '/'
                if !colon && value.as_ref().is_some_and(|value| value.len() > LONGEST_SEARCHED) =>
            {
                self.at = begin;
                self.wrong(format!("{name}: more than {LONGEST_SEARCHED} bytes, for a pattern"))
            }
            '#' | '%' if !colon => {
                let longest = self.take(sign);
                let pattern = Pattern::of(&self.raw(&['}'])?);
                self.at += 1;
                let value = value.unwrap_or_default();
                Ok(if sign == '#' {
                    pattern.without_begin(&value, longest)
                } else {
                    pattern.without_end(&value, longest)
                })
            }
            '/' if !colon => {
                let all = self.take('/');
                let pattern = Pattern::of(&self.raw(&['/', '}'])?);
                let new = if self.next() == Some('/') {
                    let new = self.inner(&['}'])?;
                    self.at += 1;
                    new
                } else {
                    String::new()
                };
                Ok(pattern.replaced(&value.unwrap_or_default(), &new, all))
            }
            _ => {
                self.at = begin;
                let colon = if colon { ":" } else { "" };
                self.wrong(format!("${{{name}{colon}{sign}: an unknown modifier"))
            }
        }
    }

    /// A word inside of braces.
    fn inner(&mut self, stop: &[char]) -> Result<String, Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.wrong(format!("more than {DEEPEST} words in one another"));
        }
        let made = self.until(Some(stop));
        self.depth -= 1;
        made.map(|made| made.text)
    }

    /// A pattern: escapes stay in it, variables have their values.
    fn raw(&mut self, stop: &[char]) -> Result<String, Wrong> {
        let begin = self.at;
        let mut made = String::new();
        while let Some(c) = self.peek() {
            if stop.contains(&c) {
                return Ok(made);
            }
            self.next();
            match c {
                '$' => {
                    self.depth += 1;
                    if self.depth > DEEPEST {
                        return self.wrong(format!("more than {DEEPEST} words in one another"));
                    }
                    made.push_str(&self.variable()?);
                    self.depth -= 1;
                }
                '\\' => {
                    made.push(c);
                    made.extend(self.next());
                }
                c => made.push(c),
            }
        }
        self.at = begin;
        self.wrong("no } ends ${")
    }
}

/// `*` and `?`, and anything else as it is.
struct Pattern(Vec<Part>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Is(char),
}

impl Pattern {
    fn of(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Is(chars.next().unwrap_or('\\')),
                c => Part::Is(c),
            });
        }
        Self(parts)
    }

    /// The shortest and the longest beginning that fits, in characters.
    fn begins(&self, text: impl Iterator<Item = char>) -> Option<(usize, usize)> {
        let last = self.0.len();
        // Where in the pattern one may be after the characters so far.
        let mut places = vec![false; last + 1];
        self.reach(&mut places, 0);
        let mut found = None;
        let mut length = 0;
        let mut text = text;
        loop {
            if places.last() == Some(&true) {
                found = Some((found.map_or(length, |(shortest, _)| shortest), length));
            }
            let Some(c) = text.next().filter(|_| places.contains(&true)) else { return found };
            length += 1;
            let mut next = vec![false; last + 1];
            for (at, part) in
                self.0.iter().enumerate().filter(|(at, _)| places.get(*at) == Some(&true))
            {
                match part {
                    Part::Any => self.reach(&mut next, at),
                    Part::One => self.reach(&mut next, at + 1),
                    Part::Is(wanted) if *wanted == c => self.reach(&mut next, at + 1),
                    Part::Is(_) => {}
                }
            }
            places = next;
        }
    }

    /// A `*` may also be nothing.
    fn reach(&self, places: &mut [bool], from: usize) {
        for (at, place) in places.iter_mut().enumerate().skip(from) {
            *place = true;
            if self.0.get(at) != Some(&Part::Any) {
                break;
            }
        }
    }

    fn without_begin(&self, value: &str, longest: bool) -> String {
        let found = self.begins(value.chars());
        let length = found.map_or(0, |(short, long)| if longest { long } else { short });
        value.chars().skip(length).collect()
    }

    fn without_end(&self, value: &str, longest: bool) -> String {
        let backwards = Self(self.0.iter().rev().copied().collect());
        let found = backwards.begins(value.chars().rev());
        let length = found.map_or(0, |(short, long)| if longest { long } else { short });
        value.chars().take(value.chars().count() - length).collect()
    }

    /// The longest match counts, the leftmost first. What is too long already gets no longer.
    fn replaced(&self, value: &str, new: &str, all: bool) -> String {
        let mut made = String::new();
        let mut rest = value.chars();
        let mut goes_on = true;
        loop {
            let found = self.begins(rest.clone()).filter(|(_, longest)| goes_on && *longest > 0);
            if made.len() > LONGEST {
                return made;
            }
            if let Some((_, longest)) = found {
                made.push_str(new);
                rest.nth(longest - 1);
                goes_on = all;
            } else if let Some(c) = rest.next() {
                made.push(c);
            } else {
                return made;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        let value = match name {
            "A" => "one",
            "EMPTY" => "",
            "PATHS" => "/usr/local/bin",
            "LIST" => "a b  c",
            "NAME" => "foo.tar.gz",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn made(text: &str) -> String {
        word(text, '\\', &lookup).unwrap()
    }

    /// Billions of laughs: each line has twice what the one before has.
    #[test]
    fn variables_that_grow_without_end_are_refused() {
        let long = "a".repeat(LONGEST / 2);
        let laughs = |name: &str| match name {
            "A" => Some(long.clone()),
            "B" => Some("a".repeat(LONGEST_SEARCHED)),
            _ => None,
        };
        let told = |text: &str| word(text, '\\', &laughs).map(drop).unwrap_err();
        assert_eq!(word("$A$A", '\\', &laughs).unwrap().len(), LONGEST);
        let wrong = told("x $A${A}\"$A\"");
        assert_eq!(
            (wrong.offset, wrong.text),
            (9, "variables give more than 131072 bytes".to_owned())
        );
        assert_eq!(told("${B//a/$B}").text, "variables give more than 131072 bytes");
        assert_eq!(told("x${A%z}").text, "A: more than 16384 bytes, for a pattern");
        assert_eq!(word("${B##*z}", '\\', &laughs).unwrap().len(), LONGEST_SEARCHED);
        assert_eq!(document("$A$A$A", '\\', &laughs).unwrap_err().offset, 4);
    }

    #[test]
    fn variables_have_their_values() {
        for (text, value) in [
            ("$A-$B.", "one-."),
            ("${A}b$Ab", "oneb"),
            ("$", "$"),
            ("a$.b", "a$.b"),
            ("$1x$$", "x"),
            ("\\$A \\a", "$A a"),
            ("'$A \\x'", "$A \\x"),
            ("\"$A \\$A \\\" \\x \\\\\"", "one $A \" \\x \\"),
            ("\"a\"'b'c", "abc"),
            ("é${A}é", "éoneé"),
            ("a\\", "a"),
        ] {
            assert_eq!(made(text), value, "{text}");
        }
        assert_eq!(word("`$A\\x", '`', &lookup).unwrap(), "$A\\x");
    }

    #[test]
    fn modifiers_are_those_of_a_shell() {
        for (text, value) in [
            ("${A:-x}${B:-x}${EMPTY:-x}${EMPTY-x}", "onexx"),
            ("${A:+x}${B:+x}${EMPTY:+x}${EMPTY+y}", "xy"),
            ("${B:-\"a } b\"}", "a } b"),
            ("${B:-${C:-$A}}", "one"),
            ("${A:?no}${EMPTY?no}", "one"),
            ("${PATHS#/*/}${PATHS##/*/}", "local/binbin"),
            ("${PATHS%/*} ${PATHS%%/*}", "/usr/local "),
            ("${NAME%.*} ${NAME%%.*} ${NAME#?oo}", "foo.tar foo .tar.gz"),
            (
                "${NAME/o/0} ${NAME//o/0} ${NAME/.*/} ${NAME//[/x}",
                "f0o.tar.gz f00.tar.gz foo foo.tar.gz",
            ),
            ("${PATHS//\\//:}", ":usr:local:bin"),
            ("${NAME/o}", "fo.tar.gz"),
            ("${B#x}${B/x/y}", ""),
        ] {
            assert_eq!(made(text), value, "{text}");
        }
    }

    #[test]
    fn wrong_words_are_told_with_their_place() {
        for (text, offset, told) in [
            ("ab${", 2, "${ needs a name"),
            ("ab${A", 2, "no } ends ${"),
            ("${A:-b", 5, "no } ends ${"),
            ("${A:}", 0, "${A:}: an unknown modifier"),
            ("x${A^}", 1, "${A^: an unknown modifier"),
            ("x'a", 1, "no second ' ends the quotation"),
            ("\"a", 0, "no second \" ends the quotation"),
            ("-${B:?must be set}", 1, "B: must be set"),
            ("${B?}", 0, "B: is not allowed to be unset"),
        ] {
            let wrong = word(text, '\\', &lookup).unwrap_err();
            assert_eq!((wrong.offset, wrong.text.as_str()), (offset, told), "{text}");
        }
        let deep = "${B:-".repeat(100) + &"}".repeat(100);
        assert!(word(&deep, '\\', &lookup).unwrap_err().text.starts_with("more than 32 words"));
        let deep = "${B#".repeat(100) + &"}".repeat(100);
        assert!(word(&deep, '\\', &lookup).is_err());
    }

    #[test]
    fn blanks_of_variables_split() {
        let made = |text: &str| words(text, '\\', &lookup).unwrap();
        assert_eq!(made("x$LIST"), ["xa", "b", "c"]);
        assert_eq!(made("\"$LIST\""), ["a b  c"]);
        assert!(made("$EMPTY").is_empty());
    }

    #[test]
    fn documents_keep_their_quotes() {
        let made = document("'$A' \"\\$A\" \\x \\\\\n", '\\', &lookup).unwrap();
        assert_eq!(made, "'one' \"$A\" \\x \\\n");
    }

    #[test]
    fn patterns_take_no_time() {
        let value = "a".repeat(2000);
        let pattern = Pattern::of(&("*a".repeat(50) + "b"));
        assert_eq!(pattern.begins(value.chars()), None);
        assert_eq!(Pattern::of("*").without_begin(&value, true), "");
        assert_eq!(Pattern::of("*").replaced(&value, "b", true), "b");
    }
}
