<#
.SYNOPSIS
From the host: gives a Hyper-V guest a serial port, and starts WinDbg on it.

.DESCRIPTION
Run it as administrator on the Hyper-V host. The first time, the guest has to be
shut down: a serial port is there from a cold start on. The guest's COM1 becomes
a named pipe. In the guest, "Enable-TestMode.ps1 -SerialPort 1" and a restart make
Windows use it.

.PARAMETER VMName
The guest's name in Hyper-V.

.PARAMETER Debugger
windbg.exe or kd.exe of the Debugging Tools for Windows.

.PARAMETER Symbols
The folder with ntmem.pdb: target\package.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $VMName,
    [string] $Debugger = 'C:\Program Files (x86)\Windows Kits\10\Debuggers\x64\windbg.exe',
    [string] $Symbols = (Join-Path $PSScriptRoot '..\..\target\package'),
    [string] $PipeName = 'ntmem-kd'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'Common.ps1')
Assert-Administrator

if (-not (Test-Path $Debugger -PathType Leaf)) {
    throw "$Debugger is missing; install the Debugging Tools for Windows, or name another with -Debugger."
}
$pdb = Get-PackageFile $Symbols 'ntmem.pdb'
$pipe = "\\.\pipe\$PipeName"

if ((Get-VMComPort -VMName $VMName -Number 1).Path -ne $pipe) {
    if ((Get-VM -Name $VMName).State -ne 'Off') {
        throw "$VMName has no serial port on $pipe yet, and gets one only while it is off: shut it down, and run this again."
    }
    Set-VMComPort -VMName $VMName -Number 1 -Path $pipe
}
Write-Step "COM1 of $VMName is $pipe"

$path = "srv*;$(Split-Path $pdb)"
$script = (Resolve-Path (Join-Path $PSScriptRoot '..\windbg\ntmem.dbg')).Path
$arguments = @(
    '-k', "com:pipe,port=$pipe,resets=0,reconnect",
    '-y', "`"$path`"",
    '-c', "`"`$`$<$script`""
)
Write-Step "$Debugger $($arguments -join ' ')"
Start-Process -FilePath $Debugger -ArgumentList $arguments
