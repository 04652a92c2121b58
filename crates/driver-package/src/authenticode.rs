//! The hash of an image that its signature is about.
//!
//! A signature lies in the file that it signs, so three places are left out of
//! the hash: the checksum, the entry that says where the signature is, and the
//! signature. So an image has the same hash before and after it is signed, and a
//! catalogue may name either. Source: Microsoft's "Windows Authenticode Portable
//! Executable Signature Format".

use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Why an image has no such hash.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NotHashable {
    /// It is none that x64 Windows loads.
    #[error("not a PE32+ image")]
    NotAnImage,
    /// Something follows its signature, or the signature is outside of the file.
    #[error("the signature is not what the file ends with")]
    SignatureNotLast,
}

/// The places of an image that are left out.
#[derive(Debug)]
struct Places {
    /// `CheckSum` in the optional header.
    checksum: usize,
    /// The entry of the certificate table in the data directory.
    entry: usize,
    /// Where the signature begins, or the file ends.
    end: usize,
}

/// The Authenticode hash of a PE32+ image, signed or not.
///
/// # Errors
///
/// [`NotHashable`] if the file is not laid out as the loader wants it.
pub fn hash(image: &[u8]) -> Result<Hash, NotHashable> {
    let Places {
        checksum,
        entry,
        end,
    } = places(image)?;
    let mut hasher = Sha256::new();
    for part in [0..checksum, checksum + 4..entry, entry + 8..end] {
        hasher.update(image.get(part).ok_or(NotHashable::NotAnImage)?);
    }
    // Signing appends the signature at a multiple of eight; what fills the file
    // up to there belongs to what is signed.
    hasher.update(&[0; 8][..end.next_multiple_of(8) - end]);
    Ok(hasher.finalize().into())
}

/// The hash of a file that is no image: that of all its bytes.
#[must_use]
pub fn flat_hash(file: &[u8]) -> Hash {
    Sha256::digest(file).into()
}

/// Finds what is left out.
fn places(image: &[u8]) -> Result<Places, NotHashable> {
    let word = |at: usize| -> Result<usize, NotHashable> {
        let bytes = image.get(at..at + 4).ok_or(NotHashable::NotAnImage)?;
        let bytes = bytes.try_into().map_err(|_| NotHashable::NotAnImage)?;
        usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| NotHashable::NotAnImage)
    };
    if !image.starts_with(b"MZ") {
        return Err(NotHashable::NotAnImage);
    }
    let header = word(0x3C)?;
    let optional = header + 24;
    let directories = optional + 108;
    if word(header)? != 0x4550 || word(optional)? & 0xFFFF != 0x020B || word(directories)? < 5 {
        return Err(NotHashable::NotAnImage);
    }
    // IMAGE_DIRECTORY_ENTRY_SECURITY is the fifth; unlike the others it is a
    // place in the file.
    let entry = directories + 4 + 4 * 8;
    let (at, size) = (word(entry)?, word(entry + 4)?);
    let end = if size == 0 { image.len() } else { at };
    if size != 0 && (at <= entry || at.checked_add(size) != Some(image.len())) {
        return Err(NotHashable::SignatureNotLast);
    }
    Ok(Places {
        checksum: optional + 64,
        entry,
        end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers of an image, and some code.
    fn image() -> Vec<u8> {
        let mut image = vec![0x11; 0x400];
        image[..2].copy_from_slice(b"MZ");
        image[0x3C..0x40].copy_from_slice(&0x80_u32.to_le_bytes());
        image[0x80..0x84].copy_from_slice(b"PE\0\0");
        image[0x98..0x9A].copy_from_slice(&0x20B_u16.to_le_bytes());
        image[0x104..0x108].copy_from_slice(&16_u32.to_le_bytes());
        image[0x128..0x130].fill(0);
        image
    }

    /// The same with eight bytes of signature.
    fn signed() -> Vec<u8> {
        let mut image = image();
        image[0x128..0x12C].copy_from_slice(&0x400_u32.to_le_bytes());
        image[0x12C..0x130].copy_from_slice(&8_u32.to_le_bytes());
        image[0xD8..0xDC].fill(0x77);
        image.extend([9; 8]);
        image
    }

    #[test]
    fn hash_of_signed_image_is_unchanged() {
        assert_eq!(hash(&image()), hash(&signed()));
        assert!(hash(&image()).is_ok());
    }

    #[test]
    fn changing_any_other_byte_changes_the_hash() {
        let whole = hash(&image());
        for at in [0x10, 0xD7, 0xDC, 0x127, 0x130, 0x3FF] {
            let mut damaged = image();
            damaged[at] ^= 1;
            assert_ne!(hash(&damaged), whole, "{at:#x}");
        }
    }

    #[test]
    fn hash_of_non_image_is_refused() {
        assert_eq!(hash(b"MZ"), Err(NotHashable::NotAnImage));
        assert_eq!(hash(&image()[1..]), Err(NotHashable::NotAnImage));
        let mut small = image();
        small[0x98] = 0x0C;
        assert_eq!(hash(&small), Err(NotHashable::NotAnImage));
    }

    #[test]
    fn hash_of_data_after_signature_is_refused() {
        let mut more = signed();
        more.push(0);
        assert_eq!(hash(&more), Err(NotHashable::SignatureNotLast));
    }
}
