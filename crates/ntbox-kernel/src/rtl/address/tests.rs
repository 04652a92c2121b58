//! Addresses as text, there and back.

use ntbox_host::driver_mem;

use super::*;
use crate::test_support::{address, address_mut, fault, status, value, wide};

fn read(text: &str, strict: u64) -> (u32, u64, [u8; 4]) {
    let units = wide(text);
    let (mut end, mut bytes) = (0_u64, [9_u8; 4]);
    let from = units.as_ptr() as u64;
    let arguments = [from, strict, address_mut(&mut end), address_mut(&mut bytes)];
    let result = status(RtlIpv4StringToAddressW, &arguments);
    (result, (end - from) / 2, bytes)
}

#[test]
fn ipv4_parse_matches_inet_aton() {
    // What Python's `socket.inet_aton` gives, and glibc's.
    for (text, bytes) in [
        ("1", [0, 0, 0, 1]),
        ("7.11", [7, 0, 0, 11]),
        ("7.70000", [7, 1, 17, 112]),
        ("7.8.700", [7, 8, 2, 188]),
        ("4294967295", [255; 4]),
        ("0x7f.1", [127, 0, 0, 1]),
        ("0XC0A80102", [192, 168, 1, 2]),
        ("010.0.0.1", [8, 0, 0, 1]),
        ("030052000402", [192, 168, 1, 2]),
        ("0x10.020.30.00", [16, 16, 30, 0]),
    ] {
        assert_eq!(read(text, 0), (0, text.len() as u64, bytes), "{text}");
        assert_eq!(read(text, 1).0, STATUS_INVALID_PARAMETER, "{text}");
    }
}

#[test]
fn ipv4_parse_of_dotted_decimal_matches_rust() {
    for value in (0..200_u32).map(|n| n.wrapping_mul(0x9e37_79b1).rotate_left(n)) {
        let text = Ipv4Addr::from(value).to_string();
        for strict in [0, 1] {
            let bytes: Ipv4Addr = text.parse().expect("it was written so");
            let expected = (0, text.len() as u64, bytes.octets());
            assert_eq!(read(&text, strict), expected, "{text}");
        }
    }
}

/// Text, where reading ends, and where it does if strict; the bytes, if it is an
/// address. What was seen on Windows, with other numbers.
const IPV4: &[(&str, u64, u64, Option<[u8; 4]>)] = &[
    ("", 0, 0, None),
    (" 5.6.7.8", 0, 0, None),
    ("g", 0, 0, None),
    ("-5", 0, 0, None),
    (".", 1, 1, None),
    ("..", 1, 1, None),
    (".5.6.7", 1, 1, None),
    ("5.", 2, 2, None),
    ("5..6", 3, 3, None),
    ("5. 6", 2, 2, None),
    ("5.6.7.", 6, 6, None),
    ("5.6.7.+8", 6, 6, None),
    ("5.6.7.8.", 7, 7, None),
    ("5.6.7.8.9", 7, 7, None),
    ("5.6.7.300", 9, 9, None),
    ("300.6.7", 7, 7, None),
    ("5.6.70000", 9, 9, None),
    // A digit that is too much is where it ends.
    ("5.6.7.4294967300", 15, 15, None),
    ("5.6.7.0x", 8, 8, None),
    ("5.6.7.0x1ff", 11, 8, None),
    ("5.6.7.09", 7, 7, None),
    ("[5.6.7.8]", 0, 0, None),
    ("::5", 0, 0, None),
    ("5.6.7.8 ", 7, 7, Some([5, 6, 7, 8])),
    ("5.6.7.8:90", 7, 7, Some([5, 6, 7, 8])),
    ("5.6.7.0z", 7, 7, Some([5, 6, 7, 0])),
    ("5.6.7.8a", 7, 7, Some([5, 6, 7, 8])),
];

#[test]
fn ipv4_parse_terminator_matches_windows() {
    for (text, end, strict_end, expected) in IPV4 {
        let status = if expected.is_some() {
            STATUS_SUCCESS
        } else {
            STATUS_INVALID_PARAMETER
        };
        let bytes = expected.unwrap_or([9; 4]);
        assert_eq!(read(text, 0), (status, *end, bytes), "{text}");
        assert_eq!(read(text, 1), (status, *strict_end, bytes), "{text}");
    }
    // Not if strict, and a number whose upper bits fall out without being noticed.
    assert_eq!(read("5.6.7.007", 0), (0, 9, [5, 6, 7, 7]));
    assert_eq!(read("5.6.7.008", 0), (0, 8, [5, 6, 7, 0]));
    assert_eq!(read("5.6.7.008", 1), (STATUS_INVALID_PARAMETER, 7, [9; 4]));
    assert_eq!(read("0x1a0000000", 0), (0, 11, [0xa0, 0, 0, 0]));
    assert_eq!(
        read("0x1a0000000", 1),
        (STATUS_INVALID_PARAMETER, 2, [9; 4])
    );
}

#[test]
fn ipv4_ex_parse_checks_port() {
    let read = |text: &str, strict: u64| {
        let units = wide(text);
        let (mut bytes, mut port) = ([9_u8; 4], 0xdead_u16);
        let (from, to) = (units.as_ptr() as u64, address_mut(&mut bytes));
        let arguments = [from, strict, to, address_mut(&mut port)];
        let result = status(RtlIpv4StringToAddressExW, &arguments);
        (result, bytes, port)
    };
    for strict in [0, 1] {
        for (text, port) in [
            ("5.6.7.8", 0),
            ("5.6.7.8:1", 1),
            ("5.6.7.8:65535", 65535),
            ("5.6.7.8:0x1F90", 8080),
            ("5.6.7.8:0X1f90", 8080),
            ("5.6.7.8:017620", 8080),
        ] {
            let expected = (STATUS_SUCCESS, [5, 6, 7, 8], u16::to_be(port));
            assert_eq!(read(text, strict), expected, "{text}");
        }
        for text in [
            ":", "+", ":0", ":65536", ":80a", ":80 ", ": 80", ":+80", ":-80", ":09", ":0x", " ",
        ] {
            let text = format!("5.6.7.8{text}");
            let expected = (STATUS_INVALID_PARAMETER, [5, 6, 7, 8], 0xdead);
            assert_eq!(read(&text, strict), expected, "{text}");
        }
        assert_eq!(read("300.6.7.8:1", strict).1, [9; 4]);
    }
    let text = wide("5.6.7.8");
    let (from, mut bytes) = (text.as_ptr() as u64, [9_u8; 4]);
    let to = address_mut(&mut bytes);
    for arguments in [[0, 0, to, to], [from, 0, 0, to], [from, 0, to, 0]] {
        assert_eq!(
            status(RtlIpv4StringToAddressExW, &arguments),
            STATUS_INVALID_PARAMETER
        );
    }
    assert_eq!(bytes, [9; 4]);
}

/// Status, end and words of an IPv6 address; 0x9999 for words that were not
/// stored, `None` for an end that was not told.
fn read_ipv6(text: &str) -> (u32, Option<u64>, [u16; 8]) {
    let units = wide(text);
    let (mut end, mut bytes) = (0_u64, [0x99_u8; 16]);
    let from = units.as_ptr() as u64;
    let arguments = [from, address_mut(&mut end), address_mut(&mut bytes)];
    let result = status(RtlIpv6StringToAddressW, &arguments);
    let end = (end != 0).then(|| (end - from) / 2);
    (result, end, Ipv6Addr::from(bytes).segments())
}

#[test]
fn ipv6_parse_of_well_formed_matches_rust() {
    let mut texts: Vec<String> = Vec::new();
    // Every pattern of zero words, which decides where `::` is written.
    for pattern in 0..=255_u16 {
        let words: [u16; 8] = std::array::from_fn(|n| {
            if pattern >> n & 1 == 0 {
                0
            } else {
                0x0a1b_u16.rotate_left(u32::from(pattern) + u32::try_from(n).unwrap_or(0))
            }
        });
        let whole = words.map(|word| format!("{word:04X}")).join(":");
        let front = words.map(|word| format!("{word:x}"))[..6].join(":");
        texts.push(format!("{front}:203.0.113.{pattern}"));
        texts.push(Ipv6Addr::from(words).to_string());
        texts.push(whole);
    }
    for text in [
        "::",
        "::1.2.3.4",
        "1::",
        "::ffff:1.2.3.4",
        "1:2:3:4:5:6:7::",
    ] {
        texts.push(text.to_owned());
    }
    texts.push("::2:3:4:5:6:7:8".to_owned());
    for text in texts {
        let expected: Ipv6Addr = text.parse().expect("it is well formed");
        let end = Some(text.len() as u64);
        assert_eq!(
            read_ipv6(&text),
            (STATUS_SUCCESS, end, expected.segments()),
            "{text}"
        );
        // What cannot belong to it ends it.
        let longer = format!("{text}%7");
        assert_eq!(
            read_ipv6(&longer),
            (STATUS_SUCCESS, end, expected.segments()),
            "{longer}"
        );
    }
}

const X: u16 = 0x9999;

/// Text, where reading ends, and the words.
type Ipv6Case = (&'static str, Option<u64>, [u16; 8]);

/// Not addresses, with what is stored of them nevertheless. What was seen on
/// Windows, with other numbers.
const NO_IPV6: &[Ipv6Case] = &[
    ("", Some(0), [X; 8]),
    (":", Some(0), [X; 8]),
    (":a::", Some(0), [X; 8]),
    ("-1", Some(0), [X; 8]),
    ("[::]", Some(0), [X; 8]),
    ("abc", Some(3), [X; 8]),
    ("0xabc", Some(1), [X; 8]),
    ("a:b:", Some(4), [0xa, 0xb, X, X, X, X, X, X]),
    ("a:b:c", Some(5), [0xa, 0xb, X, X, X, X, X, X]),
    ("a:b: c::", Some(4), [0xa, 0xb, X, X, X, X, X, X]),
    ("a::b:", Some(5), [0xa, 0xb, X, X, X, X, X, X]),
    ("a:b:c:0x1:", Some(7), [0xa, 0xb, 0xc, X, X, X, X, X]),
    // Too many digits: at the end, where the end is told, and before.
    ("::12345", Some(7), [0, X, X, X, X, X, X, X]),
    ("a::12345", Some(8), [0xa, X, X, X, X, X, X, X]),
    ("a::12345::", Some(8), [0xa, X, X, X, X, X, X, X]),
    (
        "a:b:c:d:e:f:1:fffff:",
        Some(19),
        [0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 1, X],
    ),
    ("12345::1", None, [X; 8]),
    ("a:12345:b", None, [0xa, X, X, X, X, X, X, X]),
    ("a::0123.4", None, [0xa, X, X, X, X, X, X, X]),
    // IPv4 at the end.
    ("5.6.7.8", Some(7), [0x506, 0x799, X, X, X, X, X, X]),
    ("a:5.6.7.8", Some(9), [0xa, 0x506, 0x799, X, X, X, X, X]),
    ("a::5.", Some(5), [0xa, 0x599, X, X, X, X, X, X]),
    ("a::5.6", Some(6), [0xa, 0x599, X, X, X, X, X, X]),
    ("a::5.6:7", Some(6), [0xa, 0x599, X, X, X, X, X, X]),
    ("a::5.6b.7.8", Some(6), [0xa, 0x599, X, X, X, X, X, X]),
    ("a::5.6.7.", Some(9), [0xa, 0x506, 0x799, X, X, X, X, X]),
    ("a::5.6.7.256", Some(12), [0xa, 0x506, 0x799, X, X, X, X, X]),
    ("a::5.6.256.7", None, [0xa, 0x506, X, X, X, X, X, X]),
    ("a::5.0006.7.8", None, [0xa, 0x599, X, X, X, X, X, X]),
    ("a::300.6.7.8", None, [0xa, X, X, X, X, X, X, X]),
];

/// Addresses with more behind them.
const IPV6_AND_MORE: &[Ipv6Case] = &[
    ("::-1", Some(2), [0; 8]),
    ("::.", Some(2), [0; 8]),
    (":::", Some(2), [0; 8]),
    ("a:b:::c", Some(5), [0xa, 0xb, 0, 0, 0, 0, 0, 0]),
    ("a::b::c", Some(4), [0xa, 0, 0, 0, 0, 0, 0, 0xb]),
    (
        "a::5.6.7.8::1",
        Some(10),
        [0xa, 0, 0, 0, 0, 0, 0x506, 0x708],
    ),
    ("a::1b.2", Some(5), [0xa, 0, 0, 0, 0, 0, 0, 0x1b]),
    ("a::b/64", Some(4), [0xa, 0, 0, 0, 0, 0, 0, 0xb]),
    ("1:2:3:4:5:6:7:8:9", Some(15), [1, 2, 3, 4, 5, 6, 7, 8]),
    ("1:2:3:4:5:6:7:8.9", Some(15), [1, 2, 3, 4, 5, 6, 7, 8]),
    ("1:2:3:4:5:6::7:8", Some(14), [1, 2, 3, 4, 5, 6, 0, 7]),
    ("1:2:3:4:5:6:7::8", Some(15), [1, 2, 3, 4, 5, 6, 7, 0]),
    ("1:2:3:4:5:6::7.8.9.1", Some(14), [1, 2, 3, 4, 5, 6, 0, 7]),
    // C's hexadecimal numbers, of which the address has the `0`.
    ("::0x", Some(3), [0; 8]),
    ("::0xab", Some(3), [0, 0, 0, 0, 0, 0, 0, 0xab]),
    ("a::0X1234567", Some(4), [0xa, 0, 0, 0, 0, 0, 0, 0x4567]),
    ("a::0x90000000", Some(4), [0xa, 0, 0, 0, 0, 0, 0, 0xffff]),
];

#[test]
fn ipv6_parse_terminator_matches_windows() {
    for (text, end, words) in NO_IPV6 {
        let expected = (STATUS_INVALID_PARAMETER, *end, *words);
        assert_eq!(read_ipv6(text), expected, "{text}");
    }
    for (text, end, words) in IPV6_AND_MORE {
        assert_eq!(read_ipv6(text), (STATUS_SUCCESS, *end, *words), "{text}");
    }
}

#[test]
fn ipv6_ex_parse_checks_scope_and_port() {
    let read = |text: &str| {
        let units = wide(text);
        let (mut bytes, mut scope, mut port) = ([0x99_u8; 16], 0xbad_u32, 0xdead_u16);
        let arguments = [
            units.as_ptr() as u64,
            address_mut(&mut bytes),
            address_mut(&mut scope),
            address_mut(&mut port),
        ];
        let result = status(RtlIpv6StringToAddressExW, &arguments);
        (result, Ipv6Addr::from(bytes), scope, port)
    };
    let expected: Ipv6Addr = "ff02::1:2".parse().expect("well formed");
    for (text, scope, port) in [
        ("ff02::1:2", 0, 0),
        ("ff02::1:2%7", 7, 0),
        ("[ff02::1:2]", 0, 0),
        ("[ff02::1:2%0]:80", 0, 80),
        ("[ff02::1:2%4294967295]:65535", u32::MAX, 65535),
        ("[ff02::1:2]:0x1F90", 0, 8080),
    ] {
        let expected = (STATUS_SUCCESS, expected, scope, u16::to_be(port));
        assert_eq!(read(text), expected, "{text}");
    }
    for text in [
        "ff02::1:2/64",
        "ff02::1:2]",
        "ff02::1:2 ",
        "[ff02::1:2",
        "[ff02::1:2 ]:80",
        "[ff02::1:2].80",
        "[ff02::1:2]:",
        "[ff02::1:2]:080",
        "[ff02::1:2]:-80",
        "[ff02::1:2]:99999999999",
        "[ff02::1:2%-1]:80",
        "[ff02::1:2%0x10]:80",
        "[ff02::1:2%4294967296]:80",
        "[ff02::1:2/16]:80",
    ] {
        let expected = (STATUS_INVALID_PARAMETER, expected, 0xbad, 0xdead);
        assert_eq!(read(text), expected, "{text}");
    }
    let untouched = Ipv6Addr::from([0x99; 16]);
    assert_eq!(read("[ ff02::1:2]").1, untouched);
}

#[test]
fn address_result_pointer_invalid_fails() {
    let (text, mut room) = (wide("5.6.7.8"), [0_u8; 16]);
    let (from, to) = (text.as_ptr() as u64, address_mut(&mut room));
    assert_eq!(fault(RtlIpv4StringToAddressW, &[from, 1, 0, to]), 0);
    assert_eq!(fault(RtlIpv6StringToAddressW, &[from, 0, to]), 0);
    for handler in [RtlIpv4AddressToStringA, RtlIpv6AddressToStringW] {
        assert_eq!(value(handler, &[to, 0]), u64::MAX);
    }
    let mut length = 30_u32;
    let length = address_mut(&mut length);
    let arguments = [0, 0, to, length];
    assert_eq!(
        status(RtlIpv4AddressToStringExA, &arguments),
        STATUS_INVALID_PARAMETER
    );
}

#[test]
fn ipv6_format_and_parse_round_trip() {
    let cases: [([u16; 8], &str); 15] = [
        ([0; 8], "::"),
        ([0, 0, 0, 0, 0, 0, 0, 1], "::1"),
        ([0xfe80, 0, 0, 0, 1, 2, 3, 4], "fe80::1:2:3:4"),
        ([0, 0, 0, 0, 0, 0xffff, 0x102, 0x304], "::ffff:1.2.3.4"),
        ([0, 0, 0, 0, 0, 0, 0x102, 0x304], "::1.2.3.4"),
        (
            [0xfe80, 0, 0, 0, 0, 0x5efe, 0x102, 0x304],
            "fe80::5efe:1.2.3.4",
        ),
        (
            [0xfe80, 0, 0, 0, 0x200, 0x5efe, 0x102, 0],
            "fe80::200:5efe:1.2.0.0",
        ),
        ([0, 0, 0, 0, 0, 0x5efe, 0, 0], "::5efe:0.0.0.0"),
        ([0, 0, 0, 0, 1, 0x5efe, 0x102, 0x304], "::1:5efe:102:304"),
        ([0, 0, 0, 0, 0xffff, 0, 0x102, 0x304], "::ffff:0:1.2.3.4"),
        ([0, 0, 0, 0, 0xffff, 0, 0, 0x304], "::ffff:0:0:304"),
        // RFC 5952 would have `::ffff:0.0.3.4`.
        ([0, 0, 0, 0, 0, 0xffff, 0, 0x304], "::ffff:0:304"),
        ([0, 0, 0, 0, 0, 0xffff, 0x100, 0], "::ffff:1.0.0.0"),
        ([1, 0, 2, 3, 4, 5, 6, 7], "1:0:2:3:4:5:6:7"),
        ([1, 0, 0, 2, 3, 0, 0, 4], "1::2:3:0:0:4"),
    ];
    for (words, text) in cases {
        let bytes = Ipv6Addr::from(words).octets();
        let (mut to, mut back, mut end) = ([0xff_u8; 46], [0_u8; 16], 0_u64);
        let at = address_mut(&mut to);
        let nul = value(RtlIpv6AddressToStringA, &[address(&bytes), at]);
        assert_eq!(nul, at + text.len() as u64);
        assert_eq!(
            driver_mem::read_c_string(at, 46).expect("ours"),
            text.as_bytes()
        );
        let arguments = [at, address_mut(&mut end), address_mut(&mut back)];
        assert_eq!(status(RtlIpv6StringToAddressA, &arguments), STATUS_SUCCESS);
        assert_eq!((back, end), (bytes, nul), "{text}");
    }
}

#[test]
fn address_ex_format_needs_buffer() {
    let (mut bytes, mut scope, mut port) = ([0_u8; 16], 0_u32, [0_u8; 2]);
    let text = *b"[fe80::1%12]:443\0";
    let arguments = [
        address(&text),
        address_mut(&mut bytes),
        address_mut(&mut scope),
        address_mut(&mut port),
    ];
    assert_eq!(
        status(RtlIpv6StringToAddressExA, &arguments),
        STATUS_SUCCESS
    );
    assert_eq!((scope, port), (12, [1, 187]));
    let (mut to, mut length) = ([0_u8; 65], 16_u32);
    let network = u64::from(u16::from_le_bytes(port));
    let from = address(&bytes);
    let arguments = [
        from,
        12,
        network,
        address_mut(&mut to),
        address_mut(&mut length),
    ];
    assert_eq!(
        status(RtlIpv6AddressToStringExA, &arguments),
        STATUS_INVALID_PARAMETER
    );
    assert_eq!(length, 17);
    assert_eq!(
        status(RtlIpv6AddressToStringExA, &arguments),
        STATUS_SUCCESS
    );
    assert_eq!(to[..17], text);
    let mut address_bytes = [0_u8; 4];
    let arguments = [
        address(b"1.2.3.4:0x50\0"),
        1,
        address_mut(&mut address_bytes),
        address_mut(&mut port),
    ];
    assert_eq!(
        status(RtlIpv4StringToAddressExA, &arguments),
        STATUS_SUCCESS
    );
    assert_eq!((address_bytes, port), ([1, 2, 3, 4], [0, 80]));
}

#[test]
fn ethernet_parse_and_format_six_pairs() {
    let bytes = [0, 0x1b, 0x2c, 0x3d, 0x4e, 0xff_u8];
    let (mut to, mut back, mut end) = ([0_u8; 18], [0_u8; 6], 0_u64);
    let at = address_mut(&mut to);
    assert_eq!(
        value(RtlEthernetAddressToStringA, &[address(&bytes), at]),
        at + 17
    );
    assert_eq!(&to, b"00-1B-2C-3D-4E-FF\0");
    let arguments = [at, address_mut(&mut end), address_mut(&mut back)];
    assert_eq!(
        status(RtlEthernetStringToAddressA, &arguments),
        STATUS_SUCCESS
    );
    assert_eq!((back, end), (bytes, at + 17));
    for (bad, at) in [
        ("00-1B-2C-3D-4E", 14),
        ("00-1B-2C-3D-4E-F", 15),
        ("00:1B:2C:3D:4E:FF", 2),
        ("0-1B-2C-3D-4E-FF", 0),
        ("00-1B-+C-3D-4E-FF", 6),
    ] {
        let text = wide(bad);
        let from = text.as_ptr() as u64;
        let arguments = [from, address_mut(&mut end), address_mut(&mut back)];
        assert_eq!(
            status(RtlEthernetStringToAddressW, &arguments),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!((end - from) / 2, at, "{bad}");
    }
    let longer = *b"f4-ce-46-2d-90-8c/x\0";
    let from = address(&longer);
    let arguments = [from, address_mut(&mut end), address_mut(&mut back)];
    assert_eq!(
        status(RtlEthernetStringToAddressA, &arguments),
        STATUS_SUCCESS
    );
    assert_eq!(end, from + 17);
    assert_eq!(back, [0xf4, 0xce, 0x46, 0x2d, 0x90, 0x8c]);
}
