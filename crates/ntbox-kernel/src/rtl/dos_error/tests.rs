//! Errors of statuses against the numbers in the open headers `ntstatus.h` and
//! `winerror.h`: where a status and an error have one name, they belong together,
//! with few exceptions.

#[allow(
    clippy::wildcard_imports,
    reason = "the tables below name more than a hundred statuses"
)]
use nt_status::*;

use super::*;
use crate::base::log;
use crate::test_support::{lines, value};

#[test]
fn table_words_are_ordered_runs() {
    let words = include_str!("statuses.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace);
    assert_eq!(words.count(), runs().len());
    for run in runs() {
        assert!(run.first <= run.last, "{run:x?}");
    }
    for pair in runs().windows(2) {
        assert!(pair[0].last < pair[1].first, "{pair:x?}");
    }
}

#[test]
fn status_to_dos_error_of_same_name() {
    for (status, error) in SAME_NAME {
        assert_eq!(
            value(RtlNtStatusToDosError, &[(*status).into()]),
            *error,
            "{}",
            Named(*status)
        );
    }
}

#[test]
fn status_to_dos_error_of_other_name() {
    for (status, error) in OTHER_NAME {
        for handler in [RtlNtStatusToDosError, RtlNtStatusToDosErrorNoTeb] {
            assert_eq!(
                value(handler, &[(*status).into()]),
                *error,
                "{}",
                Named(*status)
            );
        }
    }
}

#[test]
fn status_to_dos_error_of_wrapped_error_is_unwrapped() {
    for (status, error) in [
        (0, 0),
        (0xc007_0005, 5),
        (0x8007_0057, 87),
        (0x2000_1234, 0x2000_1234),
        (0xe06d_7363, 0xe06d_7363),
    ] {
        assert_eq!(value(RtlNtStatusToDosError, &[status]), error);
    }
}

#[test]
fn status_to_dos_error_unknown_is_logged() {
    let status = u64::from(STATUS_MESSAGE_NOT_FOUND);
    assert_eq!(value(RtlNtStatusToDosError, &[status]), 317);
    log::flush();
    let told = lines();
    assert!(told[0].contains("STATUS_MESSAGE_NOT_FOUND"), "{told:?}");
    value(RtlNtStatusToDosError, &[STATUS_ACCESS_DENIED.into()]);
    assert_eq!(lines(), Vec::<String>::new());
}

/// What differs in name, as far as drivers meet it.
const OTHER_NAME: &[(u32, u64)] = &[
    (STATUS_BUFFER_OVERFLOW, 234),
    (STATUS_DELETE_PENDING, 5),
    (STATUS_CANCELLED, 995),
    (STATUS_DLL_NOT_FOUND, 126),
    (STATUS_INVALID_ADDRESS, 59),
    (STATUS_ACCESS_VIOLATION, 998),
    (STATUS_DATATYPE_MISALIGNMENT, 998),
    (STATUS_UNSUCCESSFUL, 31),
    (STATUS_NOT_IMPLEMENTED, 1),
    (STATUS_INVALID_DEVICE_REQUEST, 1),
    (STATUS_INVALID_PARAMETER_3, 87),
    (STATUS_OBJECT_NAME_NOT_FOUND, 2),
    (STATUS_OBJECT_PATH_NOT_FOUND, 3),
    (STATUS_OBJECT_NAME_COLLISION, 183),
    (STATUS_INSUFFICIENT_RESOURCES, 1450),
    (STATUS_NO_MEMORY, 8),
    (STATUS_BUFFER_TOO_SMALL, 122),
    (STATUS_INFO_LENGTH_MISMATCH, 24),
    (STATUS_END_OF_FILE, 38),
    (STATUS_PENDING, 997),
    (STATUS_MORE_PROCESSING_REQUIRED, 234),
    (STATUS_NO_MORE_ENTRIES, 259),
    (STATUS_OBJECT_TYPE_MISMATCH, 6),
    (STATUS_PROCESS_IS_TERMINATING, 5),
    (STATUS_FILE_IS_A_DIRECTORY, 5),
    (STATUS_DATA_ERROR, 23),
    (STATUS_CRC_ERROR, 23),
    (STATUS_IN_PAGE_ERROR, 999),
    (STATUS_STACK_OVERFLOW, 1001),
    (STATUS_DEVICE_BUSY, 170),
    (STATUS_IO_TIMEOUT, 121),
    (STATUS_MESSAGE_NOT_FOUND, 317),
];

/// What has one name.
const SAME_NAME: &[(u32, u64)] = &[
    (STATUS_SUCCESS, 0),
    (STATUS_WAIT_1, 731),
    (STATUS_WAIT_2, 732),
    (STATUS_WAIT_3, 733),
    (STATUS_WAIT_63, 734),
    (STATUS_ABANDONED_WAIT_63, 736),
    (STATUS_USER_APC, 737),
    (STATUS_KERNEL_APC, 738),
    (STATUS_ALERTED, 739),
    (STATUS_TIMEOUT, 1460),
    (STATUS_NOT_ALL_ASSIGNED, 1300),
    (STATUS_SOME_NOT_MAPPED, 1301),
    (STATUS_NOTIFY_ENUM_DIR, 1022),
    (STATUS_WAKE_SYSTEM, 730),
    (STATUS_NO_MORE_FILES, 18),
    (STATUS_NO_INHERITANCE, 1391),
    (STATUS_INVALID_EA_NAME, 254),
    (STATUS_EA_LIST_INCONSISTENT, 255),
    (STATUS_FILEMARK_DETECTED, 1101),
    (STATUS_MEDIA_CHANGED, 1110),
    (STATUS_BUS_RESET, 1111),
    (STATUS_END_OF_MEDIA, 1100),
    (STATUS_BEGINNING_OF_MEDIA, 1102),
    (STATUS_SETMARK_DETECTED, 1103),
    (STATUS_NO_DATA_DETECTED, 1104),
    (STATUS_REDIRECTOR_HAS_OPEN_HANDLES, 1794),
    (STATUS_SERVER_HAS_OPEN_HANDLES, 1811),
    (STATUS_CLEANER_CARTRIDGE_INSTALLED, 4340),
    (STATUS_DEVICE_REQUIRES_CLEANING, 1165),
    (STATUS_DEVICE_DOOR_OPEN, 1166),
    (STATUS_PAGEFILE_QUOTA, 1454),
    (STATUS_INVALID_HANDLE, 6),
    (STATUS_INVALID_PARAMETER, 87),
    (STATUS_UNRECOGNIZED_MEDIA, 1785),
    (STATUS_ACCESS_DENIED, 5),
    (STATUS_NOT_LOCKED, 158),
    (STATUS_SHARING_VIOLATION, 32),
    (STATUS_EAS_NOT_SUPPORTED, 282),
    (STATUS_UNKNOWN_REVISION, 1305),
    (STATUS_REVISION_MISMATCH, 1306),
    (STATUS_INVALID_OWNER, 1307),
    (STATUS_INVALID_PRIMARY_GROUP, 1308),
    (STATUS_NO_IMPERSONATION_TOKEN, 1309),
    (STATUS_CANT_DISABLE_MANDATORY, 1310),
    (STATUS_NO_SUCH_PRIVILEGE, 1313),
    (STATUS_PRIVILEGE_NOT_HELD, 1314),
    (STATUS_INVALID_ACCOUNT_NAME, 1315),
    (STATUS_NO_SUCH_GROUP, 1319),
    (STATUS_ILL_FORMED_PASSWORD, 1324),
    (STATUS_NONE_MAPPED, 1332),
    (STATUS_INVALID_ACL, 1336),
    (STATUS_INVALID_SID, 1337),
    (STATUS_INVALID_SECURITY_DESCR, 1338),
    (STATUS_NO_TOKEN, 1008),
    (STATUS_BAD_INHERITANCE_ACL, 1340),
    (STATUS_DISK_FULL, 112),
    (STATUS_SERVER_DISABLED, 1341),
    (STATUS_RESOURCE_DATA_NOT_FOUND, 1812),
    (STATUS_RESOURCE_TYPE_NOT_FOUND, 1813),
    (STATUS_RESOURCE_NAME_NOT_FOUND, 1814),
    (STATUS_FILE_INVALID, 1006),
    (STATUS_ALLOTTED_SPACE_EXCEEDED, 1344),
    (STATUS_DEVICE_NOT_CONNECTED, 1167),
    (STATUS_WORKING_SET_QUOTA, 1453),
    (STATUS_INVALID_GROUP_ATTRIBUTES, 1345),
    (STATUS_BAD_IMPERSONATION_LEVEL, 1346),
    (STATUS_CANT_OPEN_ANONYMOUS, 1347),
    (STATUS_BAD_VALIDATION_CLASS, 1348),
    (STATUS_PIPE_BUSY, 231),
    (STATUS_PIPE_CONNECTED, 535),
    (STATUS_PIPE_LISTENING, 536),
    (STATUS_NOT_SUPPORTED, 50),
    (STATUS_NETWORK_BUSY, 54),
    (STATUS_NETWORK_ACCESS_DENIED, 65),
    (STATUS_NET_WRITE_FAULT, 88),
    (STATUS_NOT_SAME_DEVICE, 17),
    (STATUS_NO_SECURITY_ON_OBJECT, 1350),
    (STATUS_INVALID_SERVER_STATE, 1352),
    (STATUS_INTERNAL_ERROR, 1359),
    (STATUS_BAD_DESCRIPTOR_FORMAT, 1361),
    (STATUS_STACK_OVERFLOW, 1001),
    (STATUS_NO_SUCH_PACKAGE, 1364),
    (STATUS_BAD_LOGON_SESSION_STATE, 1365),
    (STATUS_INVALID_LOGON_TYPE, 1367),
    (STATUS_CANNOT_IMPERSONATE, 1368),
    (STATUS_COMMITMENT_LIMIT, 1455),
    (STATUS_DLL_INIT_FAILED, 1114),
    (STATUS_REGISTRY_IO_FAILED, 1016),
    (STATUS_UNRECOGNIZED_VOLUME, 1005),
    (STATUS_TOO_MANY_SECRETS, 1381),
    (STATUS_NOT_REGISTRY_FILE, 1017),
    (STATUS_DEVICE_NOT_PARTITIONED, 1107),
    (STATUS_NO_SUCH_MEMBER, 1387),
    (STATUS_KEY_DELETED, 1018),
    (STATUS_NO_LOG_SPACE, 1019),
    (STATUS_TOO_MANY_SIDS, 1389),
    (STATUS_KEY_HAS_CHILDREN, 1020),
    (STATUS_CHILD_MUST_BE_VOLATILE, 1021),
    (STATUS_LOG_FILE_FULL, 1502),
    (STATUS_NO_TRUST_LSA_SECRET, 1786),
    (STATUS_EVENTLOG_FILE_CORRUPT, 1500),
    (STATUS_POSSIBLE_DEADLOCK, 1131),
    (STATUS_MAPPED_ALIGNMENT, 1132),
    (STATUS_NOT_FOUND, 1168),
    (STATUS_RETRY, 1237),
    (STATUS_CONNECTION_REFUSED, 1225),
    (STATUS_GRACEFUL_DISCONNECT, 1226),
    (STATUS_ADDRESS_ALREADY_ASSOCIATED, 1227),
    (STATUS_ADDRESS_NOT_ASSOCIATED, 1228),
    (STATUS_CONNECTION_INVALID, 1229),
    (STATUS_NETWORK_UNREACHABLE, 1231),
    (STATUS_HOST_UNREACHABLE, 1232),
    (STATUS_PROTOCOL_UNREACHABLE, 1233),
    (STATUS_PORT_UNREACHABLE, 1234),
    (STATUS_CONNECTION_ABORTED, 1236),
    (STATUS_USER_MAPPED_FILE, 1224),
    (STATUS_TOO_MANY_LINKS, 1142),
    (STATUS_NO_MATCH, 1169),
    (STATUS_NOT_A_REPARSE_POINT, 4390),
    (STATUS_NOT_EXPORT_FORMAT, 6008),
    (STATUS_REPARSE_ATTRIBUTE_CONFLICT, 4391),
    (STATUS_DEVICE_REMOVED, 1617),
    (STATUS_REG_NAT_CONSUMPTION, 1261),
    (STATUS_CANNOT_MAKE, 82),
    (STATUS_DEBUGGER_INACTIVE, 1284),
    (STATUS_DRIVER_BLOCKED, 1275),
    (STATUS_STACK_BUFFER_OVERRUN, 1282),
    (STATUS_DELAY_LOAD_FAILED, 1285),
    (STATUS_SYMLINK_CLASS_DISABLED, 1463),
];
