/*
 * Code that a driver writes: into pool that can be executed, again after it ran, from
 * the code itself, and by a function of the kernel.
 */
#include "check.h"

#define TAG 0x74697257 /* "Writ" */

typedef ULONG (*FUNCTION)(VOID);

static UCHAR *Code;

/* mov eax, value; ret */
static VOID WriteConstant(UCHAR *at, ULONG value)
{
    at[0] = 0xb8;
    *(volatile ULONG *)(at + 1) = value;
    at[5] = 0xc3;
}

static VOID RunsWhatWasWritten(VOID)
{
    WriteConstant(Code, 17);
    CHECK(((FUNCTION)Code)() == 17);
}

static VOID RunsWhatWasWrittenAgain(VOID)
{
    for (ULONG n = 0; n < 50; n++) {
        *(volatile ULONG *)(Code + 1) = n;
        CHECK(((FUNCTION)Code)() == n);
    }
}

static VOID RunsWhatTheKernelWrote(VOID)
{
    UCHAR other[6];

    WriteConstant(other, 99);
    RtlMoveMemory(Code, other, sizeof other);
    CHECK(((FUNCTION)Code)() == 99);
}

/* mov dword ptr [rip + 1], 5; mov eax, 1; ret: the first changes the second. */
static VOID RunsWhatItWritesItself(VOID)
{
    static const UCHAR bytes[] = {0xc7, 0x05, 1, 0, 0, 0, 5, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xc3};

    for (ULONG n = 0; n < sizeof bytes; n++)
        Code[64 + n] = bytes[n];
    CHECK(((FUNCTION)(Code + 64))() == 5);
    CHECK(((FUNCTION)(Code + 64))() == 5);
}

/* Data on the page of code. */
static VOID WritesBesideCode(VOID)
{
    volatile ULONG *data = (volatile ULONG *)(Code + 1024);

    WriteConstant(Code, 3);
    for (ULONG n = 0; n < 50; n++) {
        *data += ((FUNCTION)Code)();
    }
    CHECK(*data == 150);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    Code = ExAllocatePoolWithTag(NonPagedPool, 2048, TAG);
    RtlZeroMemory(Code, 2048);
    CASE(RunsWhatWasWritten);
    CASE(RunsWhatWasWrittenAgain);
    CASE(RunsWhatTheKernelWrote);
    CASE(RunsWhatItWritesItself);
    CASE(WritesBesideCode);
    ExFreePoolWithTag(Code, TAG);
    return CHECK_STATUS;
}
