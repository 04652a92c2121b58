/*
 * Stops the kernel in the way that the DWORD `How` in its Parameters names: one
 * driver for everything that a processor or a stack can refuse. The functions
 * have external linkage and are not inlined, so that a report can name them.
 */
#include "parameter.h"

#pragma GCC diagnostic ignored "-Winfinite-recursion"

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "crash: " __VA_ARGS__)
#define VISIBLE __attribute__((noinline, noclone, used))

static volatile ULONG Sink;
static volatile ULONG Zero;
static const ULONG Constant __attribute__((used)) = 7;

VISIBLE VOID ReadNull(VOID)
{
    volatile ULONG *pointer = (ULONG *)(ULONG_PTR)(Zero + 8);
    Sink = *pointer;
}

VISIBLE VOID WriteNull(VOID)
{
    volatile ULONG *pointer = (ULONG *)(ULONG_PTR)Zero;
    *pointer = 1;
}

VISIBLE VOID ReadSystem(VOID)
{
    /* Far past the pool that this block is in. */
    volatile UCHAR *pool = ExAllocatePoolWithTag(NonPagedPool, 64, 0x68737243);
    Sink = pool[(SIZE_T)1 << 36];
}

VISIBLE VOID WriteConstant(VOID)
{
    *(volatile ULONG *)&Constant = 8;
}

VISIBLE VOID ExecuteData(VOID)
{
    static volatile UCHAR code[] = { 0xc3 };
    ((VOID (*)(VOID))(ULONG_PTR)code)();
}

VISIBLE VOID CallNull(VOID)
{
    ((VOID (*)(VOID))(ULONG_PTR)Zero)();
}

VISIBLE VOID Undefined(VOID)
{
    __asm__ volatile("ud2");
}

VISIBLE VOID Divide(VOID)
{
    Sink = Sink / Zero;
}

VISIBLE VOID FastFail(VOID)
{
    __asm__ volatile("int $0x29" : : "c"(3));
}

VISIBLE VOID Halt(VOID)
{
    __asm__ volatile("hlt");
}

VISIBLE ULONG Recurse(ULONG depth)
{
    volatile UCHAR frame[512];
    frame[depth % 512] = (UCHAR)depth;
    return Recurse(depth + 1) + frame[Zero];
}

/* A fault when there is no stack to handle it on. */
VISIBLE VOID LoseStack(VOID)
{
    __asm__ volatile("xorl %%esp, %%esp\n\tpushq %%rax" : : : "memory");
}

VISIBLE VOID Hang(VOID)
{
    for (;;)
        __asm__ volatile("pause");
}

/* A fault with less than a page of stack left. */
VISIBLE ULONG Descend(ULONG_PTR bottom)
{
    volatile UCHAR frame[128];
    frame[Zero] = 1;
    if ((ULONG_PTR)frame - bottom < 1024)
        ReadNull();
    return Descend(bottom) + frame[Zero];
}

VISIBLE VOID ReadNullLow(VOID)
{
    ULONG_PTR here = (ULONG_PTR)&here;
    /* A kernel stack on x64 has at least six pages; the lowest that is there
       is found by asking. */
    ULONG_PTR bottom = here & ~(ULONG_PTR)(PAGE_SIZE - 1);
    while (MmIsAddressValid((PVOID)(bottom - PAGE_SIZE)))
        bottom -= PAGE_SIZE;
    Descend(bottom);
}

VISIBLE VOID TouchAtDispatch(VOID)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    ReadNull();
}

VISIBLE VOID Break(VOID)
{
    __asm__ volatile("int3");
    DbgBreakPoint();
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    static VOID (*const ways[])(VOID) = {
        ReadNull, WriteNull, ReadSystem, WriteConstant, ExecuteData, CallNull, Undefined, Divide,
        FastFail, Halt, LoseStack, Hang, ReadNullLow, TouchAtDispatch,
    };
    ULONG how = Parameter(path, L"How", ~0u);
    driver->DriverUnload = Unload;
    SAY("way %u\n", how);
    if (how == 14)
        Sink = Recurse(0);
    else if (how == 16)
        Break();
    else if (how == 15)
        KeBugCheckEx(0xdeadbeef, 1, 2, 3, 4);
    else if (how < sizeof ways / sizeof *ways)
        ways[how]();
    SAY("still here\n");
    return STATUS_SUCCESS;
}
