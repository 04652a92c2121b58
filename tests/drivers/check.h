/*
 * For drivers that check the kernel from inside: each case is a function, each
 * CHECK that fails is a line of debug output, and DriverEntry returns
 * STATUS_UNSUCCESSFUL if one did. A case that went well says so.
 */
#pragma once

#include <ntddk.h>

#define UNUSED __attribute__((unused))

static ULONG Failures;
static const char *CaseName;

static VOID CheckFailed(ULONG line, const char *what)
{
    Failures++;
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "check: %s failed at line %lu: %s\n", CaseName, line, what);
}

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            CheckFailed(__LINE__, #condition); \
    } while (0)

/* Runs a case and says how it went. */
#define CASE(name) \
    do { \
        ULONG before = Failures; \
        CaseName = #name; \
        name(); \
        if (Failures == before) \
            DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "check: %s ok\n", #name); \
    } while (0)

#define CHECK_STATUS (Failures == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL)

/* What happened, in order, as letters. */
static char Trace[64];
static ULONG TraceLength;

UNUSED static VOID Note(char letter)
{
    if (TraceLength < sizeof(Trace) - 1) {
        Trace[TraceLength++] = letter;
        Trace[TraceLength] = 0;
    }
}

/* The same for a filter, which answers. */
UNUSED static __attribute__((noinline)) LONG Say(char letter, LONG answer)
{
    Note(letter);
    return answer;
}

UNUSED static VOID TraceReset(VOID)
{
    TraceLength = 0;
    Trace[0] = 0;
}

UNUSED static BOOLEAN TraceIs(const char *expected)
{
    ULONG n = 0;
    while (expected[n] != 0 && expected[n] == Trace[n])
        n++;
    return expected[n] == 0 && Trace[n] == 0;
}

#define CHECK_TRACE(expected) \
    do { \
        if (!TraceIs(expected)) { \
            CheckFailed(__LINE__, "the order is " expected); \
            DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "check: the order was %s\n", Trace); \
        } \
    } while (0)

/* Runs a case that notes what happens. */
#define RUN(name) \
    do { \
        TraceReset(); \
        CASE(name); \
    } while (0)
