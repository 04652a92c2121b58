//! Data by each of the I/O manager's methods: `METHOD_IN_DIRECT`,
//! `METHOD_OUT_DIRECT`, `METHOD_NEITHER`, reading and writing.

use ntmem_ioctl::{Checksum, SendRequest, SumReply};
use wdm::{
    Status,
    irp::{Completion, Direction, UserBuffers},
    irql::Passive,
};

use super::{NtMem, ReadWriteRequest, Request, counts::to_u64};

impl NtMem {
    /// Stores the caller's pages in the file.
    pub(super) fn send<'r>(mut request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        let input = request.input::<SendRequest>();
        let kept = input.and_then(|input| {
            let (file, data) = request.split();
            file.store
                .replace(data.direct()?.reader(), input.sum, passive)
        });
        complete(request, kept)
    }

    /// Copies the file's data to the caller's pages.
    pub(super) fn receive<'r>(mut request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        let (file, data) = request.split();
        let given = data
            .direct()
            .and_then(|direct| file.store.read_all(direct.writer()?, passive));
        complete(request, given)
    }

    /// The checksum of the caller's memory.
    pub(super) fn sum<'r>(mut request: Request<'r>, passive: &Passive) -> Completion<'r> {
        let summed = request.neither().and_then(|memory| sum(memory, passive));
        complete(request, summed)
    }

    /// Reads or writes the file's data.
    pub(super) fn read_or_write<'r>(
        mut transfer: ReadWriteRequest<'r>,
        passive: &mut Passive,
    ) -> Completion<'r> {
        let (direction, offset) = (transfer.direction(), transfer.offset());
        let (file, data) = transfer.split();
        let moved = data.direct().and_then(|direct| match direction {
            Direction::Read => file.store.read(direct.writer()?, offset, passive),
            Direction::Write => file.store.write(direct.reader(), offset, passive),
        });
        match moved {
            Ok(()) => transfer.succeed(),
            Err(status) => transfer.fail(status),
        }
    }
}

fn complete(request: Request<'_>, done: Result<(), Status>) -> Completion<'_> {
    match done {
        Ok(()) => request.succeed(),
        Err(status) => request.fail(status),
    }
}

fn sum(memory: UserBuffers<'_>, passive: &Passive) -> Result<(), Status> {
    const PIECE: usize = 256;
    if memory.output.len() < size_of::<SumReply>() {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    let bytes = to_u64(memory.input.len());
    let mut reader = memory.input.reader();
    let mut sum = Checksum::EMPTY;
    let mut buffer = [0; PIECE];
    while reader.remaining() > 0 {
        let len = reader.remaining().min(PIECE);
        let piece = buffer.get_mut(..len).unwrap_or_default();
        reader.read_bytes(piece, passive)?;
        sum = sum.then(piece);
    }
    let reply = SumReply {
        bytes,
        sum: sum.number(),
    };
    memory.output.writer().write(&reply, passive)
}
