//! The commands that query the system, and the command `copy`.

use ntmem_ioctl::{ContextReply, IrqlReply, VersionReply};
use wdm::{
    Status,
    irp::{ProcessorMode, UserBuffers},
    irql::{Irql, Passive},
    process,
    sync::SpinLock,
    system::{AddressLimits, Version},
};

use super::counts::to_u64;

/// The versions of the driver and the system.
pub fn version(system: Version) -> VersionReply {
    VersionReply {
        protocol: ntmem_ioctl::VERSION,
        driver: DRIVER_VERSION,
        is_debug: u16::from(cfg!(debug_assertions)),
        system: [system.major, system.minor, system.build],
    }
}

const DRIVER_VERSION: [u16; 3] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
];

/// A decimal number, while compiling.
const fn number(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("a version is made of numbers of 16 bits"),
    }
}

/// The execution context of a request.
pub fn context(requestor: ProcessorMode) -> ContextReply {
    let limits = AddressLimits::current();
    ContextReply {
        process: to_u64(process::current_process_id()),
        thread: to_u64(process::current_thread_id()),
        highest_user: to_u64(limits.highest_user),
        user_probe: to_u64(limits.user_probe),
        system_range_start: to_u64(limits.system_range_start),
        irql: u32::from(Irql::current().level()),
        from_user: u32::from(requestor == ProcessorMode::User),
    }
}

wdm::pageable! { passive:
    /// Raises and lowers the IRQL, and reads it each time.
    pub fn irql(lock: &SpinLock<()>, passive: &mut Passive) -> IrqlReply {
        let read = || u32::from(Irql::current().level());
        IrqlReply {
            before: read(),
            apc: passive.raise_to_apc(|_| read()),
            dispatch: passive.raise_to_dispatch(|_| read()),
            locked: lock.with(passive, |(), _| read()),
            after: read(),
        }
    }
}

wdm::pageable! { passive:
    /// Copies one user buffer to the other, piece by piece. Each byte is read once.
    pub fn copy(memory: UserBuffers<'_>, passive: &Passive) -> Result<(), Status> {
        const PIECE: usize = 256;
        if memory.output.len() < memory.input.len() {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        let mut reader = memory.input.reader();
        let mut writer = memory.output.writer();
        let mut buffer = [0; PIECE];
        while reader.remaining() > 0 {
            let piece = buffer
                .get_mut(..reader.remaining().min(PIECE))
                .ok_or(Status::UNSUCCESSFUL)?;
            reader.read_bytes(piece, passive)?;
            writer.write_bytes(piece, passive)?;
        }
        Ok(())
    }
}
