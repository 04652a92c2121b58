/*
 * __try and __except: what filters are told, what they decide, and where
 * execution goes on. What fails does so in a function that the __try calls:
 * clang before 15 takes only calls into its tables of scopes.
 */
#include "check.h"
#include "try.h"

#ifndef STATUS_ASSERTION_FAILURE
#define STATUS_ASSERTION_FAILURE ((NTSTATUS)0xC0000420)
#endif

#define NONCONTINUABLE 1
NTSYSAPI VOID NTAPI RtlRaiseException(PEXCEPTION_RECORD record);
NTSYSAPI VOID NTAPI RtlRaiseStatus(NTSTATUS status);
NTKERNELAPI VOID NTAPI ExRaiseAccessViolation(VOID);
NTKERNELAPI VOID NTAPI ExRaiseDatatypeMisalignment(VOID);

/* An address of user space at which nothing is, unknown to the compiler. */
static volatile ULONG_PTR Nowhere = 0x12340;
static volatile ULONG Zero;
static volatile ULONG Sink;

/* The last exception that the filter `Keep` saw. */
static EXCEPTION_RECORD Kept;
static CONTEXT KeptContext;
static PEXCEPTION_RECORD KeptAddress;

static LONG Keep(PEXCEPTION_POINTERS pointers, LONG answer)
{
    KeptAddress = pointers->ExceptionRecord;
    Kept = *pointers->ExceptionRecord;
    KeptContext = *pointers->ContextRecord;
    return answer;
}

INLINED_NOT static VOID ReadNowhere(VOID)
{
    Sink = *(volatile ULONG *)Nowhere;
}

INLINED_NOT static VOID WriteNowhere(VOID)
{
    *(volatile ULONG *)Nowhere = 1;
}

INLINED_NOT static VOID ReadFault(VOID)
{
    ULONG code = 0;
    __try {
        ReadNowhere();
        CHECK(!"the read went on");
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK(code == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(Kept.ExceptionCode == STATUS_ACCESS_VIOLATION);
    CHECK(Kept.ExceptionFlags == 0);
    CHECK(Kept.ExceptionRecord == NULL);
    CHECK(Kept.NumberParameters == 2);
    CHECK(Kept.ExceptionInformation[0] == 0);
    CHECK(Kept.ExceptionInformation[1] == Nowhere);
    CHECK((ULONG_PTR)Kept.ExceptionAddress == KeptContext.Rip);
    CHECK(KeptContext.Rip >= (ULONG_PTR)ReadNowhere && KeptContext.Rip < (ULONG_PTR)ReadNowhere + 64);
}

INLINED_NOT static VOID WriteFault(VOID)
{
    __try {
        WriteNowhere();
        CHECK(!"the write went on");
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        Note('x');
    }
    CHECK_TRACE("x");
    CHECK(Kept.ExceptionInformation[0] == 1);
    CHECK(Kept.ExceptionInformation[1] == Nowhere);
}

INLINED_NOT static VOID CallNowhere(VOID)
{
    __try {
        ((VOID (*)(VOID))Nowhere)();
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        Note('x');
    }
    CHECK_TRACE("x");
    CHECK(Kept.ExceptionCode == STATUS_ACCESS_VIOLATION);
    CHECK(Kept.ExceptionInformation[0] == 8);
    CHECK(Kept.ExceptionInformation[1] == Nowhere);
    CHECK((ULONG_PTR)Kept.ExceptionAddress == Nowhere);
}

INLINED_NOT static VOID ReadNotCanonical(VOID)
{
    Sink = *(volatile ULONG *)(Nowhere | (ULONG_PTR)1 << 60);
}

/* An address that no processor has: which one it was is not known. */
INLINED_NOT static VOID NotCanonical(VOID)
{
    __try {
        ReadNotCanonical();
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        Note('x');
    }
    CHECK_TRACE("x");
    CHECK(Kept.ExceptionCode == STATUS_ACCESS_VIOLATION);
    CHECK(Kept.ExceptionInformation[1] == (ULONG_PTR)-1);
}

INLINED_NOT static VOID RaiseStatus(VOID)
{
    ULONG code = 0;
    __try {
        ExRaiseStatus(STATUS_INSUFFICIENT_RESOURCES);
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK(code == (ULONG)STATUS_INSUFFICIENT_RESOURCES);
    CHECK(Kept.ExceptionFlags == NONCONTINUABLE);
    CHECK(Kept.NumberParameters == 0);
    CHECK(Kept.ExceptionRecord == NULL);
    code = 0;
    __try {
        RtlRaiseStatus(STATUS_INVALID_PARAMETER);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        code = GetExceptionCode();
    }
    CHECK(code == (ULONG)STATUS_INVALID_PARAMETER);
}

INLINED_NOT static VOID RaiseNamed(VOID)
{
    ULONG code = 0;
    __try {
        ExRaiseAccessViolation();
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK(code == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(Kept.NumberParameters == 0);
    code = 0;
    __try {
        ExRaiseDatatypeMisalignment();
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        code = GetExceptionCode();
    }
    CHECK(code == (ULONG)STATUS_DATATYPE_MISALIGNMENT);
}

/* A software exception that a filter continues: the call returns. */
INLINED_NOT static VOID RaiseAndContinue(VOID)
{
    EXCEPTION_RECORD record = { 0 };
    record.ExceptionCode = 0xE0001234;
    record.NumberParameters = 3;
    record.ExceptionInformation[0] = 11;
    record.ExceptionInformation[2] = 33;
    __try {
        RtlRaiseException(&record);
        Note('r');
    } __except (Keep(GetExceptionInformation(), EXCEPTION_CONTINUE_EXECUTION)) {
        CHECK(!"a filter that continues was taken for one that handles");
    }
    CHECK_TRACE("r");
    CHECK(KeptAddress == &record);
    CHECK(Kept.ExceptionCode == (NTSTATUS)0xE0001234);
    CHECK(Kept.NumberParameters == 3);
    CHECK(Kept.ExceptionInformation[0] == 11 && Kept.ExceptionInformation[2] == 33);
    CHECK(record.ExceptionAddress == (PVOID)KeptContext.Rip);
}

INLINED_NOT static VOID Divide(VOID)
{
    Sink = 1000 / Zero;
}

INLINED_NOT static VOID Undefined(VOID)
{
    __asm__ volatile("ud2");
}

INLINED_NOT static VOID Break(VOID)
{
    __asm__ volatile("int3");
}

INLINED_NOT static VOID Assert(VOID)
{
    __asm__ volatile("int $0x2c");
}

INLINED_NOT static VOID ProcessorTraps(VOID)
{
    static const NTSTATUS expected[] = {
        STATUS_INTEGER_DIVIDE_BY_ZERO, STATUS_ILLEGAL_INSTRUCTION, STATUS_BREAKPOINT, STATUS_ASSERTION_FAILURE,
    };
    for (ULONG n = 0; n < 4; n++) {
        ULONG code = 0;
        __try {
            switch (n) {
            case 0: Divide(); break;
            case 1: Undefined(); break;
            case 2: Break(); break;
            default: Assert(); break;
            }
        } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
            code = GetExceptionCode();
        }
        CHECK(code == (ULONG)expected[n]);
        CHECK((ULONG_PTR)Kept.ExceptionAddress == KeptContext.Rip);
    }
}

static ULONG Target = 77;

static LONG Repair(PEXCEPTION_POINTERS pointers)
{
    pointers->ContextRecord->Rcx = (ULONG_PTR)&Target;
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* Loads through RCX; the other registers hold marks that must survive. */
INLINED_NOT static ULONG LoadThroughRcx(ULONG_PTR address, ULONG64 *marks)
{
    ULONG value;
    ULONG64 r8 = 0x8888, r9 = 0x9999, r10 = 0xaaaa, r11 = 0xbbbb;
    ULONG64 vector;
    __asm__ volatile("movq %[mark], %%xmm0\n\t"
                     "movq %[r8], %%r8\n\t movq %[r9], %%r9\n\t movq %[r10], %%r10\n\t movq %[r11], %%r11\n\t"
                     "stc\n\t"
                     "movl (%%rcx), %[value]\n\t"
                     "sbbq $0, %%r8\n\t"
                     "movq %%r8, %[r8]\n\t movq %%r9, %[r9]\n\t movq %%r10, %[r10]\n\t movq %%r11, %[r11]\n\t"
                     "movq %%xmm0, %[vector]"
                     : [value] "=&a"(value), "+c"(address), [r8] "+m"(r8), [r9] "+m"(r9), [r10] "+m"(r10),
                       [r11] "+m"(r11), [vector] "=m"(vector)
                     : [mark] "r"((ULONG64)0x1234567812345678)
                     : "r8", "r9", "r10", "r11", "xmm0", "memory", "cc");
    marks[0] = r8;
    marks[1] = r9;
    marks[2] = r10;
    marks[3] = r11;
    marks[4] = vector;
    return value;
}

INLINED_NOT static VOID RepairAndContinue(VOID)
{
    ULONG value = 0;
    ULONG64 marks[5];
    __try {
        value = LoadThroughRcx(Nowhere, marks);
    } __except (Repair(GetExceptionInformation())) {
        CHECK(!"continued execution ended in the handler");
    }
    CHECK(value == 77);
    /* The carry flag survived too: it was subtracted from R8. */
    CHECK(marks[0] == 0x8887 && marks[1] == 0x9999 && marks[2] == 0xaaaa && marks[3] == 0xbbbb);
    CHECK(marks[4] == 0x1234567812345678);
}

static PEXCEPTION_RECORD FirstRecord;

static LONG ContinueTheFirst(PEXCEPTION_POINTERS pointers)
{
    if (pointers->ExceptionRecord->ExceptionCode == STATUS_INVALID_PARAMETER) {
        Note('1');
        FirstRecord = pointers->ExceptionRecord;
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    Note('2');
    return Keep(pointers, EXCEPTION_EXECUTE_HANDLER);
}

/* What ExRaiseStatus raises cannot be continued. */
INLINED_NOT static VOID NonContinuable(VOID)
{
    ULONG code = 0;
    __try {
        ExRaiseStatus(STATUS_INVALID_PARAMETER);
        CHECK(!"ExRaiseStatus returned");
    } __except (ContinueTheFirst(GetExceptionInformation())) {
        code = GetExceptionCode();
    }
    CHECK_TRACE("12");
    CHECK(code == (ULONG)STATUS_NONCONTINUABLE_EXCEPTION);
    CHECK(Kept.ExceptionRecord == FirstRecord);
    CHECK(Kept.ExceptionFlags & NONCONTINUABLE);
}

INLINED_NOT static VOID InnerDeclines(VOID)
{
    __try {
        __try {
            ReadNowhere();
        } __except (Say('i', EXCEPTION_CONTINUE_SEARCH)) {
            Note('I');
        }
        Note('-');
    } __except (Say('o', EXCEPTION_EXECUTE_HANDLER)) {
        Note('O');
    }
    CHECK_TRACE("ioO");
}

INLINED_NOT static VOID InnerTakes(VOID)
{
    __try {
        __try {
            ReadNowhere();
        } __except (Say('i', EXCEPTION_EXECUTE_HANDLER)) {
            Note('I');
        }
        Note('-');
    } __except (Say('o', EXCEPTION_EXECUTE_HANDLER)) {
        Note('O');
    }
    CHECK_TRACE("iI-");
}

INLINED_NOT static VOID Rethrow(VOID)
{
    ULONG inner = 0, outer = 0;
    __try {
        __try {
            ExRaiseStatus(STATUS_INVALID_PARAMETER);
        } __except (Say('i', EXCEPTION_EXECUTE_HANDLER)) {
            inner = GetExceptionCode();
            ExRaiseStatus(STATUS_ACCESS_DENIED);
        }
    } __except (Say('o', EXCEPTION_EXECUTE_HANDLER)) {
        outer = GetExceptionCode();
    }
    CHECK_TRACE("io");
    CHECK(inner == (ULONG)STATUS_INVALID_PARAMETER);
    CHECK(outer == (ULONG)STATUS_ACCESS_DENIED);
}

static BOOLEAN FilterFails;

static LONG FailOnce(PEXCEPTION_POINTERS pointers)
{
    ULONG flags = pointers->ExceptionRecord->ExceptionFlags;
    if (FilterFails) {
        FilterFails = FALSE;
        Note('f');
        CHECK(!(flags & NESTED_CALL));
        ReadNowhere();
    }
    Note('n');
    CHECK(flags & NESTED_CALL);
    return EXCEPTION_CONTINUE_SEARCH;
}

static LONG SeeOuter(PEXCEPTION_POINTERS pointers)
{
    Note('o');
    return Keep(pointers, EXCEPTION_EXECUTE_HANDLER);
}

INLINED_NOT static VOID FaultyFilter(VOID)
{
    __try {
        ExRaiseStatus(STATUS_INVALID_PARAMETER);
    } __except (FailOnce(GetExceptionInformation())) {
        Note('I');
    }
}

/* The filter itself fails: the second exception is nested up to the frame whose
   filter it was, and plain beyond. */
INLINED_NOT static VOID ExceptionInFilter(VOID)
{
    ULONG code = 0;
    FilterFails = TRUE;
    __try {
        FaultyFilter();
    } __except (SeeOuter(GetExceptionInformation())) {
        code = GetExceptionCode();
    }
    CHECK_TRACE("fno");
    CHECK(code == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(!(Kept.ExceptionFlags & NESTED_CALL));
}

static LONG CatchWithin(VOID)
{
    __try {
        ReadNowhere();
    } __except (Say('w', EXCEPTION_EXECUTE_HANDLER)) {
        Note('W');
    }
    return EXCEPTION_EXECUTE_HANDLER;
}

/* A filter that catches an exception of its own. */
INLINED_NOT static VOID TryInFilter(VOID)
{
    ULONG code = 0;
    __try {
        ExRaiseStatus(STATUS_ACCESS_DENIED);
    } __except (CatchWithin()) {
        code = GetExceptionCode();
        Note('O');
    }
    CHECK_TRACE("wWO");
    CHECK(code == (ULONG)STATUS_ACCESS_DENIED);
}

INLINED_NOT static ULONG Deep(ULONG depth)
{
    volatile ULONG local = depth;
    if (depth == 0) {
        ReadNowhere();
        return 0;
    }
    return Deep(depth - 1) + local;
}

INLINED_NOT static VOID AcrossFrames(VOID)
{
    volatile ULONG marker = 41;
    __try {
        Deep(20);
        CHECK(!"the read went on");
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        marker++;
    }
    CHECK(marker == 42);
}

/* Handlers give back what they used: of the stack, of the kernel. */
INLINED_NOT static VOID ManyTimes(VOID)
{
    volatile ULONG caught = 0;
    for (ULONG n = 0; n < 20000; n++) {
        __try {
            if (n & 1)
                Deep(3);
            else
                ExRaiseStatus(STATUS_INVALID_PARAMETER);
        } __except (Say('?', EXCEPTION_EXECUTE_HANDLER)) {
            caught++;
        }
    }
    CHECK(caught == 20000);
}

/* The kernel's own access to an address that a driver gave it. */
INLINED_NOT static VOID FaultInExport(VOID)
{
    UCHAR buffer[16];
    ULONG code = 0;
    __try {
        Sink = (ULONG)RtlCompareMemory(buffer, (PVOID)Nowhere, sizeof(buffer));
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK(code == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(Kept.ExceptionInformation[0] == 0);
    CHECK(Kept.ExceptionInformation[1] >= Nowhere && Kept.ExceptionInformation[1] < Nowhere + 16);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    RUN(ReadFault);
    RUN(WriteFault);
    RUN(CallNowhere);
    RUN(NotCanonical);
    RUN(RaiseStatus);
    RUN(RaiseNamed);
    RUN(RaiseAndContinue);
    RUN(ProcessorTraps);
    RUN(RepairAndContinue);
    RUN(NonContinuable);
    RUN(InnerDeclines);
    RUN(InnerTakes);
    RUN(Rethrow);
    RUN(ExceptionInFilter);
    RUN(TryInFilter);
    RUN(AcrossFrames);
    RUN(ManyTimes);
    RUN(FaultInExport);
    return CHECK_STATUS;
}
