<#
.SYNOPSIS
Installs the package of ntmem.sys in a guest, or removes it.

.DESCRIPTION
Run it as administrator inside a guest on which test signing is on. It trusts the
package's certificate, checks the signatures, and hands the INF to Windows with
DiInstallDriver; -Remove does the opposite with DiUninstallDriver. Needs Windows
10 version 1903 or later, the first to know drivers without a device. Removing
leaves the certificate trusted unless -Distrust is given too.

.PARAMETER Package
The folder with ntmem.inf, ntmem.sys, ntmem.cat and ntmem.cer.

.PARAMETER TrustOnly
Trust the certificate and check the signature, and install nothing.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Package,
    [switch] $TrustOnly,
    [switch] $Remove,
    [switch] $Distrust
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'Common.ps1')
Assert-Administrator
if (-not [Environment]::Is64BitProcess) {
    throw 'This is a 32-bit PowerShell, which may not install drivers: start the other one.'
}

$inf = Get-PackageFile $Package 'ntmem.inf'
$sys = Get-PackageFile $Package 'ntmem.sys'
$cat = Get-PackageFile $Package 'ntmem.cat'
$cer = Get-PackageFile $Package 'ntmem.cer'
$stores = @('Root', 'TrustedPublisher')

Add-Type -Namespace Ntmem -Name NewDev -MemberDefinition @'
[DllImport("newdev.dll", CharSet = CharSet.Unicode, SetLastError = true)]
[return: MarshalAs(UnmanagedType.Bool)]
static extern bool DiInstallDriverW(
    IntPtr parent, string inf, uint flags, [MarshalAs(UnmanagedType.Bool)] out bool needsRestart);

[DllImport("newdev.dll", CharSet = CharSet.Unicode, SetLastError = true)]
[return: MarshalAs(UnmanagedType.Bool)]
static extern bool DiUninstallDriverW(
    IntPtr parent, string inf, uint flags, [MarshalAs(UnmanagedType.Bool)] out bool needsRestart);

// The error is asked for here: between two lines of a script PowerShell itself
// calls Windows, and its error would be the one that is found. 0 is success.
public static int Install(string inf, out bool needsRestart) {
    return DiInstallDriverW(IntPtr.Zero, inf, 0, out needsRestart) ? 0 : Marshal.GetLastWin32Error();
}

public static int Uninstall(string inf, out bool needsRestart) {
    return DiUninstallDriverW(IntPtr.Zero, inf, 0, out needsRestart) ? 0 : Marshal.GetLastWin32Error();
}
'@

# Says how a call ended, and fails with it.
function Complete-Call {
    param([string] $Name, [int] $ErrorCode, [bool] $NeedsRestart)
    if ($ErrorCode -ne 0) {
        $reason = (New-Object ComponentModel.Win32Exception $ErrorCode).Message
        throw ('{0} failed: 0x{1:X8} {2}; %windir%\INF\setupapi.dev.log says more.' -f $Name, $ErrorCode, $reason)
    }
    Write-Step "$Name succeeded"
    if ($NeedsRestart) {
        Write-Step 'Windows wants a restart'
    }
}

$needsRestart = $false
if ($Remove) {
    Write-Step "removing $inf"
    $code = [Ntmem.NewDev]::Uninstall($inf, [ref] $needsRestart)
    Complete-Call 'DiUninstallDriver' $code $needsRestart
    if ($Distrust) {
        $certificate = New-Object Security.Cryptography.X509Certificates.X509Certificate2 $cer
        foreach ($store in $stores) {
            $path = "Cert:\LocalMachine\$store\$($certificate.Thumbprint)"
            if (Test-Path $path) {
                Remove-Item $path
            }
        }
        Write-Step 'the certificate is no longer trusted'
    }
    exit 0
}

foreach ($store in $stores) {
    Write-Step "trusting ntmem.cer in LocalMachine\$store"
    Import-Certificate -FilePath $cer -CertStoreLocation "Cert:\LocalMachine\$store" | Out-Null
}

foreach ($file in @($sys, $cat)) {
    $signature = Get-AuthenticodeSignature -FilePath $file
    Write-Step "$file is signed: $($signature.Status)"
    if ($signature.Status -ne 'Valid') {
        throw "${file}: $($signature.StatusMessage)"
    }
}
if ($TrustOnly) {
    exit 0
}

Write-Step "installing $inf"
$code = [Ntmem.NewDev]::Install($inf, [ref] $needsRestart)
Complete-Call 'DiInstallDriver' $code $needsRestart
Invoke-Program 'sc.exe' @('qc', 'ntmem')
