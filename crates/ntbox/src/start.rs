//! The start of the processes that this crate starts from the program that links it: the
//! kernel process, and the reader of debug information. The program is executed again
//! with a variable in the environment, and an initialiser that runs before `main` sees
//! it. So a test needs no second program that would have to be found.

#![expect(
    unsafe_code,
    reason = "an entry in the list of initialisers is an attribute"
)]

/// Runs before `main`.
extern "C" fn before_main() {
    ntbox_kernel::run_if_asked();
    ntbox_symbols::serve_if_asked();
}

/// The entry in the list of initialisers. The C library calls it once, on the first
/// thread, with no arguments that it needs.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// Makes the linker keep this module, and with it the initialiser.
pub fn link() {
    std::hint::black_box(&BEFORE_MAIN);
}
