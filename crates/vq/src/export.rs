//! Blocks for other programs: comma-separated values and JSON, with the numbers of
//! Windows where the listing has letters, so that nothing is lost.

use std::io::{self, Write};

use serde::Serialize;

use crate::Block;

/// The first line of comma-separated values.
pub const CSV_HEADER: &str = "allocation_base,base,size,state,type,protection,\
                              allocation_protection,protection_number,\
                              allocation_protection_number";

/// A block as a line of comma-separated values. No value has a comma in it.
///
/// # Errors
///
/// Those of the writer.
pub fn csv(block: &Block, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:#x},{:#x},{},{},{},{},{},{:#x},{:#x}",
        block.allocation_base,
        block.base,
        block.size,
        block.state.name(),
        block.kind.map_or("", crate::Kind::name),
        block.protection,
        block.allocation_protection,
        block.protection.0,
        block.allocation_protection.0,
    )
}

/// Writes what stands before a block's values if there are several processes: the
/// number of its own, and the name of the program.
///
/// # Errors
///
/// Those of the writer.
pub fn csv_process(pid: u32, program: &str, out: &mut impl Write) -> io::Result<()> {
    if program.contains([',', '"', '\n', '\r']) {
        write!(out, "{pid},\"{}\",", program.replace('"', "\"\""))
    } else {
        write!(out, "{pid},{program},")
    }
}

/// A block as an object. Addresses are texts, as numbers of 64 bits get lost in
/// some readers of JSON.
#[derive(Debug, Serialize)]
pub struct Object {
    allocation_base: String,
    base: String,
    size: u64,
    state: &'static str,
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    protection: String,
    allocation_protection: String,
    protection_number: u32,
    allocation_protection_number: u32,
}

impl From<&Block> for Object {
    fn from(block: &Block) -> Self {
        Self {
            allocation_base: address(block.allocation_base),
            base: address(block.base),
            size: block.size,
            state: block.state.name(),
            kind: block.kind.map(crate::Kind::name),
            protection: block.protection.to_string(),
            allocation_protection: block.allocation_protection.to_string(),
            protection_number: block.protection.0,
            allocation_protection_number: block.allocation_protection.0,
        }
    }
}

/// An address as a text.
#[must_use]
pub fn address(address: u64) -> String {
    format!("{address:#018x}")
}

/// Writes an array of objects one by one, so that none has to be kept.
#[derive(Debug)]
pub struct Array<W> {
    out: W,
    is_first: bool,
}

impl<W: Write> Array<W> {
    /// Begins the array.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(b"[")?;
        Ok(Self {
            out,
            is_first: true,
        })
    }

    /// Adds a value, on a line of its own.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        let before: &[u8] = if self.is_first { b"\n" } else { b",\n" };
        self.is_first = false;
        self.out.write_all(before)?;
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)
    }

    /// Ends the array.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn end(mut self) -> io::Result<W> {
        self.out.write_all(b"\n]\n")?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Protection, State};

    const BLOCK: Block = Block {
        allocation_base: 0x6_0000,
        base: 0x15_B000,
        size: 8192,
        state: State::Committed,
        kind: Some(Kind::Private),
        protection: Protection(0x104),
        allocation_protection: Protection(0x4000_0004),
    };

    #[test]
    fn csv_has_names_and_numbers() {
        let mut out = Vec::new();
        csv(&BLOCK, &mut out).expect("memory");
        csv(&Block::free(0, 4096), &mut out).expect("memory");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "0x60000,0x15b000,8192,Committed,Private,--GRW--,---RW--,0x104,0x40000004\n\
             0x0,0x0,4096,Free,,,,0x0,0x0\n"
        );
    }

    #[test]
    fn csv_quotes_process_names() {
        let mut out = Vec::new();
        csv_process(4, "System", &mut out).expect("memory");
        csv_process(8, "a, \"b\".exe", &mut out).expect("memory");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "4,System,8,\"a, \"\"b\"\".exe\",");
    }

    #[test]
    fn json_array_is_one_value() {
        for count in 0..3 {
            let mut array = Array::begin(Vec::new()).expect("memory");
            for _ in 0..count {
                array.push(&Object::from(&BLOCK)).expect("memory");
            }
            let bytes = array.end().expect("memory");
            let value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            let objects = value.as_array().expect("an array");
            assert_eq!(objects.len(), count);
            if let Some(object) = objects.first() {
                assert_eq!(object["base"], "0x000000000015b000");
                assert_eq!(object["type"], "Private");
                assert_eq!(object["allocation_protection_number"], 0x4000_0004);
            }
        }
    }
}
