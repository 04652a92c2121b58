/*
 * Stands in for MinGW's header of processor intrinsics while bindgen reads the
 * others: bindings need none of it, and bindgen cannot lay out all its types.
 */
#pragma once
