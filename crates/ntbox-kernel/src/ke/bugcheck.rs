//! Stopping the system on request.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::export::exports;

/// The bug check of wdk-panic for a panic. Its parameters are the address and the length of
/// the source file's name, the line and the column.
const RUST_PANIC: u32 = u32::from_be_bytes(*b"RPNC");
/// The longest name of a source file that is shown.
const LONGEST_NAME: u64 = 1024;

/// What the parameters of a bug check say, if it is known.
fn reason(code: u32, [address, length, line, column]: [u64; 4]) -> String {
    if code != RUST_PANIC {
        return "the driver called KeBugCheckEx".to_owned();
    }
    let mut name = vec![0; usize::try_from(length.min(LONGEST_NAME)).unwrap_or(0)];
    match driver_mem::read_bytes(address, &mut name) {
        Ok(()) if !name.is_empty() => {
            let name = String::from_utf8_lossy(&name);
            format!("the driver panicked at {name}:{line}:{column}")
        }
        _ => "the driver panicked at an unknown place".to_owned(),
    }
}

exports! {
    /// `KeBugCheckEx`.
    fn KeBugCheckEx(code: u32, first: u64, second: u64, third: u64, fourth: u64) -> () [max HIGH_LEVEL, wdm] {
        let parameters = [first, second, third, fourth];
        Err(NoReturn::bug_check(code, parameters, reason(code, parameters)))
    }

    /// `KeBugCheck`.
    fn KeBugCheck(code: u32) -> () [max HIGH_LEVEL, ntddk] {
        Err(NoReturn::bug_check(code, [0; 4], "the driver called KeBugCheck"))
    }
}
