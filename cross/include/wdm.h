/*
 * Puts right what MinGW's wdm.h lacks or lays out wrong, as far as this project
 * uses it; each declaration is the one in Microsoft's reference. A test compares
 * everything that drivers here call and touch with the real WDK's interface.
 */
#pragma once

/*
 * The WDK aligns a DEVICE_OBJECT to MEMORY_ALLOCATION_ALIGNMENT: 16 bytes here,
 * which makes it 0x150 bytes instead of 0x148.
 */
#define _DEVICE_OBJECT __attribute__((aligned(16))) _DEVICE_OBJECT
/* With ntifs.h, PEPROCESS is PKPROCESS and PETHREAD is PKTHREAD. */
#define _EPROCESS _KPROCESS
#define _ETHREAD _KTHREAD
#include_next <wdm.h>
#undef _DEVICE_OBJECT

/* Pool since Windows 10 2004. */
typedef ULONG64 POOL_FLAGS;

NTKERNELAPI PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);

/* For C alone: wdk-sys has these itself, and Rust cannot tell two of a name apart. */
#ifndef __BINDGEN__
#define POOL_FLAG_USE_QUOTA 0x0000000000000001ULL
#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ULL
#define POOL_FLAG_SESSION 0x0000000000000004ULL
#define POOL_FLAG_CACHE_ALIGNED 0x0000000000000008ULL
#define POOL_FLAG_RAISE_ON_FAILURE 0x0000000000000020ULL
#define POOL_FLAG_NON_PAGED 0x0000000000000040ULL
#define POOL_FLAG_NON_PAGED_EXECUTE 0x0000000000000080ULL
#define POOL_FLAG_PAGED 0x0000000000000100ULL
#endif

/* Or-ed to the priority of a mapping, since Windows 8. */
#define MdlMappingNoWrite 0x80000000
#define MdlMappingNoExecute 0x40000000
