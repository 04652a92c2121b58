/*
 * __finally: when its blocks run, in which order, and what they are told; also
 * when they fail themselves, and when a jump leaves the scope. What fails does
 * so in a function that the __try calls: clang before 15 takes only calls into
 * its tables of scopes.
 */
#include "check.h"
#include "try.h"

NTSYSAPI VOID NTAPI RtlUnwindEx(PVOID frame, PVOID ip, PEXCEPTION_RECORD record, PVOID value, PCONTEXT context,
                                PVOID history);
NTSYSAPI VOID NTAPI RtlUnwind(PVOID frame, PVOID ip, PEXCEPTION_RECORD record, PVOID value);

static volatile ULONG_PTR Nowhere = 0x12340;
static volatile ULONG Sink;
static volatile BOOLEAN Yes = TRUE;

INLINED_NOT static VOID ReadNowhere(VOID)
{
    Sink = *(volatile ULONG *)Nowhere;
}

/* What a compiler knows not to return it takes for the end of an unwind, too:
   then blocks further out are not in the table. It must not know. */
INLINED_NOT static VOID Raise(NTSTATUS status)
{
    if (Yes)
        ExRaiseStatus(status);
}

/* Upper case for a block that is told of an abnormal end, lower case otherwise. */
INLINED_NOT static VOID Finally(char letter, BOOLEAN abnormal)
{
    Note(abnormal ? (char)(letter - 32) : letter);
}

INLINED_NOT static VOID NormalEnd(VOID)
{
    __try {
        Say('1', 0);
    } __finally {
        Finally('a', AbnormalTermination());
    }
    CHECK_TRACE("1a");
}

/* The filter decides before any block runs; blocks run from the inside out. */
INLINED_NOT static VOID AbnormalEnd(VOID)
{
    __try {
        __try {
            __try {
                ReadNowhere();
            } __finally {
                Finally('a', AbnormalTermination());
            }
        } __finally {
            Finally('b', AbnormalTermination());
        }
    } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
        Note('x');
    }
    CHECK_TRACE("fABx");
}

INLINED_NOT static VOID Inner(VOID)
{
    __try {
        Raise(STATUS_INVALID_PARAMETER);
    } __finally {
        Finally('a', AbnormalTermination());
    }
}

/* The store keeps the ranges of two calls apart: clang lets a range begin where
   the one before still holds the return address, and a block runs twice. */
INLINED_NOT static VOID Middle(VOID)
{
    __try {
        __try {
            Inner();
            Sink = 0;
        } __except (Say('m', EXCEPTION_CONTINUE_SEARCH)) {
            Note('M');
        }
    } __finally {
        Finally('b', AbnormalTermination());
    }
}

INLINED_NOT static VOID AcrossFunctions(VOID)
{
    ULONG code = 0;
    __try {
        __try {
            Middle();
        } __finally {
            Finally('c', AbnormalTermination());
        }
    } __except (Say('o', EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK_TRACE("moABC");
    CHECK(code == (ULONG)STATUS_INVALID_PARAMETER);
}

/* Blocks outside of the __try that takes the exception do not run for it. */
INLINED_NOT static VOID OuterBlockWaits(VOID)
{
    __try {
        __try {
            Raise(STATUS_INVALID_PARAMETER);
        } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
            Note('x');
        }
        Note('-');
    } __finally {
        Finally('a', AbnormalTermination());
    }
    CHECK_TRACE("fx-a");
}

INLINED_NOT static ULONG LeaveWithReturn(VOID)
{
    __try {
        __try {
            if (Yes) {
                Say('1', 0);
                return 5;
            }
        } __finally {
            Finally('a', FALSE);
        }
    } __finally {
        Finally('b', FALSE);
    }
    return 6;
}

INLINED_NOT static VOID LeaveByJump(VOID)
{
    CHECK(LeaveWithReturn() == 5);
    CHECK_TRACE("1ab");
    __try {
        __try {
            if (Yes) {
                Say('2', 0);
                goto out;
            }
        } __finally {
            Finally('c', FALSE);
        }
        Note('!');
    } __finally {
        Finally('d', FALSE);
    }
out:
    CHECK_TRACE("1ab2cd");
    __try {
        if (Yes)
            __leave;
        Note('!');
    } __finally {
        Finally('e', AbnormalTermination());
    }
    CHECK_TRACE("1ab2cde");
}

INLINED_NOT static VOID FailIn(char letter)
{
    Note(letter);
    Raise(STATUS_ACCESS_DENIED);
}

/* A block that fails while an unwind runs it: the unwind is over, the blocks
   that have not run yet run once. */
INLINED_NOT static VOID Collided(VOID)
{
    ULONG code = 0;
    __try {
        __try {
            __try {
                __try {
                    Raise(STATUS_INVALID_PARAMETER);
                } __finally {
                    Finally('a', AbnormalTermination());
                }
            } __finally {
                FailIn('!');
            }
        } __finally {
            Finally('c', AbnormalTermination());
        }
    } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK_TRACE("fA!fC");
    CHECK(code == (ULONG)STATUS_ACCESS_DENIED);
}

INLINED_NOT static VOID BlockFails(VOID)
{
    __try {
        __try {
            Raise(STATUS_INVALID_PARAMETER);
            Sink = 0;
        } __finally {
            FailIn('!');
        }
    } __finally {
        Finally('b', AbnormalTermination());
    }
}

INLINED_NOT static LONG TakeDenied(ULONG code)
{
    Note(code == (ULONG)STATUS_ACCESS_DENIED ? 'd' : 'p');
    return code == (ULONG)STATUS_ACCESS_DENIED;
}

/* The same over several functions, with a taker of the second exception between
   the block and the taker of the first. */
INLINED_NOT static VOID CollidedAcross(VOID)
{
    ULONG inner = 0;
    __try {
        __try {
            BlockFails();
        } __except (TakeDenied(GetExceptionCode())) {
            inner = GetExceptionCode();
            Note('i');
        }
        Note('-');
    } __except (Say('o', EXCEPTION_EXECUTE_HANDLER)) {
        Note('O');
    }
    CHECK_TRACE("po!dBi-");
    CHECK(inner == (ULONG)STATUS_ACCESS_DENIED);
}

INLINED_NOT static VOID FailTwice(VOID)
{
    __try {
        __try {
            __try {
                Raise(STATUS_INVALID_PARAMETER);
                Sink = 0;
            } __finally {
                FailIn('1');
                Sink = 0;
            }
        } __finally {
            FailIn('2');
            Sink = 0;
        }
    } __finally {
        Finally('c', AbnormalTermination());
    }
}

INLINED_NOT static VOID CollidedTwice(VOID)
{
    __try {
        __try {
            FailTwice();
        } __finally {
            Finally('e', AbnormalTermination());
        }
    } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
        Note('x');
    }
    CHECK_TRACE("f1f2fCEx");
}

INLINED_NOT static VOID CatchInside(VOID)
{
    __try {
        Raise(STATUS_ACCESS_DENIED);
    } __except (Say('w', EXCEPTION_EXECUTE_HANDLER)) {
        Note('W');
    }
}

/* A block that deals with an exception of its own: the unwind goes on. */
INLINED_NOT static VOID TryInBlock(VOID)
{
    ULONG code = 0;
    __try {
        __try {
            Raise(STATUS_INVALID_PARAMETER);
        } __finally {
            CatchInside();
        }
    } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK_TRACE("fwW");
    CHECK(code == (ULONG)STATUS_INVALID_PARAMETER);
}

INLINED_NOT static VOID UnwindInBlock(VOID)
{
    __try {
        Raise(STATUS_ACCESS_DENIED);
    } __finally {
        Finally('n', AbnormalTermination());
    }
}

INLINED_NOT static VOID CatchOuterInside(VOID)
{
    __try {
        UnwindInBlock();
    } __except (Say('w', EXCEPTION_EXECUTE_HANDLER)) {
        Note('W');
    }
}

/* An exception and a whole unwind inside of a block of another unwind. */
INLINED_NOT static VOID UnwindInUnwind(VOID)
{
    __try {
        __try {
            __try {
                Raise(STATUS_INVALID_PARAMETER);
            } __finally {
                CatchOuterInside();
            }
        } __finally {
            Finally('b', AbnormalTermination());
        }
    } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
        Note('x');
    }
    CHECK_TRACE("fwNWBx");
}

static ULONG FilterRuns;

INLINED_NOT static LONG FailInFilter(PEXCEPTION_POINTERS pointers)
{
    if (FilterRuns++ == 0)
        FailIn('!');
    return Say(pointers->ExceptionRecord->ExceptionFlags & NESTED_CALL ? 'n' : 'p', EXCEPTION_CONTINUE_SEARCH);
}

/* A filter fails, and its function has a block: it runs when the frame of the
   filter and then its own are unwound. */
INLINED_NOT static VOID FaultyFilter(VOID)
{
    __try {
        __try {
            Raise(STATUS_INVALID_PARAMETER);
        } __except (FailInFilter(GetExceptionInformation())) {
            Note('?');
        }
    } __finally {
        Finally('a', AbnormalTermination());
    }
}

INLINED_NOT static VOID FilterFails(VOID)
{
    ULONG code = 0;
    FilterRuns = 0;
    __try {
        FaultyFilter();
    } __except (Say('o', EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK_TRACE("!noA");
    CHECK(code == (ULONG)STATUS_ACCESS_DENIED);
}

INLINED_NOT static VOID ManyTimes(VOID)
{
    volatile ULONG caught = 0;
    for (ULONG n = 0; n < 5000; n++) {
        __try {
            BlockFails();
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            caught++;
        }
    }
    CHECK(caught == 5000);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    RUN(NormalEnd);
    RUN(AbnormalEnd);
    RUN(AcrossFunctions);
    RUN(OuterBlockWaits);
    RUN(LeaveByJump);
    RUN(Collided);
    RUN(CollidedAcross);
    RUN(CollidedTwice);
    RUN(TryInBlock);
    RUN(UnwindInUnwind);
    RUN(FilterFails);
    RUN(ManyTimes);
    return CHECK_STATUS;
}
