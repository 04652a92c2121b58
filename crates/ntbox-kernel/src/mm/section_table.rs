//! Records of sections: what memory keeps for the component that implements them.

use std::collections::BTreeMap;

/// What is known of a section.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its pages.
    pub segment: u64,
    /// Bytes.
    pub size: u64,
    /// `PAGE_…` of views at most.
    pub protect: u32,
    /// `SEC_…`.
    pub attributes: u32,
}

/// All sections, by their objects.
pub type Sections = BTreeMap<u64, Section>;

/// A range whose protection must not change.
#[derive(Debug, Clone, Copy)]
pub struct SecuredRange {
    /// Whose memory it is.
    pub process: u64,
    /// First page.
    pub start: u64,
    /// First address past it.
    pub end: u64,
    /// Whether it must stay writable.
    pub write: bool,
}

/// What is known of an image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Where it was linked to lie.
    pub base: u64,
    /// `PAGE_…` of each page.
    pub protections: Vec<u32>,
    /// `SECTION_IMAGE_INFORMATION`.
    pub information: Vec<u8>,
}
