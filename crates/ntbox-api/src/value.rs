//! Registry values: what a type and its data are stored as.

use serde::{Deserialize, Serialize};

/// A registry value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegValue {
    /// `REG_DWORD`.
    Dword(u32),
    /// `REG_QWORD`.
    Qword(u64),
    /// `REG_SZ`.
    Sz(String),
    /// `REG_EXPAND_SZ`.
    ExpandSz(String),
    /// `REG_MULTI_SZ`.
    MultiSz(Vec<String>),
    /// `REG_BINARY`.
    Binary(Vec<u8>),
    /// Any type number with exactly these bytes, well formed or not.
    Raw {
        /// The `REG_…` number.
        kind: u32,
        /// The data as stored.
        data: Vec<u8>,
    },
}

impl RegValue {
    /// The `REG_…` type number.
    #[must_use]
    pub fn kind(&self) -> u32 {
        match self {
            Self::Sz(_) => 1,
            Self::ExpandSz(_) => 2,
            Self::Binary(_) => 3,
            Self::Dword(_) => 4,
            Self::MultiSz(_) => 7,
            Self::Qword(_) => 11,
            Self::Raw { kind, .. } => *kind,
        }
    }

    /// The data as the registry stores it: numbers little-endian, text in UTF-16
    /// with the NULs that end it.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        let stored = |text: &str| -> Vec<u8> {
            text.encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes)
                .collect()
        };
        match self {
            Self::Sz(text) | Self::ExpandSz(text) => stored(text),
            Self::MultiSz(list) => list
                .iter()
                .flat_map(|text| stored(text))
                .chain([0, 0])
                .collect(),
            Self::Binary(data) | Self::Raw { data, .. } => data.clone(),
            Self::Dword(number) => number.to_le_bytes().to_vec(),
            Self::Qword(number) => number.to_le_bytes().to_vec(),
        }
    }
}
