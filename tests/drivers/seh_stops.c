/*
 * Exceptions that end badly, one way for each value of the DWORD `How`: nobody
 * takes them, the unwind data are damaged, the stack does not suffice, a handler
 * wants the impossible. Each stops the kernel, and none may hang it.
 */
#include "frames.h"
#include "parameter.h"

NTSYSAPI VOID NTAPI RtlUnwind(PVOID frame, PVOID ip, PEXCEPTION_RECORD record, PVOID value);

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "seh_stops: " __VA_ARGS__)

/* Functions whose unwind data are made by hand: four bytes, codes, and what
   follows them. Each calls LeafFault with what RCX holds; the
   return address must not look like an epilogue, which needs no unwind data. */
#define DAMAGED(name, ...) \
    __asm__(".text\n.globl " #name "\n" #name ":\n  subq $0x28, %rsp\n" #name "Body:\n  callq LeafFault\n" \
            "  nop\n  addq $0x28, %rsp\n  retq\n" #name "End:\n" \
            ".section .xdata$z, \"dr\"\n.p2align 2\n" #name "Info:\n" __VA_ARGS__ \
            ".section .pdata$z, \"dr\"\n.p2align 2\n  .rva " #name ", " #name "End, " #name "Info\n.text\n"); \
    extern VOID name(ULONG_PTR address)

DAMAGED(WrongVersion, "  .byte 7, 4, 1, 0, 4, 0x42, 0, 0\n");
DAMAGED(UnknownOperation, "  .byte 1, 4, 1, 0, 4, 0x4e, 0, 0\n");
DAMAGED(CutOperation, "  .byte 1, 4, 1, 0, 4, 0x01, 0, 0\n");
DAMAGED(HandlerNowhere, "  .byte 9, 4, 1, 0, 4, 0x42, 0, 0\n  .long 0x7fffff00\n");
/* Chained to itself. */
DAMAGED(EndlessChain, "  .byte 0x21, 4, 0, 0\n  .rva EndlessChain, EndlessChainEnd, EndlessChainInfo\n");
/* Claims more stack than there is; and a frame register that holds no frame. */
DAMAGED(TooMuchStack, "  .byte 1, 4, 3, 0, 4, 0x11\n  .long 0x7ffffff0\n  .short 0\n");
DAMAGED(NoFrame, "  .byte 1, 4, 2, 0x03, 4, 0x03, 4, 0x42\n");
/* Says that it took no stack: a local variable becomes the return address. */
DAMAGED(StackForgotten, "  .byte 1, 0, 0, 0\n");

static LONG Decline(PEXCEPTION_POINTERS pointers)
{
    UNREFERENCED_PARAMETER(pointers);
    return 0;
}

static LONG FailAlways(PEXCEPTION_POINTERS pointers)
{
    UNREFERENCED_PARAMETER(pointers);
    LeafFault(Nowhere);
    return 1;
}

static LONG ContinueAlways(PEXCEPTION_POINTERS pointers)
{
    UNREFERENCED_PARAMETER(pointers);
    return -1;
}

static LONG GoToNoAddress(PEXCEPTION_POINTERS pointers)
{
    pointers->ContextRecord->Rip = (ULONG64)1 << 52;
    return -1;
}

static LONG LoseStack(PEXCEPTION_POINTERS pointers)
{
    pointers->ContextRecord->Rsp = 0;
    return -1;
}

/* A filter for another way to end, then a fault or a raised status. */
static VOID Under(LONG (*filter)(PEXCEPTION_POINTERS pointers), PVOID function, ULONG64 argument)
{
    CurrentFilter = filter;
    Marked(function, argument);
}

KEEP VOID UnwindPast(ULONG64 frame);
INLINED_NOT VOID UnwindPast(ULONG64 frame)
{
    RtlUnwind((PVOID)frame, (PVOID)UnwindPast, NULL, NULL);
}

extern VOID HugeFrame(VOID);
__asm__(FUNCTION(HugeFrame)
        "  movl $0x100000, %eax\n  callq *__imp___chkstk(%rip)\n  subq %rax, %rsp\n"
        " .seh_stackalloc 0x100000\n .seh_endprologue\n"
        "  movb $0, (%rsp)\n  addq $0x100000, %rsp\n  retq\n" END);

KEEP VOID NTAPI DpcRoutine(PKDPC dpc, PVOID context, PVOID first, PVOID second);
VOID NTAPI DpcRoutine(PKDPC dpc, PVOID context, PVOID first, PVOID second)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(first);
    UNREFERENCED_PARAMETER(second);
    ExRaiseStatus(STATUS_INVALID_PARAMETER);
}

/* The thread that a DPC interrupts would take any exception: not the DPC's. */
KEEP VOID RunDpc(VOID);
VOID RunDpc(VOID)
{
    static KDPC dpc;
    KeInitializeDpc(&dpc, DpcRoutine, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    KeFlushQueuedDpcs();
}

static LONG Accept(PEXCEPTION_POINTERS pointers)
{
    UNREFERENCED_PARAMETER(pointers);
    SAY("an exception of the DPC was taken\n");
    return 1;
}

/* A language handler that answers "collided" and says nonsense about where. */
extern VOID Collides(ULONG_PTR address);
__asm__(FUNCTION(Collides)
        ".seh_handler CollidingHandler, @except\n"
        "  subq $0x28, %rsp\n .seh_stackalloc 0x28\n .seh_endprologue\n"
        "  callq LeafFault\n  nop\n  addq $0x28, %rsp\n  retq\n"
        ".seh_handlerdata\n.text\n" END);

KEEP EXCEPTION_DISPOSITION CollidingHandler(PVOID record, ULONG64 frame, PCONTEXT context, PULONG64 dispatcher);
EXCEPTION_DISPOSITION CollidingHandler(PVOID record, ULONG64 frame, PCONTEXT context, PULONG64 dispatcher)
{
    UNREFERENCED_PARAMETER(record);
    UNREFERENCED_PARAMETER(frame);
    UNREFERENCED_PARAMETER(context);
    dispatcher[5] = Nowhere;
    return ExceptionCollidedUnwind;
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    ULONG how = Parameter(path, L"How", ~0u);
    driver->DriverUnload = Unload;
    SAY("way %lu\n", how);
    switch (how) {
    case 0: LeafFault(Nowhere); break;
    case 1: ExRaiseStatus(STATUS_DEVICE_NOT_READY); break;
    case 2: Under(Decline, LeafFault, Nowhere); break;
    case 3: WrongVersion(Nowhere); break;
    case 4: UnknownOperation(Nowhere); break;
    case 5: CutOperation(Nowhere); break;
    case 6: HandlerNowhere(Nowhere); break;
    case 7: EndlessChain(Nowhere); break;
    case 8: TooMuchStack(Nowhere); break;
    case 9: NoFrame(Nowhere); break;
    case 10: StackForgotten(Nowhere); break;
    case 11: Under(FailAlways, LeafFault, Nowhere); break;
    case 12: Under(ContinueAlways, ExRaiseStatus, (ULONG)STATUS_DEVICE_NOT_READY); break;
    case 13: Under(GoToNoAddress, LeafFault, Nowhere); break;
    case 14: Under(LoseStack, LeafFault, Nowhere); break;
    case 15: UnwindPast((ULONG64)&how - 0x400); break;
    case 16: UnwindPast(0); break;
    case 17: HugeFrame(); break;
    case 18: Under(Accept, RunDpc, 0); break;
    case 19: ((VOID (*)(VOID))0x7fff00000000)(); break;
    case 20: Collides(Nowhere); break;
    case 21: Under(ContinueAlways, LeafFault, Nowhere); break;
    default: SAY("no such way\n"); break;
    }
    SAY("still here\n");
    return STATUS_SUCCESS;
}
