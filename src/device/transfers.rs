//! Data by each of the I/O manager's methods: `METHOD_IN_DIRECT`,
//! `METHOD_OUT_DIRECT`, `METHOD_NEITHER`, reading and writing.

use protocol::{Checksum, SendRequest, SumReply};
use wdm::{
    Status,
    irp::{Answer, Direction, Neither, Request, Transfer, Written},
    irql::Passive,
};

use super::{File, NtMem, counts::wide};

impl NtMem {
    /// Has the file keep the caller's pages.
    pub(super) fn send<'r>(
        file: &File,
        mut request: Request<'r>,
        passive: &mut Passive,
    ) -> Answer<'r> {
        let asked = request.input::<SendRequest>();
        let kept = asked.and_then(|asked| {
            let reader = request.direct()?.reader();
            file.store.replace(reader, asked.sum, passive)
        });
        answer(request, kept)
    }

    /// Gives back what the file keeps.
    pub(super) fn receive<'r>(
        file: &File,
        mut request: Request<'r>,
        passive: &mut Passive,
    ) -> Answer<'r> {
        let given = request
            .direct()
            .and_then(|direct| file.store.give(direct.writer()?, passive));
        answer(request, given)
    }

    /// The checksum of the caller's memory.
    pub(super) fn sum<'r>(mut request: Request<'r>, passive: &Passive) -> Answer<'r> {
        let summed = request.neither().and_then(|memory| sum(memory, passive));
        answer(request, summed)
    }

    /// Reads what the file keeps, or writes to it.
    pub(super) fn read_or_write<'r>(
        file: &File,
        mut transfer: Transfer<'r>,
        passive: &mut Passive,
    ) -> Answer<'r> {
        let (direction, offset) = (transfer.direction(), transfer.offset());
        let moved = transfer.direct().and_then(|direct| match direction {
            Direction::Read => file.store.read(direct.writer()?, offset, passive),
            Direction::Write => file.store.write(direct.reader(), offset, passive),
        });
        match moved {
            Ok(moved) => transfer.succeed(moved),
            Err(status) => transfer.fail(status),
        }
    }
}

fn answer(request: Request<'_>, done: Result<Written, Status>) -> Answer<'_> {
    match done {
        Ok(written) => request.succeed(written),
        Err(status) => request.fail(status),
    }
}

fn sum(memory: Neither<'_>, passive: &Passive) -> Result<Written, Status> {
    const PIECE: usize = 256;
    if memory.output.len() < size_of::<SumReply>() {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    let mut reader = memory.input.reader();
    let mut sum = Checksum::EMPTY;
    let mut buffer = [0; PIECE];
    while reader.left() > 0 {
        let len = reader.left().min(PIECE);
        let piece = buffer.get_mut(..len).unwrap_or_default();
        reader.read_bytes(piece, passive)?;
        sum = sum.then(piece);
    }
    let mut writer = memory.output.writer();
    let reply = SumReply {
        bytes: wide(memory.input.len()),
        sum: sum.number(),
    };
    writer.write(&reply, passive)?;
    Ok(writer.written())
}
