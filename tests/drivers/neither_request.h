/*
 * Declarations of the drivers whose control codes (METHOD_NEITHER) each make one
 * mistake with the request or with the caller's memory. The DWORD `Right` in the
 * Parameters key is 1 for the same without the mistake.
 */
#pragma once
#include "parameter.h"
#include "try.h"

/* A report can name the function. */
#define VISIBLE __attribute__((noinline, used))

typedef struct {
    PIRP Irp;
    /* The caller's memory, 64 bytes each. */
    volatile UCHAR *Input;
    volatile UCHAR *Output;
} REQUEST;

static PDEVICE_OBJECT Device;
static KSPIN_LOCK Lock;
static volatile ULONG Right;
static volatile UCHAR Sink;

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}
