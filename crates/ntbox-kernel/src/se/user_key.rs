//! Where the registry keeps what is the current user's.

use nt_status::{STATUS_NO_MEMORY, STATUS_SUCCESS};
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::token;
use crate::base::export::exports;
use crate::rtl::{scan, string_alloc, unicode};

exports! {
    /// `RtlFormatCurrentUserKeyPath`: the key of the user whom the thread
    /// impersonates, or of its process, in a buffer for `RtlFreeUnicodeString`.
    fn RtlFormatCurrentUserKeyPath<call>(path: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails STATUS_NO_MEMORY {
        let user = match token::current() {
            Ok(token) => token.user,
            Err(status) => return Ok(status),
        };
        let text = format!(r"\REGISTRY\USER\{}", user.text());
        let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let Ok((length, maximum_length)) = unicode::counted(text.len()) else {
            return Ok(STATUS_NO_MEMORY);
        };
        let Some(buffer) = string_alloc::take(call, maximum_length.into()) else {
            return Ok(STATUS_NO_MEMORY);
        };
        scan::write_units(buffer, &units)?;
        UnicodeString { length, maximum_length, buffer }.write(path)?;
        Ok(STATUS_SUCCESS)
    }
}
