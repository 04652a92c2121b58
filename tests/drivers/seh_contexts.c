/*
 * What drivers ask of their own registers and stack: contexts captured and
 * restored, back traces, where registers were saved, setjmp and longjmp.
 */
#include "frames.h"

NTSYSAPI VOID NTAPI RtlCaptureContext(PCONTEXT context);
NTSYSAPI VOID NTAPI RtlRestoreContext(PCONTEXT context, PEXCEPTION_RECORD record);
NTSYSAPI USHORT NTAPI RtlCaptureStackBackTrace(ULONG skip, ULONG count, PVOID *frames, PULONG hash);
NTSYSAPI ULONG NTAPI RtlWalkFrameChain(PVOID *callers, ULONG count, ULONG flags);

#ifndef STATUS_LONGJUMP
#define STATUS_LONGJUMP ((NTSTATUS)0x80000026)
#endif

static volatile ULONG Sink;

static VOID CaptureAndRestore(VOID)
{
    static CONTEXT context;
    volatile ULONG passes = 0;
    context.ContextFlags = 0;
    RtlCaptureContext(&context);
    passes++;
    CHECK((context.ContextFlags & CONTEXT_FULL) == CONTEXT_FULL);
    CHECK(context.Rip > (ULONG_PTR)CaptureAndRestore && context.Rip < (ULONG_PTR)CaptureAndRestore + 0x400);
    CHECK(context.SegCs == 0x10);
    if (passes < 3)
        RtlRestoreContext(&context, NULL);
    CHECK(passes == 3);
}

/* All registers at the call, the volatile ones and the flags, too. */
extern VOID CaptureMarked(PCONTEXT context);
__asm__(FUNCTION(CaptureMarked) SAVE_ALL MARKS
        "  movq %rbx, %xmm0\n movq %rbp, %xmm5\n"
        "  movabsq $0x8888888888888888, %r8\n movabsq $0x9999999999999999, %r9\n"
        "  movabsq $0x1010101010101010, %r10\n movabsq $0x1212121212121212, %r11\n"
        "  movabsq $0x1313131313131313, %rdx\n movabsq $0x1414141414141414, %rax\n"
        "  stc\n"
        "  callq *__imp_RtlCaptureContext(%rip)\n  nop\n" RESTORE_ALL END);

static VOID CaptureEverything(VOID)
{
    static CONTEXT context;
    CaptureMarked(&context);
    CHECK(context.Rax == 0x1414141414141414 && context.Rdx == 0x1313131313131313);
    CHECK(context.R8 == 0x8888888888888888 && context.R9 == 0x9999999999999999);
    CHECK(context.R10 == 0x1010101010101010 && context.R11 == 0x1212121212121212);
    CHECK(context.Rcx == (ULONG_PTR)&context);
    CHECK(context.Rbx == 0x1111111111111111 && context.R15 == 0x0123456789abcdef);
    CHECK(context.Xmm0.Low == 0x1111111111111111 && context.Xmm5.Low == 0x2222222222222222);
    CHECK(context.Xmm6.Low == 0x1111111111111111 && (ULONG64)context.Xmm6.High == 0x2222222222222222);
    CHECK(context.EFlags & 1);
    CHECK(context.MxCsr == 0x1f80);
    CHECK(context.FltSave.MxCsr == 0x1f80);
}

static PVOID Frames[16];
static ULONG FrameCount;

INLINED_NOT static VOID Innermost(ULONG skip)
{
    ULONG hash = 0, sum = 0;
    FrameCount = RtlCaptureStackBackTrace(skip, 16, Frames, &hash);
    for (ULONG n = 0; n < FrameCount; n++)
        sum += (ULONG)(ULONG_PTR)Frames[n];
    CHECK(hash == sum);
}

static BOOLEAN Within(PVOID pc, PVOID function)
{
    return pc > function && pc < (PVOID)((ULONG_PTR)function + 0x200);
}

INLINED_NOT static VOID Outer(ULONG skip)
{
    Innermost(skip);
    Sink = 0;
}

static LONG TraceFilter(PEXCEPTION_POINTERS pointers)
{
    UNREFERENCED_PARAMETER(pointers);
    Outer(0);
    return 1;
}

INLINED_NOT static VOID BackTraces(VOID)
{
    PVOID walked[16];
    ULONG all;
    Outer(0);
    all = FrameCount;
    CHECK(all >= 4);
    CHECK(Within(Frames[0], Innermost) && Within(Frames[1], Outer) && Within(Frames[2], BackTraces));
    Outer(2);
    CHECK(FrameCount == all - 2);
    CHECK(Within(Frames[0], BackTraces));
    CHECK(RtlWalkFrameChain(walked, 1, 0) == 1);
    CHECK(Within(walked[0], BackTraces));
    CHECK(RtlWalkFrameChain(walked, 16, 1) == 0);
    CHECK(RtlWalkFrameChain(NULL, 5, 0) == 0 && RtlCaptureStackBackTrace(0, 5, NULL, NULL) == 0);
    /* From a filter, on to what failed and beyond. */
    CurrentFilter = TraceFilter;
    Marked(LeafFault, Nowhere);
    CHECK(FrameCount >= all + 4);
    CHECK(Within(Frames[2], TraceFilter) && Within(Frames[3], Filter));
    CHECK(Frames[4] == (PVOID)LeafFault);
    CHECK(Frames[5] == (PVOID)MarkedReturn);
    CHECK(Within(Frames[6], BackTraces));
}

/* A function with a handler, whose frame the next cases look at; never called. */
extern UCHAR Framed[];
extern UCHAR FramedCall[];
extern UCHAR FramedEnd[];
__asm__(FUNCTION(Framed)
        ".seh_handler FramedHandler, @except, @unwind\n"
        "  pushq %rbp\n .seh_pushreg %rbp\n"
        "  subq $0x30, %rsp\n .seh_stackalloc 0x30\n"
        "  leaq 0x20(%rsp), %rbp\n .seh_setframe %rbp, 0x20\n"
        "  movq %rbx, 0x28(%rsp)\n .seh_savereg %rbx, 0x28\n"
        " .seh_endprologue\n"
        "  callq LeafFault\n"
        ".globl FramedCall\nFramedCall:\n"
        "  movq 8(%rbp), %rbx\n leaq 0x10(%rbp), %rsp\n popq %rbp\n retq\n"
        ".globl FramedEnd\nFramedEnd:\n"
        ".seh_handlerdata\n  .long 0x4d414749, 0x43414d\n.text\n" END);

KEEP EXCEPTION_DISPOSITION FramedHandler(VOID);
EXCEPTION_DISPOSITION FramedHandler(VOID)
{
    return ExceptionContinueSearch;
}

static VOID Headers(VOID)
{
    PVOID base = (PVOID)1;
    ULONG64 image = 1;
    CHECK(RtlPcToFileHeader((PVOID)Nowhere, &base) == NULL && base == NULL);
    CHECK(RtlPcToFileHeader((PVOID)Headers, &base) == base && *(PUSHORT)base == 0x5a4d);
    CHECK(RtlLookupFunctionEntry(Nowhere, &image, NULL) == NULL);
    CHECK(RtlLookupFunctionEntry((ULONG_PTR)LeafFault, &image, NULL) == NULL);
    PULONG entry = RtlLookupFunctionEntry((ULONG_PTR)FramedCall, &image, NULL);
    CHECK(image == (ULONG_PTR)base);
    CHECK(entry != NULL && entry[0] == (ULONG_PTR)Framed - image && entry[1] == (ULONG_PTR)FramedEnd - image);
}

/* Where registers lie on the stack. */
static VOID SavedWhere(VOID)
{
    PVOID pointers[32] = { 0 };
    CONTEXT context = { 0 };
    ULONG64 stack[16], image, frame;
    PVOID data;
    for (ULONG n = 0; n < 16; n++)
        stack[n] = 0x100 + n;
    context.Rbp = (ULONG_PTR)stack + 0x20;
    context.Rip = (ULONG_PTR)FramedCall;
    context.Rsp = 0;
    PVOID entry = RtlLookupFunctionEntry(context.Rip, &image, NULL);
    PVOID handler = RtlVirtualUnwind(1, image, context.Rip, entry, &context, &data, &frame, pointers);
    CHECK(handler == (PVOID)FramedHandler && *(PULONG)data == 0x4d414749);
    CHECK(frame == (ULONG_PTR)stack);
    CHECK(context.Rbx == 0x105 && pointers[16 + 3] == &stack[5]);
    CHECK(context.Rbp == 0x106 && pointers[16 + 5] == &stack[6]);
    CHECK(context.Rip == 0x107 && context.Rsp == (ULONG_PTR)&stack[8]);
    CHECK(pointers[16 + 6] == NULL && pointers[6] == NULL);
}

/*
 * setjmp and longjmp. The jump crosses a function with a language handler, which
 * is called if the buffer names a frame to unwind to.
 */
typedef struct {
    ULONG64 Frame;
    ULONG64 Rest[31];
} __attribute__((aligned(16))) JUMP_BUFFER;

static JUMP_BUFFER Buffer KEEP;
static ULONG64 JumpUnwinds KEEP;
static int JumpValue;

extern VOID SetsJump(VOID);
__asm__(FUNCTION(SetsJump) SAVE_ALL MARKS
        "  leaq Before(%rip), %rax\n" STORE
        "  movq %rsp, ScopeStack(%rip)\n"
        "  leaq Buffer(%rip), %rcx\n"
        "  movq JumpUnwinds(%rip), %rdx\n  testq %rdx, %rdx\n  cmovneq %rsp, %rdx\n"
        "  callq *__imp__setjmp(%rip)\n"
        "  testl %eax, %eax\n  jne 1f\n"
        "  callq JumpGuarded\n  nop\n  jmp 2f\n"
        "1: movq %rax, HandlerValue(%rip)\n"
        "  movq %rsp, HandlerStack(%rip)\n"
        "  leaq After(%rip), %rax\n" STORE
        "2:\n" RESTORE_ALL END);

__asm__(FUNCTION(JumpGuarded)
        ".seh_handler JumpHandler, @except, @unwind\n" SAVE_ALL SPOIL
        "  callq JumpAway\n  nop\n" RESTORE_ALL
        ".seh_handlerdata\n.text\n" END);

KEEP VOID JumpAway(VOID);
VOID JumpAway(VOID)
{
    longjmp((_JBTYPE *)&Buffer, JumpValue);
}

KEEP EXCEPTION_DISPOSITION JumpHandler(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context, PVOID dispatcher);
EXCEPTION_DISPOSITION JumpHandler(PEXCEPTION_RECORD record, ULONG64 frame, PCONTEXT context, PVOID dispatcher)
{
    UNREFERENCED_PARAMETER(frame);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(dispatcher);
    CHECK(record->ExceptionCode == STATUS_LONGJUMP);
    CHECK(record->ExceptionInformation[0] == (ULONG_PTR)&Buffer);
    Note('u');
    return ExceptionContinueSearch;
}

static VOID Jumps(VOID)
{
    ClearMarks();
    Returned = 0;
    JumpUnwinds = FALSE;
    JumpValue = 7;
    SetsJump();
    CHECK(Buffer.Frame == 0);
    CheckHandled(7);
    CHECK_TRACE("");
    ClearMarks();
    JumpUnwinds = TRUE;
    JumpValue = 0;
    SetsJump();
    CHECK(Buffer.Frame == ScopeStack);
    /* setjmp cannot return 0 twice. */
    CheckHandled(1);
    CHECK_TRACE("u");
}

/* __chkstk has its argument in RAX and changes no register. */
static CONTEXT Probed KEEP;
extern VOID ProbeMarked(VOID);
__asm__(FUNCTION(ProbeMarked) SAVE_ALL MARKS
        "  movabsq $0x8888888888888888, %r8\n movabsq $0x9999999999999999, %r9\n"
        "  movabsq $0x1010101010101010, %r10\n movabsq $0x1212121212121212, %r11\n"
        "  movabsq $0x1313131313131313, %rdx\n leaq Probed(%rip), %rcx\n"
        "  movl $0x1800, %eax\n"
        "  callq *__imp___chkstk(%rip)\n"
        "  callq *__imp_RtlCaptureContext(%rip)\n  nop\n" RESTORE_ALL END);

static VOID StackProbe(VOID)
{
    ProbeMarked();
    CHECK(Probed.Rax == 0x1800);
    CHECK(Probed.Rcx == (ULONG_PTR)&Probed && Probed.Rdx == 0x1313131313131313);
    CHECK(Probed.R8 == 0x8888888888888888 && Probed.R9 == 0x9999999999999999);
    CHECK(Probed.R10 == 0x1010101010101010 && Probed.R11 == 0x1212121212121212);
    CHECK(Probed.Rbx == 0x1111111111111111 && Probed.Rbp == 0x2222222222222222);
    CHECK(Probed.R15 == 0x0123456789abcdef);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    RUN(Headers);
    RUN(SavedWhere);
    RUN(BackTraces);
    RUN(CaptureAndRestore);
    RUN(CaptureEverything);
    RUN(Jumps);
    RUN(StackProbe);
    return CHECK_STATUS;
}
