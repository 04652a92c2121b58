/*
 * Frames of every shape, made by hand: all registers that a callee preserves
 * come back at a handler, wherever in a function control was; language handlers
 * of the driver's own; unwinding that the driver asks for.
 */
#include "check.h"

#ifndef STATUS_INVALID_DISPOSITION
#define STATUS_INVALID_DISPOSITION ((NTSTATUS)0xC0000026)
#endif
#ifndef STATUS_UNWIND
#define STATUS_UNWIND ((NTSTATUS)0xC0000027)
#endif

#define NONCONTINUABLE 1
#define UNWINDING 2
#define EXIT_UNWIND 4
#define TARGET_UNWIND 0x20

#define TRAP_FLAG 0x100

#define KEEP __attribute__((used))
#define INLINED_NOT __attribute__((noinline, noclone))

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

NTSYSAPI PVOID NTAPI RtlPcToFileHeader(PVOID pc, PVOID *base);
NTSYSAPI PVOID NTAPI RtlLookupFunctionEntry(ULONG64 pc, PULONG64 base, PVOID history);
NTSYSAPI PVOID NTAPI RtlVirtualUnwind(ULONG kinds, ULONG64 base, ULONG64 pc, PVOID entry, PCONTEXT context,
                                      PVOID *data, PULONG64 frame, PVOID pointers);
NTSYSAPI VOID NTAPI RtlUnwindEx(PVOID frame, PVOID ip, PEXCEPTION_RECORD record, PVOID value, PCONTEXT context,
                                PVOID history);
NTSYSAPI VOID NTAPI RtlUnwind(PVOID frame, PVOID ip, PEXCEPTION_RECORD record, PVOID value);
NTSYSAPI VOID NTAPI RtlCaptureContext(PCONTEXT context);
NTSYSAPI VOID NTAPI RtlRestoreContext(PCONTEXT context, PEXCEPTION_RECORD record);
NTSYSAPI USHORT NTAPI RtlCaptureStackBackTrace(ULONG skip, ULONG count, PVOID *frames, PULONG hash);
NTSYSAPI ULONG NTAPI RtlWalkFrameChain(PVOID *callers, ULONG count, ULONG flags);

static volatile ULONG_PTR Nowhere = 0x12340;

/*
 * Marked(function, argument): puts marks into all registers that a callee
 * preserves, calls the function inside of a scope whose filter is `Filter`, and
 * returns the registers' differences from the marks, one bit a register, or
 * bit 31 if the function returned.
 */
#define MARKS \
    "  movabsq $0x1111111111111111, %rbx\n movabsq $0x2222222222222222, %rbp\n" \
    "  movabsq $0x3333333333333333, %rsi\n movabsq $0x4444444444444444, %rdi\n" \
    "  movabsq $0x5555555555555555, %r12\n movabsq $0x6666666666666666, %r13\n" \
    "  movabsq $0x7777777777777777, %r14\n movabsq $0x0123456789abcdef, %r15\n" \
    "  movq %rbx, %xmm6\n movq %rbp, %xmm7\n movq %rsi, %xmm8\n movq %rdi, %xmm9\n" \
    "  movq %r12, %xmm10\n movq %r13, %xmm11\n movq %r14, %xmm12\n movq %r15, %xmm13\n" \
    "  movq %rbx, %xmm14\n movq %rbp, %xmm15\n" \
    "  movlhps %xmm15, %xmm6\n movlhps %xmm14, %xmm7\n movlhps %xmm13, %xmm8\n movlhps %xmm12, %xmm9\n" \
    "  movlhps %xmm11, %xmm10\n movlhps %xmm10, %xmm11\n movlhps %xmm9, %xmm12\n movlhps %xmm8, %xmm13\n" \
    "  movlhps %xmm7, %xmm14\n movlhps %xmm6, %xmm15\n"

/* Registers to memory at RAX: 8 general, 10 vectors, 224 bytes. */
#define STORE \
    "  movq %rbx, (%rax)\n movq %rbp, 8(%rax)\n movq %rsi, 16(%rax)\n movq %rdi, 24(%rax)\n" \
    "  movq %r12, 32(%rax)\n movq %r13, 40(%rax)\n movq %r14, 48(%rax)\n movq %r15, 56(%rax)\n" \
    "  movdqu %xmm6, 64(%rax)\n movdqu %xmm7, 80(%rax)\n movdqu %xmm8, 96(%rax)\n movdqu %xmm9, 112(%rax)\n" \
    "  movdqu %xmm10, 128(%rax)\n movdqu %xmm11, 144(%rax)\n movdqu %xmm12, 160(%rax)\n" \
    "  movdqu %xmm13, 176(%rax)\n movdqu %xmm14, 192(%rax)\n movdqu %xmm15, 208(%rax)\n"

#define SAVE_ALL \
    "  pushq %rbx\n .seh_pushreg %rbx\n pushq %rbp\n .seh_pushreg %rbp\n" \
    "  pushq %rsi\n .seh_pushreg %rsi\n pushq %rdi\n .seh_pushreg %rdi\n" \
    "  pushq %r12\n .seh_pushreg %r12\n pushq %r13\n .seh_pushreg %r13\n" \
    "  pushq %r14\n .seh_pushreg %r14\n pushq %r15\n .seh_pushreg %r15\n" \
    "  subq $0xc8, %rsp\n .seh_stackalloc 0xc8\n" \
    "  movaps %xmm6, 0x20(%rsp)\n .seh_savexmm %xmm6, 0x20\n movaps %xmm7, 0x30(%rsp)\n .seh_savexmm %xmm7, 0x30\n" \
    "  movaps %xmm8, 0x40(%rsp)\n .seh_savexmm %xmm8, 0x40\n movaps %xmm9, 0x50(%rsp)\n .seh_savexmm %xmm9, 0x50\n" \
    "  movaps %xmm10, 0x60(%rsp)\n .seh_savexmm %xmm10, 0x60\n" \
    "  movaps %xmm11, 0x70(%rsp)\n .seh_savexmm %xmm11, 0x70\n" \
    "  movaps %xmm12, 0x80(%rsp)\n .seh_savexmm %xmm12, 0x80\n" \
    "  movaps %xmm13, 0x90(%rsp)\n .seh_savexmm %xmm13, 0x90\n" \
    "  movaps %xmm14, 0xa0(%rsp)\n .seh_savexmm %xmm14, 0xa0\n" \
    "  movaps %xmm15, 0xb0(%rsp)\n .seh_savexmm %xmm15, 0xb0\n" \
    " .seh_endprologue\n"

#define RESTORE_ALL \
    "  movaps 0x20(%rsp), %xmm6\n movaps 0x30(%rsp), %xmm7\n movaps 0x40(%rsp), %xmm8\n movaps 0x50(%rsp), %xmm9\n" \
    "  movaps 0x60(%rsp), %xmm10\n movaps 0x70(%rsp), %xmm11\n movaps 0x80(%rsp), %xmm12\n" \
    "  movaps 0x90(%rsp), %xmm13\n movaps 0xa0(%rsp), %xmm14\n movaps 0xb0(%rsp), %xmm15\n" \
    "  addq $0xc8, %rsp\n" \
    "  popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rdi\n popq %rsi\n popq %rbp\n popq %rbx\n" \
    "  retq\n"

typedef struct {
    ULONG64 general[8];
    ULONG64 vectors[20];
} REGISTERS;

static REGISTERS Before KEEP;
static REGISTERS After KEEP;
static ULONG64 Returned KEEP;

extern VOID Marked(PVOID function, ULONG64 argument);
extern UCHAR MarkedReturn[];

/* The stack pointer in the scope, as the handler must find it. */
static ULONG64 ScopeStack KEEP;
static ULONG64 HandlerStack KEEP;
static ULONG64 HandlerValue KEEP;

__asm__(".text\n.globl Marked\n.globl MarkedReturn\n.def Marked; .scl 2; .type 32; .endef\n"
        ".seh_proc Marked\n.seh_handler __C_specific_handler, @except, @unwind\n"
        "Marked:\n" SAVE_ALL
        "  movq $0, Returned(%rip)\n"
        "  movq %rcx, %r10\n movq %rdx, %rcx\n" MARKS
        "  leaq Before(%rip), %rax\n" STORE
        "  movq %rsp, ScopeStack(%rip)\n"
        "MarkedBegin:\n"
        "  callq *%r10\n"
        "MarkedReturn:\n"
        "  movq $1, Returned(%rip)\n"
        "MarkedEnd:\n"
        "  jmp MarkedOut\n"
        "MarkedHandler:\n"
        "  movq %rax, HandlerValue(%rip)\n"
        "  movq %rsp, HandlerStack(%rip)\n"
        "  leaq After(%rip), %rax\n" STORE
        "MarkedOut:\n" RESTORE_ALL
        ".seh_handlerdata\n"
        "  .long 1\n  .rva MarkedBegin, MarkedEnd, Filter, MarkedHandler\n"
        ".text\n.seh_endproc\n");

static LONG (*CurrentFilter)(PEXCEPTION_POINTERS pointers);
static CONTEXT Seen;

KEEP LONG Filter(PEXCEPTION_POINTERS pointers, ULONG64 frame);
LONG Filter(PEXCEPTION_POINTERS pointers, ULONG64 frame)
{
    CHECK(frame == ScopeStack);
    return CurrentFilter(pointers);
}

static LONG Take(PEXCEPTION_POINTERS pointers)
{
    Seen = *pointers->ContextRecord;
    return 1;
}

/* Checks that the handler ran and found everything as it was at the call. */
static VOID CheckHandled(NTSTATUS code)
{
    CHECK(!Returned);
    CHECK(HandlerStack == ScopeStack);
    CHECK((ULONG)HandlerValue == (ULONG)code);
    for (ULONG n = 0; n < 8; n++)
        CHECK(Before.general[n] == After.general[n]);
    for (ULONG n = 0; n < 20; n++)
        CHECK(Before.vectors[n] == After.vectors[n]);
}

static VOID ClearMarks(VOID)
{
    RtlZeroMemory(&After, sizeof(After));
    HandlerStack = HandlerValue = 0;
}

#define SPOIL \
    "  xorl %ebx, %ebx\n xorl %ebp, %ebp\n xorl %esi, %esi\n xorl %edi, %edi\n" \
    "  xorl %r12d, %r12d\n xorl %r13d, %r13d\n xorl %r14d, %r14d\n xorl %r15d, %r15d\n" SPOIL_VECTORS
#define SPOIL_VECTORS \
    "  pxor %xmm6, %xmm6\n pxor %xmm7, %xmm7\n pxor %xmm8, %xmm8\n pxor %xmm9, %xmm9\n pxor %xmm10, %xmm10\n" \
    "  pxor %xmm11, %xmm11\n pxor %xmm12, %xmm12\n pxor %xmm13, %xmm13\n pxor %xmm14, %xmm14\n pxor %xmm15, %xmm15\n"

#define FUNCTION(name) ".text\n.globl " #name "\n.def " #name "; .scl 2; .type 32; .endef\n.seh_proc " #name "\n" #name ":\n"
#define END ".seh_endproc\n"

/* A chain of functions: each saves registers in another way and spoils them,
   the last one fails at the address that it is given in RCX. */
extern VOID ByPushes(ULONG_PTR address);
extern VOID ByMoves(ULONG_PTR address);
extern VOID ByFrameRegister(ULONG_PTR address);
extern VOID LargeFrame(ULONG_PTR address);
extern VOID LeafFault(ULONG_PTR address);

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

__asm__(".text\n.globl LeafFault\nLeafFault:\n  movl (%rcx), %eax\n  retq\n");

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

/*
 * A language handler of the driver's own.
 */
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

/*
 * Contexts and back traces.
 */
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
    /* From a filter, on to what failed and beyond. */
    CurrentFilter = TraceFilter;
    Marked(Split, Nowhere);
    CHECK(FrameCount >= all + 4);
    CHECK(Within(Frames[2], TraceFilter) && Within(Frames[3], Filter));
    CHECK(Frames[4] == (PVOID)LeafFault);
    CHECK(Frames[6] == (PVOID)MarkedReturn);
    CHECK(Within(Frames[7], BackTraces));
}

static VOID Headers(VOID)
{
    PVOID base = (PVOID)1;
    ULONG64 image = 1;
    CHECK(RtlPcToFileHeader((PVOID)Nowhere, &base) == NULL && base == NULL);
    CHECK(RtlPcToFileHeader((PVOID)Headers, &base) == base && *(PUSHORT)base == 0x5a4d);
    CHECK(RtlLookupFunctionEntry(Nowhere, &image, NULL) == NULL);
    CHECK(RtlLookupFunctionEntry((ULONG_PTR)LeafFault, &image, NULL) == NULL);
    PULONG entry = RtlLookupFunctionEntry((ULONG_PTR)GuardedTarget, &image, NULL);
    CHECK(image == (ULONG_PTR)base);
    CHECK(entry != NULL && entry[0] == (ULONG_PTR)Guarded - image && entry[1] == (ULONG_PTR)GuardedEnd - image);
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
    context.Rip = (ULONG_PTR)GuardedCall;
    context.Rsp = 0;
    PVOID entry = RtlLookupFunctionEntry(context.Rip, &image, NULL);
    PVOID handler = RtlVirtualUnwind(1, image, context.Rip, entry, &context, &data, &frame, pointers);
    CHECK(handler == (PVOID)OwnHandler && *(PULONG)data == 0x4d414749);
    CHECK(frame == (ULONG_PTR)stack);
    CHECK(context.Rbx == 0x105 && pointers[16 + 3] == &stack[5]);
    CHECK(context.Rbp == 0x106 && pointers[16 + 5] == &stack[6]);
    CHECK(context.Rip == 0x107 && context.Rsp == (ULONG_PTR)&stack[8]);
    CHECK(pointers[16 + 6] == NULL && pointers[6] == NULL);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

#define RUN(name) \
    do { \
        TraceReset(); \
        CASE(name); \
    } while (0)

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
    RUN(OwnHandlerDeclines);
    RUN(OwnHandlerRepairs);
    RUN(OwnHandlerNonsense);
    RUN(OwnHandlerUnwinds);
    RUN(UnwindWithoutException);
    RUN(Headers);
    RUN(SavedWhere);
    RUN(BackTraces);
    RUN(CaptureAndRestore);
    RUN(CaptureEverything);
    return CHECK_STATUS;
}
