#!/bin/bash
# From a Linux host: starts a Windows guest in QEMU with its COM1 on a TCP port,
# to which a debugger connects from another Windows machine or guest.
#
#   scripts/vm/debug-guest.sh DISK.qcow2 [PORT]
#
# In the guest: Enable-TestMode.ps1 -SerialPort 1. WinDbg speaks serial ports and
# named pipes, not TCP: the debugging guest gets the other end as its own COM1,
# with -serial tcp:HOST:PORT, and runs "windbg -k com:port=COM1,baud=115200".
# Firmware is QEMU's BIOS, which has no Secure Boot to turn off; Windows 11, which
# wants UEFI, is installed with OVMF and NTMEM_FIRMWARE=/path/to/OVMF_CODE.fd.
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: $0 DISK.qcow2 [PORT]" >&2
    exit 2
fi
disk=$1
port=${2:-4555}
if [ ! -f "$disk" ]; then
    echo "$0: $disk is missing" >&2
    exit 1
fi

firmware=()
if [ -n "${NTMEM_FIRMWARE:-}" ]; then
    firmware=(-drive "if=pflash,format=raw,readonly=on,file=$NTMEM_FIRMWARE")
fi

echo "ntmem: COM1 of the guest is port $port of this machine"
exec qemu-system-x86_64 \
    -machine q35,accel=kvm \
    -cpu host \
    -smp 2 \
    -m 4096 \
    "${firmware[@]}" \
    -drive "file=$disk,format=qcow2,if=ide" \
    -netdev user,id=net0 -device e1000e,netdev=net0 \
    -serial "tcp:127.0.0.1:$port,server=on,wait=off"
