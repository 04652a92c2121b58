//! Pool tags: four characters that debuggers and `poolmon` show for each block.

use core::fmt;

/// Four characters that identify the owner of a pool block in a debugger.
///
/// Made by [`pool_tag!`](crate::pool_tag!), which checks it while compiling.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct PoolTag(u32);

impl PoolTag {
    /// The tag with these characters, in the order in which a debugger shows
    /// them; `None` unless each is printable ASCII, 0x20 to 0x7E.
    #[must_use]
    pub const fn new(characters: [u8; 4]) -> Option<Self> {
        let [a, b, c, d] = characters;
        if is_printable(a) && is_printable(b) && is_printable(c) && is_printable(d) {
            // The lowest byte comes first in memory, and tools show memory.
            Some(Self(u32::from_le_bytes(characters)))
        } else {
            None
        }
    }

    /// The tag as the kernel's functions take it.
    pub(crate) const fn raw(self) -> u32 {
        self.0
    }
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7E)
}

impl fmt::Display for PoolTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0
            .to_le_bytes()
            .into_iter()
            .try_for_each(|byte| formatter.write_char(char::from(byte)))
    }
}

impl fmt::Debug for PoolTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PoolTag({self})")
    }
}

/// A [`PoolTag`] from four characters in a byte string. It
/// does not compile if one of them is not printable ASCII.
///
/// ```
/// # use wdm::pool::PoolTag;
/// const TAG: PoolTag = wdm::pool_tag!(b"Smpl");
/// # assert_eq!(TAG.to_string(), "Smpl");
/// ```
#[macro_export]
macro_rules! pool_tag {
    ($characters:literal) => {
        const {
            match $crate::pool::PoolTag::new(*$characters) {
                ::core::option::Option::Some(tag) => tag,
                ::core::option::Option::None => {
                    ::core::panic!("a pool tag is four characters of printable ASCII")
                }
            }
        }
    };
}
