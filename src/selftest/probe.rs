//! `ProbeForRead` and `ProbeForWrite`.

use ntmem_ioctl::{ProbeReply, ProbeRequest};
use wdm::{
    Status,
    irql::Passive,
    probe::{self, Alignment},
};

wdm::pageable! { passive:
    /// Probes memory of the caller.
    pub fn probe(request: &ProbeRequest, passive: &Passive) -> Result<ProbeReply, Status> {
        let alignment = Alignment::new(request.alignment).ok_or(Status::INVALID_PARAMETER)?;
        let narrow = |number| usize::try_from(number).map_err(|_| Status::INVALID_PARAMETER);
        let (address, len) = (narrow(request.address)?, narrow(request.len)?);
        let outcome = match request.for_writing {
            0 => probe::read(address, len, alignment, passive),
            1 => probe::write(address, len, alignment, passive),
            _ => return Err(Status::INVALID_PARAMETER),
        };
        let status = outcome.err().map_or(0, |error| error.status().code().into());
        Ok(ProbeReply { status })
    }
}
