//! Commands that try out the kernel's memory routines: their replies are numbers
//! with names, and one takes a range of memory.

use clap::Args;
use nt_status::Named;
use ntmem_ioctl::{
    Command, HeldReply, ListReply, LookasideReply, MemoryReply, PoolReply, ProbeReply,
    ProbeRequest, SyncReply, TimeReply,
};
use serde_json::{Map, Value, json};
use zerocopy::{FromBytes, IntoBytes};

use ntbox_api::parse::number;

use crate::args::Ask;
use crate::questions::Question;

/// A range of the caller's memory that the driver probes.
#[derive(Debug, Args)]
pub struct Probe {
    /// The range's address, decimal or 0x hexadecimal.
    #[arg(long, default_value = "0", value_parser = number)]
    pub address: u64,
    /// Its length in bytes.
    #[arg(long, default_value = "1", value_parser = number)]
    pub length: u64,
    /// What it has to be aligned to: 1, 2, 4, 8 or 16.
    #[arg(long, default_value_t = 1)]
    pub alignment: u32,
    /// Probe for writing.
    #[arg(long)]
    pub write: bool,
    #[command(flatten)]
    pub ask: Ask,
}

impl Probe {
    pub fn question(&self) -> Question {
        let request = ProbeRequest {
            address: self.address,
            len: self.length,
            alignment: self.alignment,
            for_writing: self.write.into(),
        };
        Question::with(Command::Probe, request.as_bytes().to_vec())
    }
}

/// The names of a command's numbers; `None` if it has none.
fn names(command: Command) -> Option<&'static [&'static str]> {
    Some(match command {
        Command::Pool => PoolReply::NAMES,
        Command::List => ListReply::NAMES,
        Command::Lookaside => LookasideReply::NAMES,
        Command::Memory => MemoryReply::NAMES,
        Command::Sync => SyncReply::NAMES,
        Command::Time => TimeReply::NAMES,
        Command::Held => HeldReply::NAMES,
        Command::Probe => ProbeReply::NAMES,
        _ => return None,
    })
}

/// The fields of a reply by name; `None` if it has not the size of one.
pub fn fields(command: Command, bytes: &[u8]) -> Option<Value> {
    let names = names(command)?;
    if bytes.len() != names.len() * size_of::<u64>() {
        return None;
    }
    let numbers = bytes.chunks_exact(size_of::<u64>());
    let fields: Option<Map<_, _>> = names
        .iter()
        .zip(numbers)
        .map(|(name, bytes)| {
            let number = u64::read_from_bytes(bytes).ok()?;
            Some((name.replace('_', "-"), shown(name, number)))
        })
        .collect();
    fields.map(Value::Object)
}

/// A number, or the name of a status.
fn shown(name: &str, number: u64) -> Value {
    match u32::try_from(number) {
        Ok(status) if name.ends_with("status") => json!(Named(status).to_string()),
        _ => json!(number),
    }
}
