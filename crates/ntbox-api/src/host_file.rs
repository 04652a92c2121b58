//! Files of the host that a run is given: only regular files, and no more bytes of
//! one than it may have. A pipe would keep its reader waiting and a device has no
//! end, so neither is opened. Paths need not be UTF-8.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Most bytes of one file that a run is given: 256 MiB.
pub const LIMIT: u64 = 256 << 20;

/// Refuses what is no regular file, or has more than `limit` bytes.
///
/// # Errors
/// There is no such file, or it is refused.
pub fn check(path: &Path, limit: u64) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > limit {
        return Err(too_large(metadata.len(), limit));
    }
    File::open(path).map(drop)
}

/// The bytes of a regular file of at most `limit` bytes.
///
/// # Errors
/// As for [`check`], or it cannot be read.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    check(path, limit)?;
    let mut data = Vec::new();
    // It may grow while it is read.
    let mut file = File::open(path)?.take(limit + 1);
    file.read_to_end(&mut data)?;
    match data.len() as u64 {
        length if length > limit => Err(too_large(length, limit)),
        _ => Ok(data),
    }
}

fn too_large(length: u64, limit: u64) -> io::Error {
    io::Error::other(format!(
        "it has {length} bytes or more, and {limit} are the limit"
    ))
}

/// Serialises a path as its bytes, which need not be UTF-8.
pub mod path_bytes {
    use std::ffi::{OsStr, OsString};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    /// Writes the bytes.
    ///
    /// # Errors
    /// The serializer fails.
    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        let text: &OsStr = path.as_os_str();
        text.serialize(serializer)
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// There are none that a path could be made of.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(deserializer).map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_of_device_or_large_file_is_refused() {
        let refused = |path: &str, limit| {
            let error = read(Path::new(path), limit).expect_err(path);
            error.to_string()
        };
        assert_eq!(refused("/dev/zero", LIMIT), "it is not a regular file");
        assert_eq!(refused("/", LIMIT), "it is not a regular file");
        let own = std::env::current_exe().expect("a path");
        let own = own.to_str().expect("text");
        let length = std::fs::metadata(own).expect("a file").len();
        let expected = format!(
            "it has {length} bytes or more, and {} are the limit",
            length - 1
        );
        assert_eq!(refused(own, length - 1), expected);
        assert_eq!(
            read(Path::new(own), length).expect("it fits").len() as u64,
            length
        );
    }
}
