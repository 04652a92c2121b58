//! The commands, and the control codes that stand for them.

/// The name by which programs open the device.
pub const DEVICE_LINK: &str = r"\\.\NtMem";

/// `DeviceType` of the control codes: the first of those that Microsoft leaves to
/// others.
pub const DEVICE_TYPE: u32 = 0x8000;

/// `FILE_READ_ACCESS | FILE_WRITE_ACCESS`: every command needs a handle that was
/// opened for both.
const ACCESS: u32 = 3;

/// Function codes below are Microsoft's.
const FIRST_FUNCTION: u32 = 0x800;

/// `METHOD_BUFFERED`.
const BUFFERED: u32 = 0;

/// Defines each command once: its number, its code, its name.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $function:literal, $text:literal;)*) => {
        /// What the driver can be asked to do.
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
                let function = FIRST_FUNCTION + match self { $(Self::$name => $function,)* };
                DEVICE_TYPE << 16 | ACCESS << 14 | function << 2 | BUFFERED
            }

            /// The command's name, as `ntmemctl` has it.
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
    /// Which driver this is: no input, a [`VersionReply`](crate::VersionReply).
    Version = 0, "version";
    /// Where the request is handled: no input, a
    /// [`ContextReply`](crate::ContextReply).
    Context = 1, "context";
    /// What the driver has done and holds: no input, a
    /// [`StatisticsReply`](crate::StatisticsReply).
    Statistics = 2, "statistics";
    /// Raises and lowers the IRQL and says what it read: no input, an
    /// [`IrqlReply`](crate::IrqlReply).
    Irql = 3, "irql";
    /// Waits until somebody signals: no input, the
    /// [`SignalRequest`](crate::SignalRequest) of who did. Can be cancelled.
    Wait = 4, "wait";
    /// Wakes who has waited longest: a [`SignalRequest`](crate::SignalRequest), a
    /// [`SignalReply`](crate::SignalReply).
    Signal = 5, "signal";
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn codes_are_made_as_the_headers_make_them() {
        // CTL_CODE(0x8000, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
        assert_eq!(Command::Version.code(), 0x8000_E000);
        assert_eq!(Command::Signal.code(), 0x8000_E014);
    }

    #[test]
    fn every_code_leads_back_to_its_command() {
        for &command in Command::ALL {
            assert_eq!(Command::from_code(command.code()), Some(command));
            // Another method, other rights, another device: another code.
            assert_eq!(Command::from_code(command.code() | 3), None);
            assert_eq!(Command::from_code(command.code() ^ 1 << 14), None);
            assert_eq!(Command::from_code(command.code() ^ 1 << 16), None);
        }
    }
}
