//! A driver's data for calls, and the calls that most tests begin with.

use ntbox_api::RegValue;

use crate::cm::{hive, nt_key, nt_query_value, nt_set_value};
use crate::ob::attributes::CASE_INSENSITIVE;
use crate::ob::nt_handle;
use crate::test_support::{address, address_mut, processor, status, wide};

/// `KEY_ALL_ACCESS`.
pub const ALL_ACCESS: u64 = 0xf_003f;

/// `UNICODE_STRING`.
#[repr(C)]
struct Counted {
    length: u16,
    maximum_length: u16,
    buffer: u64,
}

/// A counted string with its text.
pub struct Text {
    string: Box<Counted>,
    // What the string points to.
    _buffer: Vec<u16>,
}

impl Text {
    pub fn new(text: &str) -> Self {
        let buffer = wide(text);
        let length = u16::try_from(2 * (buffer.len() - 1)).expect("short");
        let string = Counted {
            length,
            maximum_length: length.saturating_add(2),
            buffer: address(buffer.as_slice()),
        };
        Self {
            string: Box::new(string),
            _buffer: buffer,
        }
    }

    /// The same text with another length, in bytes.
    pub fn with_length(mut self, length: u16) -> Self {
        self.string.length = length;
        self
    }

    /// The same text in a buffer of other size, in bytes.
    pub fn with_capacity(mut self, capacity: u16) -> Self {
        self.string.maximum_length = capacity;
        self
    }

    pub fn at(&self) -> u64 {
        address(&*self.string)
    }
}

/// `OBJECT_ATTRIBUTES`.
#[repr(C)]
struct Layout {
    length: u32,
    root: u64,
    name: u64,
    attributes: u32,
    security_descriptor: u64,
    quality_of_service: u64,
}

/// Object attributes with their name.
pub struct Object {
    layout: Box<Layout>,
    // What the name points to.
    _name: Text,
}

impl Object {
    pub fn new(name: &str) -> Self {
        Self::below(0, name)
    }

    pub fn below(root: u64, name: &str) -> Self {
        let name = Text::new(name);
        let layout = Layout {
            length: 0x30,
            root,
            name: name.at(),
            attributes: CASE_INSENSITIVE,
            security_descriptor: 0,
            quality_of_service: 0,
        };
        Self {
            layout: Box::new(layout),
            _name: name,
        }
    }

    pub fn with_flags(mut self, flags: u32) -> Self {
        self.layout.attributes = flags;
        self
    }

    pub fn with_length(mut self, length: u32) -> Self {
        self.layout.length = length;
        self
    }

    pub fn without_name(mut self) -> Self {
        self.layout.name = 0;
        self
    }

    pub fn at(&self) -> u64 {
        address(&*self.layout)
    }
}

/// Makes a service key of this name with some parameters; gives its path.
pub fn seed(name: &str, parameters: &[(&str, RegValue)]) -> String {
    processor();
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    hive::seed(name, &parameters)
}

/// Makes such a key and opens it.
pub fn service(name: &str, parameters: &[(&str, RegValue)]) -> u64 {
    open(&Object::new(&seed(name, parameters))).expect("the key was just made")
}

/// Opens a key with `ZwOpenKey`.
pub fn open(object: &Object) -> Result<u64, u32> {
    let mut handle = 0_u64;
    match status(
        nt_key::ZwOpenKey,
        &[address_mut(&mut handle), ALL_ACCESS, object.at()],
    ) {
        0 => Ok(handle),
        status => Err(status),
    }
}

/// Makes a subkey with `ZwCreateKey`; gives the handle and the disposition.
pub fn create(object: &Object, options: u64) -> Result<(u64, u32), u32> {
    let mut handle = 0_u64;
    let mut disposition = 0_u32;
    let arguments = [
        address_mut(&mut handle),
        ALL_ACCESS,
        object.at(),
        0,
        0,
        options,
        address_mut(&mut disposition),
    ];
    match status(nt_key::ZwCreateKey, &arguments) {
        0 => Ok((handle, disposition)),
        status => Err(status),
    }
}

pub fn close(handle: u64) {
    assert_eq!(status(nt_handle::ZwClose, &[handle]), 0);
}

/// Sets a value with `ZwSetValueKey`.
pub fn set(key: u64, name: &str, kind: u64, data: &[u8]) -> u32 {
    let name = Text::new(name);
    status(
        nt_set_value::ZwSetValueKey,
        &[key, name.at(), 0, kind, address(data), data.len() as u64],
    )
}

/// Type and data of a value, by `ZwQueryValueKey`.
pub fn get(key: u64, name: &str) -> Result<(u32, Vec<u8>), u32> {
    let name = Text::new(name);
    let mut buffer = vec![0_u8; 0x400];
    let mut length = 0_u32;
    let arguments = [
        key,
        name.at(),
        2,
        address_mut(buffer.as_mut_slice()),
        buffer.len() as u64,
        address_mut(&mut length),
    ];
    match status(nt_query_value::ZwQueryValueKey, &arguments) {
        0 => Ok((number(&buffer, 4), buffer[12..length as usize].to_vec())),
        status => Err(status),
    }
}

/// A number in information.
pub fn number(buffer: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(buffer[offset..offset + 4].try_into().expect("four bytes"))
}

/// Text in information.
pub fn text_in(buffer: &[u8], offset: usize, bytes: u32) -> String {
    let units: Vec<u16> = buffer[offset..offset + bytes as usize]
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).expect("it is UTF-16")
}

/// The bytes of a text with its NUL.
pub fn sz(text: &str) -> Vec<u8> {
    RegValue::Sz(text.to_owned()).data()
}
