/*
 * Frames of every shape: all registers that a callee preserves come back at a
 * handler, from wherever in a function control was.
 */
#include "frames.h"

/* A chain of functions: each saves registers in another way and spoils them,
   the last one fails at the address that it is given in RCX. */
extern VOID ByPushes(ULONG_PTR address);
extern VOID ByMoves(ULONG_PTR address);
extern VOID ByFrameRegister(ULONG_PTR address);
extern VOID LargeFrame(ULONG_PTR address);

__asm__(FUNCTION(ByPushes) SAVE_ALL SPOIL "  callq ByMoves\n  nop\n" RESTORE_ALL END);

__asm__(FUNCTION(ByMoves)
        "  subq $0x118, %rsp\n .seh_stackalloc 0x118\n"
        "  movq %rbx, 0x20(%rsp)\n .seh_savereg %rbx, 0x20\n movq %rbp, 0x28(%rsp)\n .seh_savereg %rbp, 0x28\n"
        "  movq %rsi, 0x30(%rsp)\n .seh_savereg %rsi, 0x30\n movq %rdi, 0x38(%rsp)\n .seh_savereg %rdi, 0x38\n"
        "  movq %r12, 0x40(%rsp)\n .seh_savereg %r12, 0x40\n movq %r13, 0x48(%rsp)\n .seh_savereg %r13, 0x48\n"
        "  movq %r14, 0x50(%rsp)\n .seh_savereg %r14, 0x50\n movq %r15, 0x58(%rsp)\n .seh_savereg %r15, 0x58\n"
        "  movaps %xmm6, 0x60(%rsp)\n .seh_savexmm %xmm6, 0x60\n"
        "  movaps %xmm15, 0x70(%rsp)\n .seh_savexmm %xmm15, 0x70\n"
        " .seh_endprologue\n"
        "  movabsq $0x5a5a5a5a5a5a5a5a, %rbx\n movq %rbx, %rbp\n movq %rbx, %rsi\n movq %rbx, %rdi\n movq %rbx, %r12\n"
        "  movq %rbx, %r13\n movq %rbx, %r14\n movq %rbx, %r15\n movq %rbx, %xmm6\n movq %rbx, %xmm15\n"
        "  callq ByFrameRegister\n"
        "  movaps 0x60(%rsp), %xmm6\n movaps 0x70(%rsp), %xmm15\n"
        "  movq 0x20(%rsp), %rbx\n movq 0x28(%rsp), %rbp\n movq 0x30(%rsp), %rsi\n movq 0x38(%rsp), %rdi\n"
        "  movq 0x40(%rsp), %r12\n movq 0x48(%rsp), %r13\n movq 0x50(%rsp), %r14\n movq 0x58(%rsp), %r15\n"
        "  addq $0x118, %rsp\n retq\n" END);

/* Moves the stack pointer by an amount that nobody knows but RBP. */
__asm__(FUNCTION(ByFrameRegister)
        "  pushq %rbp\n .seh_pushreg %rbp\n pushq %r12\n .seh_pushreg %r12\n"
        "  subq $0x58, %rsp\n .seh_stackalloc 0x58\n"
        "  leaq 0x40(%rsp), %rbp\n .seh_setframe %rbp, 0x40\n"
        "  movq %r14, 0x28(%rsp)\n .seh_savereg %r14, 0x28\n"
        "  movaps %xmm9, 0x30(%rsp)\n .seh_savexmm %xmm9, 0x30\n"
        " .seh_endprologue\n"
        "  movq %rcx, %rax\n andl $0xf0, %eax\n addl $0x100, %eax\n subq %rax, %rsp\n"
        "  xorl %r12d, %r12d\n xorl %r14d, %r14d\n pxor %xmm9, %xmm9\n"
        "  callq LargeFrame\n"
        "  movaps -0x10(%rbp), %xmm9\n movq -0x18(%rbp), %r14\n"
        "  leaq 0x18(%rbp), %rsp\n popq %r12\n popq %rbp\n retq\n" END);

/* More stack than the short forms of the unwind codes can tell. */
__asm__(FUNCTION(LargeFrame)
        "  pushq %rdi\n .seh_pushreg %rdi\n"
        "  subq $0x1000, %rsp\n .seh_stackalloc 0x1000\n"
        "  movq %r13, 0xf00(%rsp)\n .seh_savereg %r13, 0xf00\n"
        "  movups %xmm11, 0xf10(%rsp)\n .seh_savexmm %xmm11, 0xf10\n"
        " .seh_endprologue\n"
        "  xorl %edi, %edi\n xorl %r13d, %r13d\n pxor %xmm11, %xmm11\n"
        "  callq LeafFault\n"
        "  movups 0xf10(%rsp), %xmm11\n movq 0xf00(%rsp), %r13\n"
        "  addq $0x1000, %rsp\n popq %rdi\n retq\n" END);

static VOID AcrossAllShapes(VOID)
{
    CurrentFilter = Take;
    ClearMarks();
    Marked(ByPushes, Nowhere);
    CheckHandled(STATUS_ACCESS_VIOLATION);
    CHECK(Seen.Rip == (ULONG_PTR)LeafFault);
    CHECK(Seen.Rcx == Nowhere);
    /* The same call comes back when it does not fail. */
    ULONG fine = 0;
    Marked(ByPushes, (ULONG_PTR)&fine);
    CHECK(Returned);
}

/* ExRaiseStatus at the end of the same chain: the kernel's part of the stack is
   left out, and the registers at the call are right. */
extern VOID RaiseFromChain(ULONG_PTR status);
__asm__(FUNCTION(RaiseFromChain) SAVE_ALL SPOIL
        "  movq __imp_ExRaiseStatus(%rip), %rax\n  callq *%rax\n  nop\n" RESTORE_ALL END);

static VOID AcrossAnExport(VOID)
{
    CurrentFilter = Take;
    ClearMarks();
    Marked(RaiseFromChain, (ULONG)STATUS_INVALID_PARAMETER);
    CheckHandled(STATUS_INVALID_PARAMETER);
}

/* Execution that goes on nowhere: only the return address knows the way. */
static VOID AcrossWildCall(VOID)
{
    CurrentFilter = Take;
    ClearMarks();
    Marked((PVOID)Nowhere, 0);
    CheckHandled(STATUS_ACCESS_VIOLATION);
    CHECK(Seen.Rip == Nowhere);
}

/*
 * Every instruction of a function, one by one: the trap flag raises an exception
 * after each; the filter unwinds from there with the kernel's own function until
 * it is back in Marked, and compares; then execution goes on.
 */
extern VOID Stepped(PVOID function);
extern VOID StepsBegin(PVOID function);
extern UCHAR StepsOut[];

/* Sets the trap flag and goes to the function; its return clears it. */
__asm__(FUNCTION(StepsBegin)
        "  subq $0x28, %rsp\n .seh_stackalloc 0x28\n .seh_endprologue\n"
        "  movq %rcx, %rax\n movq StepArgument(%rip), %rcx\n"
        "  pushfq\n orl $0x100, (%rsp)\n popfq\n"
        "  callq *%rax\n"
                "  pushfq\n andl $0xfffffeff, (%rsp)\n popfq\n"
        "  addq $0x28, %rsp\n retq\n"
        ".globl StepsOut\nStepsOut:\n" END);

static ULONG64 StepArgument KEEP;
static ULONG Steps;
static ULONG StepsInFunction;

static VOID CompareWithMarks(const CONTEXT *context)
{
    const ULONG64 *general[] = { &context->Rbx, &context->Rbp, &context->Rsi, &context->Rdi,
                                 &context->R12, &context->R13, &context->R14, &context->R15 };
    const M128A *vectors = &context->Xmm6;
    for (ULONG n = 0; n < 8; n++)
        CHECK(*general[n] == Before.general[n]);
    for (ULONG n = 0; n < 10; n++)
        CHECK(vectors[n].Low == Before.vectors[2 * n] && (ULONG64)vectors[n].High == Before.vectors[2 * n + 1]);
    CHECK(context->Rsp == ScopeStack);
}

static LONG Step(PEXCEPTION_POINTERS pointers)
{
    CONTEXT context = *pointers->ContextRecord;
    if (pointers->ExceptionRecord->ExceptionCode != STATUS_SINGLE_STEP) {
        CHECK(!"an exception that is no step");
        return 1;
    }
    Steps++;
    StepsInFunction += context.Rip < (ULONG_PTR)StepsBegin || context.Rip >= (ULONG_PTR)StepsOut;
    for (ULONG depth = 0; depth < 32 && context.Rip != (ULONG_PTR)MarkedReturn; depth++) {
        ULONG64 base;
        PVOID entry = RtlLookupFunctionEntry(context.Rip, &base, NULL);
        if (entry == NULL) {
            context.Rip = *(PULONG64)context.Rsp;
            context.Rsp += 8;
        } else {
            PVOID data;
            ULONG64 frame;
            RtlVirtualUnwind(0, base, context.Rip, entry, &context, &data, &frame, NULL);
        }
    }
    if (context.Rip != (ULONG_PTR)MarkedReturn) {
        CHECK(!"the way back was lost");
        return 1;
    }
    CompareWithMarks(&context);
    return -1;
}

/* Steps through a function; gives the number of instructions that it ran. */
static ULONG StepThrough(PVOID function, ULONG64 argument)
{
    CurrentFilter = Step;
    Steps = StepsInFunction = 0;
    StepArgument = argument;
    Marked(StepsBegin, (ULONG_PTR)function);
    CHECK(Returned);
    return StepsInFunction;
}

static VOID EachInstructionByHand(VOID)
{
    ULONG fine = 0;
    /* The functions' instructions, counted by hand. */
    CHECK(StepThrough(LeafFault, (ULONG_PTR)&fine) == 2);
    CHECK(StepThrough(LargeFrame, (ULONG_PTR)&fine) == 15);
    CHECK(StepThrough(ByFrameRegister, (ULONG_PTR)&fine) == 35);
    CHECK(StepThrough(ByPushes, (ULONG_PTR)&fine) > 120);
}

/* The same with what the compiler makes. */
INLINED_NOT static ULONG Fibonacci(ULONG n)
{
    return n < 2 ? n : Fibonacci(n - 1) + Fibonacci(n - 2);
}

static volatile ULONG Sink;

INLINED_NOT static VOID UseArray(volatile ULONG *array, ULONG count)
{
    for (ULONG n = 0; n < count; n++)
        array[n] = n;
    Sink = array[count - 1];
}

INLINED_NOT static VOID DynamicStack(ULONG64 count)
{
    volatile ULONG array[count];
    UseArray(array, (ULONG)count);
}

INLINED_NOT static VOID LargeArray(ULONG64 count)
{
    volatile ULONG array[300];
    array[299] = (ULONG)count;
    UseArray(array, (ULONG)count);
}

INLINED_NOT static ULONG64 ManyArguments(ULONG64 a, ULONG64 b, ULONG64 c, ULONG64 d, ULONG64 e, ULONG64 f, ULONG64 g)
{
    return a ^ b << 1 ^ c << 2 ^ d << 3 ^ e << 4 ^ f << 5 ^ g << 6;
}

INLINED_NOT static VOID ManyValues(ULONG64 seed)
{
    ULONG64 values[8];
    for (ULONG n = 0; n < 8; n++)
        values[n] = Fibonacci((ULONG)(seed + n) & 3) + n;
    Sink = (ULONG)ManyArguments(values[0], values[1], values[2], values[3], values[4], values[5], values[6] + values[7]);
}

INLINED_NOT static ULONG TailCall(ULONG64 n)
{
    Sink = (ULONG)n;
    return Fibonacci((ULONG)n & 7);
}

static VOID EachInstructionCompiled(VOID)
{
    CHECK(StepThrough(Fibonacci, 5) > 50);
    CHECK(StepThrough(DynamicStack, 9) > 50);
    CHECK(StepThrough(LargeArray, 9) > 30);
    CHECK(StepThrough(ManyValues, 3) > 100);
    CHECK(StepThrough(TailCall, 5) > 50);
}

/* A part of a function elsewhere, with chained unwind information: it has saved
   one more register than the function's own prologue. */
extern VOID Split(ULONG_PTR address);
__asm__(".text\n.globl Split\n"
        "Split:\n  pushq %rbx\n  subq $0x40, %rsp\nSplitBody:\n"
        "  xorl %ebx, %ebx\n  jmp SplitPart\n"
        "SplitBack:\n  addq $0x40, %rsp\n  popq %rbx\n  retq\nSplitEnd:\n"
        "  nop\n"
        "SplitPart:\n  movq %rsi, 0x30(%rsp)\nSplitPartBody:\n  xorl %esi, %esi\n"
        "  callq LeafFault\n"
        "  movq 0x30(%rsp), %rsi\n  jmp SplitBack\nSplitPartEnd:\n"
        ".section .xdata$z, \"dr\"\n.p2align 2\n"
        "SplitInfo:\n  .byte 1, SplitBody - Split, 2, 0\n"
        "  .byte SplitBody - Split, 0x72\n  .byte 1, 0x30\n"
        "SplitPartInfo:\n  .byte 0x21, SplitPartBody - SplitPart, 2, 0\n"
        "  .byte SplitPartBody - SplitPart, 0x64\n  .short 6\n"
        "  .rva Split, SplitEnd, SplitInfo\n"
        ".section .pdata$z, \"dr\"\n.p2align 2\n"
        "  .rva Split, SplitEnd, SplitInfo\n  .rva SplitPart, SplitPartEnd, SplitPartInfo\n"
        ".text\n");

static VOID ChainedPart(VOID)
{
    ULONG fine = 0;
    CurrentFilter = Take;
    ClearMarks();
    Marked(Split, Nowhere);
    CheckHandled(STATUS_ACCESS_VIOLATION);
    CHECK(StepThrough(Split, (ULONG_PTR)&fine) == 14);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    RUN(AcrossAllShapes);
    RUN(AcrossAnExport);
    RUN(AcrossWildCall);
    RUN(EachInstructionByHand);
    RUN(EachInstructionCompiled);
    RUN(ChainedPart);
    return CHECK_STATUS;
}
