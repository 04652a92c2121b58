/*
 * Everything that the kernel's formatting takes, with arguments in registers,
 * on the stack and in a list: what a runner on another system gets wrong first
 * is the variadic convention of x64 Windows. Each line starts with its number;
 * the test `dbg_print` has what follows.
 */
#include <ntddk.h>
#include <stdarg.h>

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, __VA_ARGS__)

static VOID Listed(PCCH format, ...)
{
    va_list list;
    va_start(list, format);
    vDbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, format, list);
    va_end(list);
}

static VOID Integers(VOID)
{
    SAY("1 [%d %i %u %x %X %o]\n", -1, 42, 0xffffffffu, 0xabcdu, 0xabcdu, 8);
    SAY("2 [%5d|%-5d|%05d|%+d|% d]\n", 42, 42, 42, 42, 42);
    SAY("3 [%#x %#X %#o %.4d %8.4d]\n", 0xabu, 0xabu, 8, 42, 42);
    SAY("4 [%I64d %I64x %I64u]\n", -1LL, 0x123456789abcdefULL, ~0ULL);
    SAY("5 [%lld %llx %llu %I32x]\n", -2LL, 0xfedcba9876543210ULL, ~0ULL, 0x1234u);
    SAY("6 [%ld %lx %lu]\n", -3L, 0xffffffffUL, 4000000000UL);
    SAY("7 [%x %u]\n", 0x1122334455667788ULL, 0x100000001ULL);
    SAY("8 [%hd %hu %hx]\n", 0x1ffff, 0x1ffff, 0x12345);
    SAY("9 [%Ix %Id]\n", (SIZE_T)0x8000000000000001ULL, (SSIZE_T)-5);
    SAY("10 [%*d|%-*d|%.*d]\n", 6, 42, 6, 42, 4, 42);
    SAY("11 [%08lx %016I64X]\n", 0xc000009aUL, 0xdeadbeefULL);
}

static VOID Pointers(VOID)
{
    SAY("12 [%p %p]\n", (PVOID)0xffff80001234abcdULL, NULL);
    SAY("13 [%18p|%-18p]\n", (PVOID)0x1000, (PVOID)0x1000);
}

static VOID Texts(VOID)
{
    static CHAR letters[] = "abcdef";
    static WCHAR wides[] = L"uvwxyz";
    ANSI_STRING ansi = { 3, 7, letters };
    UNICODE_STRING unicode = { 6, 14, wides };
    UNICODE_STRING empty = { 0, 0, NULL };

    SAY("14 [%s|%5s|%-8s|%.2s|%8.2s]\n", "abc", "abc", "abc", "abc", "abc");
    SAY("15 [%S|%ws|%ls|%8ws|%.2ws]\n", L"abc", L"def", L"ghi", L"abc", L"abc");
    SAY("16 [%Z|%wZ]\n", &ansi, &unicode);
    SAY("17 [%s|%ws|%wZ|%Z]\n", (PCHAR)NULL, (PWCHAR)NULL, (PUNICODE_STRING)NULL, (PANSI_STRING)NULL);
    SAY("18 [%wZ]\n", &empty);
    SAY("19 [%c%c|%3c|%-3c|%C]\n", 'a', 'b', 'c', 'd', L'e');
    SAY("20 [%%|100%%]\n");
    SAY("21 [%.*s]\n", 3, "not terminated here" + 4);
}

static VOID Many(VOID)
{
    SAY("22 [%d %d %d %d %d %d %d %d %d %d %d %d]\n", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    SAY("23 [%d %s %I64x %c %p %wZ %d]\n", 1, "two", 3ULL, '4', (PVOID)5, NULL, 7);
    Listed("24 [%d %s %I64x %d %d %d %ws]\n", 1, "two", 0x300000000ULL, 4, 5, 6, L"seven");
    Listed("25 []\n");
    SAY("26 []\n");
}

static VOID Long(VOID)
{
    static CHAR text[600];
    for (ULONG index = 0; index < sizeof text - 1; index++)
        text[index] = (CHAR)('a' + index % 26);
    SAY("27 %s\n", text);
    SAY("28 after\n");
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    DbgPrint("29 unloaded %d %d %d %d %d\n", 1, 2, 3, 4, 5);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    Integers();
    Pointers();
    Texts();
    Many();
    Long();
    return STATUS_SUCCESS;
}
