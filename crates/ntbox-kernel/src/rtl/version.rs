//! Which Windows this is, and how a driver asks whether that is enough.

use nt_layout::RtlOsversioninfoexw;
use nt_status::{STATUS_INVALID_PARAMETER, STATUS_REVISION_MISMATCH, STATUS_SUCCESS};
use ntbox_api::OsVersion;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{HIGH_LEVEL, PASSIVE_LEVEL};

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::os_version;

/// `VER_PLATFORM_WIN32_NT`.
const PLATFORM_NT: u32 = 2;
/// `PRODUCT_PROFESSIONAL`.
const PRODUCT_PROFESSIONAL: u32 = 0x30;
/// `VER_NT_WORKSTATION`.
const WORKSTATION: u8 = 1;

/// The fields that can be compared, `VER_…`, in the order of their bits.
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

type VersionInfo = DriverPtr<RtlOsversioninfoexw>;

exports! {
    /// `RtlGetVersion`: fills the longer structure if its size says so.
    fn RtlGetVersion(info: VersionInfo) -> u32 [max PASSIVE_LEVEL, wdm] {
        let OsVersion { major, minor, build } = os_version::get();
        info.set(|info| &info.major_version, major)?;
        info.set(|info| &info.minor_version, minor)?;
        info.set(|info| &info.build_number, build)?;
        info.set(|info| &info.platform_id, PLATFORM_NT)?;
        info.at(|info| &info.csd_version[0]).write(0)?;
        if info.get(|info| &info.os_version_info_size)? == u32::from(VersionInfo::SIZE_FIELD) {
            // Both numbers of the service pack.
            info.at(|info| &info.service_pack_major).cast::<u32>().write(0)?;
            info.set(|info| &info.suite_mask, os_version::SUITE)?;
            info.set(|info| &info.product_type, WORKSTATION)?;
            info.set(|info| &info.reserved, 0)?;
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
    fn RtlVerifyVersionInfo(info: VersionInfo, parts: u32, conditions: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let required = RequiredVersion::read(info)?;
        Ok(verify(&required, parts, conditions, os_version::get()))
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

/// The version that a driver requires, from its `RTL_OSVERSIONINFOEXW`.
#[derive(Debug, Default)]
struct RequiredVersion {
    major: u32,
    minor: u32,
    build: u32,
    platform: u32,
    pack_major: u16,
    pack_minor: u16,
    suite: u16,
    product: u8,
}

impl RequiredVersion {
    fn read(info: VersionInfo) -> Result<Self, Fault> {
        Ok(Self {
            major: info.get(|info| &info.major_version)?,
            minor: info.get(|info| &info.minor_version)?,
            build: info.get(|info| &info.build_number)?,
            platform: info.get(|info| &info.platform_id)?,
            pack_major: info.get(|info| &info.service_pack_major)?,
            pack_minor: info.get(|info| &info.service_pack_minor)?,
            suite: info.get(|info| &info.suite_mask)?,
            product: info.get(|info| &info.product_type)?,
        })
    }
}

/// Compares a required version with a system's.
fn verify(required: &RequiredVersion, parts: u32, conditions: u64, system: OsVersion) -> u32 {
    if parts == 0 || conditions == 0 {
        return STATUS_INVALID_PARAMETER;
    }
    let condition = |part: u32| u8::try_from(conditions >> (3 * part.ilog2()) & 7).unwrap_or(0);
    let alone = [
        (
            part::PRODUCT,
            u32::from(WORKSTATION),
            u32::from(required.product),
        ),
        (part::PLATFORM, PLATFORM_NT, required.platform),
        (part::BUILD, system.build, required.build),
    ];
    for (part, ours, theirs) in alone.into_iter().filter(|(part, ..)| parts & part != 0) {
        match compare(ours, theirs, condition(part)) {
            STATUS_SUCCESS => {}
            failure => return failure,
        }
    }
    if parts & part::SUITE != 0 {
        let common = required.suite & os_version::SUITE;
        let fits = match condition(part::SUITE) {
            6 => common == required.suite,
            7 => common != 0 || required.suite == 0,
            _ => return STATUS_INVALID_PARAMETER,
        };
        if !fits {
            return STATUS_REVISION_MISMATCH;
        }
    }
    let graded = [
        (part::MAJOR, system.major, required.major),
        (part::MINOR, system.minor, required.minor),
        (part::PACK_MAJOR, 0, required.pack_major.into()),
        (part::PACK_MINOR, 0, required.pack_minor.into()),
    ];
    // One condition, that of the first part, holds for them all; a later part
    // counts only where the earlier ones are equal.
    let mut graded_parts = graded
        .into_iter()
        .filter(|(part, ..)| parts & part != 0)
        .peekable();
    let Some(condition) = graded_parts.peek().map(|(part, ..)| condition(*part)) else {
        return STATUS_SUCCESS;
    };
    let mut status = STATUS_SUCCESS;
    for (_, ours, theirs) in graded_parts {
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
    fn get_version_returns_configured_version() {
        processor();
        let OsVersion {
            major,
            minor,
            build,
        } = os_version::get();
        for size in [0x114, VersionInfo::SIZE_FIELD.into()] {
            let mut info = [0xaaaa_aaaa_u32; 0x120 / 4];
            info[0] = size;
            assert_eq!(
                status(RtlGetVersion, &[address_mut(&mut info)]),
                STATUS_SUCCESS
            );
            assert_eq!(info[..5], [size, major, minor, build, 2]);
            assert_eq!(info[5] & 0xffff, 0, "the service pack's name is empty");
            let rest = if size == u32::from(VersionInfo::SIZE_FIELD) {
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
    fn set_condition_mask_uses_three_bits() {
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

    fn check(required: &RequiredVersion, parts: u32, condition: u8) -> u32 {
        let system = OsVersion {
            major: 10,
            minor: 0,
            build: 19045,
        };
        let conditions = (0..8).fold(0, |mask, n| mask | u64::from(condition) << (3 * n));
        verify(required, parts, conditions, system)
    }

    #[test]
    fn verify_version_compares_major_minor_service_pack() {
        let required = |major, minor, pack_major| RequiredVersion {
            major,
            minor,
            pack_major,
            ..RequiredVersion::default()
        };
        let parts = part::MAJOR | part::MINOR | part::PACK_MAJOR;
        for (version, condition, expected) in [
            (required(10, 0, 0), GREATER_EQUAL, STATUS_SUCCESS),
            (required(6, 3, 1), GREATER_EQUAL, STATUS_SUCCESS),
            (required(10, 1, 0), GREATER_EQUAL, STATUS_REVISION_MISMATCH),
            (required(10, 0, 1), GREATER_EQUAL, STATUS_REVISION_MISMATCH),
            (required(11, 0, 0), GREATER_EQUAL, STATUS_REVISION_MISMATCH),
            (required(10, 0, 0), EQUAL, STATUS_SUCCESS),
            (required(10, 0, 1), EQUAL, STATUS_REVISION_MISMATCH),
            (required(6, 3, 0), GREATER, STATUS_SUCCESS),
            (required(10, 0, 0), GREATER, STATUS_REVISION_MISMATCH),
            (required(10, 1, 0), LESS, STATUS_SUCCESS),
            (required(10, 0, 0), AND, STATUS_INVALID_PARAMETER),
        ] {
            assert_eq!(
                check(&version, parts, condition),
                expected,
                "{version:?} {condition}"
            );
        }
    }

    #[test]
    fn verify_version_compares_other_parts_alone() {
        let required = RequiredVersion {
            build: 19041,
            platform: 2,
            suite: 0x300,
            product: 1,
            ..RequiredVersion::default()
        };
        assert_eq!(check(&required, part::BUILD, GREATER_EQUAL), STATUS_SUCCESS);
        assert_eq!(
            check(&required, part::BUILD, EQUAL),
            STATUS_REVISION_MISMATCH
        );
        assert_eq!(
            check(
                &required,
                part::BUILD | part::PLATFORM | part::PRODUCT,
                EQUAL
            ),
            STATUS_REVISION_MISMATCH
        );
        assert_eq!(
            check(&required, part::PLATFORM | part::PRODUCT, EQUAL),
            STATUS_SUCCESS
        );
        assert_eq!(check(&required, part::SUITE, AND), STATUS_REVISION_MISMATCH);
        assert_eq!(check(&required, part::SUITE, OR), STATUS_SUCCESS);
        assert_eq!(
            check(&required, part::SUITE, EQUAL),
            STATUS_INVALID_PARAMETER
        );
    }

    #[test]
    fn verify_version_without_condition_is_refused() {
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
    fn is_ntddi_version_available_by_os_version() {
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
    fn get_product_info_is_professional() {
        let mut product = 0_u32;
        let at = address_mut(&mut product);
        assert_eq!(value(RtlGetProductInfo, &[5, 1, 0, 0, at]), 0);
        assert_eq!(value(RtlGetProductInfo, &[10, 0, 0, 0, 0]), 0);
        assert_eq!(product, 0);
        assert_eq!(value(RtlGetProductInfo, &[10, 0, 0, 0, at]), 1);
        assert_eq!(product, PRODUCT_PROFESSIONAL);
    }
}
