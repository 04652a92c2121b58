//! Configuration as words: what people write on a command line or in a file for
//! [`Config`](crate::api::config::Config).

use std::path::PathBuf;

pub use ntbox_api::parse::{
    Mask, ParseError, component_name, fault, filter, guard, number, parameter, rule, seconds,
    service, value, verify, version,
};

use super::config::VolumeFile;

/// A file for the volume `C:`, as in `C:\\data\\x.bin=x.bin`: its path there, and
/// the host's file that it is a copy of.
///
/// # Errors
/// There is no path on `C:`, or no file.
pub fn volume_file(text: &str) -> Result<VolumeFile, ParseError> {
    let parts = text.split_once('=').filter(|(_, file)| !file.is_empty());
    let path = parts.and_then(|(path, file)| {
        let inside = path
            .strip_prefix("C:")
            .or_else(|| path.strip_prefix("c:"))?;
        let named = inside.starts_with('\\') && !inside.ends_with('\\');
        named.then(|| (inside.to_owned(), PathBuf::from(file)))
    });
    match path {
        Some((path, content)) => Ok(VolumeFile { path, content }),
        None => Err(ParseError::new(format!(
            r"`{text}` is no file for the volume; write C:\PATH=FILE, as in C:\data\x.bin=x.bin"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_volume() {
        let file = volume_file(r"C:\a\b=c=d").expect("it is one");
        assert_eq!(
            (file.path.as_str(), file.content),
            (r"\a\b", PathBuf::from("c=d"))
        );
        for text in ["", "a=b", r"C:\a", r"C:\a=", "C:a=b", r"C:\a\=b", r"D:\a=b"] {
            assert!(volume_file(text).is_err(), "{text}");
        }
    }
}
