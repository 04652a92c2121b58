//! A system without processes of Windows.

use vq::Error;

use crate::args::Args;

/// Refuses.
pub fn run(_: &Args) -> Result<u8, Error> {
    Err(Error::Unsupported(
        "only Windows has processes that can be listed, or Wine, which runs vq.exe; here there are \
         --from and --diff, and `driverctl blocks` for the embedded kernel",
    ))
}
