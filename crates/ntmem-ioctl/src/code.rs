//! The commands, and the control codes that stand for them.

/// The name by which programs open the device.
pub const DEVICE_LINK: &str = r"\\.\NtMem";

/// `DeviceType` of the control codes: the first of those that Microsoft leaves to
/// others.
pub const DEVICE_TYPE: u32 = 0x8000;

/// `FILE_READ_ACCESS | FILE_WRITE_ACCESS`: every command needs a handle that was
/// opened for both.
const ACCESS: u32 = 3;

/// The most bytes that a copy takes.
pub const COPY_LIMIT: usize = 0x1_0000;

/// Function codes below are Microsoft's.
const FIRST_FUNCTION: u32 = 0x800;

/// `METHOD_BUFFERED`.
const BUFFERED: u32 = 0;

/// `METHOD_IN_DIRECT`.
const IN_DIRECT: u32 = 1;

/// `METHOD_OUT_DIRECT`.
const OUT_DIRECT: u32 = 2;

/// `METHOD_NEITHER`.
const NEITHER: u32 = 3;

/// Defines each command once: its number, its code, its name.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $function:literal, $method:ident, $text:literal;)*) => {
        /// The commands of the driver.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Command {
            $($(#[$doc])* $name,)*
        }

        impl Command {
            /// All commands, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The control code, as `CTL_CODE` makes it.
            #[must_use]
            pub const fn code(self) -> u32 {
                let (function, method) = match self {
                    $(Self::$name => ($function, $method),)*
                };
                DEVICE_TYPE << 16 | ACCESS << 14 | (FIRST_FUNCTION + function) << 2 | method
            }

            /// The command's name, as `driverctl` has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The command with this control code.
            #[must_use]
            pub const fn from_code(code: u32) -> Option<Self> {
                $(if code == Self::$name.code() {
                    return Some(Self::$name);
                })*
                None
            }
        }
    };
}

commands! {
    /// The versions of the driver and the system: no input, a [`VersionReply`](crate::VersionReply).
    Version = 0, BUFFERED, "version";
    /// The execution context of the request: no input, a
    /// [`ContextReply`](crate::ContextReply).
    Context = 1, BUFFERED, "context";
    /// The driver's counters and resources: no input, a
    /// [`StatisticsReply`](crate::StatisticsReply).
    Statistics = 2, BUFFERED, "statistics";
    /// Raises and lowers the IRQL and says what it read: no input, an
    /// [`IrqlReply`](crate::IrqlReply).
    Irql = 3, BUFFERED, "irql";
    /// Waits until somebody signals: no input, the
    /// [`SignalRequest`](crate::SignalRequest) of who did. Can be cancelled.
    Wait = 4, BUFFERED, "wait";
    /// Completes the oldest `wait` request: a [`SignalRequest`](crate::SignalRequest), a
    /// [`SignalReply`](crate::SignalReply).
    Signal = 5, BUFFERED, "signal";
    /// Copies the input to the output, through the kernel: any bytes, up to
    /// [`COPY_LIMIT`], and the same bytes. `METHOD_NEITHER`: the driver reads and
    /// writes the caller's own memory.
    Copy = 6, NEITHER, "copy";
    /// Allocates and frees pool of every kind: no input, a
    /// [`PoolReply`](crate::PoolReply).
    Pool = 32, BUFFERED, "pool";
    /// Puts entries into lists of every kind and takes them out: no input, a
    /// [`ListReply`](crate::ListReply).
    List = 33, BUFFERED, "list";
    /// Uses lookaside lists of every kind: no input, a
    /// [`LookasideReply`](crate::LookasideReply).
    Lookaside = 34, BUFFERED, "lookaside";
    /// Copies, moves, fills, zeroes and compares: no input, a
    /// [`MemoryReply`](crate::MemoryReply).
    Memory = 35, BUFFERED, "memory";
    /// Uses mutexes, events and a remove lock: no input, a
    /// [`SyncReply`](crate::SyncReply).
    Sync = 36, BUFFERED, "sync";
    /// Reads the clocks: no input, a [`TimeReply`](crate::TimeReply).
    Time = 37, BUFFERED, "time";
    /// The driver's pool usage: no input, a [`HeldReply`](crate::HeldReply).
    Held = 38, BUFFERED, "held";
    /// Probes memory of the caller: a [`ProbeRequest`](crate::ProbeRequest), a
    /// [`ProbeReply`](crate::ProbeReply).
    Probe = 39, BUFFERED, "probe";
    /// Runs a scenario: a [`ScenarioRequest`](crate::ScenarioRequest), a
    /// [`ScenarioReply`](crate::ScenarioReply). The request succeeds even if the
    /// scenario fails.
    Scenario = 64, BUFFERED, "scenario";
    /// Maps pages of the driver into the caller: a [`MapRequest`](crate::MapRequest),
    /// a [`MapReply`](crate::MapReply). They go with the handle.
    Map = 65, BUFFERED, "map";
    /// Undoes a mapping: an [`UnmapRequest`](crate::UnmapRequest), no reply.
    Unmap = 66, BUFFERED, "unmap";
    /// Exchanges a word of a mapping through the driver's own address:
    /// an [`ExchangeRequest`](crate::ExchangeRequest), an
    /// [`ExchangeReply`](crate::ExchangeReply).
    Exchange = 67, BUFFERED, "exchange";
    /// Where the driver was when each entry point was last called: no input, a
    /// [`ContextsReply`](crate::ContextsReply).
    Contexts = 68, BUFFERED, "contexts";
    /// Stores data in the file: a [`SendRequest`](crate::SendRequest), and the data,
    /// up to [`STORE_LIMIT`](crate::STORE_LIMIT) bytes. `METHOD_IN_DIRECT`: the driver
    /// reads the caller's locked pages.
    Send = 69, IN_DIRECT, "send";
    /// Returns the file's data: no input, the data. `METHOD_OUT_DIRECT`: the
    /// driver writes the caller's locked pages.
    Receive = 70, OUT_DIRECT, "receive";
    /// A checksum of the input: any bytes, up to [`COPY_LIMIT`], and a
    /// [`SumReply`](crate::SumReply). `METHOD_NEITHER`.
    Sum = 71, NEITHER, "sum";
    /// The blocks of a process's address space: a
    /// [`BlocksRequest`](crate::BlocksRequest), as many
    /// [`BlockRecord`](crate::BlockRecord)s as there is room for.
    Blocks = 72, BUFFERED, "blocks";
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn code_matches_ctl_code_macro() {
        // CTL_CODE(0x8000, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
        assert_eq!(Command::Version.code(), 0x8000_E000);
        assert_eq!(Command::Signal.code(), 0x8000_E014);
        // The same with METHOD_NEITHER, METHOD_IN_DIRECT and METHOD_OUT_DIRECT.
        assert_eq!(Command::Copy.code(), 0x8000_E01B);
        assert_eq!(Command::Send.code(), 0x8000_E115);
        assert_eq!(Command::Receive.code(), 0x8000_E11A);
    }

    #[test]
    fn from_code_inverts_code() {
        for &command in Command::ALL {
            assert_eq!(Command::from_code(command.code()), Some(command));
            // Another method, other rights, another device: another code.
            assert_eq!(Command::from_code(command.code() ^ 3), None);
            assert_eq!(Command::from_code(command.code() ^ 1 << 14), None);
            assert_eq!(Command::from_code(command.code() ^ 1 << 16), None);
        }
    }
}
