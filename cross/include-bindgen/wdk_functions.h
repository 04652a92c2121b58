/*
 * Functions of the kernel that neither MinGW's headers nor windows-sys declare in full: they
 * are as in the bindings to the WDK that Microsoft published with wdk-sys 0.2.0.
 */
#pragma once

/* A macro there. */
#undef RtlGetCallersAddress

NTKERNELAPI PVOID NTAPI ExAllocateFromPagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside);
NTKERNELAPI VOID NTAPI ExFreeToPagedLookasideList(PPAGED_LOOKASIDE_LIST Lookaside, PVOID
    Entry);
NTKERNELAPI PSLIST_ENTRY NTAPI FirstEntrySList(PSLIST_HEADER SListHead);
NTKERNELAPI NTSTATUS NTAPI HalDmaAllocateCrashDumpRegistersEx(PADAPTER_OBJECT Adapter, ULONG
    NumberOfMapRegisters, HAL_DMA_CRASH_DUMP_REGISTER_TYPE Type, PVOID *MapRegisterBase,
    PULONG MapRegistersAvailable);
NTKERNELAPI NTSTATUS NTAPI HalDmaFreeCrashDumpRegistersEx(PADAPTER_OBJECT Adapter,
    HAL_DMA_CRASH_DUMP_REGISTER_TYPE Type);
NTKERNELAPI NTSTATUS NTAPI HvlRegisterWheaErrorNotification(PHVL_WHEA_ERROR_NOTIFICATION
    Callback);
NTKERNELAPI NTSTATUS NTAPI HvlUnregisterWheaErrorNotification(PHVL_WHEA_ERROR_NOTIFICATION
    Callback);
NTKERNELAPI NTSTATUS NTAPI IoEnumerateKsrPersistentMemoryEx(PDRIVER_OBJECT DriverObject,
    PDEVICE_OBJECT PhysicalDeviceObject, PUNICODE_STRING PhysicalDeviceId,
    PIO_PERSISTED_MEMORY_ENUMERATION_CALLBACK Callback, PVOID CallbackContext);
NTKERNELAPI VOID NTAPI KeLowerIrql(KIRQL NewIrql);
NTKERNELAPI KIRQL NTAPI KeRaiseIrqlToDpcLevel(VOID);
NTKERNELAPI KIRQL NTAPI KfRaiseIrql(KIRQL NewIrql);
NTKERNELAPI NTSTATUS NTAPI PoFxRegisterComponentPerfStates(POHANDLE Handle, ULONG Component,
    ULONGLONG Flags, PPO_FX_COMPONENT_PERF_STATE_CALLBACK ComponentPerfStateCallback,
    PPO_FX_COMPONENT_PERF_INFO InputStateInfo, PPO_FX_COMPONENT_PERF_INFO *OutputStateInfo);
NTKERNELAPI VOID NTAPI PoFxRegisterDripsWatchdogCallback(POHANDLE Handle,
    PPO_FX_DRIPS_WATCHDOG_CALLBACK Callback, BOOLEAN IncludeChildDevices, PDRIVER_OBJECT
    MatchingDriverObject);
NTKERNELAPI VOID NTAPI RtlGetCallersAddress(PVOID *CallersAddress, PVOID *CallersCaller);
NTKERNELAPI BOOLEAN NTAPI RtlPrefixString(const STRING *String1, const STRING *String2,
    BOOLEAN CaseInSensitive);
NTKERNELAPI NTSTATUS NTAPI SeRegisterImageVerificationCallback(SE_IMAGE_TYPE ImageType,
    SE_IMAGE_VERIFICATION_CALLBACK_TYPE CallbackType, PSE_IMAGE_VERIFICATION_CALLBACK_FUNCTION
    CallbackFunction, PVOID CallbackContext, SE_IMAGE_VERIFICATION_CALLBACK_TOKEN Token, PVOID
    *CallbackHandle);
NTKERNELAPI NTSTATUS NTAPI ZwQueryVirtualMemory(HANDLE ProcessHandle, PVOID BaseAddress,
    MEMORY_INFORMATION_CLASS MemoryInformationClass, PVOID MemoryInformation, SIZE_T
    MemoryInformationLength, PSIZE_T ReturnLength);
NTKERNELAPI NTSTATUS NTAPI ZwSaveKeyEx(HANDLE KeyHandle, HANDLE FileHandle, ULONG Format);

/*
 * Inline in the WDK. The kit's BufferOverflowFastFailK.lib defines them, so that no import
 * of them keeps a driver from running on an older kernel.
 */
KIRQL NTAPI KeGetCurrentIrql(VOID);
VOID NTAPI KeInitializeSpinLock(PKSPIN_LOCK SpinLock);
