//! Addresses as text, there and back.

use super::*;
use crate::kernel::testing::{address, address_mut, status, value, wide};

fn read(text: &str, strict: u64) -> (u32, u64, [u8; 4]) {
    let units = wide(text);
    let (mut end, mut bytes) = (0_u64, [9_u8; 4]);
    let from = units.as_ptr() as u64;
    let arguments = [from, strict, address_mut(&mut end), address_mut(&mut bytes)];
    let result = status(RtlIpv4StringToAddressW, &arguments);
    (result, (end - from) / 2, bytes)
}

#[test]
fn ipv4_is_read_as_c_does() {
    assert_eq!(read("192.168.0.1:80", 1), (0, 11, [192, 168, 0, 1]));
    assert_eq!(read("0x7f.1", 0), (0, 6, [127, 0, 0, 1]));
    assert_eq!(read("010.0.0.1", 0), (0, 9, [8, 0, 0, 1]));
    assert_eq!(read("4294967295", 0), (0, 10, [255; 4]));
    assert_eq!(read("1.2.65535", 0), (0, 9, [1, 2, 255, 255]));
    for (text, strict) in [
        ("", 0),
        ("1.2.3", 1),
        ("0x1.2.3.4", 1),
        ("1.2.3.256", 0),
        ("4294967296", 0),
        ("1..2", 0),
    ] {
        let (result, _, bytes) = read(text, strict);
        assert_eq!(
            (result, bytes),
            (STATUS_INVALID_PARAMETER, [9; 4]),
            "{text}"
        );
    }
}

#[test]
fn ipv6_is_written_and_read() {
    let cases: [([u16; 8], &str); 6] = [
        ([0; 8], "::"),
        ([0, 0, 0, 0, 0, 0, 0, 1], "::1"),
        ([0xfe80, 0, 0, 0, 1, 2, 3, 4], "fe80::1:2:3:4"),
        ([0, 0, 0, 0, 0, 0xffff, 0x102, 0x304], "::ffff:1.2.3.4"),
        ([0, 0, 0, 0, 0, 0, 0x102, 0x304], "::1.2.3.4"),
        (
            [0xfe80, 0, 0, 0, 0, 0x5efe, 0x102, 0x304],
            "fe80::5efe:1.2.3.4",
        ),
    ];
    for (words, text) in cases {
        let bytes = Ipv6Addr::from(words).octets();
        let (mut to, mut back, mut end) = ([0xff_u8; 46], [0_u8; 16], 0_u64);
        let at = address_mut(&mut to);
        let nul = value(RtlIpv6AddressToStringA, &[address(&bytes), at]);
        assert_eq!(nul, at + text.len() as u64);
        assert_eq!(guest::read_c_string(at, 46).expect("ours"), text.as_bytes());
        let arguments = [at, address_mut(&mut end), address_mut(&mut back)];
        assert_eq!(status(RtlIpv6StringToAddressA, &arguments), STATUS_SUCCESS);
        assert_eq!((back, end), (bytes, nul), "{text}");
    }
}

#[test]
fn ports_scopes_and_room() {
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
fn ethernet_has_six_pairs() {
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
    let bad = *b"00-1B-2C-3D-4E\0";
    let arguments = [address(&bad), address_mut(&mut end), address_mut(&mut back)];
    assert_eq!(
        status(RtlEthernetStringToAddressA, &arguments),
        STATUS_INVALID_PARAMETER
    );
    assert_eq!(end, address(&bad) + 14);
}
