/*
 * The calling convention, from the driver's side: the stack is aligned on
 * entry, the kernel leaves the registers alone that a callee must leave alone
 * (those of Windows: RDI, RSI and XMM6 to XMM15 too), the direction flag is
 * clear, and all of that still holds after a privileged instruction was carried
 * out for the driver in the middle of it.
 */
#include <ntddk.h>

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "convention: " __VA_ARGS__)

typedef struct {
    ULONG64 general[7]; /* rbx rbp rsi rdi r12..r14 before the call, xored with after */
    ULONG64 vectors[20];
} DIFFERENCE;

extern VOID CallWithMarks(DIFFERENCE *difference, PVOID function, ULONG64 first, ULONG64 second, ULONG64 third);

/* Fills every register that survives a call, calls function(first, second,
   third), and stores what became of the marks, zero where they survived. */
__asm__(
    ".text\n.globl CallWithMarks\n.def CallWithMarks; .scl 2; .type 32; .endef\n"
    ".seh_proc CallWithMarks\nCallWithMarks:\n"
    "  pushq %rbx\n .seh_pushreg %rbx\n pushq %rbp\n .seh_pushreg %rbp\n"
    "  pushq %rsi\n .seh_pushreg %rsi\n pushq %rdi\n .seh_pushreg %rdi\n"
    "  pushq %r12\n .seh_pushreg %r12\n pushq %r13\n .seh_pushreg %r13\n"
    "  pushq %r14\n .seh_pushreg %r14\n pushq %r15\n .seh_pushreg %r15\n"
    "  subq $0x108, %rsp\n .seh_stackalloc 0x108\n"
    "  movaps %xmm6, 0x30(%rsp)\n .seh_savexmm %xmm6, 0x30\n"
    "  movaps %xmm7, 0x40(%rsp)\n .seh_savexmm %xmm7, 0x40\n"
    "  movaps %xmm8, 0x50(%rsp)\n .seh_savexmm %xmm8, 0x50\n"
    "  movaps %xmm9, 0x60(%rsp)\n .seh_savexmm %xmm9, 0x60\n"
    "  movaps %xmm10, 0x70(%rsp)\n .seh_savexmm %xmm10, 0x70\n"
    "  movaps %xmm11, 0x80(%rsp)\n .seh_savexmm %xmm11, 0x80\n"
    "  movaps %xmm12, 0x90(%rsp)\n .seh_savexmm %xmm12, 0x90\n"
    "  movaps %xmm13, 0xa0(%rsp)\n .seh_savexmm %xmm13, 0xa0\n"
    "  movaps %xmm14, 0xb0(%rsp)\n .seh_savexmm %xmm14, 0xb0\n"
    "  movaps %xmm15, 0xc0(%rsp)\n .seh_savexmm %xmm15, 0xc0\n"
    " .seh_endprologue\n"
    "  movq %rcx, %r15\n"
    "  movq %rdx, %rax\n"
    "  movq 0x170(%rsp), %r10\n" /* third: 0x108 + 8 pushes + return + 4 homes */
    "  movq %r8, %rcx\n movq %r9, %rdx\n movq %r10, %r8\n"
    "  movabsq $0x1111111111111111, %rbx\n movabsq $0x2222222222222222, %rbp\n"
    "  movabsq $0x3333333333333333, %rsi\n movabsq $0x4444444444444444, %rdi\n"
    "  movabsq $0x5555555555555555, %r12\n movabsq $0x6666666666666666, %r13\n"
    "  movabsq $0x7777777777777777, %r14\n"
    "  movq %rbx, %xmm6\n movq %rbp, %xmm7\n movq %rsi, %xmm8\n movq %rdi, %xmm9\n"
    "  movq %r12, %xmm10\n movq %r13, %xmm11\n movq %r14, %xmm12\n"
    "  movq %rbx, %xmm13\n movq %rbp, %xmm14\n movq %rsi, %xmm15\n"
    "  movlhps %xmm6, %xmm6\n movlhps %xmm7, %xmm7\n movlhps %xmm8, %xmm8\n"
    "  movlhps %xmm9, %xmm9\n movlhps %xmm10, %xmm10\n movlhps %xmm11, %xmm11\n"
    "  movlhps %xmm12, %xmm12\n movlhps %xmm13, %xmm13\n movlhps %xmm14, %xmm14\n"
    "  movlhps %xmm15, %xmm15\n"
    "  callq *%rax\n"
    "  movdqu %xmm6, 0x38(%r15)\n movdqu %xmm7, 0x48(%r15)\n movdqu %xmm8, 0x58(%r15)\n"
    "  movdqu %xmm9, 0x68(%r15)\n movdqu %xmm10, 0x78(%r15)\n movdqu %xmm11, 0x88(%r15)\n"
    "  movdqu %xmm12, 0x98(%r15)\n movdqu %xmm13, 0xa8(%r15)\n movdqu %xmm14, 0xb8(%r15)\n"
    "  movdqu %xmm15, 0xc8(%r15)\n"
    "  movabsq $0x1111111111111111, %rax\n xorq %rax, %rbx\n movq %rbx, (%r15)\n"
    "  xorq %rax, 0x38(%r15)\n xorq %rax, 0x40(%r15)\n xorq %rax, 0xa8(%r15)\n xorq %rax, 0xb0(%r15)\n"
    "  movabsq $0x2222222222222222, %rax\n xorq %rax, %rbp\n movq %rbp, 8(%r15)\n"
    "  xorq %rax, 0x48(%r15)\n xorq %rax, 0x50(%r15)\n xorq %rax, 0xb8(%r15)\n xorq %rax, 0xc0(%r15)\n"
    "  movabsq $0x3333333333333333, %rax\n xorq %rax, %rsi\n movq %rsi, 0x10(%r15)\n"
    "  xorq %rax, 0x58(%r15)\n xorq %rax, 0x60(%r15)\n xorq %rax, 0xc8(%r15)\n xorq %rax, 0xd0(%r15)\n"
    "  movabsq $0x4444444444444444, %rax\n xorq %rax, %rdi\n movq %rdi, 0x18(%r15)\n"
    "  xorq %rax, 0x68(%r15)\n xorq %rax, 0x70(%r15)\n"
    "  movabsq $0x5555555555555555, %rax\n xorq %rax, %r12\n movq %r12, 0x20(%r15)\n"
    "  xorq %rax, 0x78(%r15)\n xorq %rax, 0x80(%r15)\n"
    "  movabsq $0x6666666666666666, %rax\n xorq %rax, %r13\n movq %r13, 0x28(%r15)\n"
    "  xorq %rax, 0x88(%r15)\n xorq %rax, 0x90(%r15)\n"
    "  movabsq $0x7777777777777777, %rax\n xorq %rax, %r14\n movq %r14, 0x30(%r15)\n"
    "  xorq %rax, 0x98(%r15)\n xorq %rax, 0xa0(%r15)\n"
    "  movaps 0x30(%rsp), %xmm6\n movaps 0x40(%rsp), %xmm7\n movaps 0x50(%rsp), %xmm8\n"
    "  movaps 0x60(%rsp), %xmm9\n movaps 0x70(%rsp), %xmm10\n movaps 0x80(%rsp), %xmm11\n"
    "  movaps 0x90(%rsp), %xmm12\n movaps 0xa0(%rsp), %xmm13\n movaps 0xb0(%rsp), %xmm14\n"
    "  movaps 0xc0(%rsp), %xmm15\n"
    "  addq $0x108, %rsp\n"
    "  popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rdi\n popq %rsi\n popq %rbp\n popq %rbx\n"
    "  retq\n .seh_endproc\n");

static VOID Report(PCSTR what, const DIFFERENCE *difference)
{
    ULONG lost = 0;
    for (ULONG index = 0; index < 7; index++)
        lost += difference->general[index] != 0;
    for (ULONG index = 0; index < 20; index++)
        lost += difference->vectors[index] != 0;
    SAY("%s: %u of 27 lost\n", what, lost);
}

/* The marks must come out wrong when a callee is wrong: proof that the test
   sees it. */
extern VOID Spoil(VOID);
__asm__(".text\n.globl Spoil\nSpoil:\n xorps %xmm9, %xmm9\n xorl %edi, %edi\n retq\n");

static KIRQL RaiseAndLower(VOID)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KIRQL raised = KeGetCurrentIrql();
    KeLowerIrql(old);
    return raised;
}

static VOID Calls(VOID)
{
    DIFFERENCE difference;
    PVOID pool = ExAllocatePoolWithTag(NonPagedPool, 32, 0x6c6c6143);
    CallWithMarks(&difference, ExFreePoolWithTag, (ULONG64)pool, 0x6c6c6143, 0);
    Report("ExFreePoolWithTag", &difference);
    CallWithMarks(&difference, DbgPrint, (ULONG64) "convention: from inside, %d %d\n", 2, 3);
    Report("DbgPrint", &difference);
    CallWithMarks(&difference, RaiseAndLower, 0, 0, 0);
    Report("IRQL", &difference);
    CallWithMarks(&difference, Spoil, 0, 0, 0);
    Report("Spoil", &difference);
}

static ULONG64 Flags(VOID)
{
    ULONG64 flags;
    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
    return flags;
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    SAY("unload, frame %u off alignment\n", (ULONG)((ULONG_PTR)__builtin_frame_address(0) & 15));
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    SAY("entry, frame %u off alignment, direction %u\n", (ULONG)((ULONG_PTR)__builtin_frame_address(0) & 15),
        (ULONG)(Flags() >> 10 & 1));
    SAY("irql %u raised %u after %u\n", KeGetCurrentIrql(), RaiseAndLower(), KeGetCurrentIrql());
    Calls();
    return STATUS_SUCCESS;
}
