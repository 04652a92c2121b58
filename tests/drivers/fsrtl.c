/*
 * What the file system's run-time library does for those who have a volume of their
 * own: map control blocks, tunnel caches, which names are legal, and the parts of a
 * path.
 */
#include <ntifs.h>
#include "check.h"

#ifndef STATUS_IO_REPARSE_DATA_INVALID
#define STATUS_IO_REPARSE_DATA_INVALID ((NTSTATUS)0xC0000278L)
#endif
#define TAG 0x74727346 /* "Fsrt" */

/* Whether the run of a number begins and leads there. */
static BOOLEAN RunIs(PLARGE_MCB mcb, ULONG index, LONGLONG first, LONGLONG block, LONGLONG count)
{
    LONGLONG vbn = 99, lbn = 99, sectors = 99;

    return FsRtlGetNextLargeMcbEntry(mcb, index, &vbn, &lbn, &sectors) && vbn == first && lbn == block && sectors == count;
}

static VOID Runs(VOID)
{
    LARGE_MCB mcb;
    LONGLONG lbn = 0, count = 0, start = 0, whole = 0, vbn = 0;
    ULONG index = 99;

    FsRtlInitializeLargeMcb(&mcb, PagedPool);
    CHECK(FsRtlNumberOfRunsInLargeMcb(&mcb) == 0 && !FsRtlLookupLastLargeMcbEntry(&mcb, &vbn, &lbn));
    CHECK(!FsRtlLookupLargeMcbEntry(&mcb, 0, &lbn, NULL, NULL, NULL, NULL));
    /* The reference's example: blocks 0 and 3, and a hole between them. */
    CHECK(FsRtlAddLargeMcbEntry(&mcb, 0, 10, 1) && FsRtlAddLargeMcbEntry(&mcb, 3, 20, 1));
    CHECK(FsRtlNumberOfRunsInLargeMcb(&mcb) == 3 && RunIs(&mcb, 0, 0, 10, 1) && RunIs(&mcb, 1, 1, -1, 2) && RunIs(&mcb, 2, 3, 20, 1));
    CHECK(!RunIs(&mcb, 3, 4, -1, 0));
    CHECK(FsRtlLookupLargeMcbEntry(&mcb, 2, &lbn, &count, &start, &whole, &index));
    CHECK(lbn == -1 && count == 1 && start == -1 && whole == 2 && index == 1);
    CHECK(FsRtlLookupLastLargeMcbEntryAndIndex(&mcb, &vbn, &lbn, &index) && vbn == 3 && lbn == 20 && index == 2);
    /* What fits is merged, what is elsewhere is refused. */
    CHECK(FsRtlAddLargeMcbEntry(&mcb, 1, 11, 2) && FsRtlNumberOfRunsInLargeMcb(&mcb) == 2 && RunIs(&mcb, 0, 0, 10, 3));
    CHECK(!FsRtlAddLargeMcbEntry(&mcb, 2, 30, 4) && FsRtlAddLargeMcbEntry(&mcb, 3, 20, 4) && RunIs(&mcb, 1, 3, 20, 4));
    CHECK(FsRtlLookupLargeMcbEntry(&mcb, 5, &lbn, &count, &start, &whole, &index));
    CHECK(lbn == 22 && count == 2 && start == 20 && whole == 4 && index == 1);
    FsRtlRemoveLargeMcbEntry(&mcb, 1, 3);
    CHECK(FsRtlNumberOfRunsInLargeMcb(&mcb) == 3 && RunIs(&mcb, 0, 0, 10, 1) && RunIs(&mcb, 1, 1, -1, 3) && RunIs(&mcb, 2, 4, 21, 3));
    CHECK(FsRtlSplitLargeMcb(&mcb, 5, 10) && RunIs(&mcb, 2, 4, 21, 1) && RunIs(&mcb, 3, 5, -1, 10) && RunIs(&mcb, 4, 15, 22, 2));
    /* A hole at the new end goes, too. */
    FsRtlTruncateLargeMcb(&mcb, 8);
    CHECK(FsRtlNumberOfRunsInLargeMcb(&mcb) == 3 && RunIs(&mcb, 2, 4, 21, 1));
    FsRtlTruncateLargeMcb(&mcb, 0);
    CHECK(FsRtlNumberOfRunsInLargeMcb(&mcb) == 0);
    FsRtlUninitializeLargeMcb(&mcb);
}

static VOID BaseRuns(VOID)
{
    BASE_MCB mcb;
    LONGLONG lbn = 0, vbn = 0, count = 0;
    ULONG n, index = 0;

    CHECK(FsRtlInitializeBaseMcbEx(&mcb, NonPagedPool, 0));
    for (n = 0; n < 100; n++)
        CHECK(FsRtlAddBaseMcbEntryEx(&mcb, 3 * n, 1000 - 2 * n, 1) == 0);
    CHECK(FsRtlAddBaseMcbEntryEx(&mcb, 3, 5, 1) == STATUS_UNSUCCESSFUL && !FsRtlAddBaseMcbEntry(&mcb, 3, 5, 1));
    CHECK(FsRtlNumberOfRunsInBaseMcb(&mcb) == 199 && mcb.PairCount == 199 && mcb.MaximumPairCount >= 199);
    CHECK(FsRtlLookupBaseMcbEntry(&mcb, 150, &lbn, NULL, NULL, NULL, &index) && lbn == 900 && index == 100);
    CHECK(FsRtlLookupLastBaseMcbEntry(&mcb, &vbn, &lbn) && vbn == 297 && lbn == 802);
    CHECK(FsRtlGetNextBaseMcbEntry(&mcb, 1, &vbn, &lbn, &count) && vbn == 1 && lbn == -1 && count == 2);
    CHECK(FsRtlRemoveBaseMcbEntry(&mcb, 0, 297) && FsRtlNumberOfRunsInBaseMcb(&mcb) == 2);
    FsRtlResetBaseMcb(&mcb);
    CHECK(mcb.PairCount == 0);
    FsRtlUninitializeBaseMcb(&mcb);
}

static VOID Tunnels(VOID)
{
    UNICODE_STRING shortName = RTL_CONSTANT_STRING(L"LONGNA~1.TXT"), longName = RTL_CONSTANT_STRING(L"Long name.txt");
    UNICODE_STRING lower = RTL_CONSTANT_STRING(L"longna~1.txt"), only = RTL_CONSTANT_STRING(L"Only long");
    WCHAR shortRoom[12], longRoom[13];
    UNICODE_STRING foundShort = { 0, sizeof shortRoom, shortRoom }, foundLong = { 0, sizeof longRoom, longRoom };
    ULONG first = 1, second = 2, data = 0, length = sizeof data;
    PTUNNEL cache = ExAllocatePoolWithTag(NonPagedPool, sizeof(TUNNEL), TAG);
    LARGE_INTEGER wait;

    CHECK(cache != NULL);
    if (!cache)
        return;
    FsRtlInitializeTunnelCache(cache);
    CHECK(cache->NumEntries == 0 && cache->TimerQueue.Flink == &cache->TimerQueue);
    FsRtlAddToTunnelCache(cache, 5, &shortName, &longName, TRUE, sizeof first, &first);
    CHECK(!FsRtlFindInTunnelCache(cache, 6, &shortName, &foundShort, &foundLong, &length, &data));
    CHECK(!FsRtlFindInTunnelCache(cache, 5, &longName, &foundShort, &foundLong, &length, &data));
    CHECK(FsRtlFindInTunnelCache(cache, 5, &lower, &foundShort, &foundLong, &length, &data));
    CHECK(data == 1 && length == sizeof data && RtlEqualUnicodeString(&foundShort, &shortName, FALSE));
    CHECK(RtlEqualUnicodeString(&foundLong, &longName, FALSE) && foundLong.Buffer == longRoom);
    FsRtlAddToTunnelCache(cache, 5, &shortName, &longName, TRUE, sizeof second, &second);
    CHECK(cache->NumEntries == 1);
    /* A long name without room gets memory of its own. */
    foundLong.MaximumLength = 4;
    CHECK(FsRtlFindInTunnelCache(cache, 5, &shortName, &foundShort, &foundLong, &length, &data) && data == 2);
    CHECK(foundLong.Buffer != longRoom && foundLong.MaximumLength == longName.Length);
    if (foundLong.Buffer != longRoom)
        ExFreePool(foundLong.Buffer);
    foundLong.Buffer = longRoom;
    foundLong.MaximumLength = sizeof longRoom;
    FsRtlAddToTunnelCache(cache, 7, NULL, &only, FALSE, sizeof first, &first);
    CHECK(FsRtlFindInTunnelCache(cache, 7, &only, &foundShort, &foundLong, &length, &data) && foundShort.Length == 0 && data == 1);
    FsRtlDeleteKeyFromTunnelCache(cache, 5);
    CHECK(cache->NumEntries == 1 && !FsRtlFindInTunnelCache(cache, 5, &shortName, &foundShort, &foundLong, &length, &data));
    wait.QuadPart = -16LL * 10000000;
    KeDelayExecutionThread(KernelMode, FALSE, &wait);
    CHECK(!FsRtlFindInTunnelCache(cache, 7, &only, &foundShort, &foundLong, &length, &data) && cache->NumEntries == 0);
    FsRtlDeleteTunnelCache(cache);
    ExFreePoolWithTag(cache, TAG);
}

static BOOLEAN Fat(const char *text, BOOLEAN wildcards, BOOLEAN path, BOOLEAN leading)
{
    ANSI_STRING name;

    RtlInitAnsiString(&name, text);
    return FsRtlIsFatDbcsLegal(name, wildcards, path, leading);
}

static BOOLEAN Hpfs(const char *text)
{
    ANSI_STRING name;

    RtlInitAnsiString(&name, text);
    return FsRtlIsHpfsDbcsLegal(name, FALSE, FALSE, FALSE);
}

static VOID Legal(VOID)
{
    const UCHAR *table = FsRtlLegalAnsiCharacterArray;

    CHECK(Fat("foo. b", FALSE, FALSE, FALSE) && Fat(" bar", FALSE, FALSE, FALSE) && Fat("12345678.ext", FALSE, FALSE, FALSE));
    CHECK(!Fat(".foo", FALSE, FALSE, FALSE) && !Fat("foo.", FALSE, FALSE, FALSE) && !Fat("foo .b", FALSE, FALSE, FALSE));
    CHECK(!Fat("123456789", FALSE, FALSE, FALSE) && !Fat("a+b", FALSE, FALSE, FALSE) && !Fat("", TRUE, TRUE, TRUE));
    CHECK(!Fat("a*", FALSE, FALSE, FALSE) && Fat("a*", TRUE, FALSE, FALSE));
    CHECK(!Fat("a\\b", FALSE, FALSE, FALSE) && Fat("a\\b", FALSE, TRUE, FALSE) && !Fat("a\\\\b", FALSE, TRUE, FALSE));
    CHECK(!Fat("\\a", FALSE, TRUE, FALSE) && Fat("\\a", FALSE, FALSE, TRUE) && Fat("\\", FALSE, FALSE, TRUE));
    CHECK(Hpfs(".foo") && Hpfs("a+b") && Hpfs("123456789.long") && !Hpfs("foo.") && !Hpfs("foo ") && !Hpfs("a:b"));
    CHECK(table['a'] == (FSRTL_FAT_LEGAL | FSRTL_HPFS_LEGAL | FSRTL_NTFS_LEGAL | FSRTL_OLE_LEGAL) && table['\\'] == 0);
    CHECK(FlagOn(table['*'], FSRTL_WILD_CHARACTER) && !FlagOn(table['a'], FSRTL_WILD_CHARACTER));
    CHECK(!FsRtlIsAnsiCharacterLegalFat('+', FALSE) && FsRtlIsAnsiCharacterLegalHpfs('+', FALSE));
}

/* Whether a name is one of those that an expression stands for, in both widths. */
static BOOLEAN Matches(const char *expression, const char *name)
{
    ANSI_STRING narrow[2];
    UNICODE_STRING wide[2];
    BOOLEAN result;

    RtlInitAnsiString(&narrow[0], expression);
    RtlInitAnsiString(&narrow[1], name);
    RtlAnsiStringToUnicodeString(&wide[0], &narrow[0], TRUE);
    RtlAnsiStringToUnicodeString(&wide[1], &narrow[1], TRUE);
    result = FsRtlIsNameInExpression(&wide[0], &wide[1], FALSE, NULL);
    CHECK(result == FsRtlIsDbcsInExpression(&narrow[0], &narrow[1]));
    RtlFreeUnicodeString(&wide[0]);
    RtlFreeUnicodeString(&wide[1]);
    return result;
}

static VOID Expressions(VOID)
{
    ANSI_STRING wild = RTL_CONSTANT_STRING("a<b"), plain = RTL_CONSTANT_STRING("a.b");

    /* DOS_STAR stands for what is before the last dot, and for the dot itself. */
    CHECK(Matches("<.txt", "a.b.txt") && Matches("a<txt", "a.b.txt") && Matches("a<txt", "a.txt"));
    CHECK(!Matches("a<", "a.txt") && Matches("a<", "abc") && !Matches("a<b.txt", "a.bc.txt"));
    CHECK(FsRtlDoesDbcsContainWildCards(&wild) && !FsRtlDoesDbcsContainWildCards(&plain));
}

static VOID Paths(VOID)
{
    ANSI_STRING path = RTL_CONSTANT_STRING("\\one\\two\\three"), first, rest;
    WCHAR dotted[] = L"\\dir1\\dir2\\..\\dir3\\.\\file.txt", above[] = L"..\\any";
    USHORT length = 0;
    WCHAR small = L'a', unknown = 0x3d5f;

    FsRtlDissectDbcs(path, &first, &rest);
    CHECK(first.Buffer == path.Buffer + 1 && first.Length == 3 && rest.Buffer == path.Buffer + 5 && rest.Length == 9);
    FsRtlDissectDbcs(rest, &first, &rest);
    CHECK(first.Length == 3 && rest.Length == 5);
    FsRtlDissectDbcs(rest, &first, &rest);
    CHECK(first.Length == 5 && rest.Length == 0 && rest.Buffer == NULL);
    CHECK(FsRtlRemoveDotsFromPath(dotted, sizeof dotted - sizeof(WCHAR), &length) == 0 && length == 38);
    CHECK(RtlCompareMemory(dotted, L"\\dir1\\dir3\\file.txt", 40) == 40);
    CHECK(FsRtlRemoveDotsFromPath(above, sizeof above - sizeof(WCHAR), &length) == STATUS_IO_REPARSE_DATA_INVALID);
    CHECK(RtlIsValidOemCharacter(&small) && small == L'A' && !RtlIsValidOemCharacter(&unknown));
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    CASE(Runs);
    CASE(BaseRuns);
    CASE(Tunnels);
    CASE(Legal);
    CASE(Expressions);
    CASE(Paths);
    return CHECK_STATUS;
}
