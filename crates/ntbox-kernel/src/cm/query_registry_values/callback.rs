//! Handing a value to the driver: what of it, in how many parts, and the call.

use ntbox_api::rules;
use ntbox_host::driver_mem;

use super::direct_flag;
use super::entry::{Data, Entry, REG_EXPAND_SZ, REG_MULTI_SZ, REG_NONE, REG_SZ, flag};
use super::expand::expand;
use crate::base::call_context::CallContext;
use crate::base::diag;
use crate::base::error::Refusal;
use crate::cm::hive::Value;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Pool tag of what a routine is shown.
const TAG: u32 = u32::from_le_bytes(*b"RtlQ");
/// Bytes of a `UNICODE_STRING`.
const STRING_SIZE: u64 = 16;

/// What the routine gets with each value.
#[derive(Debug, Clone, Copy)]
pub struct ValueContext<'a> {
    /// Who asked.
    pub caller: CallContext<'a>,
    /// `Context` of the query.
    pub context: u64,
    /// `Environment` of the query; 0 for none.
    pub environment: u64,
}

impl ValueContext<'_> {
    /// Calls an entry's routine without a value.
    pub fn nothing(&self, entry: &Entry) -> Result<(), Refusal> {
        self.routine(entry, [0, u64::from(REG_NONE), 0, 0])
    }

    /// Hands over a value, or the default of an entry whose value is not there.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` for a required value without a default,
    /// `STATUS_OBJECT_TYPE_MISMATCH`, and what the routine returns.
    pub fn deliver(&self, entry: &Entry, value: Option<&Value>) -> Result<(), Refusal> {
        let missing = || {
            if entry.has(flag::REQUIRED) {
                Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND.into())
            } else {
                Ok(())
            }
        };
        match value {
            Some(value) if value.kind != REG_NONE => {
                // A value without data counts as none, and has no default.
                if value.data.is_empty() {
                    return missing();
                }
                if entry
                    .expected_type()
                    .is_some_and(|expected| expected != value.kind)
                {
                    return Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH.into());
                }
                let data = Data {
                    kind: value.kind,
                    bytes: value.data.clone(),
                    at: None,
                };
                self.parts(entry, Name::Text(&value.name), &data)
            }
            _ => match entry.default()? {
                None => missing(),
                Some(data) => self.parts(entry, Name::Of(entry), &data),
            },
        }
    }

    /// Hands over data, cut and expanded as the entry wants it.
    fn parts(&self, entry: &Entry, name: Name<'_>, data: &Data) -> Result<(), Refusal> {
        if entry.has(flag::NOEXPAND) {
            return self.hand_over(entry, entry.context, name, data);
        }
        match data.kind {
            REG_MULTI_SZ => {
                let mut context = entry.context;
                for string in strings(&data.bytes) {
                    let part = Data {
                        kind: REG_SZ,
                        bytes: string,
                        at: None,
                    };
                    self.hand_over(entry, context, name, &part)?;
                    if entry.has(flag::DIRECT) {
                        context = context.wrapping_add(STRING_SIZE);
                    }
                }
                Ok(())
            }
            REG_EXPAND_SZ if units(&data.bytes).contains(&u16::from(b'%')) => {
                if self.environment == 0 {
                    let what = "RtlQueryRegistryValues called for a REG_EXPAND_SZ value with variables and without an environment; the kernel has none, use RTL_QUERY_REGISTRY_NOEXPAND";
                    diag::violation(rules::QUERY_REGISTRY_EXPAND, what, self.caller.address());
                }
                let expanded = expand(self.environment, &units(&data.bytes))?;
                let bytes = expanded
                    .iter()
                    .flat_map(|unit| unit.to_le_bytes())
                    .collect();
                self.hand_over(
                    entry,
                    entry.context,
                    name,
                    &Data {
                        kind: REG_SZ,
                        bytes,
                        at: None,
                    },
                )
            }
            _ => self.hand_over(entry, entry.context, name, data),
        }
    }

    fn hand_over(
        &self,
        entry: &Entry,
        context: u64,
        name: Name<'_>,
        data: &Data,
    ) -> Result<(), Refusal> {
        if entry.has(flag::DIRECT) {
            return direct_flag::store(context, data, self.caller.address());
        }
        let shown = RoutineArguments::new(name, data)?;
        let result = self.routine(
            entry,
            [
                shown.name,
                u64::from(data.kind),
                shown.data,
                data.bytes.len() as u64,
            ],
        );
        shown.free();
        result
    }

    /// Calls an entry's routine. That it wants more room is no error: there is
    /// nothing that it could be given more of.
    fn routine(&self, entry: &Entry, value: [u64; 4]) -> Result<(), Refusal> {
        let [name, kind, data, length] = value;
        let result = self.caller.call(
            entry.routine,
            &[name, kind, data, length, self.context, entry.context],
        );
        // The status is the low half of RAX.
        let status = u32::try_from(result & 0xffff_ffff).unwrap_or(0);
        if nt_status::is_success(status) || status == nt_status::STATUS_BUFFER_TOO_SMALL {
            Ok(())
        } else {
            Err(status.into())
        }
    }
}

/// The name that a routine is shown.
#[derive(Debug, Clone, Copy)]
enum Name<'a> {
    /// That of a value.
    Text(&'a [u16]),
    /// The one in the table.
    Of(&'a Entry),
}

/// The arguments of a routine, in memory of the driver.
struct RoutineArguments {
    name: u64,
    data: u64,
    block: Option<u64>,
}

impl RoutineArguments {
    fn new(name: Name<'_>, data: &Data) -> Result<Self, Refusal> {
        let text: Vec<u8> = match name {
            Name::Text(name) => name
                .iter()
                .chain([&0])
                .flat_map(|unit| unit.to_le_bytes())
                .collect(),
            Name::Of(_) => Vec::new(),
        };
        let copied = if data.at.is_some() {
            0
        } else {
            data.bytes.len() as u64
        };
        let size = copied.next_multiple_of(8) + text.len() as u64;
        let mut shown = Self {
            name: 0,
            data: 0,
            block: None,
        };
        if size > 0 {
            let block =
                pool::allocate(PoolKind::Paged, size, TAG).ok_or(nt_status::STATUS_NO_MEMORY)?;
            shown.block = Some(block);
            shown.data = block;
            shown.name = block + copied.next_multiple_of(8);
        }
        match data.at {
            Some(at) => shown.data = at,
            None => driver_mem::write_bytes(shown.data, &data.bytes)?,
        }
        match name {
            Name::Of(entry) => shown.name = entry.name_at,
            Name::Text(_) => driver_mem::write_bytes(shown.name, &text)?,
        }
        Ok(shown)
    }

    fn free(self) {
        if let Some(block) = self.block {
            pool::free(block);
        }
    }
}

/// The units of a text, without a byte left over.
fn units(bytes: &[u8]) -> Vec<u16> {
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// The strings of a list, each with its NUL. The NUL that ends the list is no
/// string; a list that lacks it loses its last string, as on Windows.
fn strings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    let mut rest = units(bytes);
    let mut left = rest.len().saturating_sub(1);
    rest.push(0);
    while left > 0 {
        let length = rest
            .iter()
            .position(|unit| *unit == 0)
            .map_or(rest.len(), |nul| nul + 1);
        let string: Vec<u16> = rest.drain(..length).collect();
        left = left.saturating_sub(length);
        list.push(string.into_iter().flat_map(u16::to_le_bytes).collect());
    }
    list
}
