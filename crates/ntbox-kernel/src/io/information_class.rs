//! The classes of information about files and volumes: how long each is at least, and
//! the right that a handle needs for it.

use crate::base::io_layout::major;
/// Classes that mean something here.
pub mod class {
    pub const BASIC: u32 = 4;
    pub const STANDARD: u32 = 5;
    pub const INTERNAL: u32 = 6;
    pub const EA: u32 = 7;
    pub const ACCESS: u32 = 8;
    pub const NAME: u32 = 9;
    pub const RENAME: u32 = 10;
    pub const LINK: u32 = 11;
    pub const DISPOSITION: u32 = 13;
    pub const POSITION: u32 = 14;
    pub const MODE: u32 = 16;
    pub const ALIGNMENT: u32 = 17;
    pub const ALL: u32 = 18;
    pub const ALLOCATION: u32 = 19;
    pub const END_OF_FILE: u32 = 20;
    pub const NETWORK_OPEN: u32 = 34;
    pub const ATTRIBUTE_TAG: u32 = 35;
    pub const VALID_DATA_LENGTH: u32 = 39;
    pub const DISPOSITION_EX: u32 = 64;
    pub const RENAME_EX: u32 = 65;
    pub const MAXIMUM: u32 = 77;
    pub const FS_VOLUME: u32 = 1;
    pub const FS_SIZE: u32 = 3;
    pub const FS_DEVICE: u32 = 4;
    pub const FS_ATTRIBUTE: u32 = 5;
    pub const FS_FULL_SIZE: u32 = 7;
    pub const FS_MAXIMUM: u32 = 13;
}

/// Rights.
mod right {
    pub const READ_DATA: u32 = 0x1;
    pub const WRITE_DATA: u32 = 0x2;
    pub const READ_EA: u32 = 0x8;
    pub const READ_ATTRIBUTES: u32 = 0x80;
    pub const WRITE_ATTRIBUTES: u32 = 0x100;
    pub const DELETE: u32 = 0x1_0000;
}

/// Which way information goes, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Of a file.
    Query,
    /// Of a file.
    Set,
    /// Of its volume.
    QueryVolume,
    /// Of its volume.
    SetVolume,
}

impl Direction {
    /// Whether it goes to who asks.
    pub fn is_query(self) -> bool {
        matches!(self, Self::Query | Self::QueryVolume)
    }

    /// The major function of a request for it.
    pub fn function(self) -> u8 {
        match self {
            Self::Query => major::QUERY_INFORMATION,
            Self::Set => major::SET_INFORMATION,
            Self::QueryVolume => major::QUERY_VOLUME_INFORMATION,
            Self::SetVolume => major::SET_VOLUME_INFORMATION,
        }
    }

    /// The right that a class needs; one of several is enough.
    pub fn access(self, class: u32) -> u32 {
        match (self, class) {
            (
                Self::Query,
                class::BASIC | class::ALL | class::NETWORK_OPEN | class::ATTRIBUTE_TAG,
            ) => right::READ_ATTRIBUTES,
            (Self::Query, class::EA) => right::READ_EA,
            (Self::Query | Self::Set, class::POSITION) => right::READ_DATA | right::WRITE_DATA,
            (Self::Set, class::BASIC) => right::WRITE_ATTRIBUTES,
            (Self::Set, class::ALLOCATION | class::END_OF_FILE | class::VALID_DATA_LENGTH)
            | (Self::SetVolume, _) => right::WRITE_DATA,
            (
                Self::Set,
                class::RENAME | class::RENAME_EX | class::DISPOSITION | class::DISPOSITION_EX,
            ) => right::DELETE,
            _ => 0,
        }
    }

    /// Bytes that the structure of a class has at least; `None` for what is no
    /// class.
    pub fn least(self, class: u32) -> Option<u32> {
        let sizes: &[(u32, u32)] = match self {
            Self::Query => &QUERY_SIZES,
            Self::Set => &SET_SIZES,
            Self::QueryVolume => &VOLUME_SIZES,
            Self::SetVolume => &[],
        };
        let maximum = match self {
            Self::Query | Self::Set => class::MAXIMUM,
            Self::QueryVolume | Self::SetVolume => class::FS_MAXIMUM,
        };
        let size = sizes.iter().find(|(known, _)| *known == class);
        (1..=maximum)
            .contains(&class)
            .then(|| size.map_or(0, |(_, size)| *size))
    }
}

/// Bytes of structures, for the classes whose length is checked before anybody is
/// asked.
const QUERY_SIZES: [(u32, u32); 12] = [
    (class::BASIC, 0x28),
    (class::STANDARD, 0x18),
    (class::INTERNAL, 8),
    (class::EA, 4),
    (class::ACCESS, 4),
    (class::NAME, 8),
    (class::POSITION, 8),
    (class::MODE, 4),
    (class::ALIGNMENT, 4),
    (class::ALL, 0x68),
    (class::NETWORK_OPEN, 0x38),
    (class::ATTRIBUTE_TAG, 8),
];
const SET_SIZES: [(u32, u32); 11] = [
    (class::BASIC, 0x28),
    (class::RENAME, 0x18),
    (class::LINK, 0x18),
    (class::DISPOSITION, 1),
    (class::POSITION, 8),
    (class::MODE, 4),
    (class::ALLOCATION, 8),
    (class::END_OF_FILE, 8),
    (class::VALID_DATA_LENGTH, 8),
    (class::DISPOSITION_EX, 4),
    (class::RENAME_EX, 0x18),
];
const VOLUME_SIZES: [(u32, u32); 5] = [
    (class::FS_VOLUME, 0x18),
    (class::FS_SIZE, 0x18),
    (class::FS_DEVICE, 8),
    (class::FS_ATTRIBUTE, 0x10),
    (class::FS_FULL_SIZE, 0x20),
];
