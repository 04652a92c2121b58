//! The declaration of exports: a function that drivers import, with what the reference
//! says of it, becomes an entry in the table of its component.

/// Declares a family of exports and the table `EXPORTS` of them. The brackets hold what
/// is known of an export besides its code, in this order:
///
/// - `max IRQL`;
/// - its [`Reference`](ntbox_host::gate::Reference): the header that its page is filed under, as `wdm`, or
///   `header(structure)` for a page filed under a structure of that header; `page "path"`;
///   `crt`; `undocumented`, with where the contract is from if that is worth a word;
/// - `since VERSION`, a constant of [`OsVersion`](ntbox_api::OsVersion), if older systems do not have it;
/// - `verifier 0xc4/0x70`, Driver Verifier's codes for a call above the highest IRQL;
/// - `needs mapping`, if it fails without page table entries to map memory with;
/// - `partial "what is missing"`.
///
/// ```ignore
/// exports! {
///     /// `MmSizeOfMdl`, any IRQL.
///     fn MmSizeOfMdl(base: u64, length: u64) -> u64 [max HIGH_LEVEL, wdm] { Ok(...) }
///
///     /// `IoAllocateMdl`; fails with NULL.
///     fn IoAllocateMdl(va: u64, length: u32) -> u64 [max DISPATCH_LEVEL, wdm] fails 0 { ... }
///
///     /// Fails by raising a status.
///     fn MmProbeAndLockPages(mdl: u64) -> () [max DISPATCH_LEVEL, wdm, verifier 0xc4/0x70]
///         raises nt_status::STATUS_ACCESS_VIOLATION { ... }
///
///     /// Variadic: `call` gives more arguments.
///     fn DbgPrint<call>(format: u64) -> u32 [max HIGH_LEVEL, wdm] { ... }
/// }
/// ```
macro_rules! exports {
    ($(
        $(#[$meta:meta])*
        fn $name:ident $(<$call:ident>)? ($($argument:ident: $type:ty),* $(,)?) -> $result:ty
            [
                max $irql:expr, $reference:ident $($text:literal)? $(($structure:ident))?
                $(, since $since:ident)? $(, verifier $code:literal / $parameter:literal)?
                $(, needs $resource:ident)? $(, partial $partial:literal)?
            ]
            $($how:ident $($null:literal)? $($failure:path)?)?
        $body:block
    )*) => {
        $(
            $(#[$meta])*
            #[allow(non_snake_case, unused_mut, unused_variables, clippy::unnecessary_wraps, clippy::redundant_closure_call, reason = "the name is the reference's; a table of functions has one type; `?` in the body ends the body only")]
            pub(crate) fn $name(call: &mut ntbox_host::gate::Call<'_>) -> ntbox_host::gate::ExportResult {
                let mut number = 0;
                $(
                    let $argument = <$type as ntbox_host::gate::Register>::from_register(call.argument(number)?);
                    number += 1;
                )*
                let _ = number;
                $(let $call = &mut *call;)?
                let result: Result<$result, ntbox_host::gate::NoReturn> = (move || $body)();
                result.map(ntbox_host::gate::Register::into_register)
            }
        )*

        /// The exports of this family.
        pub const EXPORTS: &[ntbox_host::gate::Export] = &[$(
            ntbox_host::gate::Export {
                name: stringify!($name),
                handler: $name,
                failure: $crate::base::export::failure!($($how $($null)? $($failure)?)?),
                max_irql: $irql,
                reference: $crate::base::export::reference!($reference $($text)? $($structure)?),
                since: $crate::base::export::optional!($(ntbox_api::OsVersion::$since)?),
                verifier: $crate::base::export::optional!($(($code, $parameter))?),
                needs_mapping: $crate::base::export::needs_mapping!($($resource)?),
                partial: $crate::base::export::optional!($($partial)?),
                source: file!(),
            },
        )*];
    };
}
pub(crate) use exports;

/// How an export fails when it is told to.
macro_rules! failure {
    () => {
        None
    };
    (fails $value:literal) => {
        Some(|_| Ok($value))
    };
    (fails $status:path) => {
        Some(|_| Ok(u64::from($status)))
    };
    (raises $status:path) => {
        Some(|_| Err(ntbox_host::gate::NoReturn::raise($status)))
    };
    (fails_by $custom:path) => {
        Some($custom)
    };
}
pub(crate) use failure;

/// Where the contract of an export is written down.
macro_rules! reference {
    (undocumented) => {
        ntbox_host::gate::Reference::Undocumented("")
    };
    (undocumented $from:literal) => {
        ntbox_host::gate::Reference::Undocumented($from)
    };
    (crt) => {
        ntbox_host::gate::Reference::Page(
            "cpp/c-runtime-library/reference/crt-alphabetical-function-reference",
        )
    };
    (page $path:literal) => {
        ntbox_host::gate::Reference::Page($path)
    };
    ($header:ident) => {
        ntbox_host::gate::Reference::Header(stringify!($header), "")
    };
    ($header:ident $structure:ident) => {
        ntbox_host::gate::Reference::Header(
            stringify!($header),
            concat!(stringify!($structure), "-"),
        )
    };
}
pub(crate) use reference;

/// Something, or nothing.
macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}
pub(crate) use optional;

/// Whether an export needs page table entries.
macro_rules! needs_mapping {
    () => {
        false
    };
    (mapping) => {
        true
    };
}
pub(crate) use needs_mapping;
