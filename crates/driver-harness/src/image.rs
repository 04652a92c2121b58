//! Checks the headers of an image before a host loads it, so that the common
//! mistakes (no such file, a program instead of a driver, the wrong processor) have
//! the same message on every host. The host's loader checks everything else.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use object::pe;

/// The reason why a file is not a driver for this machine.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file does not exist.
    #[error(
        "{path} does not exist; build the driver with `cargo xtask build`, or correct the path"
    )]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The path is a folder, a pipe or the like.
    #[error("{path} is not a file; pass the path of the driver's .sys file")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses to read the file.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not a Windows executable.
    #[error(
        "{path} is not a PE image: {reason}; a driver is a Windows executable file, usually named .sys"
    )]
    NotPe {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: &'static str,
    },
    /// The image is for another processor.
    #[error("{path} is for {machine}, not for x86-64; build it for x86_64-pc-windows-msvc")]
    WrongMachine {
        /// The file.
        path: PathBuf,
        /// The processor.
        machine: String,
    },
    /// The image is of another kind.
    #[error("{path} is {kind}, not a driver; the subsystem of a driver is native")]
    NotADriver {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: String,
    },
}

/// Bytes that the check reads, from the PE signature on.
const HEADERS: usize = 4 + 20 + 70;

/// Checks by the headers that `path` is an x86-64 driver.
///
/// # Errors
///
/// If it is not one, or cannot be read.
pub fn check(path: &Path) -> Result<(), ImageError> {
    let headers = read_headers(path)?;
    let field = |offset: usize| u16::from_le_bytes([headers[offset], headers[offset + 1]]);
    let machine = pe::Machine(field(4));
    if machine != pe::IMAGE_FILE_MACHINE_AMD64 {
        return Err(ImageError::WrongMachine {
            path: path.to_owned(),
            machine: machine_name(machine),
        });
    }
    if field(24) != pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC {
        return Err(not_pe(path, "it has no PE32+ optional header"));
    }
    let subsystem = pe::Subsystem(field(24 + 68));
    if subsystem == pe::IMAGE_SUBSYSTEM_NATIVE {
        Ok(())
    } else {
        Err(ImageError::NotADriver {
            path: path.to_owned(),
            kind: subsystem_name(subsystem),
        })
    }
}

fn not_pe(path: &Path, reason: &'static str) -> ImageError {
    ImageError::NotPe {
        path: path.to_owned(),
        reason,
    }
}

fn read_headers(path: &Path) -> Result<[u8; HEADERS], ImageError> {
    let read = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ImageError::NotFound {
            path: path.to_owned(),
        },
        _ => ImageError::Read {
            path: path.to_owned(),
            source,
        },
    };
    // Before the file is opened: opening a pipe would block.
    if !std::fs::metadata(path).map_err(read)?.is_file() {
        return Err(ImageError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut file = File::open(path).map_err(read)?;
    let mut exactly = |at: u64, bytes: &mut [u8], reason| match file
        .seek(SeekFrom::Start(at))
        .and_then(|_| file.read_exact(bytes))
    {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(not_pe(path, reason)),
        result => result.map_err(read),
    };
    let mut dos = [0; 64];
    exactly(0, &mut dos, "it is shorter than an MZ header")?;
    if &dos[..2] != b"MZ" {
        return Err(not_pe(path, "it does not begin with MZ"));
    }
    let at = u32::from_le_bytes([dos[60], dos[61], dos[62], dos[63]]);
    let mut headers = [0; HEADERS];
    exactly(u64::from(at), &mut headers, "it ends within its PE header")?;
    if &headers[..4] != b"PE\0\0" {
        return Err(not_pe(
            path,
            "the MZ header does not point to a PE signature",
        ));
    }
    Ok(headers)
}

fn machine_name(machine: pe::Machine) -> String {
    match machine {
        pe::IMAGE_FILE_MACHINE_I386 => "32-bit x86".to_owned(),
        pe::IMAGE_FILE_MACHINE_ARM64 => "ARM64".to_owned(),
        pe::IMAGE_FILE_MACHINE_ARMNT => "32-bit ARM".to_owned(),
        pe::IMAGE_FILE_MACHINE_IA64 => "Itanium".to_owned(),
        pe::Machine(other) => format!("the machine type {other:#06x}"),
    }
}

fn subsystem_name(subsystem: pe::Subsystem) -> String {
    match subsystem {
        pe::IMAGE_SUBSYSTEM_WINDOWS_CUI => "a console program or a DLL".to_owned(),
        pe::IMAGE_SUBSYSTEM_WINDOWS_GUI => "a windowed program or a DLL".to_owned(),
        pe::IMAGE_SUBSYSTEM_EFI_APPLICATION
        | pe::IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER
        | pe::IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER => "an EFI program".to_owned(),
        pe::Subsystem(other) => format!("an image for subsystem {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers of an image: `MZ`, the PE header at 64.
    fn image(machine: u16, magic: u16, subsystem: u16) -> Vec<u8> {
        let mut bytes = vec![0; 64 + HEADERS];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[60] = 64;
        bytes[64..68].copy_from_slice(b"PE\0\0");
        bytes[68..70].copy_from_slice(&machine.to_le_bytes());
        bytes[88..90].copy_from_slice(&magic.to_le_bytes());
        bytes[156..158].copy_from_slice(&subsystem.to_le_bytes());
        bytes
    }

    /// The message for a file with these bytes, without its path.
    fn check_bytes(bytes: &[u8]) -> Result<(), String> {
        let path = integration_tests::temp_file(".sys", bytes);
        check(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "it"))
    }

    #[test]
    fn check_accepts_driver() {
        assert_eq!(check_bytes(&image(0x8664, 0x20B, 1)), Ok(()));
    }

    #[test]
    fn check_rejects_other_files_with_reason() {
        for (name, bytes, part) in [
            ("empty", Vec::new(), "shorter than an MZ header"),
            (
                "elf",
                [b"\x7fELF".as_slice(), &[0; 100]].concat(),
                "does not begin with MZ",
            ),
            (
                "dos",
                [b"MZ".as_slice(), &[0x20; 100]].concat(),
                "ends within its PE header",
            ),
            (
                "ne",
                [&b"MZ"[..], &[0; 400]].concat(),
                "not point to a PE signature",
            ),
            (
                "short",
                image(0x8664, 0x20B, 1)[..150].to_vec(),
                "ends within its PE header",
            ),
            (
                "x86",
                image(0x14C, 0x10B, 1),
                "it is for 32-bit x86, not for x86-64",
            ),
            ("arm64", image(0xAA64, 0x20B, 1), "it is for ARM64"),
            ("odd", image(0x1234, 0x20B, 1), "machine type 0x1234"),
            ("pe32", image(0x8664, 0x10B, 1), "no PE32+ optional header"),
            (
                "console",
                image(0x8664, 0x20B, 3),
                "it is a console program or a DLL, not a driver",
            ),
            ("efi", image(0x8664, 0x20B, 12), "an EFI program"),
        ] {
            let message = check_bytes(&bytes).expect_err(name);
            assert!(message.contains(part), "{name}: {message}");
        }
    }

    #[test]
    fn check_rejects_missing_file_and_folder() {
        assert!(matches!(
            check(Path::new("/no/such.sys")),
            Err(ImageError::NotFound { .. })
        ));
        assert!(matches!(
            check(&std::env::temp_dir()),
            Err(ImageError::NotAFile { .. })
        ));
    }
}
