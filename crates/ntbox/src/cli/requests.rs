//! Requests as words of the command line: what to send to a device, and the data
//! that goes with it.

use std::path::Path;

use crate::{Handle, Operation, host_file};

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A control code with input and room for output.
    Control {
        /// The code.
        code: u32,
        /// What the driver gets.
        input: Vec<u8>,
        /// Room for output.
        output: u32,
    },
    /// A read of so many bytes.
    Read {
        /// How many.
        length: u32,
        /// Byte offset.
        offset: u64,
    },
    /// A write.
    Write {
        /// What is written.
        data: Vec<u8>,
        /// Byte offset.
        offset: u64,
    },
    /// No request: the program sleeps.
    Wait {
        /// How long.
        milliseconds: u32,
    },
}

impl Ask {
    /// The request on an open handle; `handle` of [`Ask::Wait`] is an event's.
    pub fn operation(&self, handle: Handle) -> Operation {
        match self {
            Self::Wait { milliseconds } => Operation::Wait {
                handle,
                milliseconds: Some(*milliseconds),
            },
            Self::Control {
                code,
                input,
                output,
            } => Operation::Control {
                handle,
                code: *code,
                input: input.clone(),
                output: vec![0; *output as usize],
            },
            Self::Read { length, offset } => Operation::Read {
                handle,
                offset: *offset,
                length: *length,
            },
            Self::Write { data, offset } => Operation::Write {
                handle,
                offset: *offset,
                data: data.clone(),
            },
        }
    }

    /// What it is, for a person.
    pub fn name(&self) -> String {
        match self {
            Self::Wait { milliseconds } => format!("wait of {milliseconds} ms"),
            Self::Control { code, .. } => format!("control {code:#010x}"),
            Self::Read { length, offset } => format!("read of {length} bytes at {offset:#x}"),
            Self::Write { data, offset } => format!("write of {} bytes at {offset:#x}", data.len()),
        }
    }
}

/// Most bytes of one buffer.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a request: `control=CODE[,in=DATA][,out=BYTES]`, `read=BYTES[,at=OFFSET]`,
/// `write=DATA[,at=OFFSET]` or `wait=MILLISECONDS`.
pub fn request(text: &str) -> Result<Ask, String> {
    let mut parts = text.split(',');
    let (kind, value) = split(parts.next().unwrap_or_default())?;
    let mut extra = Extra::default();
    for part in parts {
        let (key, value) = split(part)?;
        match (kind, key) {
            ("control", "in") => extra.input = data(value)?,
            ("control", "out") => extra.output = bytes(value)?,
            ("read" | "write", "at") => extra.offset = number(value)?,
            _ => return Err(format!("`{key}=` does not go with `{kind}=`")),
        }
    }
    match kind {
        "control" => Ok(Ask::Control {
            code: control_code(value)?,
            input: extra.input,
            output: extra.output,
        }),
        "read" => Ok(Ask::Read {
            length: bytes(value)?,
            offset: extra.offset,
        }),
        "write" => Ok(Ask::Write {
            data: data(value)?,
            offset: extra.offset,
        }),
        "wait" => Ok(Ask::Wait {
            milliseconds: u32::try_from(number(value)?)
                .map_err(|_| format!("`{value}` ms are too many"))?,
        }),
        _ => Err(format!(
            "`{kind}` is no request; write control=CODE, read=BYTES, write=DATA or wait=MILLISECONDS"
        )),
    }
}

/// What follows the first part of a request.
#[derive(Default)]
struct Extra {
    input: Vec<u8>,
    output: u32,
    offset: u64,
}

fn split(part: &str) -> Result<(&str, &str), String> {
    part.split_once('=')
        .ok_or_else(|| format!("`{part}` should be KEY=VALUE, such as control=0x222000"))
}

/// A control code. One without `0x` is decimal, as all numbers are; but in documents
/// control codes are hexadecimal, so what it would be then must not be a common code.
fn control_code(text: &str) -> Result<u32, String> {
    let code = u32::try_from(number(text)?)
        .map_err(|_| format!("`{text}` is too large for a control code"))?;
    match u32::from_str_radix(text, 16) {
        Ok(meant) if is_driver_code(meant) && !is_driver_code(code) => Err(format!(
            "`{text}` is decimal, {code:#x}; write 0x{text} for the hexadecimal code"
        )),
        _ => Ok(code),
    }
}

/// Whether a control code is of the device types that drivers use: `FILE_DEVICE_UNKNOWN`,
/// or those that are no system's.
fn is_driver_code(code: u32) -> bool {
    matches!(code >> 16, 0x22 | 0x8000..)
}

/// A number, decimal or `0x` hexadecimal.
fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is not a number; write it as 4096 or 0x1000"))
}

fn bytes(text: &str) -> Result<u32, String> {
    let count = number(text)?;
    if count > MAX_BYTES {
        return Err(format!(
            "{count} bytes are too many; {MAX_BYTES} are the limit"
        ));
    }
    u32::try_from(count).map_err(|error| error.to_string())
}

/// Data: `hex:…`, `text:…` (UTF-8) or `file:…`.
fn data(text: &str) -> Result<Vec<u8>, String> {
    match text.split_once(':') {
        Some(("hex", digits)) => hex(digits),
        Some(("text", text)) => Ok(text.as_bytes().to_vec()),
        Some(("file", path)) => {
            let read = host_file::read(Path::new(path), MAX_BYTES);
            read.map_err(|error| format!("cannot read {path}: {error}"))
        }
        _ => Err(format!(
            "`{text}` is no data; write hex:0a0b, text:hello or file:PATH"
        )),
    }
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{digits}` is not hexadecimal; two digits make a byte, as in hex:00ff");
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| {
            let byte = value(pair[0])
                .zip(value(pair[1]))
                .map(|(high, low)| high << 4 | low);
            byte.and_then(|byte| u8::try_from(byte).ok())
                .ok_or_else(wrong)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_parsed() {
        assert_eq!(
            request("control=0x222000,in=hex:00fF,out=16"),
            Ok(Ask::Control {
                code: 0x22_2000,
                input: vec![0, 255],
                output: 16
            })
        );
        assert_eq!(
            request("read=8,at=0x10"),
            Ok(Ask::Read {
                length: 8,
                offset: 16
            })
        );
        assert_eq!(request("wait=250"), Ok(Ask::Wait { milliseconds: 250 }));
        // 0x222000 in decimal.
        let decimal = request("control=2236416").expect("a control code");
        assert_eq!(decimal.name(), "control 0x00222000");
        assert_eq!(
            request("write=text:a=b:c"),
            Ok(Ask::Write {
                data: b"a=b:c".to_vec(),
                offset: 0
            })
        );
    }

    #[test]
    fn request_invalid_has_reason() {
        for (text, reason) in [
            ("control", "should be KEY=VALUE"),
            ("control=x", "not a number"),
            ("control=0x100000000", "too large"),
            ("control=222000", "write 0x222000"),
            ("control=80002000", "write 0x80002000"),
            ("control=1,at=2", "does not go with"),
            ("control=1,in=hex:0", "two digits make a byte"),
            ("control=1,in=hex:zz", "two digits make a byte"),
            ("control=1,in=0102", "is no data"),
            ("write=file:/nowhere/at/all", "cannot read"),
            ("read=99999999999", "too many"),
            ("wait=0x100000000", "too many"),
            ("open=1", "is no request"),
        ] {
            let error = request(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
