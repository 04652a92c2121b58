/*
 * Declares what MinGW's ntifs.h and the headers that it includes lack of the kernel's
 * interface, for bindings. C drivers declare what they need of it themselves.
 */
#pragma once

/* Bindgen passes over inline functions; these are declared in wdk_functions.h. */
#define KeGetCurrentIrql KeGetCurrentIrql_inline
#define KeInitializeSpinLock KeInitializeSpinLock_inline
#define KeLowerIrql KeLowerIrql_inline
#define KeRaiseIrqlToDpcLevel KeRaiseIrqlToDpcLevel_inline
#define KfRaiseIrql KfRaiseIrql_inline
#include "enumerators.h"
#include_next <ntifs.h>
#include "enumerators_end.h"
#undef KeGetCurrentIrql
#undef KeInitializeSpinLock
#undef KeLowerIrql
#undef KeRaiseIrqlToDpcLevel
#undef KfRaiseIrql

/* wdm.h of the overlay has them stand for the kernel's part of the object. */
#undef _EPROCESS
#undef _ETHREAD
struct _EPROCESS;

#include "wdk_types.h"
#include "wdk_constants.h"
#include "kernel_functions.h"
#include "wdk_functions.h"
