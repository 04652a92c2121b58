//! Which Windows this is, and how a driver asks whether that is enough.

use nt_status::{STATUS_INVALID_PARAMETER, STATUS_REVISION_MISMATCH, STATUS_SUCCESS};
use ntbox_api::OsVersion;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{HIGH_LEVEL, PASSIVE_LEVEL};

use crate::base::export::exports;
use crate::base::os_version;

/// Bytes of `RTL_OSVERSIONINFOEXW`, and where its longer part begins.
const EX_SIZE: u32 = 0x11c;
/// Offset of the service pack, which the shorter structure lacks.
const EX_PART: u64 = 0x114;
/// `VER_PLATFORM_WIN32_NT`.
const PLATFORM_NT: u32 = 2;
/// `PRODUCT_PROFESSIONAL`.
const PRODUCT_PROFESSIONAL: u32 = 0x30;
/// `VER_NT_WORKSTATION`.
const WORKSTATION: u8 = 1;

/// What can be asked for, `VER_…`, in the order of their bits.
mod part {
    pub const MINOR: u32 = 0x01;
    pub const MAJOR: u32 = 0x02;
    pub const BUILD: u32 = 0x04;
    pub const PLATFORM: u32 = 0x08;
    pub const PACK_MINOR: u32 = 0x10;
    pub const PACK_MAJOR: u32 = 0x20;
    pub const SUITE: u32 = 0x40;
    pub const PRODUCT: u32 = 0x80;
}

exports! {
    /// `RtlGetVersion`: fills the longer structure if its size says so.
    fn RtlGetVersion(info: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let OsVersion { major, minor, build } = os_version::get();
        for (n, value) in (1..).zip([major, minor, build, PLATFORM_NT]) {
            driver_mem::write_u32(info.wrapping_add(4 * n), value)?;
        }
        driver_mem::write_u16(info.wrapping_add(20), 0)?;
        if driver_mem::read_u32(info)? == EX_SIZE {
            let rest = info.wrapping_add(EX_PART);
            driver_mem::write_u32(rest, 0)?;
            driver_mem::write_u16(rest.wrapping_add(4), os_version::SUITE)?;
            driver_mem::write_u8(rest.wrapping_add(6), WORKSTATION)?;
            driver_mem::write_u8(rest.wrapping_add(7), 0)?;
        }
        Ok(STATUS_SUCCESS)
    }

    /// `RtlGetProductInfo`: the edition is Professional. Asked by a version before
    /// Windows Vista, or without a place for it, it tells nothing.
    fn RtlGetProductInfo(major: u32, minor: u32, pack_major: u32, pack_minor: u32, product: u64) -> bool
        [max PASSIVE_LEVEL, undocumented, partial "the edition is Professional"]
    {
        if product == 0 || major < 6 {
            return Ok(false);
        }
        driver_mem::write_u32(product, PRODUCT_PROFESSIONAL)?;
        Ok(true)
    }

    /// `VerSetConditionMask`: three bits for each part of a version.
    fn VerSetConditionMask(mask: u64, parts: u32, condition: u8) -> u64
        [max HIGH_LEVEL, page "windows/win32/api/winnt/nf-winnt-versetconditionmask"] {
        let highest = (parts & 0xff).checked_ilog2();
        Ok(highest.map_or(mask, |highest| mask | u64::from(condition & 7) << (3 * highest)))
    }

    /// `RtlVerifyVersionInfo`.
    fn RtlVerifyVersionInfo(info: u64, parts: u32, conditions: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let asked = Asked::read(info)?;
        Ok(verify(&asked, parts, conditions, os_version::get()))
    }

    /// `RtlIsNtDdiVersionAvailable`: whether this is that version or a later one.
    fn RtlIsNtDdiVersionAvailable(ddi: u32) -> bool [max PASSIVE_LEVEL, wdm] {
        Ok(ddi_version(os_version::get()) >= ddi)
    }

    /// `RtlIsServicePackVersionInstalled`: whether this is that version, with
    /// that service pack or a later one. There are none here.
    fn RtlIsServicePackVersionInstalled(ddi: u32) -> bool [max PASSIVE_LEVEL, wdm] {
        let system = ddi_version(os_version::get());
        Ok(ddi >> 16 == system >> 16 && ddi & 0xff00 == 0)
    }

    /// `RtlGetNtGlobalFlags`: none is set.
    fn RtlGetNtGlobalFlags() -> u32 [max HIGH_LEVEL, undocumented] { Ok(0) }
}

/// The version as `NTDDI_VERSION` writes it.
fn ddi_version(
    OsVersion {
        major,
        minor,
        build,
    }: OsVersion,
) -> u32 {
    /// First builds of the versions of Windows 10 and 11 after the first.
    const RELEASES: [u32; 16] = [
        10586, 14393, 15063, 16299, 17134, 17763, 18362, 19041, 19645, 20348, 22000, 22621, 25398,
        25941, 26040, 26100,
    ];
    let release = if major >= 10 {
        RELEASES.iter().filter(|first| build >= **first).count()
    } else {
        0
    };
    (major << 24) | (minor << 16) | u32::try_from(release).unwrap_or(0)
}

/// What a driver asks for, out of its `RTL_OSVERSIONINFOEXW`.
#[derive(Debug, Default)]
struct Asked {
    major: u32,
    minor: u32,
    build: u32,
    platform: u32,
    pack_major: u16,
    pack_minor: u16,
    suite: u16,
    product: u8,
}

impl Asked {
    fn read(info: u64) -> Result<Self, Fault> {
        let rest = info.wrapping_add(EX_PART);
        Ok(Self {
            major: driver_mem::read_u32(info.wrapping_add(4))?,
            minor: driver_mem::read_u32(info.wrapping_add(8))?,
            build: driver_mem::read_u32(info.wrapping_add(12))?,
            platform: driver_mem::read_u32(info.wrapping_add(16))?,
            pack_major: driver_mem::read_u16(rest)?,
            pack_minor: driver_mem::read_u16(rest.wrapping_add(2))?,
            suite: driver_mem::read_u16(rest.wrapping_add(4))?,
            product: driver_mem::read_u8(rest.wrapping_add(6))?,
        })
    }
}

/// Holds what is asked for against a system.
fn verify(asked: &Asked, parts: u32, conditions: u64, system: OsVersion) -> u32 {
    if parts == 0 || conditions == 0 {
        return STATUS_INVALID_PARAMETER;
    }
    let condition = |part: u32| u8::try_from(conditions >> (3 * part.ilog2()) & 7).unwrap_or(0);
    let alone = [
        (
            part::PRODUCT,
            u32::from(WORKSTATION),
            u32::from(asked.product),
        ),
        (part::PLATFORM, PLATFORM_NT, asked.platform),
        (part::BUILD, system.build, asked.build),
    ];
    for (part, ours, theirs) in alone.into_iter().filter(|(part, ..)| parts & part != 0) {
        match compare(ours, theirs, condition(part)) {
            STATUS_SUCCESS => {}
            failure => return failure,
        }
    }
    if parts & part::SUITE != 0 {
        let common = asked.suite & os_version::SUITE;
        let fits = match condition(part::SUITE) {
            6 => common == asked.suite,
            7 => common != 0 || asked.suite == 0,
            _ => return STATUS_INVALID_PARAMETER,
        };
        if !fits {
            return STATUS_REVISION_MISMATCH;
        }
    }
    let graded = [
        (part::MAJOR, system.major, asked.major),
        (part::MINOR, system.minor, asked.minor),
        (part::PACK_MAJOR, 0, asked.pack_major.into()),
        (part::PACK_MINOR, 0, asked.pack_minor.into()),
    ];
    // One condition, that of the first part, holds for them all; a later part
    // counts only where the earlier ones are equal.
    let mut asked_for = graded
        .into_iter()
        .filter(|(part, ..)| parts & part != 0)
        .peekable();
    let Some(condition) = asked_for.peek().map(|(part, ..)| condition(*part)) else {
        return STATUS_SUCCESS;
    };
    let mut status = STATUS_SUCCESS;
    for (_, ours, theirs) in asked_for {
        status = compare(ours, theirs, condition);
        if ours != theirs {
            break;
        }
    }
    status
}

/// One comparison: `VER_EQUAL` to `VER_LESS_EQUAL`.
fn compare(ours: u32, theirs: u32, condition: u8) -> u32 {
    let holds = match condition {
        1 => ours == theirs,
        2 => ours > theirs,
        3 => ours >= theirs,
        4 => ours < theirs,
        5 => ours <= theirs,
        _ => return STATUS_INVALID_PARAMETER,
    };
    if holds {
        STATUS_SUCCESS
    } else {
        STATUS_REVISION_MISMATCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{NOWHERE, address_mut, fault, processor, status, value};

    const EQUAL: u8 = 1;
    const GREATER: u8 = 2;
    const GREATER_EQUAL: u8 = 3;
    const LESS: u8 = 4;
    const AND: u8 = 6;
    const OR: u8 = 7;

    #[test]
    fn the_version_is_the_configured_one() {
        processor();
        let OsVersion {
            major,
            minor,
            build,
        } = os_version::get();
        for size in [0x114, EX_SIZE] {
            let mut info = [0xaaaa_aaaa_u32; 0x120 / 4];
            info[0] = size;
            assert_eq!(
                status(RtlGetVersion, &[address_mut(&mut info)]),
                STATUS_SUCCESS
            );
            assert_eq!(info[..5], [size, major, minor, build, 2]);
            assert_eq!(info[5] & 0xffff, 0, "the service pack's name is empty");
            let rest = if size == EX_SIZE {
                [0, 0x0001_0100]
            } else {
                [0xaaaa_aaaa; 2]
            };
            assert_eq!(info[0x45..0x47], rest);
            assert_eq!(info[0x47], 0xaaaa_aaaa);
        }
        assert_eq!(fault(RtlGetVersion, &[NOWHERE]), NOWHERE + 4);
    }

    #[test]
    fn conditions_take_three_bits_each() {
        let set = |mask, part: u32, condition: u8| {
            value(VerSetConditionMask, &[mask, part.into(), condition.into()])
        };
        assert_eq!(set(0, part::MINOR, GREATER_EQUAL), 3);
        assert_eq!(set(3, part::MAJOR, GREATER_EQUAL), 0o33);
        assert_eq!(set(0, part::PRODUCT, EQUAL), 1 << 21);
        assert_eq!(set(5, 0, EQUAL), 5);
        // Of several parts the highest counts.
        assert_eq!(set(0, part::MAJOR | part::MINOR, EQUAL), 0o10);
    }

    fn check(asked: &Asked, parts: u32, condition: u8) -> u32 {
        let system = OsVersion {
            major: 10,
            minor: 0,
            build: 19045,
        };
        let conditions = (0..8).fold(0, |mask, n| mask | u64::from(condition) << (3 * n));
        verify(asked, parts, conditions, system)
    }

    #[test]
    fn versions_are_compared_in_grades() {
        let asked = |major, minor, pack_major| Asked {
            major,
            minor,
            pack_major,
            ..Asked::default()
        };
        let parts = part::MAJOR | part::MINOR | part::PACK_MAJOR;
        for (version, condition, expected) in [
            (asked(10, 0, 0), GREATER_EQUAL, STATUS_SUCCESS),
            (asked(6, 3, 1), GREATER_EQUAL, STATUS_SUCCESS),
            (asked(10, 1, 0), GREATER_EQUAL, STATUS_REVISION_MISMATCH),
            (asked(10, 0, 1), GREATER_EQUAL, STATUS_REVISION_MISMATCH),
            (asked(11, 0, 0), GREATER_EQUAL, STATUS_REVISION_MISMATCH),
            (asked(10, 0, 0), EQUAL, STATUS_SUCCESS),
            (asked(10, 0, 1), EQUAL, STATUS_REVISION_MISMATCH),
            (asked(6, 3, 0), GREATER, STATUS_SUCCESS),
            (asked(10, 0, 0), GREATER, STATUS_REVISION_MISMATCH),
            (asked(10, 1, 0), LESS, STATUS_SUCCESS),
            (asked(10, 0, 0), AND, STATUS_INVALID_PARAMETER),
        ] {
            assert_eq!(
                check(&version, parts, condition),
                expected,
                "{version:?} {condition}"
            );
        }
    }

    #[test]
    fn other_parts_are_compared_alone() {
        let asked = Asked {
            build: 19041,
            platform: 2,
            suite: 0x300,
            product: 1,
            ..Asked::default()
        };
        assert_eq!(check(&asked, part::BUILD, GREATER_EQUAL), STATUS_SUCCESS);
        assert_eq!(check(&asked, part::BUILD, EQUAL), STATUS_REVISION_MISMATCH);
        assert_eq!(
            check(&asked, part::BUILD | part::PLATFORM | part::PRODUCT, EQUAL),
            STATUS_REVISION_MISMATCH
        );
        assert_eq!(
            check(&asked, part::PLATFORM | part::PRODUCT, EQUAL),
            STATUS_SUCCESS
        );
        assert_eq!(check(&asked, part::SUITE, AND), STATUS_REVISION_MISMATCH);
        assert_eq!(check(&asked, part::SUITE, OR), STATUS_SUCCESS);
        assert_eq!(check(&asked, part::SUITE, EQUAL), STATUS_INVALID_PARAMETER);
    }

    #[test]
    fn a_query_needs_parts_and_conditions() {
        let mut info = [0_u32; 0x120 / 4];
        info[1] = 6;
        let va = address_mut(&mut info);
        let mask = value(
            VerSetConditionMask,
            &[0, part::MAJOR.into(), GREATER_EQUAL.into()],
        );
        assert_eq!(
            status(RtlVerifyVersionInfo, &[va, part::MAJOR.into(), mask]),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(RtlVerifyVersionInfo, &[va, 0, mask]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            status(RtlVerifyVersionInfo, &[va, part::MAJOR.into(), 0]),
            STATUS_INVALID_PARAMETER
        );
    }

    #[test]
    fn ddi_versions() {
        processor();
        for ((major, minor, build), expected) in [
            ((6, 1, 7601), 0x0601_0000),
            ((10, 0, 10240), 0x0a00_0000),
            ((10, 0, 19045), 0x0a00_0008),
            ((10, 0, 22631), 0x0a00_000c),
            ((10, 0, 26100), 0x0a00_0010),
        ] {
            assert_eq!(
                ddi_version(OsVersion {
                    major,
                    minor,
                    build
                }),
                expected,
                "{build}"
            );
        }
        let current = ddi_version(os_version::get());
        assert_eq!(value(RtlIsNtDdiVersionAvailable, &[0x0601_0000]), 1);
        assert_eq!(value(RtlIsNtDdiVersionAvailable, &[current.into()]), 1);
        assert_eq!(
            value(RtlIsNtDdiVersionAvailable, &[(current + 1).into()]),
            0
        );
        assert_eq!(value(RtlIsServicePackVersionInstalled, &[0x0a00_0000]), 1);
        assert_eq!(value(RtlIsServicePackVersionInstalled, &[0x0a00_0100]), 0);
        assert_eq!(value(RtlIsServicePackVersionInstalled, &[0x0601_0000]), 0);
        assert_eq!(value(RtlGetNtGlobalFlags, &[]), 0);
    }

    #[test]
    fn the_edition_is_that_of_a_workstation() {
        let mut product = 0_u32;
        let at = address_mut(&mut product);
        assert_eq!(value(RtlGetProductInfo, &[5, 1, 0, 0, at]), 0);
        assert_eq!(value(RtlGetProductInfo, &[10, 0, 0, 0, 0]), 0);
        assert_eq!(product, 0);
        assert_eq!(value(RtlGetProductInfo, &[10, 0, 0, 0, at]), 1);
        assert_eq!(product, PRODUCT_PROFESSIONAL);
    }
}
