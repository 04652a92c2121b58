/*
 * One small driver in several variants, for ntbox's own tests: DO says what it
 * does. The few declarations that it needs are written out, so that no kit has to
 * be there. The comments at the ends of lines tell the tests which line is meant.
 */
typedef unsigned int ULONG;
typedef unsigned long long SIZE_T;

#define IMPORT __declspec(dllimport)
IMPORT void *ExAllocatePoolWithTag(int type, SIZE_T size, ULONG tag);
IMPORT void ExFreePoolWithTag(void *block, ULONG tag);
IMPORT ULONG DbgPrintEx(ULONG component, ULONG level, const char *format, ...);
IMPORT unsigned char KeGetCurrentIrql(void);
IMPORT ULONG KeDelayExecutionThread(char mode, unsigned char alertable, const long long *interval);
IMPORT __attribute__((noreturn)) void KeBugCheckEx(ULONG code, SIZE_T a, SIZE_T b, SIZE_T c, SIZE_T d);

#define CLEAN 0
#define STAY 1
#define REFUSE 2
#define LEAK 3
#define FAULT 4
#define STOP 5
#define HANG 6
#define CALLS 7
#define FLOOD 8
#define DELAY 9
#define CARELESS 10

#define KEEP __attribute__((noinline, used))

volatile int Sink;
const volatile int *Nothing;

static inline __attribute__((always_inline)) void *Take(void)
{
    return ExAllocatePoolWithTag(0x200, 64, 0x74736554); /* take */
}

KEEP void *Hold(void)
{
    void *taken = Take(); /* hold */
    Sink++;
    return taken;
}

KEEP int Touch(void)
{
    return *Nothing; /* touch */
}

/* The last instruction is the call: it returns to where the next function is. */
KEEP __attribute__((noreturn)) void Stop(void)
{
    KeBugCheckEx(0xe2, 1, 2, 3, 4); /* stop */
}

KEEP void Hang(void)
{
    for (;;)
        Sink++;
}

KEEP void Flood(void)
{
    for (;;)
        DbgPrintEx(77, 0, "driver: more\n");
}

/* Much work for the kernel's entries and nothing else. */
KEEP void Call(ULONG times)
{
    while (times--)
        Sink += KeGetCurrentIrql();
}

/* Does not expect the second of its allocations to fail, and the third only then. */
KEEP ULONG Careless(void)
{
    void *first = ExAllocatePoolWithTag(0x200, 64, 0x74736554), *second, *third;
    if (!first)
        return 0xc000009a;
    second = ExAllocatePoolWithTag(0x200, 32, 0x74736554);
    if (!second) {
        third = ExAllocatePoolWithTag(0x200, 16, 0x74736554);
        Sink = *(volatile char *)third;
        return 0xc000009a;
    }
    ExFreePoolWithTag(second, 0x74736554);
    ExFreePoolWithTag(first, 0x74736554);
    return 0;
}

static void Unload(void *driver)
{
    (void)driver;
}

ULONG DriverEntry(char *driver, void *path)
{
    (void)path;
    *(void (**)(void *))(driver + 0x68) = DO == STAY ? 0 : Unload;
    DbgPrintEx(77, 0, "driver: begin\n");
    DbgPrintEx(77, 3, "driver: hidden\n");
#if DO == REFUSE
    return 0xc000009a;
#elif DO == LEAK
    Hold(); /* entry */
#elif DO == FAULT
    Sink = Touch(); /* entry */
#elif DO == STOP
    Stop(); /* entry */
#elif DO == HANG
    Hang();
#elif DO == FLOOD
    Flood();
#elif DO == CALLS
    Call(TIMES);
#elif DO == CARELESS
    return Careless();
#elif DO == DELAY
    KeDelayExecutionThread(0, 0, &(const long long){-10000LL * TIMES});
    DbgPrintEx(77, 0, "driver: end\n");
#endif
    return 0;
}
