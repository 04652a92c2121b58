//! What callbacks can hear of: the numbers of `REG_NOTIFY_CLASS`, before and after
//! an operation.

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// The number before the operation.
    pub before: u32,
    /// The number after it.
    pub after: u32,
}

macro_rules! notices {
    ($($(#[$meta:meta])* $name:ident = $before:literal, $after:literal;)*) => {$(
        $(#[$meta])*
        pub const $name: Notice = Notice { before: $before, after: $after };
    )*};
}

notices! {
    /// `RegNtPreDeleteKey`, `RegNtPostDeleteKey`.
    DELETE_KEY = 0, 15;
    /// `RegNtPreSetValueKey`, `RegNtPostSetValueKey`.
    SET_VALUE = 1, 16;
    /// `RegNtPreDeleteValueKey`, `RegNtPostDeleteValueKey`.
    DELETE_VALUE = 2, 17;
    /// `RegNtPreRenameKey`, `RegNtPostRenameKey`.
    RENAME_KEY = 4, 19;
    /// `RegNtPreEnumerateKey`, `RegNtPostEnumerateKey`.
    ENUMERATE_KEY = 5, 20;
    /// `RegNtPreEnumerateValueKey`, `RegNtPostEnumerateValueKey`.
    ENUMERATE_VALUE = 6, 21;
    /// `RegNtPreQueryKey`, `RegNtPostQueryKey`.
    QUERY_KEY = 7, 22;
    /// `RegNtPreQueryValueKey`, `RegNtPostQueryValueKey`.
    QUERY_VALUE = 8, 23;
    /// `RegNtPreQueryMultipleValueKey`, `RegNtPostQueryMultipleValueKey`.
    QUERY_MULTIPLE_VALUES = 9, 24;
    /// `RegNtPreKeyHandleClose`, `RegNtPostKeyHandleClose`.
    CLOSE_KEY = 14, 25;
    /// `RegNtPreCreateKeyEx`, `RegNtPostCreateKeyEx`.
    CREATE_KEY = 26, 27;
    /// `RegNtPreOpenKeyEx`, `RegNtPostOpenKeyEx`.
    OPEN_KEY = 28, 29;
    /// `RegNtPreFlushKey`, `RegNtPostFlushKey`.
    FLUSH_KEY = 30, 31;
    /// `RegNtPreQueryKeySecurity`, `RegNtPostQueryKeySecurity`.
    QUERY_SECURITY = 36, 37;
    /// `RegNtPreSetKeySecurity`, `RegNtPostSetKeySecurity`.
    SET_SECURITY = 38, 39;
    /// `RegNtPreQueryKeyName`, `RegNtPostQueryKeyName`.
    QUERY_NAME = 47, 48;
}

/// `RegNtCallbackObjectContextCleanup`.
pub const CONTEXT_CLEANUP: u32 = 40;
