//! `DbgPrint` and its kin, the filter behind them, and breakpoints.

use nt_status::STATUS_SUCCESS;
use ntbox_api::rules;
use ntbox_host::gate::irql::{HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Arguments, Call, NoReturn};
use ntbox_host::{cpu, driver_mem};

use super::format;
use super::format::{ArgumentPosition, Finding, Formatted};
use crate::base::export::exports;
use crate::base::{codepage, diag, log};

/// `DPFLTR_DEFAULT_ID`.
const COMPONENT_DEFAULT: u32 = 101;
/// `DPFLTR_INFO_LEVEL`.
const LEVEL_INFO: u32 = 3;
/// Highest IRQL of a device, and of these functions.
const DIRQL: u8 = 12;
/// Most bytes that one call transmits.
const LIMIT: usize = 512;
/// Longest prefix that is looked at.
const PREFIX_LIMIT: usize = LIMIT;

exports! {
    /// `DbgPrint`: component DEFAULT, level INFO.
    fn DbgPrint<call>(format: u64) -> u32 [max DIRQL, wdm] {
        print(call, COMPONENT_DEFAULT, LEVEL_INFO, 0, format, &mut call.variadic(1))
    }

    /// `DbgPrintReturnControlC`: as `DbgPrint`; nobody presses Control-C here.
    fn DbgPrintReturnControlC<call>(format: u64) -> u32 [max DIRQL, undocumented] {
        print(call, COMPONENT_DEFAULT, LEVEL_INFO, 0, format, &mut call.variadic(1))
    }

    /// `DbgPrintEx`.
    fn DbgPrintEx<call>(component: u32, level: u32, format: u64) -> u32 [max DIRQL, wdm] {
        print(call, component, level, 0, format, &mut call.variadic(3))
    }

    /// `vDbgPrintEx`.
    fn vDbgPrintEx<call>(component: u32, level: u32, format: u64, list: u64) -> u32 [max DIRQL, wdm] {
        print(call, component, level, 0, format, &mut Arguments::List(list))
    }

    /// `vDbgPrintExWithPrefix`: the prefix counts towards the limit of a call.
    fn vDbgPrintExWithPrefix<call>(prefix: u64, component: u32, level: u32, format: u64, list: u64) -> u32
        [max DIRQL, wdm]
    {
        print(call, component, level, prefix, format, &mut Arguments::List(list))
    }

    /// `DbgPrompt`: without a debugger nobody answers.
    fn DbgPrompt(prompt: u64, response: u64, length: u32) -> u32 [max DIRQL, ntddk] { Ok(0) }

    /// `DbgQueryDebugFilterState`: 1 if such a message is shown, else 0.
    fn DbgQueryDebugFilterState(component: u32, level: u32) -> u32 [max HIGH_LEVEL, undocumented] {
        Ok(u32::from(log::shows(component, level)))
    }

    /// `DbgSetDebugFilterState`: sets or clears the bits of a level in the mask
    /// of a component.
    fn DbgSetDebugFilterState(component: u32, level: u32, on: bool) -> u32 [max PASSIVE_LEVEL, undocumented] {
        let bits = if level < 32 { 1 << level } else { level };
        let mask = log::mask(component);
        log::set_mask(component, if on { mask | bits } else { mask & !bits });
        Ok(STATUS_SUCCESS)
    }
}

/// Formats and records a message.
fn print(
    call: &Call<'_>,
    component: u32,
    level: u32,
    prefix: u64,
    format: u64,
    arguments: &mut Arguments<'_>,
) -> Result<u32, NoReturn> {
    let mut message = if prefix == 0 {
        Vec::new()
    } else {
        driver_mem::read_c_string(prefix, PREFIX_LIMIT)?
    };
    let formatted = format::format::<u8>(format, arguments, LIMIT);
    report(call, &formatted);
    if let Some(fault) = formatted.fault {
        return Err(fault.into());
    }
    let whole = message.len() as u64 + formatted.length;
    message.extend(&formatted.text);
    message.truncate(LIMIT);
    if whole > LIMIT as u64 {
        // What is cut still ends its line.
        message[LIMIT - 1] = b'\n';
    }
    log::message(component, level, &readable(&message));
    Ok(STATUS_SUCCESS)
}

/// Text for the log, which is UTF-8. Drivers built from UTF-8 sources print that;
/// any other byte is taken from the ANSI code page.
fn readable(message: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for chunk in message.utf8_chunks() {
        text.push_str(chunk.valid());
        let units = chunk
            .invalid()
            .iter()
            .map(|byte| codepage::to_unicode(*byte));
        text.extend(
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)),
        );
    }
    text.into_bytes()
}

/// Tells what formatting noticed.
pub fn report<U>(call: &Call<'_>, formatted: &Formatted<U>) {
    for finding in &formatted.findings {
        let (rule, what) = match finding {
            Finding::Uninitialized(place) => (
                rules::UNINITIALIZED_POOL_LOGGED,
                describe(place, "is uninitialized pool memory"),
            ),
            Finding::Freed(place) => (
                rules::FREED_POOL_LOGGED,
                describe(place, "is freed pool memory"),
            ),
            Finding::FloatingPoint(ArgumentPosition { spec, .. }) => (
                rules::FLOATING_POINT_FORMAT,
                format!("format with '{spec}'; the kernel prints no floating point"),
            ),
            Finding::WriteBack(ArgumentPosition { spec, argument, .. }) => (
                rules::FORMAT_WRITES_MEMORY,
                format!(
                    "'{spec}', argument {argument} of the format, would store a count; nothing is stored"
                ),
            ),
            Finding::Conversion(ArgumentPosition { spec, .. }) => {
                let irql = cpu::irql();
                if irql == PASSIVE_LEVEL {
                    continue;
                }
                (
                    rules::UNICODE_FORMAT_IRQL,
                    format!(
                        "'{spec}' converted between Unicode and bytes at IRQL {irql}, maximum is 0"
                    ),
                )
            }
        };
        diag::violation(rule, what, call.return_address());
    }
}

fn describe(place: &ArgumentPosition, what: &str) -> String {
    let ArgumentPosition {
        spec,
        argument,
        value,
    } = place;
    format!("argument {argument} of the format, printed with '{spec}', {what}: {value:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{
        NOWHERE, address, address_mut, broken_rules, fault, lines, status, violations, wide,
    };

    /// The component by which a test tells its lines from those of others.
    const IHVDRIVER: u64 = 77;

    #[test]
    fn print_functions_log_lines() {
        let format = *b"%s is %d, %p, %I64x, %c and %u\n\0";
        let list = [address(b"x\0"), 1, 2, 3, u64::from(b'y'), 4];
        let expected = "x is 1, 0000000000000002, 3, y and 4";
        let mut arguments = vec![address(&format)];
        arguments.extend(list);
        assert_eq!(status(DbgPrint, &arguments), STATUS_SUCCESS);
        assert_eq!(status(DbgPrintReturnControlC, &arguments), STATUS_SUCCESS);
        let mut arguments = vec![IHVDRIVER, 0, address(&format)];
        arguments.extend(list);
        assert_eq!(status(DbgPrintEx, &arguments), STATUS_SUCCESS);
        let va_list = address(&list);
        status(vDbgPrintEx, &[IHVDRIVER, 0, address(&format), va_list]);
        assert_eq!(lines(), [expected; 4]);
    }

    #[test]
    fn print_with_prefix_logs_prefix_first() {
        let list = [7_u64];
        let arguments = [
            address(b"drv: \0"),
            IHVDRIVER,
            0,
            address(b"%d\n\0"),
            address(&list),
        ];
        assert_eq!(status(vDbgPrintExWithPrefix, &arguments), STATUS_SUCCESS);
        assert_eq!(lines(), ["drv: 7"]);
    }

    #[test]
    fn print_over_512_bytes_is_truncated() {
        let fits = "a".repeat(511) + "\n\0";
        status(DbgPrintEx, &[IHVDRIVER, 0, address(fits.as_bytes())]);
        assert_eq!(lines(), ["a".repeat(511)]);
        let long = "b".repeat(600) + "\n\0";
        status(DbgPrintEx, &[IHVDRIVER, 0, address(long.as_bytes())]);
        assert_eq!(lines(), ["b".repeat(511)]);
        let list = [0_u64];
        let prefix = "p".repeat(500) + "\0";
        let rest = "c".repeat(20) + "\0";
        let arguments = [
            address(prefix.as_bytes()),
            IHVDRIVER,
            0,
            address(rest.as_bytes()),
            address(&list),
        ];
        status(vDbgPrintExWithPrefix, &arguments);
        assert_eq!(lines(), ["p".repeat(500) + &"c".repeat(11)]);
    }

    #[test]
    fn print_decodes_code_page_bytes() {
        let text = wide("é€");
        status(
            DbgPrintEx,
            &[
                IHVDRIVER,
                0,
                address(b"%ws \xc3\xa9\n\0"),
                address(text.as_slice()),
            ],
        );
        assert_eq!(lines(), ["é€ é"]);
    }

    #[test]
    fn print_with_fault_logs_nothing() {
        let arguments = [IHVDRIVER, 0, address(b"bad %s\n\0"), NOWHERE];
        assert_eq!(fault(DbgPrintEx, &arguments), NOWHERE);
        assert_eq!(fault(DbgPrint, &[NOWHERE]), NOWHERE);
        assert!(lines().is_empty());
    }

    #[test]
    fn print_findings_are_reported() {
        let format = *b"%x %f %n\n\0";
        status(
            DbgPrintEx,
            &[IHVDRIVER, 0, address(&format), 0xbdbd_bdbd, 0],
        );
        assert_eq!(
            broken_rules(),
            [
                "uninitialized-pool-logged",
                "floating-point-format",
                "format-writes-memory"
            ]
        );
        let text = wide("w");
        let arguments = [IHVDRIVER, 0, address(b"%ws\n\0"), address(text.as_slice())];
        status(DbgPrintEx, &arguments);
        assert!(broken_rules().is_empty());
        let before = cpu::set_irql(2);
        status(DbgPrintEx, &arguments);
        cpu::set_irql(before);
        assert_eq!(broken_rules(), ["unicode-format-irql"]);
        lines();
    }

    #[test]
    fn set_debug_filter_state_changes_one_bit() {
        // A component that no other test uses.
        const COMPONENT: u64 = 79;
        let state = |level| status(DbgQueryDebugFilterState, &[COMPONENT, level]);
        assert_eq!((state(0), state(3), state(0x100)), (1, 0, 0));
        assert_eq!(
            status(DbgSetDebugFilterState, &[COMPONENT, 3, 1]),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(DbgSetDebugFilterState, &[COMPONENT, 0x8000_0100, 1]),
            STATUS_SUCCESS
        );
        assert_eq!((state(2), state(3), state(0x100), state(8)), (0, 1, 1, 1));
        assert_eq!(
            status(DbgSetDebugFilterState, &[COMPONENT, 3, 0]),
            STATUS_SUCCESS
        );
        assert_eq!((state(3), state(8)), (0, 1));
    }

    #[test]
    fn dbg_prompt_returns_zero() {
        let mut answer = *b"....";
        let va = address_mut(&mut answer);
        assert_eq!(status(DbgPrompt, &[address(b"?\0"), va, 4]), 0);
        assert_eq!(&answer, b"....");
    }

    #[test]
    fn print_violation_quotes_specification() {
        status(DbgPrintEx, &[IHVDRIVER, 0, address(b"%g\n\0")]);
        let found = violations();
        assert!(found[0].message.contains("%g"), "{}", found[0].message);
        lines();
    }
}
