//! Giving a registry key another name. Handles to it and to what is below it stay
//! what they are, for keys are known by numbers.

use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::callback_buffer::CallbackBuffer;
use super::hive::MAX_KEY_NAME;
use super::nt_key::OpenKey;
use super::{hive, notify_class, nt_key};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::base::utf16::SEPARATOR;
use crate::cm;

exports! {
    /// `ZwRenameKey`: a name without a path, in the same key.
    fn ZwRenameKey<call>(key: u64, name: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(rename(key, name, &CallContext::of(call)))
    }
}

fn rename(handle: u64, name: u64, caller: &CallContext<'_>) -> Result<(), Refusal> {
    if name == 0 {
        return Err(nt_status::STATUS_ACCESS_VIOLATION.into());
    }
    let string = UnicodeString::read(name)?;
    let name = string.units()?;
    let legal = string.length % 2 == 0
        && (1..=MAX_KEY_NAME).contains(&name.len())
        && !name.contains(&SEPARATOR);
    if !legal {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let OpenKey { object, key } = nt_key::opened(handle)?;
    let shown = CallbackBuffer::name(&name)?;
    let fields = Information::default().u64(shown.at());
    cm::on_key(notify_class::RENAME_KEY, object, fields, caller, || {
        Ok(hive::with(|registry| registry.rename(key, &name))?)
    })
}

#[cfg(test)]
mod tests {
    use super::ZwRenameKey;
    use crate::cm::tests::helper::*;
    use crate::test_support::{processor, status};

    #[test]
    fn rename_key_keeps_values_and_subkeys() {
        let path = seed("rename", &[]);
        let above = open(&Object::new(&path)).expect("it was just made");
        let (key, _) = create(&Object::below(above, "Old"), 0).expect("it is new");
        let (inner, _) = create(&Object::below(key, "Inner"), 0).expect("it is new");
        let (other, _) = create(&Object::below(above, "Other"), 0).expect("it is new");
        let rename = |name: &str| status(ZwRenameKey, &[key, Text::new(name).at()]);
        assert_eq!(rename(""), nt_status::STATUS_INVALID_PARAMETER);
        assert_eq!(rename("a\\b"), nt_status::STATUS_INVALID_PARAMETER);
        assert_eq!(
            rename(&"n".repeat(256)),
            nt_status::STATUS_INVALID_PARAMETER
        );
        assert_eq!(rename("OTHER"), nt_status::STATUS_CANNOT_DELETE);
        assert_eq!(rename("old"), nt_status::STATUS_CANNOT_DELETE);
        assert_eq!(rename("New"), 0);
        assert!(open(&Object::below(above, "Old")).is_err());
        let again = open(&Object::below(above, "new\\inner")).expect("it moved with its key");
        for handle in [again, inner, key, other, above] {
            close(handle);
        }
    }

    #[test]
    fn rename_of_hive_root_is_refused() {
        processor();
        let hive = open(&Object::new("\\Registry\\Machine\\SOFTWARE")).expect("it is there");
        let renamed = status(ZwRenameKey, &[hive, Text::new("Other").at()]);
        assert_eq!(renamed, nt_status::STATUS_ACCESS_DENIED);
        assert_eq!(
            status(ZwRenameKey, &[hive, 0]),
            nt_status::STATUS_ACCESS_VIOLATION
        );
        close(hive);
    }
}
