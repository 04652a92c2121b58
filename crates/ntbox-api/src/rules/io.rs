//! Rules on IRPs, devices and drivers.

use super::rules;

rules! {
    IO:
    DELETE_ATTACHED_DEVICE = "delete-attached-device", always,
        "A device is deleted to which another one is attached";
    DELETE_UNKNOWN_DEVICE = "delete-unknown-device", always,
        "A device is deleted that does not exist";
    DEVICE_DAMAGED = "device-damaged", always,
        "A device object cannot be read any more";
    DRIVER_OBJECT_DAMAGED = "driver-object-damaged", standard,
        "A field of the driver object that belongs to the system is overwritten";
    DRIVER_UNLOADS_ITSELF = "driver-unloads-itself", always,
        "A driver calls ZwUnloadDriver for itself";
    INTERRUPT_NOT_CONNECTED = "interrupt-not-connected", always,
        "An interrupt is disconnected that was not connected";
    IO_TIMER_STOPPED_INSIDE = "io-timer-stopped-inside", always,
        "An IoTimer routine stops its timer";
    IRP_COMPLETED_INVALID_STATUS = "irp-completed-invalid-status", always, stops 0xc9/0x6,
        "An IRP is completed with the status -1";
    IRP_COMPLETED_PENDING = "irp-completed-pending", always, stops 0xc9/0x6,
        "An IRP is completed with STATUS_PENDING";
    IRP_COMPLETED_WITH_CANCEL_ROUTINE = "irp-completed-with-cancel-routine", always, stops 0xc9/0x7,
        "An IRP is completed while its cancel routine is set";
    IRP_INFORMATION_EXCEEDS_BUFFER = "irp-information-exceeds-buffer" (formerly "information-too-large"), always,
        "A request is completed with more bytes than its caller has room for";
    IRP_INITIALIZED_TWICE = "irp-initialized-twice" (formerly "irp-initialised-twice"), always, stops 0xc9/0x20d,
        "IoInitializeIrp is called for an IRP of IoAllocateIrp";
    IRP_NOT_COMPLETED = "irp-not-completed", always,
        "A dispatch routine neither completes its IRP nor marks it pending";
    IRP_NOT_RECLAIMED = "irp-not-reclaimed", always,
        "An IRP of the driver is completed to the end";
    IRP_PENDING_NOT_MARKED = "irp-pending-not-marked", always,
        "A dispatch routine returns STATUS_PENDING and did not mark its IRP";
    IRP_PENDING_NOT_RETURNED = "irp-pending-not-returned", always,
        "A dispatch routine marks its IRP pending and does not return STATUS_PENDING";
    IRP_STATUS_MISMATCH = "irp-status-mismatch", always,
        "A dispatch routine returns another status than it completed the IRP with";
    UNINITIALIZED_POOL_RETURNED = "uninitialized-pool-returned" (formerly "uninitialised-pool-returned"), standard,
        "A request returns uninitialized pool to a program";
    UNINITIALIZED_POOL_STORED = "uninitialized-pool-stored" (formerly "uninitialised-pool-stored"), standard,
        "Uninitialized pool is stored in the registry";
}
