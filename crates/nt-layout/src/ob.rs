//! Structures of the object manager and of process notifications.

use super::common::UnicodeString;
use super::structures;

structures! {
    /// `OBJECT_ATTRIBUTES`.
    ObjectAttributes {
        length: u32,
        reserved1: u32,
        root_directory: u64,
        object_name: u64,
        attributes: u32,
        reserved2: u32,
        security_descriptor: u64,
        security_quality_of_service: u64,
    }
    /// `OB_CALLBACK_REGISTRATION`.
    ObCallbackRegistration {
        version: u16,
        operation_registration_count: u16,
        reserved: u32,
        altitude: UnicodeString,
        registration_context: u64,
        operation_registration: u64,
    }
    /// `OB_OPERATION_REGISTRATION`.
    ObOperationRegistration {
        object_type: u64,
        operations: u32,
        reserved: u32,
        pre_operation: u64,
        post_operation: u64,
    }
    /// What `OB_PRE_OPERATION_INFORMATION` and `OB_POST_OPERATION_INFORMATION` begin with.
    ObOperationInformation {
        operation: u32,
        flags: u32,
        object: u64,
        object_type: u64,
        call_context: u64,
    }
    /// `OB_PRE_OPERATION_INFORMATION`.
    ObPreOperationInformation {
        common: ObOperationInformation,
        parameters: u64,
    }
    /// `OB_POST_OPERATION_INFORMATION`.
    ObPostOperationInformation {
        common: ObOperationInformation,
        return_status: u32,
        reserved: u32,
        parameters: u64,
    }
    /// `OB_PRE_DUPLICATE_HANDLE_INFORMATION`; `OB_PRE_CREATE_HANDLE_INFORMATION` is its
    /// first two fields.
    ObPreDuplicateHandleInformation {
        desired_access: u32,
        original_desired_access: u32,
        source_process: u64,
        target_process: u64,
    }
    /// `CLIENT_ID`.
    ClientId {
        unique_process: u64,
        unique_thread: u64,
    }
    /// `PS_CREATE_NOTIFY_INFO`.
    PsCreateNotifyInfo {
        size: u64,
        flags: u32,
        reserved1: u32,
        parent_process_id: u64,
        creating_thread_id: ClientId,
        file_object: u64,
        image_file_name: u64,
        command_line: u64,
        creation_status: u32,
        reserved2: u32,
    }
}
