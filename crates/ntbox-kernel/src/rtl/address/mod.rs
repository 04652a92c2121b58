//! Network addresses as text: IPv4, IPv6 and Ethernet, in both widths.

mod ipv4;
mod ipv6;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr};

use nt_status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use super::cstr;
use super::cstr::{UNLIMITED, Unit};
use crate::base::export::exports;

/// Bytes of an Ethernet address.
const ETHERNET: usize = 6;

/// What stands for characters that no address has.
const OTHER: u8 = 0xff;

/// The text of a string, with [`OTHER`] for what is not ASCII and so ends an
/// address.
fn ascii<U: Unit>(va: u64) -> Result<Vec<u8>, NoReturn> {
    let units: Vec<U> = cstr::read(va, UNLIMITED)?;
    let bytes = units.into_iter().map(|unit| {
        let byte = u8::try_from(unit.into()).ok();
        byte.filter(u8::is_ascii).unwrap_or(OTHER)
    });
    Ok(bytes.collect())
}

/// Writes text and its NUL; the address of the NUL. Without a place for it, as
/// Windows since Vista: all ones.
fn put<U: Unit>(to: u64, text: &str) -> Result<u64, NoReturn> {
    if to == 0 {
        return Ok(u64::MAX);
    }
    let units: Vec<U> = text.bytes().chain([0]).map(U::from).collect();
    U::write_many(to, &units)?;
    Ok(cstr::at::<U>(to, text.len() as u64))
}

/// Writes text if it fits, and how many characters it has with its NUL.
fn put_counted<U: Unit>(to: u64, length: u64, text: &str) -> Result<u32, NoReturn> {
    if to == 0 || length == 0 {
        return Ok(STATUS_INVALID_PARAMETER);
    }
    let needed = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    let room = driver_mem::read_u32(length)?;
    driver_mem::write_u32(length, needed)?;
    if room < needed {
        return Ok(STATUS_INVALID_PARAMETER);
    }
    put::<U>(to, text)?;
    Ok(STATUS_SUCCESS)
}

/// Stores where an address ended. A driver that passes no place for it faults, as
/// on Windows.
fn store_end<U: Unit>(from: u64, end: u64, length: usize) -> Result<(), NoReturn> {
    Ok(driver_mem::write_u64(
        end,
        cstr::at::<U>(from, length as u64),
    )?)
}

/// Reads an IPv4 address.
fn read_ipv4<U: Unit>(from: u64, strict: bool, end: u64, to: u64) -> Result<u32, NoReturn> {
    let (length, status) = match ipv4::parse(&ascii::<U>(from)?, strict) {
        Ok(parsed) => {
            driver_mem::write_bytes(to, &parsed.bytes)?;
            (parsed.length, STATUS_SUCCESS)
        }
        Err(length) => (length, STATUS_INVALID_PARAMETER),
    };
    store_end::<U>(from, end, length)?;
    Ok(status)
}

/// Reads an IPv6 address. What was read is stored even if it is none.
fn read_ipv6<U: Unit>(from: u64, end: u64, to: u64) -> Result<u32, NoReturn> {
    let parsed = ipv6::parse(&ascii::<U>(from)?);
    driver_mem::write_bytes(to, &parsed.bytes[..parsed.stored])?;
    if let Some(length) = parsed.end {
        store_end::<U>(from, end, length)?;
    }
    Ok(if parsed.valid {
        STATUS_SUCCESS
    } else {
        STATUS_INVALID_PARAMETER
    })
}

/// Reads an Ethernet address: six pairs of hexadecimal digits with `-` between
/// them. Where it ended is stored, also if it is none.
fn read_ethernet<U: Unit>(from: u64, end: u64, to: u64) -> Result<u32, NoReturn> {
    let (length, status) = match ethernet(&ascii::<U>(from)?) {
        Ok(bytes) => {
            driver_mem::write_bytes(to, &bytes)?;
            (3 * ETHERNET - 1, STATUS_SUCCESS)
        }
        Err(length) => (length, STATUS_INVALID_PARAMETER),
    };
    store_end::<U>(from, end, length)?;
    Ok(status)
}

/// The bytes of an Ethernet address, or where it went wrong.
fn ethernet(text: &[u8]) -> Result<[u8; ETHERNET], usize> {
    let mut bytes = [0; ETHERNET];
    for (n, byte) in bytes.iter_mut().enumerate() {
        let at = 3 * n;
        if n > 0 && text.get(at - 1) != Some(&b'-') {
            return Err(at - 1);
        }
        let pair = text
            .get(at..at + 2)
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        *byte = pair
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or(at)?;
    }
    Ok(bytes)
}

/// A decimal, octal or hexadecimal port behind `:`, or nothing, which is port 0.
/// A port that is written as 0 is none.
fn port(text: &[u8]) -> Option<u16> {
    let Some((colon, digits)) = text.split_first() else {
        return Some(0);
    };
    let (base, prefix) = ipv4::base(digits);
    let digits = std::str::from_utf8(&digits[prefix..]).ok()?;
    let plain = *colon == b':' && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain
        .then(|| u16::from_str_radix(digits, base).ok())
        .flatten()
        .filter(|port| *port != 0)
}

/// Reads an IPv4 address with a port. The address is stored even if the port is
/// none.
fn read_ipv4_with_port<U: Unit>(
    from: u64,
    strict: bool,
    to: u64,
    port_to: u64,
) -> Result<u32, NoReturn> {
    if from == 0 || to == 0 || port_to == 0 {
        return Ok(STATUS_INVALID_PARAMETER);
    }
    let text = ascii::<U>(from)?;
    let Ok(parsed) = ipv4::parse(&text, strict) else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    driver_mem::write_bytes(to, &parsed.bytes)?;
    let Some(port) = port(&text[parsed.length..]) else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    driver_mem::write_bytes(port_to, &port.to_be_bytes())?;
    Ok(STATUS_SUCCESS)
}

/// A decimal scope behind `%`, or nothing, and what is behind it.
fn scope(text: &[u8]) -> Option<(u32, &[u8])> {
    let [b'%', rest @ ..] = text else {
        return Some((0, text));
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = std::str::from_utf8(&rest[..count]).ok()?;
    Some((digits.parse().ok()?, &rest[count..]))
}

/// Reads an IPv6 address with scope and port. The address is stored even if the
/// others are none.
fn read_ipv6_with_scope<U: Unit>(
    from: u64,
    to: u64,
    scope_to: u64,
    port_to: u64,
) -> Result<u32, NoReturn> {
    if from == 0 || to == 0 || scope_to == 0 || port_to == 0 {
        return Ok(STATUS_INVALID_PARAMETER);
    }
    let text = ascii::<U>(from)?;
    let inner = text.strip_prefix(b"[");
    let rest = inner.unwrap_or(&text);
    let parsed = ipv6::parse(rest);
    driver_mem::write_bytes(to, &parsed.bytes[..parsed.stored])?;
    let behind = parsed.end.filter(|_| parsed.valid);
    let scoped = behind.and_then(|end| scope(&rest[end..]));
    let ported = scoped.and_then(|(scope, rest)| {
        let port = match inner {
            Some(_) => port(rest.strip_prefix(b"]")?),
            None => rest.is_empty().then_some(0),
        };
        Some((scope, port?))
    });
    let Some((scope, port)) = ported else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    driver_mem::write_u32(scope_to, scope)?;
    driver_mem::write_bytes(port_to, &port.to_be_bytes())?;
    Ok(STATUS_SUCCESS)
}

fn ipv4_text(from: u64) -> Result<String, NoReturn> {
    let mut bytes = [0; 4];
    driver_mem::read_bytes(from, &mut bytes)?;
    Ok(Ipv4Addr::from(bytes).to_string())
}

/// Addresses that hold an IPv4 address (compatible, mapped, translated, ISATAP) end
/// in it. In all but the last its first half must not be zero.
fn ipv6_text(from: u64) -> Result<String, NoReturn> {
    let mut bytes = [0; 16];
    driver_mem::read_bytes(from, &mut bytes)?;
    let words = Ipv6Addr::from(bytes).segments();
    let [a, b, c, d] = [bytes[12], bytes[13], bytes[14], bytes[15]];
    let dotted = Ipv4Addr::new(a, b, c, d);
    let isatap = words[4] & 0xfdff == 0 && words[5] == 0x5efe;
    let embedded = words[6] != 0;
    Ok(match words {
        [0, 0, 0, 0, 0, 0, _, _] if embedded => format!("::{dotted}"),
        [0, 0, 0, 0, 0, 0xffff, _, _] if embedded => format!("::ffff:{dotted}"),
        [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}"),
        [0, 0, 0, 0, 0xffff, 0, _, _] if embedded => format!("::ffff:0:{dotted}"),
        _ if isatap => {
            // The zeros of the IPv4 address are not shortened.
            let mut front = words;
            front[6..].copy_from_slice(&[1, 1]);
            let text = Ipv6Addr::from(front).to_string();
            let front = text.strip_suffix("1:1").unwrap_or(&text);
            format!("{front}{dotted}")
        }
        _ => Ipv6Addr::from(bytes).to_string(),
    })
}

fn ipv4_text_with_port<U: Unit>(
    from: u64,
    port: u16,
    to: u64,
    length: u64,
) -> Result<u32, NoReturn> {
    if from == 0 {
        return Ok(STATUS_INVALID_PARAMETER);
    }
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
) -> Result<u32, NoReturn> {
    if from == 0 {
        return Ok(STATUS_INVALID_PARAMETER);
    }
    let mut text = ipv6_text(from)?;
    if scope != 0 {
        text = format!("{text}%{scope}");
    }
    if port != 0 {
        text = format!("[{text}]:{}", port.swap_bytes());
    }
    put_counted::<U>(to, length, &text)
}

fn ethernet_text(from: u64) -> Result<String, NoReturn> {
    let mut bytes = [0; ETHERNET];
    driver_mem::read_bytes(from, &mut bytes)?;
    Ok(bytes.map(|byte| format!("{byte:02X}")).join("-"))
}

exports! {
    /// `RtlIpv4AddressToStringA`: the address of the NUL.
    fn RtlIpv4AddressToStringA(from: u64, to: u64) -> u64
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv4addresstostringa"] { put::<u8>(to, &ipv4_text(from)?) }

    /// `RtlIpv4AddressToStringW`.
    fn RtlIpv4AddressToStringW(from: u64, to: u64) -> u64
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv4addresstostringw"] { put::<u16>(to, &ipv4_text(from)?) }

    /// `RtlIpv4AddressToStringExA`: with a port, if it is not 0.
    fn RtlIpv4AddressToStringExA(from: u64, port: u16, to: u64, length: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv4addresstostringexa"] {
        ipv4_text_with_port::<u8>(from, port, to, length)
    }

    /// `RtlIpv4AddressToStringExW`.
    fn RtlIpv4AddressToStringExW(from: u64, port: u16, to: u64, length: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv4addresstostringexw"] {
        ipv4_text_with_port::<u16>(from, port, to, length)
    }

    /// `RtlIpv4StringToAddressA`: also where the address ends.
    fn RtlIpv4StringToAddressA(from: u64, strict: bool, end: u64, to: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv4stringtoaddressa"] {
        read_ipv4::<u8>(from, strict, end, to)
    }

    /// `RtlIpv4StringToAddressW`.
    fn RtlIpv4StringToAddressW(from: u64, strict: bool, end: u64, to: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv4stringtoaddressw"] {
        read_ipv4::<u16>(from, strict, end, to)
    }

    /// `RtlIpv4StringToAddressExA`: an address and perhaps a port, and no more.
    fn RtlIpv4StringToAddressExA(from: u64, strict: bool, to: u64, port: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv4stringtoaddressexa"] {
        read_ipv4_with_port::<u8>(from, strict, to, port)
    }

    /// `RtlIpv4StringToAddressExW`.
    fn RtlIpv4StringToAddressExW(from: u64, strict: bool, to: u64, port: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv4stringtoaddressexw"] {
        read_ipv4_with_port::<u16>(from, strict, to, port)
    }

    /// `RtlIpv6AddressToStringA`: the address of the NUL.
    fn RtlIpv6AddressToStringA(from: u64, to: u64) -> u64
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv6addresstostringa"] { put::<u8>(to, &ipv6_text(from)?) }

    /// `RtlIpv6AddressToStringW`.
    fn RtlIpv6AddressToStringW(from: u64, to: u64) -> u64
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv6addresstostringw"] { put::<u16>(to, &ipv6_text(from)?) }

    /// `RtlIpv6AddressToStringExA`: with scope and port, if they are not 0.
    fn RtlIpv6AddressToStringExA(from: u64, scope: u32, port: u16, to: u64, length: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv6addresstostringexa"] {
        ipv6_text_with_scope::<u8>(from, scope, port, to, length)
    }

    /// `RtlIpv6AddressToStringExW`.
    fn RtlIpv6AddressToStringExW(from: u64, scope: u32, port: u16, to: u64, length: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv6addresstostringexw"] {
        ipv6_text_with_scope::<u16>(from, scope, port, to, length)
    }

    /// `RtlIpv6StringToAddressA`: also where the address ends.
    fn RtlIpv6StringToAddressA(from: u64, end: u64, to: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv6stringtoaddressa"] {
        read_ipv6::<u8>(from, end, to)
    }

    /// `RtlIpv6StringToAddressW`.
    fn RtlIpv6StringToAddressW(from: u64, end: u64, to: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv6stringtoaddressw"] {
        read_ipv6::<u16>(from, end, to)
    }

    /// `RtlIpv6StringToAddressExA`: an address, perhaps with scope and port.
    fn RtlIpv6StringToAddressExA(from: u64, to: u64, scope: u64, port: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv6stringtoaddressexa"] {
        read_ipv6_with_scope::<u8>(from, to, scope, port)
    }

    /// `RtlIpv6StringToAddressExW`.
    fn RtlIpv6StringToAddressExW(from: u64, to: u64, scope: u64, port: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlipv6stringtoaddressexw"] {
        read_ipv6_with_scope::<u16>(from, to, scope, port)
    }

    /// `RtlEthernetAddressToStringA`: the address of the NUL.
    fn RtlEthernetAddressToStringA(from: u64, to: u64) -> u64
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlethernetaddresstostringa"] { put::<u8>(to, &ethernet_text(from)?) }

    /// `RtlEthernetAddressToStringW`.
    fn RtlEthernetAddressToStringW(from: u64, to: u64) -> u64
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlethernetaddresstostringw"] { put::<u16>(to, &ethernet_text(from)?) }

    /// `RtlEthernetStringToAddressA`: also where the address ends.
    fn RtlEthernetStringToAddressA(from: u64, end: u64, to: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlethernetstringtoaddressa"] {
        read_ethernet::<u8>(from, end, to)
    }

    /// `RtlEthernetStringToAddressW`.
    fn RtlEthernetStringToAddressW(from: u64, end: u64, to: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/ip2string/nf-ip2string-rtlethernetstringtoaddressw"] {
        read_ethernet::<u16>(from, end, to)
    }
}
