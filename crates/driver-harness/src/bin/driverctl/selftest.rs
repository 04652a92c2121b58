//! The self-test requests of `ntmem`: their replies are named numbers. `probe` has an
//! address range as its input.

use clap::Args;
use nt_status::Named;
use ntmem_ioctl::{
    Command, HeldReply, ListReply, LookasideReply, MemoryReply, PoolReply, ProbeReply,
    ProbeRequest, SyncReply, TimeReply,
};
use serde_json::{Map, Value, json};
use zerocopy::{FromBytes, IntoBytes};

use ntbox_api::parse::number;

use crate::args::RequestArgs;
use crate::requests::DriverRequest;

/// The options of `probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// Address of the range, decimal or 0x hexadecimal.
    #[arg(long, default_value = "0", value_parser = number)]
    pub address: u64,
    /// Length of the range in bytes.
    #[arg(long, default_value = "1", value_parser = number)]
    pub length: u64,
    /// Required alignment: 1, 2, 4, 8 or 16.
    #[arg(long, default_value_t = 1)]
    pub alignment: u32,
    /// Probe for writing.
    #[arg(long)]
    pub write: bool,
    #[command(flatten)]
    pub common: RequestArgs,
}

impl Probe {
    pub fn request(&self) -> DriverRequest {
        let request = ProbeRequest {
            address: self.address,
            len: self.length,
            alignment: self.alignment,
            for_writing: self.write.into(),
        };
        DriverRequest::new(Command::Probe, request.as_bytes().to_vec())
    }
}

/// The names of the numbers in a reply; `None` for other commands.
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

/// The fields of a reply by name; `None` if its size is wrong.
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
            Some((name.replace('_', "-"), value(name, number)))
        })
        .collect();
    fields.map(Value::Object)
}

/// A number, or the name of a status.
fn value(name: &str, number: u64) -> Value {
    match u32::try_from(number) {
        Ok(status) if name.ends_with("status") => json!(Named(status).to_string()),
        _ => json!(number),
    }
}
