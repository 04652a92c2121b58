/*
 * Frames made by hand: a function that marks every register which a callee
 * preserves, calls another one inside of a scope, and looks at the registers
 * again where the scope's handler begins.
 */
#pragma once

#include "check.h"

#define KEEP __attribute__((used))
#define INLINED_NOT __attribute__((noinline, noclone))

NTSYSAPI PVOID NTAPI RtlPcToFileHeader(PVOID pc, PVOID *base);
NTSYSAPI PVOID NTAPI RtlLookupFunctionEntry(ULONG64 pc, PULONG64 base, PVOID history);
NTSYSAPI PVOID NTAPI RtlVirtualUnwind(ULONG kinds, ULONG64 base, ULONG64 pc, PVOID entry, PCONTEXT context,
                                      PVOID *data, PULONG64 frame, PVOID pointers);

/* An address of user space at which nothing is. */
static volatile ULONG_PTR Nowhere = 0x12340;

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

/* The registers at the call, and at the handler. */
static REGISTERS Before KEEP;
static REGISTERS After KEEP;
/* Whether the function returned. */
static ULONG64 Returned KEEP;

/* Calls function(argument) with marks in all registers that it must preserve,
   inside of a scope whose filter is CurrentFilter. */
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

UNUSED static LONG Take(PEXCEPTION_POINTERS pointers)
{
    Seen = *pointers->ContextRecord;
    return 1;
}

/* Checks that the handler ran and found everything as it was at the call. */
UNUSED static VOID CheckHandled(NTSTATUS code)
{
    CHECK(!Returned);
    CHECK(HandlerStack == ScopeStack);
    CHECK((ULONG)HandlerValue == (ULONG)code);
    for (ULONG n = 0; n < 8; n++)
        CHECK(Before.general[n] == After.general[n]);
    for (ULONG n = 0; n < 20; n++)
        CHECK(Before.vectors[n] == After.vectors[n]);
}

UNUSED static VOID ClearMarks(VOID)
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

/* Reads what it is given, and has no frame. */
extern VOID LeafFault(ULONG_PTR address);
__asm__(".text\n.globl LeafFault\nLeafFault:\n  movl (%rcx), %eax\n  retq\n");
