//! Network addresses as text: IPv4, IPv6 and Ethernet, in both widths.

use std::net::{Ipv4Addr, Ipv6Addr};

use ntstatus::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

use super::text::{self, UNLIMITED, Unit};
use crate::kernel::call::irql::APC_LEVEL;
use crate::kernel::call::{Stop, exports};
use crate::kernel::guest;

/// Bytes of an Ethernet address.
const ETHERNET: usize = 6;

/// The text of a string as far as it is ASCII; anything else ends an address.
fn ascii<U: Unit>(va: u64) -> Result<String, Stop> {
    let units: Vec<U> = text::read(va, UNLIMITED)?;
    let bytes = units.into_iter().map_while(|unit| {
        let byte = u8::try_from(unit.into()).ok();
        byte.filter(u8::is_ascii).map(char::from)
    });
    Ok(bytes.collect())
}

/// Writes text and its NUL; the address of the NUL.
fn put<U: Unit>(to: u64, text: &str) -> Result<u64, Stop> {
    let units: Vec<U> = text.bytes().chain([0]).map(U::from).collect();
    U::write_many(to, &units)?;
    Ok(text::at::<U>(to, text.len() as u64))
}

/// Writes text if it fits, and how many characters it has with its NUL.
fn put_counted<U: Unit>(to: u64, length: u64, text: &str) -> Result<u32, Stop> {
    if to == 0 || length == 0 {
        return Ok(STATUS_INVALID_PARAMETER);
    }
    let needed = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    let room = guest::read_u32(length)?;
    guest::write_u32(length, needed)?;
    if room < needed {
        return Ok(STATUS_INVALID_PARAMETER);
    }
    put::<U>(to, text)?;
    Ok(STATUS_SUCCESS)
}

/// What was read: its bytes, and how many characters they took.
#[derive(Debug, Clone, Copy)]
struct Parsed<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

/// Stores the result of reading an address; where it ended, also if there is none.
fn store<U: Unit, const N: usize>(
    from: u64,
    parsed: Result<Parsed<N>, usize>,
    end: u64,
    to: u64,
) -> Result<u32, Stop> {
    let (length, status) = match parsed {
        Ok(Parsed { bytes, length }) => {
            guest::write_bytes(to, &bytes)?;
            (length, STATUS_SUCCESS)
        }
        Err(length) => (length, STATUS_INVALID_PARAMETER),
    };
    if end != 0 {
        guest::write_u64(end, text::at::<U>(from, length as u64))?;
    }
    Ok(status)
}

/// A number in C's notation (decimal only if `strict`) and its length; `None` if
/// there is none or it has more than 32 bits.
fn number(text: &str, strict: bool) -> Option<(u32, usize)> {
    let (base, skip) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, 2),
        [b'0', b'0'..=b'9', ..] => (8, 1),
        _ => (10, 0),
    };
    if strict && base != 10 {
        return None;
    }
    let digits = text[skip..]
        .bytes()
        .take_while(|byte| char::from(*byte).is_digit(base))
        .count();
    let value = u32::from_str_radix(&text[skip..skip + digits], base).ok()?;
    Some((value, skip + digits))
}

/// Up to four parts, the last of which fills what is left; exactly four, in
/// decimal, if `strict`. Where it went wrong, if it did.
fn ipv4(text: &str, strict: bool) -> Result<Parsed<4>, usize> {
    let mut parts = Vec::new();
    let mut at = 0;
    loop {
        let (value, length) = number(&text[at..], strict).ok_or(at)?;
        at += length;
        parts.push(value);
        if parts.len() == 4 || text.as_bytes().get(at) != Some(&b'.') {
            break;
        }
        at += 1;
    }
    let (last, leading) = parts.split_last().ok_or(at)?;
    let room = 32 - 8 * u32::try_from(leading.len()).unwrap_or(0);
    let fits = leading.iter().all(|part| *part < 256) && u64::from(*last) < 1 << room;
    if !fits || strict && parts.len() != 4 {
        return Err(at);
    }
    let value = leading
        .iter()
        .zip([24, 16, 8])
        .fold(*last, |value, (part, shift)| value | part << shift);
    Ok(Parsed {
        bytes: value.to_be_bytes(),
        length: at,
    })
}

/// The longest beginning that is an IPv6 address.
fn ipv6(text: &str) -> Result<Parsed<16>, usize> {
    let possible = text
        .bytes()
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        .count();
    for length in (2..=possible).rev() {
        if let Ok(address) = text[..length].parse::<Ipv6Addr>() {
            return Ok(Parsed {
                bytes: address.octets(),
                length,
            });
        }
    }
    Err(0)
}

/// Six pairs of hexadecimal digits with `-` or `:` between them.
fn ethernet(text: &str) -> Result<Parsed<ETHERNET>, usize> {
    let mut bytes = [0; ETHERNET];
    let mut at = 0;
    for (n, byte) in bytes.iter_mut().enumerate() {
        if n > 0 {
            let separated = matches!(text.as_bytes().get(at), Some(b'-' | b':'));
            at += if separated { 1 } else { return Err(at) };
        }
        let pair = text
            .get(at..at + 2)
            .filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        *byte = pair
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or(at)?;
        at += 2;
    }
    Ok(Parsed { bytes, length: at })
}

/// A decimal, octal or hexadecimal port behind `:`, or nothing; in network order.
fn port(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(':')?;
    let (value, length) = number(digits, false)?;
    (length == digits.len())
        .then(|| u16::try_from(value).ok())
        .flatten()
}

fn ipv4_with_port<U: Unit>(from: u64, strict: bool, to: u64, port_to: u64) -> Result<u32, Stop> {
    let text = ascii::<U>(from)?;
    let Ok(Parsed { bytes, length }) = ipv4(&text, strict) else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    let Some(port) = port(&text[length..]) else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    guest::write_bytes(to, &bytes)?;
    guest::write_bytes(port_to, &port.to_be_bytes())?;
    Ok(STATUS_SUCCESS)
}

fn ipv6_with_scope<U: Unit>(from: u64, to: u64, scope_to: u64, port_to: u64) -> Result<u32, Stop> {
    let text = ascii::<U>(from)?;
    let inner = text.strip_prefix('[');
    let rest = inner.unwrap_or(&text);
    let Ok(Parsed { bytes, length }) = ipv6(rest) else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    let mut rest = &rest[length..];
    let mut scope = 0;
    if let Some(digits) = rest.strip_prefix('%') {
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let Ok(value) = digits[..count].parse() else {
            return Ok(STATUS_INVALID_PARAMETER);
        };
        (scope, rest) = (value, &digits[count..]);
    }
    let tail = if inner.is_some() {
        rest.strip_prefix(']')
    } else {
        rest.is_empty().then_some("")
    };
    let Some(port) = tail.and_then(port) else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    guest::write_bytes(to, &bytes)?;
    guest::write_u32(scope_to, scope)?;
    guest::write_bytes(port_to, &port.to_be_bytes())?;
    Ok(STATUS_SUCCESS)
}

fn ipv4_text(from: u64) -> Result<String, Stop> {
    let mut bytes = [0; 4];
    guest::read_bytes(from, &mut bytes)?;
    Ok(Ipv4Addr::from(bytes).to_string())
}

/// Addresses that hold an IPv4 address (mapped, compatible, ISATAP) end in it.
fn ipv6_text(from: u64) -> Result<String, Stop> {
    let mut bytes = [0; 16];
    guest::read_bytes(from, &mut bytes)?;
    let address = Ipv6Addr::from(bytes);
    let words = address.segments();
    let [a, b, c, d] = [bytes[12], bytes[13], bytes[14], bytes[15]];
    let dotted = Ipv4Addr::new(a, b, c, d);
    if words[..6] == [0; 6] && words[6] != 0 {
        return Ok(format!("::{dotted}"));
    }
    if words[4] & 0xfdff == 0 && words[5] == 0x5efe {
        let mut front = words;
        front[6..].copy_from_slice(&[1, 1]);
        let text = Ipv6Addr::from(front).to_string();
        return Ok(text
            .strip_suffix("1:1")
            .map_or(text.clone(), |front| format!("{front}{dotted}")));
    }
    Ok(address.to_string())
}

fn ipv4_text_with_port<U: Unit>(from: u64, port: u16, to: u64, length: u64) -> Result<u32, Stop> {
    let mut text = ipv4_text(from)?;
    if port != 0 {
        text = format!("{text}:{}", port.swap_bytes());
    }
    put_counted::<U>(to, length, &text)
}

fn ipv6_text_with_scope<U: Unit>(
    from: u64,
    scope: u32,
    port: u16,
    to: u64,
    length: u64,
) -> Result<u32, Stop> {
    let mut text = ipv6_text(from)?;
    if scope != 0 {
        text = format!("{text}%{scope}");
    }
    if port != 0 {
        text = format!("[{text}]:{}", port.swap_bytes());
    }
    put_counted::<U>(to, length, &text)
}

fn ethernet_text(from: u64) -> Result<String, Stop> {
    let mut bytes = [0; ETHERNET];
    guest::read_bytes(from, &mut bytes)?;
    Ok(bytes.map(|byte| format!("{byte:02X}")).join("-"))
}

exports! {
    /// `RtlIpv4AddressToStringA`: the address of the NUL.
    fn RtlIpv4AddressToStringA(from: u64, to: u64) -> u64 [max APC_LEVEL] { put::<u8>(to, &ipv4_text(from)?) }

    /// `RtlIpv4AddressToStringW`.
    fn RtlIpv4AddressToStringW(from: u64, to: u64) -> u64 [max APC_LEVEL] { put::<u16>(to, &ipv4_text(from)?) }

    /// `RtlIpv4AddressToStringExA`: with a port, if it is not 0.
    fn RtlIpv4AddressToStringExA(from: u64, port: u16, to: u64, length: u64) -> u32 [max APC_LEVEL] {
        ipv4_text_with_port::<u8>(from, port, to, length)
    }

    /// `RtlIpv4AddressToStringExW`.
    fn RtlIpv4AddressToStringExW(from: u64, port: u16, to: u64, length: u64) -> u32 [max APC_LEVEL] {
        ipv4_text_with_port::<u16>(from, port, to, length)
    }

    /// `RtlIpv4StringToAddressA`: also where the address ends.
    fn RtlIpv4StringToAddressA(from: u64, strict: bool, end: u64, to: u64) -> u32 [max APC_LEVEL] {
        store::<u8, 4>(from, ipv4(&ascii::<u8>(from)?, strict), end, to)
    }

    /// `RtlIpv4StringToAddressW`.
    fn RtlIpv4StringToAddressW(from: u64, strict: bool, end: u64, to: u64) -> u32 [max APC_LEVEL] {
        store::<u16, 4>(from, ipv4(&ascii::<u16>(from)?, strict), end, to)
    }

    /// `RtlIpv4StringToAddressExA`: an address and perhaps a port, and no more.
    fn RtlIpv4StringToAddressExA(from: u64, strict: bool, to: u64, port: u64) -> u32 [max APC_LEVEL] {
        ipv4_with_port::<u8>(from, strict, to, port)
    }

    /// `RtlIpv4StringToAddressExW`.
    fn RtlIpv4StringToAddressExW(from: u64, strict: bool, to: u64, port: u64) -> u32 [max APC_LEVEL] {
        ipv4_with_port::<u16>(from, strict, to, port)
    }

    /// `RtlIpv6AddressToStringA`: the address of the NUL.
    fn RtlIpv6AddressToStringA(from: u64, to: u64) -> u64 [max APC_LEVEL] { put::<u8>(to, &ipv6_text(from)?) }

    /// `RtlIpv6AddressToStringW`.
    fn RtlIpv6AddressToStringW(from: u64, to: u64) -> u64 [max APC_LEVEL] { put::<u16>(to, &ipv6_text(from)?) }

    /// `RtlIpv6AddressToStringExA`: with scope and port, if they are not 0.
    fn RtlIpv6AddressToStringExA(from: u64, scope: u32, port: u16, to: u64, length: u64) -> u32 [max APC_LEVEL] {
        ipv6_text_with_scope::<u8>(from, scope, port, to, length)
    }

    /// `RtlIpv6AddressToStringExW`.
    fn RtlIpv6AddressToStringExW(from: u64, scope: u32, port: u16, to: u64, length: u64) -> u32 [max APC_LEVEL] {
        ipv6_text_with_scope::<u16>(from, scope, port, to, length)
    }

    /// `RtlIpv6StringToAddressA`: also where the address ends.
    fn RtlIpv6StringToAddressA(from: u64, end: u64, to: u64) -> u32 [max APC_LEVEL] {
        store::<u8, 16>(from, ipv6(&ascii::<u8>(from)?), end, to)
    }

    /// `RtlIpv6StringToAddressW`.
    fn RtlIpv6StringToAddressW(from: u64, end: u64, to: u64) -> u32 [max APC_LEVEL] {
        store::<u16, 16>(from, ipv6(&ascii::<u16>(from)?), end, to)
    }

    /// `RtlIpv6StringToAddressExA`: an address, perhaps with scope and port.
    fn RtlIpv6StringToAddressExA(from: u64, to: u64, scope: u64, port: u64) -> u32 [max APC_LEVEL] {
        ipv6_with_scope::<u8>(from, to, scope, port)
    }

    /// `RtlIpv6StringToAddressExW`.
    fn RtlIpv6StringToAddressExW(from: u64, to: u64, scope: u64, port: u64) -> u32 [max APC_LEVEL] {
        ipv6_with_scope::<u16>(from, to, scope, port)
    }

    /// `RtlEthernetAddressToStringA`: the address of the NUL.
    fn RtlEthernetAddressToStringA(from: u64, to: u64) -> u64 [max APC_LEVEL] { put::<u8>(to, &ethernet_text(from)?) }

    /// `RtlEthernetAddressToStringW`.
    fn RtlEthernetAddressToStringW(from: u64, to: u64) -> u64 [max APC_LEVEL] { put::<u16>(to, &ethernet_text(from)?) }

    /// `RtlEthernetStringToAddressA`: also where the address ends.
    fn RtlEthernetStringToAddressA(from: u64, end: u64, to: u64) -> u32 [max APC_LEVEL] {
        store::<u8, ETHERNET>(from, ethernet(&ascii::<u8>(from)?), end, to)
    }

    /// `RtlEthernetStringToAddressW`.
    fn RtlEthernetStringToAddressW(from: u64, end: u64, to: u64) -> u32 [max APC_LEVEL] {
        store::<u16, ETHERNET>(from, ethernet(&ascii::<u16>(from)?), end, to)
    }
}

#[cfg(test)]
mod tests {
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
}
