/*
 * Threads that act in a client's name: contexts of clients, levels, and what a
 * subject context and the check of access make of them.
 */
#include <ntifs.h>
#include "check.h"

NTKERNELAPI BOOLEAN NTAPI PsIsThreadImpersonating(PETHREAD);

static SECURITY_QUALITY_OF_SERVICE Quality(SECURITY_IMPERSONATION_LEVEL level, BOOLEAN tracking)
{
    SECURITY_QUALITY_OF_SERVICE quality = { sizeof quality, level, tracking, FALSE };
    return quality;
}

static VOID Contexts(VOID)
{
    SECURITY_QUALITY_OF_SERVICE quality = Quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
    SECURITY_CLIENT_CONTEXT client;
    PACCESS_TOKEN primary = PsReferencePrimaryToken(PsGetCurrentProcess());

    CHECK(sizeof client == 0x48);
    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &quality, FALSE, &client) == 0);
    CHECK(client.ClientToken != NULL && client.ClientToken != primary && SeTokenType(client.ClientToken) == TokenImpersonation);
    CHECK(client.SecurityQos.ImpersonationLevel == SecurityImpersonation && !client.DirectlyAccessClientToken && !client.ServerIsRemote);
    SeDeleteClientSecurity(&client);
    quality = Quality(SecurityImpersonation, SECURITY_DYNAMIC_TRACKING);
    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &quality, FALSE, &client) == 0);
    CHECK(client.ClientToken == primary && client.DirectlyAccessClientToken && SeTokenType(client.ClientToken) == TokenPrimary);
    SeDeleteClientSecurity(&client);
    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &quality, TRUE, &client) == 0);
    CHECK(client.ClientToken != primary && !client.DirectlyAccessClientToken && client.ServerIsRemote);
    SeDeleteClientSecurity(&client);
    PsDereferencePrimaryToken(primary);
}

static VOID Impersonating(VOID)
{
    SECURITY_QUALITY_OF_SERVICE quality = Quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
    SECURITY_CLIENT_CONTEXT client, second;
    SECURITY_SUBJECT_CONTEXT subject;
    SECURITY_IMPERSONATION_LEVEL level = SecurityAnonymous;
    SE_IMPERSONATION_STATE state;
    BOOLEAN copy = 2, effective = 2;
    PACCESS_TOKEN token;

    CHECK(PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &effective, &level) == NULL);
    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &quality, FALSE, &client) == 0);
    CHECK(SeImpersonateClientEx(&client, NULL) == 0 && PsIsThreadImpersonating(PsGetCurrentThread()));
    token = PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &effective, &level);
    CHECK(token == client.ClientToken && copy == TRUE && effective == FALSE && level == SecurityImpersonation);
    PsDereferenceImpersonationToken(token);
    SeCaptureSubjectContext(&subject);
    CHECK(subject.ClientToken == client.ClientToken && subject.ImpersonationLevel == SecurityImpersonation);
    CHECK(SeQuerySubjectContextToken(&subject) == client.ClientToken && subject.PrimaryToken != subject.ClientToken);
    SeReleaseSubjectContext(&subject);
    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &quality, TRUE, &second) == (NTSTATUS)0xc00000a5);
    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &quality, FALSE, &second) == 0);
    SeDeleteClientSecurity(&second);
    CHECK(PsDisableImpersonation(PsGetCurrentThread(), &state) && !PsIsThreadImpersonating(PsGetCurrentThread()));
    CHECK(state.Token == client.ClientToken && state.CopyOnOpen == TRUE && state.Level == SecurityImpersonation);
    PsRestoreImpersonation(PsGetCurrentThread(), &state);
    CHECK(PsIsThreadImpersonating(PsGetCurrentThread()));
    PsRevertToSelf();
    CHECK(!PsIsThreadImpersonating(PsGetCurrentThread()) && !PsDisableImpersonation(PsGetCurrentThread(), &state));
    SeDeleteClientSecurity(&client);
}

static VOID Levels(VOID)
{
    GENERIC_MAPPING mapping = { 0x120089, 0x120116, 0x1200a0, 0x1f01ff };
    SECURITY_QUALITY_OF_SERVICE quality = Quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
    SECURITY_SUBJECT_CONTEXT subject;
    SECURITY_CLIENT_CONTEXT client;
    SECURITY_DESCRIPTOR descriptor;
    ACCESS_MASK granted = 0;
    NTSTATUS status = 0;
    PACCESS_TOKEN token = PsReferencePrimaryToken(PsGetCurrentProcess());

    CHECK(RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION) == 0);
    CHECK(PsImpersonateClient(PsGetCurrentThread(), token, TRUE, TRUE, SecurityIdentification) == 0);
    SeCaptureSubjectContext(&subject);
    CHECK(subject.ClientToken == token && subject.ImpersonationLevel == SecurityIdentification);
    CHECK(!SeAccessCheck(&descriptor, &subject, FALSE, 1, 0, NULL, &mapping, UserMode, &granted, &status));
    CHECK(status == (NTSTATUS)0xc00000a5 && granted == 0);
    CHECK(SeCreateClientSecurityFromSubjectContext(&subject, &quality, FALSE, &client) == (NTSTATUS)0xc00000a5);
    SeReleaseSubjectContext(&subject);
    CHECK(PsImpersonateClient(PsGetCurrentThread(), token, TRUE, TRUE, SecurityImpersonation) == 0);
    SeCaptureSubjectContext(&subject);
    CHECK(SeAccessCheck(&descriptor, &subject, FALSE, 1, 0, NULL, &mapping, UserMode, &granted, &status));
    CHECK(status == 0 && granted == 1);
    SeReleaseSubjectContext(&subject);
    CHECK(PsImpersonateClient(PsGetCurrentThread(), NULL, FALSE, FALSE, SecurityAnonymous) == 0);
    CHECK(!PsIsThreadImpersonating(PsGetCurrentThread()));
    PsDereferencePrimaryToken(token);
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    CASE(Contexts);
    CASE(Impersonating);
    CASE(Levels);
    return CHECK_STATUS;
}
