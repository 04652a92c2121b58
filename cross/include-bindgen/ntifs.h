/*
 * Declares what MinGW's ntifs.h and the headers that it includes lack of the kernel's
 * functions, for bindings. C drivers declare what they need of it themselves.
 */
#pragma once
#include_next <ntifs.h>

#include "kernel_types.h"
#include "kernel_functions.h"
