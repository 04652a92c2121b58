//! Network addresses as text: IPv4, IPv6 and Ethernet, in both widths.

#[cfg(test)]
mod tests;

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
