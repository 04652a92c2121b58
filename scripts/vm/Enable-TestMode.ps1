<#
.SYNOPSIS
Makes a Windows 10 or 11 guest load test-signed drivers and show what they log.

.DESCRIPTION
Run it as administrator inside the guest, then restart the guest. It turns on
TESTSIGNING, sets the debug print filter of IHVDRIVER (the component that
ntmem.sys logs as), and, if asked to, turns on kernel debugging over a serial
port. -Undo takes all of it back.

.PARAMETER SerialPort
The number of the serial port to debug over: 1 for COM1.

.PARAMETER Undo
Take the settings back.
#>
[CmdletBinding()]
param(
    [ValidateRange(0, 4)]
    [int] $SerialPort = 0,
    [switch] $Undo
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'Common.ps1')
Assert-Administrator

$filter = 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Debug Print Filter'

if ($Undo) {
    Invoke-Program 'bcdedit.exe' @('/set', 'testsigning', 'off')
    Invoke-Program 'bcdedit.exe' @('/debug', 'off')
    if (Test-Path $filter) {
        Remove-ItemProperty -Path $filter -Name 'IHVDRIVER' -ErrorAction SilentlyContinue
    }
    Write-Step 'taken back; restart the guest'
    exit 0
}

Write-Step 'Secure Boot'
if (Test-SecureBoot) {
    throw 'Secure Boot is on and keeps test signing off: turn it off in the settings of the virtual machine.'
}

# BitLocker would ask for its recovery key at the next start.
$volume = Get-CimInstance -Namespace 'root/CIMV2/Security/MicrosoftVolumeEncryption' `
    -ClassName Win32_EncryptableVolume -Filter "DriveLetter='$env:SystemDrive'" -ErrorAction SilentlyContinue
if ($volume -and $volume.ProtectionStatus -eq 1) {
    throw "$env:SystemDrive is protected by BitLocker: note its recovery key, run 'manage-bde -protectors -disable $env:SystemDrive', then run this again."
}

Write-Step 'test signing'
Invoke-Program 'bcdedit.exe' @('/set', 'testsigning', 'on')

Write-Step 'debug print filter: IHVDRIVER = 0xF'
if (-not (Test-Path $filter)) {
    New-Item -Path $filter | Out-Null
}
New-ItemProperty -Path $filter -Name 'IHVDRIVER' -PropertyType DWord -Value 0xF -Force | Out-Null

if ($SerialPort -ne 0) {
    Write-Step "kernel debugging over COM$SerialPort"
    Invoke-Program 'bcdedit.exe' @('/dbgsettings', 'serial', "debugport:$SerialPort", 'baudrate:115200')
    Invoke-Program 'bcdedit.exe' @('/debug', 'on')
}

Write-Step 'done; restart the guest'
