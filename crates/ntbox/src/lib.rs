//! ntbox
