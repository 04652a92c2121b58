/*
 * Takes back the macros of enumerators.h.
 */
#pragma once

#undef WaitAny
#undef DPFLTR_ENDOFTABLE_ID
#undef RelationAll
#undef KbCallbackTriageDumpData
#undef MaximumWaitReason
#undef MaxSuiteType
#undef MaxRegNtNotifyClass
#undef FileMaximumInformation
#undef DirectoryNotifyExtendedInformation
#undef FileFsMaximumInformation
#undef L0sAndL1EntrySupport
#undef ResourceTypeMax
#undef HalAcpiAuditInformation
#undef HalProfileDpgoSourceInterruptHandler
#undef MaxProcessInfoClass
#undef MaxThreadInfoClass
#undef AccessReasonNoGrant
#undef MaxTokenInfoClass
#undef MsV1_0VirtualLogon
#undef MsV1_0ClearCachedCredentials
