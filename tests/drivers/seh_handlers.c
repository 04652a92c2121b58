/*
 * Language handlers of the driver's own, and unwinding that the driver asks for.
 */
#include "frames.h"

#ifndef STATUS_INVALID_DISPOSITION
#define STATUS_INVALID_DISPOSITION ((NTSTATUS)0xC0000026)
#endif
#ifndef STATUS_UNWIND
#define STATUS_UNWIND ((NTSTATUS)0xC0000027)
#endif

#define UNWINDING 2
#define EXIT_UNWIND 4
#define TARGET_UNWIND 0x20

typedef struct {
    ULONG64 ControlPc;
    ULONG64 ImageBase;
    PVOID FunctionEntry;
    ULONG64 EstablisherFrame;
    ULONG64 TargetIp;
    PCONTEXT ContextRecord;
    PVOID LanguageHandler;
    PVOID HandlerData;
    PVOID HistoryTable;
    ULONG ScopeIndex;
    ULONG Fill0;
} DISPATCHER;

NTSYSAPI VOID NTAPI RtlUnwindEx(PVOID frame, PVOID ip, PEXCEPTION_RECORD record, PVOID value, PCONTEXT context,
                                PVOID history);
NTSYSAPI VOID NTAPI RtlUnwind(PVOID frame, PVOID ip, PEXCEPTION_RECORD record, PVOID value);

extern VOID Guarded(ULONG_PTR address);
extern UCHAR GuardedCall[];
extern UCHAR GuardedTarget[];
extern UCHAR GuardedEnd[];

__asm__(FUNCTION(Guarded)
        ".seh_handler OwnHandler, @except, @unwind\n"
        "  pushq %rbp\n .seh_pushreg %rbp\n"
        "  subq $0x30, %rsp\n .seh_stackalloc 0x30\n"
        "  leaq 0x20(%rsp), %rbp\n .seh_setframe %rbp, 0x20\n"
        "  movq %rbx, 0x28(%rsp)\n .seh_savereg %rbx, 0x28\n"
        " .seh_endprologue\n"
        "  xorl %ebx, %ebx\n"
        "  callq LeafFault\n"
        ".globl GuardedCall\nGuardedCall:\n"
        "  nop\n  jmp 1f\n"
        ".globl GuardedTarget\nGuardedTarget:\n"
        "  movq %rax, GuardedValue(%rip)\n"
        "1: movq 8(%rbp), %rbx\n"
        "  leaq 0x10(%rbp), %rsp\n  popq %rbp\n  retq\n"
        ".globl GuardedEnd\nGuardedEnd:\n"
        ".seh_handlerdata\n  .long 0x4d414749, 0x43414d\n.text\n" END);

static ULONG64 GuardedValue KEEP;
static ULONG HandlerCalls;
static EXCEPTION_DISPOSITION (*HandlerAnswer)(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context,
                                              DISPATCHER *dispatcher);

KEEP EXCEPTION_DISPOSITION OwnHandler(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context,
                                      DISPATCHER *dispatcher);
EXCEPTION_DISPOSITION OwnHandler(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context, DISPATCHER *dispatcher)
{
    PVOID base;
    ULONG64 image;
    HandlerCalls++;
    RtlPcToFileHeader((PVOID)Guarded, &base);
    CHECK(dispatcher->ControlPc == (ULONG_PTR)GuardedCall);
    CHECK(dispatcher->ImageBase == (ULONG_PTR)base);
    CHECK(dispatcher->FunctionEntry == RtlLookupFunctionEntry((ULONG_PTR)Guarded, &image, NULL));
    CHECK(image == (ULONG_PTR)base);
    CHECK(dispatcher->EstablisherFrame == frame);
    CHECK(dispatcher->LanguageHandler == (PVOID)OwnHandler);
    CHECK(((PULONG)dispatcher->HandlerData)[0] == 0x4d414749 && ((PULONG)dispatcher->HandlerData)[1] == 0x43414d);
    CHECK(dispatcher->ScopeIndex == 0);
    if (record->ExceptionFlags & UNWINDING)
        CHECK(context == dispatcher->ContextRecord);
    else
        CHECK(context != dispatcher->ContextRecord);
    return HandlerAnswer(record, frame, context, dispatcher);
}

static EXCEPTION_DISPOSITION Decline(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context, DISPATCHER *dispatcher)
{
    UNREFERENCED_PARAMETER(frame);
    if (record->ExceptionFlags & UNWINDING) {
        /* The frame itself: its registers are in the context. */
        CHECK(context->Rip == (ULONG_PTR)GuardedCall);
        CHECK(context->Rbx == 0);
        CHECK(dispatcher->TargetIp != 0);
        CHECK(!(record->ExceptionFlags & (TARGET_UNWIND | EXIT_UNWIND)));
        Note('u');
    } else {
        /* The place of the exception, and the caller's registers beside it. */
        CHECK(context->Rip == (ULONG_PTR)LeafFault);
        CHECK(dispatcher->ContextRecord->Rip == (ULONG_PTR)MarkedReturn);
        CHECK(dispatcher->ContextRecord->Rbx == Before.general[0]);
        Note('e');
    }
    return ExceptionContinueSearch;
}

static VOID OwnHandlerDeclines(VOID)
{
    CurrentFilter = Take;
    HandlerAnswer = Decline;
    HandlerCalls = 0;
    ClearMarks();
    Marked(Guarded, Nowhere);
    CheckHandled(STATUS_ACCESS_VIOLATION);
    CHECK_TRACE("eu");
    CHECK(HandlerCalls == 2);
}

static ULONG Readable = 99;

static EXCEPTION_DISPOSITION Repair(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context, DISPATCHER *dispatcher)
{
    UNREFERENCED_PARAMETER(record);
    UNREFERENCED_PARAMETER(frame);
    UNREFERENCED_PARAMETER(dispatcher);
    context->Rcx = (ULONG_PTR)&Readable;
    return ExceptionContinueExecution;
}

static VOID OwnHandlerRepairs(VOID)
{
    HandlerAnswer = Repair;
    HandlerCalls = 0;
    Marked(Guarded, Nowhere);
    CHECK(Returned);
    CHECK(HandlerCalls == 1);
}

static EXCEPTION_DISPOSITION Nonsense(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context, DISPATCHER *dispatcher)
{
    UNREFERENCED_PARAMETER(frame);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(dispatcher);
    if (record->ExceptionFlags & UNWINDING)
        return ExceptionContinueSearch;
    if (record->ExceptionCode == STATUS_INVALID_DISPOSITION) {
        CHECK(record->ExceptionRecord != NULL && record->ExceptionRecord->ExceptionCode == STATUS_ACCESS_VIOLATION);
        Note('i');
        return ExceptionContinueSearch;
    }
    Note('n');
    return (EXCEPTION_DISPOSITION)17;
}

/* What is no answer becomes an exception of its own, at the same place. */
static VOID OwnHandlerNonsense(VOID)
{
    CurrentFilter = Take;
    HandlerAnswer = Nonsense;
    ClearMarks();
    Marked(Guarded, Nowhere);
    CheckHandled(STATUS_INVALID_DISPOSITION);
    CHECK_TRACE("ni");
}

static EXCEPTION_DISPOSITION UnwindHere(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context,
                                        DISPATCHER *dispatcher)
{
    UNREFERENCED_PARAMETER(context);
    if (record->ExceptionFlags & UNWINDING) {
        CHECK(record->ExceptionFlags & TARGET_UNWIND);
        CHECK(dispatcher->TargetIp == (ULONG_PTR)GuardedTarget);
        CHECK(context->Rax == 0x5151);
        Note('t');
        return ExceptionContinueSearch;
    }
    Note('e');
    RtlUnwindEx((PVOID)frame, GuardedTarget, record, (PVOID)0x5151, dispatcher->ContextRecord, dispatcher->HistoryTable);
    CHECK(!"RtlUnwindEx returned");
    return ExceptionContinueSearch;
}

/* A handler that takes the exception: execution goes on in its function, whose
   caller gets everything back. */
static VOID OwnHandlerUnwinds(VOID)
{
    HandlerAnswer = UnwindHere;
    GuardedValue = 0;
    Marked(Guarded, Nowhere);
    CHECK_TRACE("et");
    CHECK(Returned);
    CHECK(GuardedValue == 0x5151);
}

static ULONG64 TargetFrame;

/* Unwinds without any exception, from below the guarded function. */
INLINED_NOT KEEP VOID UnwindDirectly(VOID)
{
    RtlUnwind((PVOID)TargetFrame, GuardedTarget, NULL, (PVOID)0x6161);
    CHECK(!"RtlUnwind returned");
}

static LONG FromFilter(PEXCEPTION_POINTERS pointers)
{
    Seen = *pointers->ContextRecord;
    UnwindDirectly();
    return 1;
}

static EXCEPTION_DISPOSITION RecordUnwind(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context,
                                          DISPATCHER *dispatcher)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(dispatcher);
    if (record->ExceptionFlags & UNWINDING) {
        CHECK(record->ExceptionCode == STATUS_UNWIND);
        Note('t');
    } else {
        TargetFrame = frame;
        Note('e');
    }
    return ExceptionContinueSearch;
}

/* A filter never decides: it unwinds to a frame below its own. */
static VOID UnwindWithoutException(VOID)
{
    CurrentFilter = FromFilter;
    HandlerAnswer = RecordUnwind;
    GuardedValue = 0;
    Marked(Guarded, Nowhere);
    CHECK_TRACE("et");
    CHECK(Returned);
    CHECK(GuardedValue == 0x6161);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    RUN(OwnHandlerDeclines);
    RUN(OwnHandlerRepairs);
    RUN(OwnHandlerNonsense);
    RUN(OwnHandlerUnwinds);
    RUN(UnwindWithoutException);
    return CHECK_STATUS;
}
