<#
.SYNOPSIS
Turns Driver Verifier on for ntmem.sys, or off for every driver.

.DESCRIPTION
Run it as administrator inside the guest; it takes effect when the guest is
restarted. -On replaces whatever Driver Verifier was set to verify. The scenario
"double-map" stops a system whose verifier is on: that is what it is for.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory, ParameterSetName = 'On')] [switch] $On,
    [Parameter(Mandatory, ParameterSetName = 'Off')] [switch] $Off,
    [Parameter(Mandatory, ParameterSetName = 'Show')] [switch] $Show
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'Common.ps1')
Assert-Administrator

# 2 is what verifier.exe ends with when what it set waits for a restart.
if ($On) {
    Invoke-Program 'verifier.exe' @('/standard', '/driver', 'ntmem.sys') -Success @(0, 2)
    Write-Step 'restart the guest'
}
elseif ($Off) {
    Invoke-Program 'verifier.exe' @('/reset') -Success @(0, 2)
    Write-Step 'restart the guest'
}
else {
    Invoke-Program 'verifier.exe' @('/querysettings')
    Invoke-Program 'verifier.exe' @('/query')
}
