//! Which rights a request needs, asked by those who have the rights in hand: drivers
//! that want more of a control request than its code says, and file servers that
//! carry out what others ask for.

use nt_layout::{FileQuotaInformation, IoStackLocation, Irp};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{APC_LEVEL, HIGH_LEVEL};

use super::information_class::Direction;
use super::irp;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout;
use crate::base::io_layout::major;
use crate::se::sid;

/// `FILE_READ_DATA` and `FILE_WRITE_DATA`, which are `FILE_READ_ACCESS` and
/// `FILE_WRITE_ACCESS` of control codes, too.
const READ: u32 = 1;
const WRITE: u32 = 2;
/// `FILE_WRITE_DATA` and `FILE_APPEND_DATA`.
const WRITE_OR_APPEND: u32 = 6;
/// `FILE_READ_EA` and `FILE_WRITE_EA`.
const READ_EA: u32 = 0x8;
const WRITE_EA: u32 = 0x10;

/// The flags of a control request's stack location that say what its sender may.
pub fn granted_flags(access: u32) -> u8 {
    let read = if access & READ != 0 {
        io_layout::stack::special::READ_GRANTED
    } else {
        0
    };
    let write = if access & WRITE != 0 {
        io_layout::stack::special::WRITE_GRANTED
    } else {
        0
    };
    read | write
}

/// Whether a control request's sender has these rights.
fn may_control(irp: u64, required: u32) -> Result<u32, Fault> {
    let stack_location = DriverPtr::<IoStackLocation>::new(irp::location(irp)?);
    let function = stack_location.get(|location| &location.major_function)?;
    let control = matches!(function, major::DEVICE_CONTROL | major::FILE_SYSTEM_CONTROL);
    if !control || required & !(READ | WRITE) != 0 {
        return Ok(nt_status::STATUS_INVALID_PARAMETER);
    }
    if DriverPtr::<Irp>::new(irp).get(|irp| &irp.requestor_mode)? == 0 {
        return Ok(nt_status::STATUS_SUCCESS);
    }
    let needed = granted_flags(required);
    let flags = stack_location.get(|location| &location.flags)?;
    Ok(if flags & needed == needed {
        nt_status::STATUS_SUCCESS
    } else {
        nt_status::STATUS_ACCESS_DENIED
    })
}

/// The rights for a request: those of which one is enough, and those that are all
/// needed.
fn rights_for(function: u8, code: u32, class: u32) -> (u32, u32) {
    let any = match function {
        major::READ | major::DIRECTORY_CONTROL => READ,
        major::WRITE | major::FLUSH_BUFFERS => WRITE_OR_APPEND,
        major::LOCK_CONTROL => READ | WRITE,
        major::QUERY_EA => READ_EA,
        major::SET_EA => WRITE_EA,
        major::QUERY_INFORMATION => Direction::Query.access(class),
        major::SET_INFORMATION => Direction::Set.access(class),
        major::QUERY_VOLUME_INFORMATION => Direction::QueryVolume.access(class),
        major::SET_VOLUME_INFORMATION => Direction::SetVolume.access(class),
        _ => 0,
    };
    let all = match function {
        major::DEVICE_CONTROL | major::INTERNAL_DEVICE_CONTROL | major::FILE_SYSTEM_CONTROL => {
            code >> 14 & (READ | WRITE)
        }
        _ => 0,
    };
    (any, all)
}

/// The offset of the first quota entry that is wrong.
fn wrong_quota(buffer: u64, length: u32) -> Result<Option<u32>, Fault> {
    /// Bytes of an entry before its SID.
    const HEADER: u64 = DriverPtr::<FileQuotaInformation>::SIZE;
    let end = u64::from(length);
    let mut at = 0;
    loop {
        let wrong = Ok(Some(u32::try_from(at).unwrap_or(u32::MAX)));
        let left = end - at;
        if left < HEADER + 8 {
            return wrong;
        }
        let entry = DriverPtr::<FileQuotaInformation>::new(buffer.wrapping_add(at));
        let sid_length = u64::from(entry.get(|entry| &entry.sid_length)?);
        let sid = entry.next(1).address();
        if HEADER + sid_length > left || !sid::is_valid(sid)? || sid::length(sid)? != sid_length {
            return wrong;
        }
        match u64::from(entry.get(|entry| &entry.next_entry_offset)?) {
            0 => return Ok(None),
            next if next % 4 == 0 && next < left => at += next,
            _ => return wrong,
        }
    }
}

exports! {
    /// `IoValidateDeviceIoControlAccess`: a request of the kernel's may do anything.
    fn IoValidateDeviceIoControlAccess(irp: u64, required: u32) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(may_control(irp, required)?)
    }

    /// `IoCheckFunctionAccess`: the class of information, of a file or of its volume,
    /// is read where the function has one.
    fn IoCheckFunctionAccess(granted: u32, function: u8, minor: u8, code: u32, file_class: u64, volume_class: u64) -> u32
        [max APC_LEVEL, ntifs]
    {
        let class = match function {
            major::QUERY_INFORMATION | major::SET_INFORMATION if file_class != 0 => driver_mem::read_u32(file_class)?,
            major::QUERY_VOLUME_INFORMATION | major::SET_VOLUME_INFORMATION if volume_class != 0 => {
                driver_mem::read_u32(volume_class)?
            }
            _ => 0,
        };
        let (any, all) = rights_for(function, code, class);
        let may = (any == 0 || granted & any != 0) && granted & all == all;
        Ok(if may { nt_status::STATUS_SUCCESS } else { nt_status::STATUS_ACCESS_DENIED })
    }

    /// `IoCheckQuotaBufferValidity`: where an entry is wrong, if one is.
    fn IoCheckQuotaBufferValidity(buffer: u64, length: u32, offset: u64) -> u32 [max APC_LEVEL, ntifs] {
        if !buffer.is_multiple_of(4) {
            return Ok(nt_status::STATUS_DATATYPE_MISALIGNMENT);
        }
        let wrong = if length > i32::MAX.cast_unsigned() { Some(0) } else { wrong_quota(buffer, length)? };
        match wrong {
            None => Ok(nt_status::STATUS_SUCCESS),
            Some(at) => {
                driver_mem::write_u32(offset, at)?;
                Ok(nt_status::STATUS_QUOTA_LIST_INCONSISTENT)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, status};

    #[test]
    fn check_function_access_requires_each_right() {
        let denied = nt_status::STATUS_ACCESS_DENIED;
        let ask = |granted: u32, function: u8, code: u32, class: u32| {
            let at = address(&class);
            let arguments = [u64::from(granted), function.into(), 0, code.into(), at, at];
            status(IoCheckFunctionAccess, &arguments)
        };
        for (granted, function, code, class, expected) in [
            (1, major::READ, 0, 0, 0),
            (6, major::READ, 0, 0, denied),
            (4, major::WRITE, 0, 0, 0),
            (1, major::WRITE, 0, 0, denied),
            (0, major::CLOSE, 0, 0, 0),
            (3, major::DEVICE_CONTROL, 0x22_c000, 0, 0),
            (1, major::DEVICE_CONTROL, 0x22_c000, 0, denied),
            (0, major::DEVICE_CONTROL, 0x22_0000, 0, 0),
            (0x80, major::QUERY_INFORMATION, 0, 4, 0),
            (0, major::QUERY_INFORMATION, 0, 4, denied),
            (0, major::QUERY_INFORMATION, 0, 5, 0),
            (0x100, major::SET_INFORMATION, 0, 4, 0),
            (0x100, major::SET_INFORMATION, 0, 13, denied),
            (0x1_0000, major::SET_INFORMATION, 0, 13, 0),
        ] {
            assert_eq!(
                ask(granted, function, code, class),
                expected,
                "{function:#x} {code:#x} {class}"
            );
        }
    }

    #[test]
    fn validate_device_control_access_checks_granted_access() {
        let mut stack_location = [0_u8; 0x48];
        let mut irp = [0_u8; 0xd0];
        let at = address_mut(&mut irp);
        DriverPtr::<Irp>::new(at)
            .set(|irp| &irp.current_stack_location, address(&stack_location))
            .unwrap();
        let ask = |required: u64| status(IoValidateDeviceIoControlAccess, &[at, required]);
        assert_eq!(ask(1), nt_status::STATUS_INVALID_PARAMETER, "a create");
        stack_location[0] = major::DEVICE_CONTROL;
        assert_eq!(ask(4), nt_status::STATUS_INVALID_PARAMETER);
        assert_eq!(ask(3), 0, "the kernel's");
        DriverPtr::<Irp>::new(at)
            .set(|irp| &irp.requestor_mode, 1)
            .unwrap();
        assert_eq!(ask(1), nt_status::STATUS_ACCESS_DENIED);
        assert_eq!(ask(0), 0);
        DriverPtr::<IoStackLocation>::new(address_mut(&mut stack_location))
            .set(|location| &location.flags, granted_flags(1))
            .unwrap();
        assert_eq!((ask(1), ask(2)), (0, nt_status::STATUS_ACCESS_DENIED));
        DriverPtr::<IoStackLocation>::new(address_mut(&mut stack_location))
            .set(|location| &location.flags, granted_flags(3))
            .unwrap();
        assert_eq!(ask(3), 0);
    }

    #[test]
    fn check_quota_buffer_finds_inconsistency() {
        #[repr(align(8))]
        struct Aligned([u8; 0x70]);
        let mut list = Aligned([0; 0x70]);
        // Two entries for S-1-5-18.
        for (start, next) in [(0, 0x38_u8), (0x38, 0)] {
            list.0[start] = next;
            list.0[start + 4] = 12;
            list.0[start + 0x28..][..12].copy_from_slice(&[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
        }
        let check = |list: &Aligned, skip: u64, length: u64| {
            let mut offset = 77_u32;
            let arguments = [address(list) + skip, length, address_mut(&mut offset)];
            (status(IoCheckQuotaBufferValidity, &arguments), offset)
        };
        let inconsistent = nt_status::STATUS_QUOTA_LIST_INCONSISTENT;
        assert_eq!(check(&list, 0, 0x6c), (0, 77));
        assert_eq!(
            check(&list, 1, 0x6b),
            (nt_status::STATUS_DATATYPE_MISALIGNMENT, 77)
        );
        assert_eq!(check(&list, 0, 0x6b), (inconsistent, 0x38));
        assert_eq!(check(&list, 0, 0xffff_ffff), (inconsistent, 0));
        list.0[0x38 + 4] = 16;
        assert_eq!(
            check(&list, 0, 0x70),
            (inconsistent, 0x38),
            "not the SID's length"
        );
        list.0[0] = 0x3a;
        assert_eq!(check(&list, 0, 0x70), (inconsistent, 0), "an odd place");
    }
}
