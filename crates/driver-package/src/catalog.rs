//! The catalogue: a signed list of the hashes of a package's files.
//!
//! Windows verifies a package by looking the hash of each file up in it. The
//! format is a certificate trust list in a PKCS #7 message, in version 2, whose
//! members are named by their SHA-256 hash. `CertVerifyCTLUsage` and the headers
//! `wincrypt.h` and `mscat.h` document the pieces, not the whole; how they go
//! together was taken from descriptions of what `makecat` and `Inf2Cat` write.
//! What is made here has no signature yet.

use sha2::{Digest as _, Sha256};

use crate::{
    authenticode::{Hash, NotHashable, flat_hash, hash},
    date::Date,
    der,
};

/// `1.2.840.113549.1.7.2`
const SIGNED_DATA: &[u32] = &[1, 2, 840, 113_549, 1, 7, 2];
/// `2.16.840.1.101.3.4.2.1`
const SHA256: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
/// `szOID_CTL`
const TRUST_LIST: &[u32] = &[1, 3, 6, 1, 4, 1, 311, 10, 1];
/// `szOID_CATALOG_LIST`
const CATALOG_LIST: &[u32] = &[1, 3, 6, 1, 4, 1, 311, 12, 1, 1];
/// `szOID_CATALOG_LIST_MEMBER2`
const CATALOG_LIST_MEMBER_2: &[u32] = &[1, 3, 6, 1, 4, 1, 311, 12, 1, 3];
/// `CAT_NAMEVALUE_OBJID`
const NAME_VALUE: &[u32] = &[1, 3, 6, 1, 4, 1, 311, 12, 2, 1];
/// `CAT_MEMBERINFO2_OBJID`
const MEMBER_INFO_2: &[u32] = &[1, 3, 6, 1, 4, 1, 311, 12, 2, 3];
/// `SPC_INDIRECT_DATA_OBJID`
const INDIRECT_DATA: &[u32] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 4];
/// `SPC_PE_IMAGE_DATA_OBJID`
const IMAGE_DATA: &[u32] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 15];
/// `SPC_CAB_DATA_OBJID`, which stands for any file that is no image.
const FLAT_DATA: &[u32] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 25];
/// `CRYPTCAT_ATTR_AUTHENTICATED | CRYPTCAT_ATTR_NAMEASCII |
/// CRYPTCAT_ATTR_DATAASCII`
const ATTRIBUTE_FLAGS: u32 = 0x1001_0001;

/// How a file is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Flat,
}

/// A file of the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    name: String,
    kind: Kind,
    hash: Hash,
}

impl Member {
    /// An image, whose signature does not count.
    ///
    /// # Errors
    ///
    /// [`NotHashable`] if it is none.
    pub fn image(name: &str, contents: &[u8]) -> Result<Self, NotHashable> {
        Ok(Self {
            name: name.to_owned(),
            kind: Kind::Image,
            hash: hash(contents)?,
        })
    }

    /// Any other file.
    #[must_use]
    pub fn flat(name: &str, contents: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Flat,
            hash: flat_hash(contents),
        }
    }

    /// `TrustedSubject`.
    fn entry(&self) -> Vec<u8> {
        // Which kind of subject it is: an image, or one without structure.
        let info = match self.kind {
            Kind::Image => der::empty(0),
            Kind::Flat => der::empty(2),
        };
        der::sequence(&[
            der::octets(&self.hash),
            der::set(vec![
                attribute(MEMBER_INFO_2, info),
                // Windows 10 and what came after it.
                attribute(NAME_VALUE, name_value("OSAttr", "2:10.0")),
                attribute(NAME_VALUE, name_value("File", &self.name)),
                attribute(INDIRECT_DATA, self.indirect_data()),
            ]),
        ])
    }

    /// `SpcIndirectDataContent`: what was hashed, how, and the hash.
    fn indirect_data(&self) -> Vec<u8> {
        let no_file = der::explicit(2, &der::empty(0));
        let data = match self.kind {
            // Flags, which nobody reads any more, and a file without a name.
            Kind::Image => der::sequence(&[
                der::identifier(IMAGE_DATA),
                der::sequence(&[der::value(0x03, &[5, 0xA0]), der::explicit(0, &no_file)]),
            ]),
            Kind::Flat => der::sequence(&[der::identifier(FLAT_DATA), no_file]),
        };
        let algorithm = der::sequence(&[der::identifier(SHA256), der::null()]);
        der::sequence(&[data, der::sequence(&[algorithm, der::octets(&self.hash)])])
    }
}

/// The unsigned catalogue of these files.
#[must_use]
pub fn unsigned(members: &[Member], date: &Date) -> Vec<u8> {
    let mut members: Vec<&Member> = members.iter().collect();
    members.sort_by_key(|member| member.hash);
    // Any 16 bytes that are a package's own; these are the same for the same
    // files.
    let identifier = members
        .iter()
        .fold(Sha256::new(), |hasher, member| {
            hasher.chain_update(member.hash)
        })
        .finalize();
    let entries: Vec<Vec<u8>> = members.iter().map(|member| member.entry()).collect();
    let systems = der::sequence(&[
        der::identifier(NAME_VALUE),
        der::octets(&name_value("OS", "_v100_X64")),
    ]);
    let list = der::sequence(&[
        der::sequence(&[der::identifier(CATALOG_LIST)]),
        der::octets(&identifier[..16]),
        der::utc_time(&date.utc_time()),
        der::sequence(&[der::identifier(CATALOG_LIST_MEMBER_2), der::null()]),
        der::sequence(&entries),
        der::explicit(0, &der::sequence(&[systems])),
    ]);
    message(&list)
}

/// A PKCS #7 message that holds `list` and that nobody has signed.
fn message(list: &[u8]) -> Vec<u8> {
    let contents = der::sequence(&[der::identifier(TRUST_LIST), der::explicit(0, list)]);
    let signed = der::sequence(&[
        der::integer(1),
        der::set(Vec::new()),
        contents,
        der::set(Vec::new()),
    ]);
    der::sequence(&[der::identifier(SIGNED_DATA), der::explicit(0, &signed)])
}

/// `Attribute`, with one value.
fn attribute(kind: &[u32], value: Vec<u8>) -> Vec<u8> {
    der::sequence(&[der::identifier(kind), der::set(vec![value])])
}

/// `CatNameValue`.
fn name_value(name: &str, text: &str) -> Vec<u8> {
    let units: Vec<u8> = text
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    der::sequence(&[
        der::bmp_string(name),
        der::integer(ATTRIBUTE_FLAGS),
        der::octets(&units),
    ])
}
