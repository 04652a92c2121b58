//! One conversion specification of a format string: `%`, flags, width,
//! precision, size, conversion.
//!
//! The grammar is that of the kernel's own `printf`, which is Microsoft's: size
//! prefixes `I`, `I32`, `I64` and `w` beside those of C, and an `l` that means
//! 32 bits.

use ntbox_host::driver_mem::Fault;

/// The size prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// None: an `int`, or text of the function's own width.
    #[default]
    Natural,
    /// `hh`.
    Byte,
    /// `h`: 16 bits, or text of bytes.
    Short,
    /// `l`: 32 bits, or wide text.
    Long,
    /// `ll`, `I64`, `j`.
    Quad,
    /// `I`, `z`, `t`: the size of a pointer.
    Pointer,
    /// `I32`.
    Int32,
    /// `w`: wide text.
    Wide,
}

impl Size {
    /// Bits of an integer of this size.
    pub fn bits(self) -> u32 {
        match self {
            Self::Byte => 8,
            Self::Short => 16,
            Self::Natural | Self::Long | Self::Int32 | Self::Wide => 32,
            Self::Quad | Self::Pointer => 64,
        }
    }

    /// Whether text of this size is wide, in a function whose own text is wide
    /// or not.
    pub fn is_wide(self, natural: bool) -> bool {
        match self {
            Self::Long | Self::Quad | Self::Wide => true,
            Self::Short | Self::Byte => false,
            Self::Natural | Self::Pointer | Self::Int32 => natural,
        }
    }
}

/// A conversion specification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "five independent flags are what printf has"
)]
pub struct Spec {
    /// `-`: padding goes to the right.
    pub left: bool,
    /// `+`: a sign even for positive numbers.
    pub plus: bool,
    /// A blank where a plus sign would go.
    pub blank: bool,
    /// `#`: the prefix of the base.
    pub alternate: bool,
    /// `0`: padding with zeros.
    pub zero: bool,
    /// Smallest number of characters.
    pub width: u32,
    /// Digits of a number or most characters of a text.
    pub precision: Option<u32>,
    /// The size prefix.
    pub size: Size,
    /// The conversion: a letter; NUL if the format ends before it.
    pub conversion: u8,
    /// The specification as written, from the `%` on.
    pub text: String,
}

/// The part of a format string that is still to be read.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u32],
}

impl<'a> Cursor<'a> {
    /// At the start of a format, whose units are bytes or UTF-16.
    pub fn new(units: &'a [u32]) -> Self {
        Self { rest: units }
    }

    /// Takes the next unit.
    pub fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Takes the next unit into `text` if it is a byte that `wanted` says yes to.
    fn take(&mut self, text: &mut String, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        let byte = self
            .rest
            .first()
            .and_then(|unit| u8::try_from(*unit).ok())
            .filter(|byte| wanted(*byte))?;
        text.push(char::from(byte));
        self.next();
        Some(byte)
    }

    /// Takes these bytes if they come next.
    fn take_all(&mut self, text: &mut String, wanted: &str) -> bool {
        let comes = self.rest.len() >= wanted.len()
            && wanted
                .bytes()
                .zip(self.rest)
                .all(|(byte, unit)| u32::from(byte) == *unit);
        if comes {
            text.push_str(wanted);
            self.rest = &self.rest[wanted.len()..];
        }
        comes
    }
}

/// Reads the specification that follows a `%`. `star` gives the value of the
/// argument for a `*`.
pub fn parse(
    format: &mut Cursor<'_>,
    mut star: impl FnMut() -> Result<u64, Fault>,
) -> Result<Spec, Fault> {
    let mut spec = Spec {
        text: "%".to_owned(),
        ..Spec::default()
    };
    while let Some(flag) = format.take(&mut spec.text, |byte| b"-+ #0".contains(&byte)) {
        match flag {
            b'-' => spec.left = true,
            b'+' => spec.plus = true,
            b' ' => spec.blank = true,
            b'#' => spec.alternate = true,
            _ => spec.zero = true,
        }
    }
    let width = number(format, &mut spec.text, &mut star)?;
    spec.left |= width < 0;
    spec.width = width.unsigned_abs();
    if format.take(&mut spec.text, |byte| byte == b'.').is_some() {
        spec.precision = u32::try_from(number(format, &mut spec.text, &mut star)?).ok();
    }
    spec.size = size(format, &mut spec.text);
    spec.conversion = format.take(&mut spec.text, |_| true).unwrap_or(0);
    Ok(spec)
}

/// Digits or a `*`; 0 if there is neither. Absurd numbers are cut, not wrapped.
fn number(
    format: &mut Cursor<'_>,
    text: &mut String,
    star: &mut impl FnMut() -> Result<u64, Fault>,
) -> Result<i32, Fault> {
    if format.take(text, |byte| byte == b'*').is_some() {
        let slot = star()? & u64::from(u32::MAX);
        return Ok(u32::try_from(slot).unwrap_or(0).cast_signed());
    }
    let mut value = 0_i32;
    while let Some(digit) = format.take(text, |byte| byte.is_ascii_digit()) {
        value = value
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'));
    }
    Ok(value)
}

/// The size prefixes; the last one counts.
fn size(format: &mut Cursor<'_>, text: &mut String) -> Size {
    const PREFIXES: [(&str, Option<Size>); 12] = [
        ("hh", Some(Size::Byte)),
        ("h", Some(Size::Short)),
        ("ll", Some(Size::Quad)),
        ("l", Some(Size::Long)),
        ("w", Some(Size::Wide)),
        ("I64", Some(Size::Quad)),
        ("I32", Some(Size::Int32)),
        ("I", Some(Size::Pointer)),
        ("j", Some(Size::Quad)),
        ("z", Some(Size::Pointer)),
        ("t", Some(Size::Pointer)),
        // For long doubles, which the kernel does not print.
        ("L", None),
    ];
    let mut size = Size::Natural;
    while let Some((_, found)) = PREFIXES
        .iter()
        .find(|(prefix, _)| format.take_all(text, prefix))
    {
        size = found.unwrap_or(size);
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(text: &str, star: u64) -> Spec {
        let units: Vec<u32> = text.bytes().map(u32::from).collect();
        parse(&mut Cursor::new(&units), || Ok(star)).expect("no argument is read from memory")
    }

    fn parse_text(text: &str) -> Spec {
        parse_with(text, 7)
    }

    #[test]
    fn parse_flags_in_any_order() {
        let spec = parse_text("-0 +#+d");
        assert!(spec.left && spec.zero && spec.blank && spec.plus && spec.alternate);
        assert_eq!(spec.conversion, b'd');
        assert_eq!(spec.text, "%-0 +#+d");
    }

    #[test]
    fn parse_width_and_precision() {
        let spec = parse_text("12.34x");
        assert_eq!((spec.width, spec.precision), (12, Some(34)));
        let spec = parse_text("*.*x");
        assert_eq!((spec.width, spec.precision), (7, Some(7)));
        let spec = parse_text(".x");
        assert_eq!((spec.width, spec.precision), (0, Some(0)));
        assert_eq!(parse_text("99999999999999d").width, i32::MAX.unsigned_abs());
    }

    #[test]
    fn parse_negative_star_arguments() {
        let spec = parse_with("*.*s", u64::from((-5_i32).cast_unsigned()));
        assert!(spec.left);
        assert_eq!((spec.width, spec.precision), (5, None));
        // The upper half of the slot does not count.
        let spec = parse_with("*s", 0xdead_beef_0000_0005);
        assert_eq!((spec.left, spec.width), (false, 5));
    }

    #[test]
    fn parse_size_prefixes() {
        for (text, size) in [
            ("d", Size::Natural),
            ("hd", Size::Short),
            ("hhd", Size::Byte),
            ("ld", Size::Long),
            ("lld", Size::Quad),
            ("I64d", Size::Quad),
            ("I32d", Size::Int32),
            ("Id", Size::Pointer),
            ("zd", Size::Pointer),
            ("td", Size::Pointer),
            ("jd", Size::Quad),
            ("ws", Size::Wide),
        ] {
            let spec = parse_text(text);
            assert_eq!(
                (spec.size, spec.text.len()),
                (size, text.len() + 1),
                "{text}"
            );
        }
    }

    #[test]
    fn parse_truncated_specification() {
        for text in ["", "-", "5", "5.", "l", "I6", "I"] {
            let spec = parse_text(text);
            let expected = if text == "I6" { b'6' } else { 0 };
            assert_eq!(spec.conversion, expected, "{text}");
        }
    }
}
