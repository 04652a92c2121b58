//! Reads log files of DebugView, a kernel debugger and Wine, line by line. A line that
//! is in none of the formats is plain text, as in a debugger's log.

pub mod debugview;
mod tail;
mod wine;

pub use tail::Tail;

use crate::record::LogLine;

/// Decodes a log file: UTF-8 or UTF-16 by its byte order mark; UTF-8 without one.
/// Invalid bytes are replaced.
#[must_use]
pub fn decode(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| unit(*pair))
            .collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] | rest => String::from_utf8_lossy(rest).into_owned(),
    }
}

/// Parses the kernel's lines of a log. DebugView's lines of programs (`[pid] text`) and
/// Wine's other channels are left out. A debugger's log does not tell lines apart, so
/// the result has all its lines; those of one driver have its prefix.
#[must_use]
pub fn parse(text: &str) -> Vec<LogLine> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim_end_matches(['\r', '\0']);
            if let Some(entry) = debugview::entry(line) {
                return entry.kernel_line();
            }
            if let Some(entry) = wine::entry(line) {
                return entry.kernel_line();
            }
            let text = line.trim_end();
            (!text.is_empty()).then(|| LogLine::from_text(text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Level;

    fn texts(log: &str) -> Vec<String> {
        parse(log).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn parse_debugview_log_with_elapsed_time() {
        let log = "\\\\LABPC\r\n\
                   00000001\t0.00000000\tntmem: one\t\r\n\
                   00000002\t0.00012345\t[812] from a program\t\r\n\
                   00000003\t1.50000000\tntmem: two\r\n";
        let found = parse(log);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0].text, "\\\\LABPC");
        assert_eq!((found[1].time, found[1].text.as_str()), (0, "ntmem: one"));
        assert_eq!(
            (found[2].time, found[2].text.as_str()),
            (15_000_000, "ntmem: two")
        );
    }

    #[test]
    fn parse_debugview_log_with_time_of_day() {
        for time in ["3:04:05 PM", "03:04:05.250 PM", "15:04:05", "15:04:05.250"] {
            let log = format!("00000007\t{time}\tntmem: text with\ttab\t\n");
            assert_eq!(texts(&log), ["ntmem: text with\ttab"], "{time}");
        }
    }

    #[test]
    fn parse_debugger_log_keeps_all_lines() {
        let log = "Opened log file 'C:\\kd.log'\n\
                   0: kd> g\n\
                   ntmem: driver: start version=0.1.0\n\n\
                   KDTARGET: Refreshing KD connection\n";
        let of_driver: Vec<_> = texts(log)
            .into_iter()
            .filter(|text| text.starts_with("ntmem: "))
            .collect();
        assert_eq!(of_driver, ["ntmem: driver: start version=0.1.0"]);
    }

    #[test]
    fn parse_wine_log_keeps_the_driver_channel() {
        let log = "0124:fixme:ntoskrnl:MmGetSystemRoutineAddress L\"ExAllocatePool2\" not found\n\
                   0124:warn:debugstr:vDbgPrintExWithPrefix 0000004d:00000001: ntmem: one\n\
                   0124:warn:debugstr:OutputDebugStringA \"not the kernel\"\n";
        let found = parse(log);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].text, "ntmem: one");
        assert_eq!(found[0].component, Some(77));
        assert_eq!(found[0].level, Some(Level::Error));
    }

    #[test]
    fn decode_follows_the_byte_order_mark() {
        let utf16: Vec<u8> = [0xFEFF]
            .into_iter()
            .chain("a\n".encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(decode(&utf16), "a\n");
        let big: Vec<u8> = [0xFEFF]
            .into_iter()
            .chain("a".encode_utf16())
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(decode(&big), "a");
        assert_eq!(decode(b"\xEF\xBB\xBFa"), "a");
        assert_eq!(decode(b"a\xFFb"), "a\u{FFFD}b");
    }

    proptest! {
        #![proptest_config(crate::fixed_cases())]

        #[test]
        fn parse_reads_what_debugview_format_writes(log in proptest::collection::vec(
            ("[!-~][ -~]{0,40}", 0_u64..1 << 50), 0..20,
        )) {
            let written: Vec<LogLine> = log
                .iter()
                .scan(0_u64, |time, (text, step)| {
                    *time += step;
                    Some(LogLine { time: *time, ..LogLine::from_text(text.trim_end()) })
                })
                .filter(|line| !line.text.starts_with('['))
                .collect();
            let text: Vec<String> = debugview::format(&written).collect();
            let read = parse(&text.join("\r\n"));
            let start = written.first().map_or(0, |line| line.time);
            prop_assert_eq!(read.len(), written.len());
            for (read, written) in read.iter().zip(&written) {
                prop_assert_eq!(&read.text, &written.text);
                prop_assert_eq!(read.time, written.time - start);
            }
        }

        #[test]
        fn parse_accepts_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for line in parse(&decode(&bytes)) {
                prop_assert!(!line.text.contains('\n'));
            }
        }

        #[test]
        fn parse_accepts_any_log_like_line(text in "([0-9]{8}\t)?([0-9]{1,2}[:.][0-9:.]{0,12}( [AP]M)?\t)?\
            ([0-9a-f]{4}:warn:debugstr:vDbgPrintExWithPrefix [0-9a-f]{0,9}:?[0-9a-f]{0,9}:? ?)?[ -~\t]{0,30}") {
            prop_assert!(parse(&text).len() <= 1);
        }
    }
}
