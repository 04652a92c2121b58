<#
.SYNOPSIS
Runs ntmem.sys in a guest through every scenario that is legal, and keeps the logs.

.DESCRIPTION
Run it as administrator inside the guest. Each run is one life of a service of
its own, made by "driverctl run --host scm": created, started, checked against what
the driver promises, stopped, deleted. Ends with status 0 if all runs did.

.PARAMETER Package
The folder with ntmem.sys.

.PARAMETER Driverctl
The program driverctl.exe, built for Windows.

.PARAMETER DebugView
The program dbgviewcli64.exe (or dbgviewcli.exe, or Dbgview.exe) of Sysinternals,
which reads what drivers log; without it there is no log to check.

.PARAMETER Logs
The folder for what was printed, one file a run, and for facts about the guest.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Package,
    [Parameter(Mandatory)] [string] $Driverctl,
    [Parameter(Mandatory)] [string] $DebugView,
    [string] $Logs = (Join-Path $PWD 'ntmem-logs')
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'Common.ps1')
Assert-Administrator

$sys = Get-PackageFile $Package 'ntmem.sys'
$program = (Resolve-Path $Driverctl).Path
$reader = (Resolve-Path $DebugView).Path
New-Item -ItemType Directory -Path $Logs -Force | Out-Null

# A name of its own: the package's service, if it is installed, is left alone.
$always = @('run', $sys, '--host', 'scm', '--service', 'ntmem-suite', '--debugview', $reader)
$runs = [ordered] @{
    'default'       = @()
    'lock'          = @('--param', 'Scenario=sz:lock')
    'nonpaged'      = @('--param', 'Scenario=sz:nonpaged')
    'none'          = @('--param', 'Scenario=sz:none')
    'one-byte'      = @('--param', 'Size=dword:1')
    'sixteen-mib'   = @('--param', 'Size=dword:16777216')
    'noncached'     = @('--param', 'CacheType=sz:noncached')
    'writecombined' = @('--param', 'CacheType=sz:writecombined')
    'trace-level'   = @('--param', 'LogLevel=dword:2')
}

# What the guest is, for whoever reads the logs.
function Get-Fact {
    Get-CimInstance Win32_OperatingSystem | Select-Object -Property @('Caption', 'Version', 'BuildNumber') | Format-List
    Get-AuthenticodeSignature -FilePath $sys | Select-Object -Property @('Status', 'StatusMessage') | Format-List
    bcdedit.exe /enum '{current}'
    verifier.exe /querysettings
}

Write-Step 'facts about the guest'
Get-Fact | Out-File -FilePath (Join-Path $Logs 'guest.txt') -Encoding utf8

$failed = @()
foreach ($name in $runs.Keys) {
    $arguments = $always + $runs[$name]
    $log = Join-Path $Logs "$name.txt"
    # What a program writes to its standard error is no failure by itself.
    $ErrorActionPreference = 'Continue'
    & $program @arguments *>&1 | ForEach-Object { "$_" } | Out-File -FilePath $log -Encoding utf8
    $status = $LASTEXITCODE
    $ErrorActionPreference = 'Stop'
    Write-Step ('{0,-14} status {1}  {2}' -f $name, $status, $log)
    if ($status -ne 0) {
        $failed += $name
    }
}

Copy-Item -Path (Join-Path $env:windir 'INF\setupapi.dev.log') -Destination $Logs -ErrorAction SilentlyContinue
if (Test-Path (Join-Path $env:windir 'MEMORY.DMP')) {
    Write-Step "a bug check left $env:windir\MEMORY.DMP; docs/guides/windbg.md says how to read it"
}
if ($failed.Count -ne 0) {
    Write-Step "failed: $($failed -join ', ')"
    exit 1
}
Write-Step "all $($runs.Count) runs did what the driver promises"
exit 0
