//! Image sections: pageable code and initialization code.
//!
//! Sections whose names begin with `PAGE` can be paged out, so their code runs at
//! `<= APC_LEVEL`; [`pageable!`](crate::pageable!) requires a token for that level. `INIT`
//! is discarded after DriverEntry; [`init!`](crate::init!) requires the [`Context`], which
//! exists only during the start. Both require this crate's own types, not types that
//! dereference to them: the dereference would run inside the section.
//!
//! Closures that run at a raised IRQL are called from resident code: the raising functions
//! are never inlined.
//!
//! `INIT` is discarded only if the image marks it so. A driver's build script passes
//! `/SECTION:INIT,ERD` to the linker.

use crate::{
    driver::Context,
    irql::{Apc, Irql, Passive},
};

mod sealed {
    /// A token that says that pages can be fetched.
    #[diagnostic::on_unimplemented(message = "`{Self}` is no token for `<= APC_LEVEL`")]
    pub trait Pageable {}

    /// What exists only while the driver starts.
    #[diagnostic::on_unimplemented(message = "`{Self}` does not say that the driver starts")]
    pub trait Starting {}
}

impl sealed::Pageable for Passive {}
impl sealed::Pageable for Apc {}
impl sealed::Starting for Context<'_> {}

/// Asserts, in builds with debug assertions, that code may be pageable here:
/// `PAGED_CODE`. Takes a token that says the same, so what it finds is a token that
/// was made where it should not have been.
///
/// ```no_run
/// # use wdm::irql::Apc;
/// fn settings(irql: &Apc) {
///     wdm::paged_code!(irql);
/// }
/// ```
#[macro_export]
macro_rules! paged_code {
    ($irql:expr) => {
        $crate::section::__paged_code($irql)
    };
}

/// For [`paged_code!`](crate::paged_code!).
// Generic, so that the argument is not dereferenced until it is an `Apc`: that would be
// code of the driver's, which need not return.
#[doc(hidden)]
#[inline]
pub fn __paged_code<I: sealed::Pageable>(_: &I) {
    debug_assert!(
        Irql::current() <= Irql::APC,
        "pageable code runs where no page can be fetched"
    );
}

/// Places a function in the section `PAGE`: `#pragma alloc_text(PAGE, …)`. Before
/// it stands the name of the parameter that is a token for `<= APC_LEVEL`, which
/// [`paged_code!`](crate::paged_code!) is called with first.
///
/// ```no_run
/// # use wdm::{Result, irql::Passive, registry::{Key, Value}, utf16};
/// wdm::pageable! { passive:
///     /// Reads the limit.
///     fn limit(key: &Key, passive: &Passive) -> Result<Option<Value>> {
///         key.value(utf16!("Limit"), passive)
///     }
/// }
/// ```
#[macro_export]
macro_rules! pageable {
    (
        $irql:ident:
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident $(<$($lifetime:lifetime),*>)? ($($parameters:tt)*)
        $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        // SAFETY: the section is code's, and what may be absent from memory there
        // is only called where it can be fetched: the token says so.
        #[unsafe(link_section = "PAGE")]
        #[inline(never)]
        $visibility fn $name $(<$($lifetime),*>)? ($($parameters)*) $(-> $result)? {
            $crate::paged_code!($irql);
            $body
        }
    };
}

/// For [`init!`](crate::init!).
// Generic for the same reason as `__paged_code`.
#[doc(hidden)]
#[inline]
pub const fn __init_code<C: sealed::Starting>(_: &C) {}

/// Places a function in the section `INIT`: `#pragma alloc_text(INIT, …)`. Before
/// it stands the name of the parameter that is the
/// [`&Context`](crate::driver::Context), which nobody has when the section is gone.
///
/// ```no_run
/// # use wdm::{Result, debug::Level, driver::Context};
/// wdm::init! { context:
///     /// Says which system this is.
///     fn introduce(context: &Context<'_>) -> Result<()> {
///         wdm::log!(Level::Error, "on {}", context.version()?);
///         Ok(())
///     }
/// }
/// ```
#[macro_export]
macro_rules! init {
    (
        $context:ident:
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident $(<$($lifetime:lifetime),*>)? ($($parameters:tt)*)
        $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        // SAFETY: the section is code's, and goes when DriverEntry has returned; a
        // context, which the function needs, does not outlive that call.
        #[unsafe(link_section = "INIT")]
        #[inline(never)]
        $visibility fn $name $(<$($lifetime),*>)? ($($parameters)*) $(-> $result)? {
            $crate::section::__init_code($context);
            $body
        }
    };
}
