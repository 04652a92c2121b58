/*
 * What drivers with __try have in common.
 */
#pragma once

/* A call of it is a call in each build, so that tables of scopes cover it. */
#define INLINED_NOT __attribute__((noinline))

/* ntddk.h of some kits leaves these to winnt.h. */
#ifndef EXCEPTION_EXECUTE_HANDLER
#define EXCEPTION_EXECUTE_HANDLER 1
#define EXCEPTION_CONTINUE_SEARCH 0
#define EXCEPTION_CONTINUE_EXECUTION (-1)
#endif

/* A flag of an exception record: raised while a handler ran. */
#define NESTED_CALL 0x10
