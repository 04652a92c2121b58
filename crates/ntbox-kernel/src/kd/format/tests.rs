use super::*;
use crate::kd::format;
use crate::test_support::{Counted, NOWHERE, address, wide};

fn run<U: Text>(format: &[U], arguments: &[u64]) -> Formatted<U> {
    let mut terminated = format.to_vec();
    terminated.push(U::default());
    // A driver's stack goes on behind the arguments.
    let mut list = arguments.to_vec();
    list.extend([0x1111; 8]);
    format::format(
        address(terminated.as_slice()),
        &mut Arguments::List(address(list.as_slice())),
        4096,
    )
}

/// Formats bytes; nothing may fault.
fn text(format: &str, arguments: &[u64]) -> String {
    let result = run(format.as_bytes(), arguments);
    assert_eq!(result.fault, None, "{format}");
    assert_eq!(result.length, result.text.len() as u64, "{format}");
    String::from_utf8(result.text).expect("the test prints UTF-8")
}

/// Formats UTF-16; nothing may fault.
fn wide_text(format: &str, arguments: &[u64]) -> String {
    let units: Vec<u16> = format.encode_utf16().collect();
    let result = run(&units, arguments);
    assert_eq!(result.fault, None, "{format}");
    String::from_utf16(&result.text).expect("the test prints UTF-16")
}

fn findings(format: &str, arguments: &[u64]) -> Vec<Finding> {
    run(format.as_bytes(), arguments).findings
}

#[test]
fn format_plain_text_and_percent_signs() {
    assert_eq!(text("no conversions\n", &[]), "no conversions\n");
    assert_eq!(text("100%% %5%|", &[]), "100% %|");
    assert_eq!(text("", &[]), "");
    assert_eq!(text("ends in %", &[]), "ends in ");
    assert_eq!(text("ends in %-5l", &[]), "ends in ");
    assert_eq!(text("żółw", &[]), "żółw");
}

#[test]
fn format_decimal() {
    for (format, value, expected) in [
        ("%d", 42, "42"),
        ("%i", u64::from((-42_i32).cast_unsigned()), "-42"),
        // The upper half of the slot is whatever was there.
        ("%d", 0xdead_beef_0000_0007, "7"),
        ("%u", 0xffff_ffff, "4294967295"),
        ("%5d|", 42, "   42|"),
        ("%-5d|", 42, "42   |"),
        ("%05d|", 42, "00042|"),
        ("%-05d|", 42, "42   |"),
        ("%05d|", u64::from((-42_i32).cast_unsigned()), "-0042|"),
        ("%+d", 42, "+42"),
        ("% d", 42, " 42"),
        ("%+ d", 42, "+42"),
        ("%+u", 42, "42"),
        ("%.5d", 42, "00042"),
        ("%8.5d|", 42, "   00042|"),
        ("%08.5d|", 42, "   00042|"),
        ("%-8.5d|", 42, "00042   |"),
        ("%.0d|", 0, "|"),
        ("%.d|", 0, "|"),
        ("%3.0d|", 0, "   |"),
        ("%+.0d|", 0, "+|"),
        ("%.0d|", 5, "5|"),
        ("%d", 0x8000_0000, "-2147483648"),
        ("%hd", 0x1_ffff, "-1"),
        ("%hu", 0x1_fffe, "65534"),
        ("%hhd", 0x1ff, "-1"),
        ("%hhu", 0x1fe, "254"),
        ("%ld", 0xffff_ffff, "-1"),
        ("%lu", 0x1_ffff_ffff, "4294967295"),
        ("%lld", u64::MAX, "-1"),
        ("%llu", u64::MAX, "18446744073709551615"),
        ("%I64d", 1 << 63, "-9223372036854775808"),
        ("%I64u", 1 << 63, "9223372036854775808"),
        ("%I32u", 0x1_0000_0003, "3"),
        ("%Id", u64::MAX, "-1"),
        ("%Iu", u64::MAX, "18446744073709551615"),
        ("%zu", 1 << 40, "1099511627776"),
        ("%td", u64::MAX, "-1"),
        ("%jd", u64::MAX, "-1"),
        ("%wd", 5, "5"),
    ] {
        assert_eq!(text(format, &[value]), expected, "{format}");
    }
}

#[test]
fn format_hexadecimal_and_octal() {
    for (format, value, expected) in [
        ("%x", 0xabc, "abc"),
        ("%X", 0xabc, "ABC"),
        ("%#x", 0xabc, "0xabc"),
        ("%#X", 0xabc, "0XABC"),
        ("%#x", 0, "0"),
        ("%08x", 0xabc, "00000abc"),
        ("%#08x|", 0xabc, "0x000abc|"),
        ("%#8x|", 0xabc, "   0xabc|"),
        ("%#-8x|", 0xabc, "0xabc   |"),
        ("%#.6x", 0xabc, "0x000abc"),
        ("%x", 0xffff_ffff_8000_0000, "80000000"),
        ("%hx", 0x1_2345, "2345"),
        ("%lx", 0x1_0000_0001, "1"),
        ("%llx", 0x0123_4567_89ab_cdef, "123456789abcdef"),
        ("%016llX", 0x0123_4567_89ab_cdef, "0123456789ABCDEF"),
        ("%I64x", 0x0123_4567_89ab_cdef, "123456789abcdef"),
        ("%Ix", 0x0123_4567_89ab_cdef, "123456789abcdef"),
        ("%I32x", 0x1_0000_0abc, "abc"),
        ("%o", 8, "10"),
        ("%#o", 8, "010"),
        ("%#o", 0, "0"),
        ("%#.0o", 0, "0"),
        ("%#.3o", 8, "010"),
        ("%#.2o", 8, "010"),
        ("%.0x|", 0, "|"),
        ("%#.0x|", 0, "|"),
    ] {
        assert_eq!(text(format, &[value]), expected, "{format}");
    }
}

#[test]
fn format_pointer_has_16_digits() {
    for (format, value, expected) in [
        ("%p", 0x4100_0000_1000, "0000410000001000"),
        ("%p", 0, "0000000000000000"),
        ("%p", 0xffff_8a0b_cdef_0123, "FFFF8A0BCDEF0123"),
        ("%20p|", 1, "    0000000000000001|"),
        ("%020p|", 1, "    0000000000000001|"),
        ("%-20p|", 1, "0000000000000001    |"),
        ("%#p", 0xabc, "0X0000000000000ABC"),
        ("%.3p", 0xabc, "0000000000000ABC"),
        ("0x%p", 0xabc, "0x0000000000000ABC"),
    ] {
        assert_eq!(text(format, &[value]), expected, "{format}");
    }
}

#[test]
fn format_characters() {
    assert_eq!(
        text("%c%c", &[u64::from(b'o'), 0xff00 + u64::from(b'k')]),
        "ok"
    );
    assert_eq!(text("%3c|%-3c|", &[0x61, 0x62]), "  a|b  |");
    assert_eq!(text("%C%lc%wc", &[0x61, 0x62, 0x63]), "abc");
    assert_eq!(text("%C", &[0x44f]), "?");
    assert_eq!(text("%hC%hc", &[0x61, 0x62]), "ab");
    assert_eq!(wide_text("%c%lc%wc", &[0x44f, 0x44f, 0x44f]), "яяя");
    assert_eq!(wide_text("%C%hc", &[0x80, 0xe9]), "€é");
    // A NUL is a character like any other.
    assert_eq!(run(b"a%cb", &[0]).text, b"a\0b");
}

#[test]
fn format_strings() {
    let narrow = *b"text\0";
    let va = address(&narrow);
    for (format, expected) in [
        ("%s", "text"),
        ("%hs", "text"),
        ("%hS", "text"),
        ("%6s|", "  text|"),
        ("%-6s|", "text  |"),
        ("%06s|", "00text|"),
        ("%.2s|", "te|"),
        ("%5.2s|", "   te|"),
        ("%.0s|", "|"),
        ("%2s", "text"),
        ("%.99s", "text"),
    ] {
        assert_eq!(text(format, &[va]), expected, "{format}");
    }
    assert_eq!(text("%*.*s|", &[6, 3, va]), "   tex|");
    assert_eq!(text("%-*s|", &[6, va]), "text  |");
    assert_eq!(
        text("%*s|", &[u64::from((-6_i32).cast_unsigned()), va]),
        "text  |"
    );
    // A precision is what makes a string without an end printable.
    let endless = *b"four";
    assert_eq!(text("%.4s", &[address(&endless)]), "four");
}

#[test]
fn format_wide_strings() {
    let units = wide("wide é");
    let va = address(units.as_slice());
    for format in ["%S", "%ws", "%ls", "%wS", "%lS"] {
        let result = run(format.as_bytes(), &[va]);
        assert_eq!(result.text, b"wide \xe9", "{format}");
    }
    assert_eq!(text("%.4ws|", &[va]), "wide|");
    assert_eq!(text("%6.2S|", &[va]), "    wi|");
    for format in ["%s", "%ws", "%ls", "%lS"] {
        assert_eq!(wide_text(format, &[va]), "wide é", "{format}");
    }
    let narrow = *b"caf\xe9\0";
    for format in ["%S", "%hs", "%hS"] {
        assert_eq!(wide_text(format, &[address(&narrow)]), "café", "{format}");
    }
}

#[test]
fn format_counted_strings() {
    let mut bytes = *b"counted and more";
    let ansi = Counted::ansi(&mut bytes, 7);
    let mut units: Vec<u16> = "żółw and more".encode_utf16().collect();
    let unicode = Counted::unicode(&mut units, 4);
    assert_eq!(
        text("%Z|%hZ", &[address(&ansi), address(&ansi)]),
        "counted|counted"
    );
    assert_eq!(
        text("%9Z|%-9Z|", &[address(&ansi), address(&ansi)]),
        "  counted|counted  |"
    );
    // What the code page lacks is printed as what looks most like it.
    assert_eq!(run(b"%wZ|", &[address(&unicode)]).text, b"z\xf3lw|");
    assert_eq!(run(b"%6wZ|", &[address(&unicode)]).text, b"  z\xf3lw|");
    assert_eq!(
        wide_text("%wZ|%Z", &[address(&unicode), address(&ansi)]),
        "żółw|counted"
    );
    // Neither a precision nor a NUL ends a counted string.
    assert_eq!(text("%.3Z", &[address(&ansi)]), "counted");
    let mut with_nul = *b"a\0b";
    let ansi = Counted::ansi(&mut with_nul, 3);
    assert_eq!(run(b"%Z", &[address(&ansi)]).text, b"a\0b");
    // An odd length counts whole units.
    let mut odd = Counted::unicode(&mut units, 4);
    odd.length = 3;
    assert_eq!(run(b"%wZ", &[address(&odd)]).text, b"z");
}

#[test]
fn format_null_string_prints_null() {
    for format in ["%s", "%S", "%ws", "%hs", "%Z", "%wZ"] {
        assert_eq!(text(format, &[0]), "(null)", "{format}");
        assert_eq!(wide_text(format, &[0]), "(null)", "{format}");
    }
    let empty = Counted::empty();
    assert_eq!(
        text("%wZ %Z", &[address(&empty), address(&empty)]),
        "(null) (null)"
    );
    assert_eq!(text("%8s|%.3s|", &[0, 0]), "  (null)|(nu|");
}

#[test]
fn format_empty_counted_string_is_empty() {
    let mut units = [0_u16; 4];
    let string = Counted::unicode(&mut units, 0);
    assert_eq!(text("[%wZ]", &[address(&string)]), "[]");
}

#[test]
fn format_unknown_conversion_prints_letter() {
    assert_eq!(text("%y%q%P %d", &[7]), "yqP 7");
    assert_eq!(text("%-5y|", &[]), "y|");
}

#[test]
fn format_floating_point_is_reported() {
    assert_eq!(text("%f %d", &[7]), "f 7");
    for format in ["%e", "%E", "%f", "%F", "%g", "%G", "%a", "%A", "%5.2f"] {
        let found = findings(format, &[]);
        assert!(
            matches!(&found[..], [Finding::FloatingPoint(place)] if place.spec == format),
            "{format}"
        );
    }
}

#[test]
fn format_count_is_not_stored_and_reported() {
    let target = 77_u32;
    let result = run(b"abc%n|%d", &[address(&target), 5]);
    assert_eq!(result.text, b"abc|5");
    assert_eq!(target, 77);
    assert!(matches!(&result.findings[..], [Finding::WriteBack(place)] if place.argument == 1));
}

#[test]
fn format_pool_pattern_argument_is_reported() {
    let uninitialized = u64::from_le_bytes([UNINITIALIZED; 8]);
    for (format, value) in [
        ("%d", 0xbdbd_bdbd),
        ("%u", uninitialized),
        ("%08x", 0x1234_5678_bdbd_bdbd),
        ("%p", uninitialized),
        ("%llx", uninitialized),
        ("%I64d", uninitialized),
    ] {
        let found = findings(format, &[value]);
        assert!(
            matches!(&found[..], [Finding::Uninitialized(place)] if place.spec == format && place.argument == 1),
            "{format}: {found:?}"
        );
    }
    for (format, value) in [
        ("%hx", uninitialized),
        ("%c", uninitialized),
        ("%llx", 0xbdbd_bdbd),
        ("%p", 0xbdbd_bdbd_bdbd_bdbc),
        ("%x", 0xbdbd_bdbc),
    ] {
        assert_eq!(findings(format, &[value]), [], "{format}");
    }
    let freed = u64::from_le_bytes([FREED; 8]);
    let found = findings("%s is %d", &[address(b"x\0"), freed]);
    assert!(
        matches!(&found[..], [Finding::Freed(place)] if place.argument == 2),
        "{found:?}"
    );
}

#[test]
fn format_width_conversion_is_reported() {
    let units = wide("w");
    let va = address(units.as_slice());
    for format in ["%C", "%S", "%lc", "%ls", "%wc", "%ws"] {
        let argument = if format.ends_with(['c', 'C']) {
            0x61
        } else {
            va
        };
        let found = findings(format, &[argument]);
        assert!(
            matches!(&found[..], [Finding::Conversion(_)]),
            "{format}: {found:?}"
        );
    }
    assert!(matches!(
        &findings("%wZ", &[0])[..],
        [Finding::Conversion(_)]
    ));
    for format in ["%c", "%hc", "%d", "%p", "%Z"] {
        assert_eq!(findings(format, &[0]), [], "{format}");
    }
}

#[test]
fn format_invalid_pointer_faults_after_prefix() {
    for format in ["before %s", "before %ws", "before %Z", "before %wZ"] {
        let result = run(format.as_bytes(), &[NOWHERE]);
        let fault = result.fault.expect(format);
        assert!(
            (NOWHERE..NOWHERE + 16).contains(&fault.address),
            "{format}: {fault:?}"
        );
        assert!(!fault.write);
        assert_eq!(result.text, b"before ");
    }
    let mut bad = Counted::empty();
    (bad.length, bad.buffer) = (8, NOWHERE);
    assert_eq!(
        run(b"%wZ", &[address(&bad)])
            .fault
            .map(|fault| fault.address),
        Some(NOWHERE)
    );
    let result = format::<u8>(NOWHERE, &mut Arguments::List(0), 10);
    assert_eq!(result.fault.map(|fault| fault.address), Some(NOWHERE));
    let result = format::<u8>(address(b"%d\0"), &mut Arguments::List(NOWHERE), 10);
    assert_eq!(result.fault.map(|fault| fault.address), Some(NOWHERE));
}

#[test]
fn format_huge_width_is_bounded() {
    let format = *b"%2000000000d|%*s\0";
    let list = [7_u64, 2_000_000_000, 0];
    let result = format::format::<u8>(address(&format), &mut Arguments::List(address(&list)), 512);
    assert_eq!(result.fault, None);
    assert_eq!(result.text, [b' '; 512]);
    assert_eq!(result.length, 4_000_000_001);
    assert_eq!(text("%.9999d", &[1]).len(), 512);
}

#[test]
fn format_takes_arguments_in_order() {
    let name = wide("name");
    let expected = "name=5 0000000000000010 ff \u{20}-7";
    let list = [
        address(name.as_slice()),
        5,
        0x10,
        0xff,
        u64::from((-7_i32).cast_unsigned()),
    ];
    assert_eq!(text("%ws=%u %p %x %3d", &list), expected);
}
