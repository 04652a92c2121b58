//! Structures of the kernel's core, the executive, objects and security.

use core::mem::offset_of;

use windows_sys::Wdk::Foundation as wdk;
use windows_sys::Wdk::Storage::FileSystem::KAPC_STATE;
use windows_sys::Wdk::System::SystemServices as services;
use windows_sys::Win32::Security as security;
use windows_sys::Win32::System::Kernel::PROCESSOR_NUMBER;
use windows_sys::Win32::System::SystemInformation::GROUP_AFFINITY;
use windows_sys::Win32::System::WindowsProgramming::CLIENT_ID;

layout_tests! {
    mutant_matches_wdk: Kmutant = wdk::KMUTANT [size_of::<wdk::KMUTANT>()] {
        mutant_list_entry = MutantListEntry, owner_thread = OwnerThread, abandoned = Anonymous,
        apc_disable = ApcDisable,
    }
    semaphore_matches_wdk: Ksemaphore = services::KSEMAPHORE [size_of::<services::KSEMAPHORE>()] {
        limit = Limit,
    }
    queue_matches_wdk: Kqueue = wdk::KQUEUE [size_of::<wdk::KQUEUE>()] {
        entry_list_head = EntryListHead, current_count = CurrentCount,
        maximum_count = MaximumCount, thread_list_head = ThreadListHead,
    }
    apc_matches_wdk: Kapc = services::KAPC [size_of::<services::KAPC>()] {
        kind = Type, size = Size, thread = Thread, apc_list_entry = ApcListEntry,
        kernel_routine = Reserved, normal_context = NormalContext,
        system_argument1 = SystemArgument1, system_argument2 = SystemArgument2,
        apc_state_index = ApcStateIndex, apc_mode = ApcMode, inserted = Inserted,
    }
    apc_state_matches_wdk: KapcState = KAPC_STATE [size_of::<KAPC_STATE>()] {
        process = Process, in_progress_flags = Anonymous1, kernel_apc_pending = KernelApcPending,
        user_apc_pending = Anonymous2,
    }
    device_queue_entry_matches_wdk: KdeviceQueueEntry = services::KDEVICE_QUEUE_ENTRY [size_of::<services::KDEVICE_QUEUE_ENTRY>()] {
        device_list_entry = DeviceListEntry, sort_key = SortKey, inserted = Inserted,
    }
    lock_queue_handle_matches_wdk: KlockQueueHandle = services::KLOCK_QUEUE_HANDLE [size_of::<services::KLOCK_QUEUE_HANDLE>()] {
        lock_queue = LockQueue, old_irql = OldIrql,
    }
    spin_lock_queue_matches_wdk: KspinLockQueue = services::KSPIN_LOCK_QUEUE [size_of::<services::KSPIN_LOCK_QUEUE>()] {
        next = Next, lock = Lock,
    }
    bug_check_record_matches_wdk: KbugcheckCallbackRecord = services::KBUGCHECK_CALLBACK_RECORD [size_of::<services::KBUGCHECK_CALLBACK_RECORD>()] {
        callback_routine = CallbackRoutine, buffer = Buffer, length = Length,
        component = Component, checksum = Checksum, state = State,
    }
    bug_check_reason_record_matches_wdk: KbugcheckReasonCallbackRecord = services::KBUGCHECK_REASON_CALLBACK_RECORD [size_of::<services::KBUGCHECK_REASON_CALLBACK_RECORD>()] {
        callback_routine = CallbackRoutine, component = Component, checksum = Checksum,
        reason = Reason, state = State,
    }
    group_affinity_matches_wdk: GroupAffinity = GROUP_AFFINITY [size_of::<GROUP_AFFINITY>()] {
        mask = Mask, group = Group,
    }
    processor_number_matches_wdk: ProcessorNumber = PROCESSOR_NUMBER [size_of::<PROCESSOR_NUMBER>()] {
        group = Group, number = Number,
    }
    processor_change_matches_wdk: KeProcessorChangeNotifyContext = services::KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT [size_of::<services::KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT>()] {
        state = State, nt_number = NtNumber, status = Status, proc_number = ProcNumber,
    }
    // The declaration ends behind the number of processor groups.
    shared_data_matches_wdk: KuserSharedData = services::KUSER_SHARED_DATA [0x3c8] {
        tick_count_multiplier = TickCountMultiplier, interrupt_time = InterruptTime,
        system_time = SystemTime, nt_system_root = NtSystemRoot, nt_build_number = NtBuildNumber,
        nt_product_type = NtProductType, product_type_is_valid = ProductTypeIsValid,
        nt_major_version = NtMajorVersion, nt_minor_version = NtMinorVersion,
        tick_count = Anonymous4, active_processor_count = ActiveProcessorCount,
        active_group_count = ActiveGroupCount,
    }
    fast_mutex_matches_wdk: FastMutex = wdk::FAST_MUTEX [size_of::<wdk::FAST_MUTEX>()] {
        owner = Owner, contention = Contention, event = Event, old_irql = OldIrql,
    }
    owner_entry_matches_wdk: OwnerEntry = wdk::OWNER_ENTRY [size_of::<wdk::OWNER_ENTRY>()] {
        owner_count = Anonymous,
    }
    // wdm.h has `Reserved2` before `Address` on x64, which the metadata does not have.
    resource_matches_wdk: Eresource = wdk::ERESOURCE [0x68] {
        owner_table = OwnerTable, active_count = ActiveCount, flag = Anonymous1,
        shared_waiters = SharedWaiters, exclusive_waiters = ExclusiveWaiters,
        owner_entry = OwnerEntry, active_entries = ActiveEntries,
        contention_count = ContentionCount, number_of_shared_waiters = NumberOfSharedWaiters,
        number_of_exclusive_waiters = NumberOfExclusiveWaiters,
    }
    work_queue_item_matches_wdk: WorkQueueItem = wdk::WORK_QUEUE_ITEM [size_of::<wdk::WORK_QUEUE_ITEM>()] {
        worker_routine = WorkerRoutine, parameter = Parameter,
    }
    delete_parameters_match_wdk: ExtDeleteParameters = services::EXT_DELETE_PARAMETERS [size_of::<services::EXT_DELETE_PARAMETERS>()] {
        delete_callback = DeleteCallback, delete_context = DeleteContext,
    }
    object_attributes_match_wdk: ObjectAttributes = wdk::OBJECT_ATTRIBUTES [size_of::<wdk::OBJECT_ATTRIBUTES>()] {
        length = Length, root_directory = RootDirectory, object_name = ObjectName,
        attributes = Attributes, security_descriptor = SecurityDescriptor,
        security_quality_of_service = SecurityQualityOfService,
    }
    callback_registration_matches_wdk: ObCallbackRegistration = services::OB_CALLBACK_REGISTRATION [size_of::<services::OB_CALLBACK_REGISTRATION>()] {
        operation_registration_count = OperationRegistrationCount, altitude = Altitude,
        registration_context = RegistrationContext, operation_registration = OperationRegistration,
    }
    operation_registration_matches_wdk: ObOperationRegistration = services::OB_OPERATION_REGISTRATION [size_of::<services::OB_OPERATION_REGISTRATION>()] {
        object_type = ObjectType, operations = Operations, pre_operation = PreOperation,
        post_operation = PostOperation,
    }
    operation_information_matches_wdk: ObOperationInformation = services::OB_PRE_OPERATION_INFORMATION [offset_of!(services::OB_PRE_OPERATION_INFORMATION, Parameters)] {
        operation = Operation, flags = Anonymous, object = Object, object_type = ObjectType,
        call_context = CallContext,
    }
    pre_operation_matches_wdk: ObPreOperationInformation = services::OB_PRE_OPERATION_INFORMATION [size_of::<services::OB_PRE_OPERATION_INFORMATION>()] {
        parameters = Parameters,
    }
    post_operation_matches_wdk: ObPostOperationInformation = services::OB_POST_OPERATION_INFORMATION [size_of::<services::OB_POST_OPERATION_INFORMATION>()] {
        return_status = ReturnStatus, parameters = Parameters,
    }
    duplicate_information_matches_wdk: ObPreDuplicateHandleInformation = services::OB_PRE_DUPLICATE_HANDLE_INFORMATION [size_of::<services::OB_PRE_DUPLICATE_HANDLE_INFORMATION>()] {
        desired_access = DesiredAccess, original_desired_access = OriginalDesiredAccess,
        source_process = SourceProcess, target_process = TargetProcess,
    }
    client_id_matches_wdk: ClientId = CLIENT_ID [size_of::<CLIENT_ID>()] {
        unique_process = UniqueProcess, unique_thread = UniqueThread,
    }
    create_notify_info_matches_wdk: PsCreateNotifyInfo = services::PS_CREATE_NOTIFY_INFO [size_of::<services::PS_CREATE_NOTIFY_INFO>()] {
        flags = Anonymous, parent_process_id = ParentProcessId,
        creating_thread_id = CreatingThreadId, file_object = FileObject,
        image_file_name = ImageFileName, command_line = CommandLine,
        creation_status = CreationStatus,
    }
    subject_context_matches_wdk: SecuritySubjectContext = wdk::SECURITY_SUBJECT_CONTEXT [size_of::<wdk::SECURITY_SUBJECT_CONTEXT>()] {
        client_token = ClientToken, impersonation_level = ImpersonationLevel,
        primary_token = PrimaryToken, process_audit_id = ProcessAuditId,
    }
    access_state_matches_wdk: AccessState = wdk::ACCESS_STATE [size_of::<wdk::ACCESS_STATE>()] {
        privileges_allocated = PrivilegesAllocated, flags = Flags,
        remaining_desired_access = RemainingDesiredAccess,
        previously_granted_access = PreviouslyGrantedAccess,
        original_desired_access = OriginalDesiredAccess,
        subject_security_context = SubjectSecurityContext,
        security_descriptor = SecurityDescriptor, aux_data = AuxData, privileges = Privileges,
        audit_privileges = AuditPrivileges, object_name = ObjectName,
        object_type_name = ObjectTypeName,
    }
    generic_mapping_matches_wdk: GenericMapping = security::GENERIC_MAPPING [size_of::<security::GENERIC_MAPPING>()] {
        generic_write = GenericWrite, generic_execute = GenericExecute, generic_all = GenericAll,
    }
    luid_and_attributes_match_wdk: LuidAndAttributes = security::LUID_AND_ATTRIBUTES [size_of::<security::LUID_AND_ATTRIBUTES>()] {
        low_part = Luid, attributes = Attributes,
    }
    privilege_set_matches_wdk: PrivilegeSet = security::PRIVILEGE_SET [offset_of!(security::PRIVILEGE_SET, Privilege)] {
        privilege_count = PrivilegeCount, control = Control,
    }
    acl_matches_wdk: Acl = security::ACL [size_of::<security::ACL>()] {
        acl_revision = AclRevision, acl_size = AclSize, ace_count = AceCount,
    }
    ace_header_matches_wdk: AceHeader = security::ACE_HEADER [size_of::<security::ACE_HEADER>()] {
        ace_type = AceType, ace_flags = AceFlags, ace_size = AceSize,
    }
    access_ace_matches_wdk: AccessAce = security::ACCESS_ALLOWED_ACE [offset_of!(security::ACCESS_ALLOWED_ACE, SidStart)] {
        header = Header, mask = Mask,
    }
    sid_matches_wdk: Sid = security::SID [offset_of!(security::SID, SubAuthority)] {
        sub_authority_count = SubAuthorityCount, identifier_authority = IdentifierAuthority,
    }
    security_descriptor_matches_wdk: SecurityDescriptor = security::SECURITY_DESCRIPTOR [size_of::<security::SECURITY_DESCRIPTOR>()] {
        control = Control, owner = Owner, group = Group, sacl = Sacl, dacl = Dacl,
    }
    relative_descriptor_matches_wdk: SecurityDescriptorRelative = security::SECURITY_DESCRIPTOR_RELATIVE [size_of::<security::SECURITY_DESCRIPTOR_RELATIVE>()] {
        control = Control, owner = Owner, group = Group, sacl = Sacl, dacl = Dacl,
    }
}

/// wdm.h has `Processor` and `TimerType` before `Period`; the metadata does not.
#[test]
fn timer_matches_wdm_h() {
    assert_eq!(offset_of!(crate::Ktimer, due_time), 0x18);
    assert_eq!(offset_of!(crate::Ktimer, timer_list_entry), 0x20);
    assert_eq!(offset_of!(crate::Ktimer, dpc), 0x30);
    assert_eq!(offset_of!(crate::Ktimer, period), 0x3c);
    assert_eq!(size_of::<crate::Ktimer>(), 0x40);
}

/// wdm.h's `GENERAL_LOOKASIDE_LAYOUT`, which the metadata does not have.
#[test]
fn general_lookaside_matches_wdm_h() {
    assert_eq!(offset_of!(crate::GeneralLookaside, depth), 0x10);
    assert_eq!(offset_of!(crate::GeneralLookaside, kind), 0x24);
    assert_eq!(offset_of!(crate::GeneralLookaside, allocate), 0x30);
    assert_eq!(offset_of!(crate::GeneralLookaside, list_entry), 0x40);
    assert_eq!(size_of::<crate::GeneralLookaside>(), 0x60);
}

/// As the kernel's public symbols have it on every x64 version.
#[test]
fn module_entry_matches_public_symbols() {
    assert_eq!(offset_of!(crate::KldrDataTableEntry, dll_base), 0x30);
    assert_eq!(offset_of!(crate::KldrDataTableEntry, size_of_image), 0x40);
    assert_eq!(offset_of!(crate::KldrDataTableEntry, full_dll_name), 0x48);
    assert_eq!(offset_of!(crate::KldrDataTableEntry, base_dll_name), 0x58);
    assert_eq!(offset_of!(crate::KldrDataTableEntry, flags), 0x68);
    assert_eq!(offset_of!(crate::KldrDataTableEntry, load_count), 0x6c);
    assert_eq!(size_of::<crate::KldrDataTableEntry>(), 0xa0);
}
