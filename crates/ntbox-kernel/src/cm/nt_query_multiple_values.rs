//! Several values of a registry key in one call: their data one behind the other
//! in one buffer, each on a multiple of four.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::nt_key::OpenKey;
use super::nt_query_value::name_at;
use super::{hive, notify_class, nt_key};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::base::key_id::KeyId;
use crate::cm;

/// Offsets in a `KEY_VALUE_ENTRY`, and its size.
mod entry {
    pub const NAME: u64 = 0;
    pub const DATA_LENGTH: u64 = 8;
    pub const DATA_OFFSET: u64 = 0xc;
    pub const TYPE: u64 = 0x10;
    pub const SIZE: u64 = 0x18;
}
/// Most values of one call.
const MOST: u32 = 0x1_0000;

exports! {
    /// `ZwQueryMultipleValueKey`: entries whose data no longer fit are left alone,
    /// and all that would be needed is told.
    fn ZwQueryMultipleValueKey<call>(key: u64, entries: u64, count: u32, buffer: u64, length: u64, required: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(query(key, &Values { entries, count, buffer, length, required }, &CallContext::of(call)))
    }
}

/// Which values are wanted, and where they go.
struct Values {
    entries: u64,
    count: u32,
    buffer: u64,
    length: u64,
    required: u64,
}

fn query(handle: u64, values: &Values, caller: &CallContext<'_>) -> Result<(), Refusal> {
    if values.count > MOST {
        return Err(nt_status::STATUS_INSUFFICIENT_RESOURCES.into());
    }
    let OpenKey { object, key } = nt_key::opened(handle)?;
    let fields = Information::default().u64(values.entries);
    let fields = fields.u32(values.count).align(8).u64(values.buffer);
    let fields = fields.u64(values.length).u64(values.required);
    cm::on_key(
        notify_class::QUERY_MULTIPLE_VALUES,
        object,
        fields,
        caller,
        || collect(key, values),
    )
}

fn collect(key: KeyId, values: &Values) -> Result<(), Refusal> {
    let &Values {
        entries,
        count,
        buffer,
        length,
        required,
    } = values;
    let room = driver_mem::read_u32(length)? as usize;
    let (mut written, mut needed) = (0_usize, 0_usize);
    for n in 0..u64::from(count) {
        let entry = entries.wrapping_add(n * entry::SIZE);
        let name = name_at(driver_mem::read_u64(entry.wrapping_add(entry::NAME))?)?;
        let value = hive::with(|registry| {
            let found = registry.key(key)?.value(&name).cloned();
            found.ok_or(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
        })?;
        let begin = needed.next_multiple_of(4);
        needed = begin + value.data.len();
        if needed > room {
            continue;
        }
        driver_mem::write_bytes(buffer.wrapping_add(begin as u64), &value.data)?;
        for (field, number) in [
            (entry::DATA_LENGTH, value.data.len()),
            (entry::DATA_OFFSET, begin),
            (entry::TYPE, value.kind as usize),
        ] {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            driver_mem::write_u32(entry.wrapping_add(field), number)?;
        }
        written = needed;
    }
    driver_mem::write_u32(length, u32::try_from(written).unwrap_or(u32::MAX))?;
    if required != 0 {
        driver_mem::write_u32(required, u32::try_from(needed).unwrap_or(u32::MAX))?;
    }
    if needed > room {
        return Err(nt_status::STATUS_BUFFER_OVERFLOW.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ZwQueryMultipleValueKey;
    use crate::cm::tests::helper::*;
    use crate::test_support::{address_mut, status};

    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Entry {
        name: u64,
        length: u32,
        offset: u32,
        kind: u32,
        pad: u32,
    }

    #[test]
    fn query_multiple_values_fills_one_buffer() {
        let key = service("multiple-values", &[]);
        assert_eq!(set(key, "A", 3, &[1, 2, 3]), 0);
        assert_eq!(set(key, "B", 4, &[4, 5, 6, 7]), 0);
        let names = [Text::new("a"), Text::new("B")];
        let blank = |name: &Text| Entry {
            name: name.at(),
            length: 9,
            offset: 9,
            kind: 9,
            pad: 0,
        };
        let mut entries = [blank(&names[0]), blank(&names[1])];
        let mut buffer = [0xee_u8; 12];
        let (mut length, mut required) = (8_u32, 0_u32);
        let to = address_mut(&mut buffer[..]);
        let ask = |entries: &mut [Entry; 2], length: &mut u32, required: &mut u32| {
            let at = address_mut(&mut entries[..]);
            let to = [to, address_mut(length), address_mut(required)];
            status(ZwQueryMultipleValueKey, &[key, at, 2, to[0], to[1], to[2]])
        };
        assert_eq!(ask(&mut entries, &mut length, &mut required), 0);
        assert_eq!((length, required), (8, 8));
        assert_eq!(
            (entries[0].length, entries[0].offset, entries[0].kind),
            (3, 0, 3)
        );
        assert_eq!(
            (entries[1].length, entries[1].offset, entries[1].kind),
            (4, 4, 4)
        );
        let mut again = [blank(&names[0]), blank(&names[1])];
        length = 7;
        let small = ask(&mut again, &mut length, &mut required);
        assert_eq!(small, nt_status::STATUS_BUFFER_OVERFLOW);
        assert_eq!((length, required), (3, 8));
        assert_eq!(
            again[1],
            blank(&names[1]),
            "it did not fit and is left alone"
        );
        assert_eq!(buffer, [1, 2, 3, 0xee, 4, 5, 6, 7, 0xee, 0xee, 0xee, 0xee]);
        let missing = Text::new("C");
        again[1] = blank(&missing);
        length = 12;
        let found = ask(&mut again, &mut length, &mut required);
        assert_eq!(found, nt_status::STATUS_OBJECT_NAME_NOT_FOUND);
        close(key);
    }
}
