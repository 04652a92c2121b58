//! Ranges of memory and ports in resource descriptors, whose lengths have 32 bits: a
//! longer one leaves out its low bits, as many as the flags say.

use nt_layout::{CmPartialResourceDescriptor, IoResourceDescriptor};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

/// `CmResourceType…`.
mod kind {
    pub const PORT: u8 = 1;
    pub const MEMORY: u8 = 3;
    pub const MEMORY_LARGE: u8 = 7;
}

/// `CM_RESOURCE_MEMORY_LARGE_40`, `…_48` and `…_64`, and the bits that are left out.
const LARGE: [(u16, u32); 3] = [(0x0200, 8), (0x0400, 16), (0x0800, 32)];
const LARGE_MASK: u16 = 0x0e00;

/// How a descriptor stores lengths.
struct Encoding {
    kind: u8,
    flag: u16,
    shift: u32,
}

impl Encoding {
    /// The first way in which all of these can be written, or the status.
    fn of(kind: u8, numbers: &[u64]) -> Result<Self, u32> {
        if !matches!(kind, kind::PORT | kind::MEMORY | kind::MEMORY_LARGE) {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        let fits = |shift: u32| {
            numbers.iter().all(|number| {
                let short = number >> shift;
                u32::try_from(short).is_ok() && short << shift == *number
            })
        };
        if fits(0) {
            let kind = if kind == kind::PORT {
                kind
            } else {
                kind::MEMORY
            };
            return Ok(Self {
                kind,
                flag: 0,
                shift: 0,
            });
        }
        let large = LARGE.iter().find(|(_, shift)| fits(*shift));
        match large {
            Some((flag, shift)) if kind != kind::PORT => Ok(Self {
                kind: kind::MEMORY_LARGE,
                flag: *flag,
                shift: *shift,
            }),
            _ => Err(nt_status::STATUS_UNSUCCESSFUL),
        }
    }

    fn short(&self, number: u64) -> u32 {
        u32::try_from(number >> self.shift).unwrap_or(u32::MAX)
    }

    fn write(&self, kind: DriverPtr<u8>, flags: DriverPtr<u16>) -> Result<(), Fault> {
        kind.write(self.kind)?;
        flags.write(flags.read()? & !LARGE_MASK | self.flag)
    }
}

/// How many bits a descriptor leaves out.
fn shift(kind: DriverPtr<u8>, flags: DriverPtr<u16>) -> Result<u32, Fault> {
    if kind.read()? != kind::MEMORY_LARGE {
        return Ok(0);
    }
    let flags = flags.read()?;
    let large = LARGE.iter().find(|(flag, _)| flags & flag != 0);
    Ok(large.map_or(0, |(_, shift)| *shift))
}

fn put(at: u64, value: u64) -> Result<(), Fault> {
    if at == 0 {
        Ok(())
    } else {
        driver_mem::write_u64(at, value)
    }
}

exports! {
    /// `RtlFindClosestEncodableLength`: the length, or the next one whose low bits
    /// can be left out.
    fn RtlFindClosestEncodableLength(source: u64, target: u64) -> u32 [max HIGH_LEVEL, undocumented] {
        let whole = |shift: u32| {
            let length = source.checked_next_multiple_of(1 << shift)?;
            u32::try_from(length >> shift).is_ok().then_some(length)
        };
        let shifts = [0].into_iter().chain(LARGE.iter().map(|(_, shift)| *shift));
        let Some(length) = shifts.into_iter().find_map(whole) else {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        };
        driver_mem::write_u64(target, length)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlCmEncodeMemIoResource`.
    fn RtlCmEncodeMemIoResource(descriptor: DriverPtr<CmPartialResourceDescriptor>, kind: u8, length: u64, start: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let encoding = match Encoding::of(kind, &[length]) {
            Ok(encoding) => encoding,
            Err(status) => return Ok(status),
        };
        encoding.write(descriptor.at(|descriptor| &descriptor.kind), descriptor.at(|descriptor| &descriptor.flags))?;
        descriptor.set(|descriptor| &descriptor.start, start.into())?;
        descriptor.set(|descriptor| &descriptor.length, encoding.short(length))?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlCmDecodeMemIoResource`: the length.
    fn RtlCmDecodeMemIoResource(descriptor: DriverPtr<CmPartialResourceDescriptor>, start: u64) -> u64 [max HIGH_LEVEL, wdm] {
        put(start, descriptor.get(|descriptor| &descriptor.start)?.get())?;
        let shift = shift(descriptor.at(|descriptor| &descriptor.kind), descriptor.at(|descriptor| &descriptor.flags))?;
        Ok(u64::from(descriptor.get(|descriptor| &descriptor.length)?) << shift)
    }

    /// `RtlIoEncodeMemIoResource`.
    fn RtlIoEncodeMemIoResource(
        descriptor: DriverPtr<IoResourceDescriptor>, kind: u8, length: u64, alignment: u64, minimum: u64, maximum: u64,
    ) -> u32 [max HIGH_LEVEL, wdm] {
        let encoding = match Encoding::of(kind, &[length, alignment]) {
            Ok(encoding) => encoding,
            Err(status) => return Ok(status),
        };
        encoding.write(descriptor.at(|descriptor| &descriptor.kind), descriptor.at(|descriptor| &descriptor.flags))?;
        descriptor.set(|descriptor| &descriptor.length, encoding.short(length))?;
        descriptor.set(|descriptor| &descriptor.alignment, encoding.short(alignment))?;
        descriptor.set(|descriptor| &descriptor.minimum_address, minimum)?;
        descriptor.set(|descriptor| &descriptor.maximum_address, maximum)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlIoDecodeMemIoResource`: the length.
    fn RtlIoDecodeMemIoResource(descriptor: DriverPtr<IoResourceDescriptor>, alignment: u64, minimum: u64, maximum: u64) -> u64
        [max HIGH_LEVEL, wdm] {
        let shift = shift(descriptor.at(|descriptor| &descriptor.kind), descriptor.at(|descriptor| &descriptor.flags))?;
        let own = u64::from(descriptor.get(|descriptor| &descriptor.alignment)?) << shift;
        put(alignment, own)?;
        put(minimum, descriptor.get(|descriptor| &descriptor.minimum_address)?)?;
        put(maximum, descriptor.get(|descriptor| &descriptor.maximum_address)?)?;
        Ok(u64::from(descriptor.get(|descriptor| &descriptor.length)?) << shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, status, value};

    #[test]
    fn cm_memory_resource_encode_decode_round_trip() {
        let mut descriptor = [0_u8; 0x14];
        let at = address_mut(&mut descriptor);
        let encode = |kind: u64, length: u64| {
            status(RtlCmEncodeMemIoResource, &[at, kind, length, 0x1_2345_6789])
        };
        let decode = || {
            let mut start = 0_u64;
            let length = value(RtlCmDecodeMemIoResource, &[at, address_mut(&mut start)]);
            let header = (
                driver_mem::read_u8(at).unwrap(),
                driver_mem::read_u16(at + 2).unwrap(),
            );
            (length, start, header)
        };
        let start = 0x1_2345_6789;
        driver_mem::write_u16(at + 2, 0x0a05).unwrap();
        assert_eq!(encode(3, 0xffff_ffff), 0);
        assert_eq!(decode(), (0xffff_ffff, start, (3, 5)));
        assert_eq!(encode(3, 0x1_0000_0100), 0);
        assert_eq!(decode(), (0x1_0000_0100, start, (7, 0x205)));
        assert_eq!(encode(7, 0x100_0001_0000), 0);
        assert_eq!(decode(), (0x100_0001_0000, start, (7, 0x405)));
        assert_eq!(encode(7, 0xffff_0000_0000_0000), 0);
        assert_eq!(decode(), (0xffff_0000_0000_0000, start, (7, 0x805)));
        assert_eq!(encode(3, 0x1_0000_0001), nt_status::STATUS_UNSUCCESSFUL);
        assert_eq!(encode(1, 0x1_0000_0000), nt_status::STATUS_UNSUCCESSFUL);
        assert_eq!(encode(2, 1), nt_status::STATUS_INVALID_PARAMETER);
        assert_eq!(decode().0, 0xffff_0000_0000_0000, "nothing is written then");
        assert_eq!((encode(1, 8), decode().2), (0, (1, 5)));
        assert_eq!(value(RtlCmDecodeMemIoResource, &[at, 0]), 8);
    }

    #[test]
    fn memory_length_rounds_up_to_encodable() {
        let mut target = 7_u64;
        let to = address_mut(&mut target);
        for (source, expected) in [
            (0, 0),
            (0xffff_ffff, 0xffff_ffff),
            (0x1_0000_0000, 0x1_0000_0000),
            (0x1_0000_0001, 0x1_0000_0100),
            (0xff_ffff_ff00, 0xff_ffff_ff00),
            (0xff_ffff_ff01, 0x100_0000_0000),
            (0x100_0000_0001, 0x100_0001_0000),
            (0xffff_ffff_0001, 0x1_0000_0000_0000),
            (0xffff_fffe_0000_0001, 0xffff_ffff_0000_0000),
        ] {
            assert_eq!(status(RtlFindClosestEncodableLength, &[source, to]), 0);
            assert_eq!(target, expected, "{source:#x}");
        }
        assert_eq!(
            status(RtlFindClosestEncodableLength, &[u64::MAX, to]),
            nt_status::STATUS_INVALID_PARAMETER
        );
        assert_eq!(target, 0xffff_ffff_0000_0000);
    }

    #[test]
    fn io_memory_resource_encode_decode_round_trip() {
        let mut descriptor = [0_u64; 4];
        let at = address_mut(&mut descriptor);
        let arguments = [at, 3, 0x2_0000_0000, 0x1_0000, 1, u64::MAX];
        assert_eq!(status(RtlIoEncodeMemIoResource, &arguments), 0);
        let mut found = [0_u64; 3];
        let [alignment, minimum, maximum] = found.each_mut().map(address_mut);
        assert_eq!(
            value(RtlIoDecodeMemIoResource, &[at, alignment, minimum, maximum]),
            0x2_0000_0000
        );
        assert_eq!(found, [0x1_0000, 1, u64::MAX]);
        assert_eq!(driver_mem::read_u8(at + 1), Ok(7));
        let odd = [at, 3, 0x2_0000_0000, 1, 1, u64::MAX];
        assert_eq!(
            status(RtlIoEncodeMemIoResource, &odd),
            nt_status::STATUS_UNSUCCESSFUL
        );
        assert_eq!(
            value(RtlIoDecodeMemIoResource, &[at, 0, 0, 0]),
            0x2_0000_0000
        );
    }
}
