# What the scripts of this folder share. They stop at the first thing that goes
# wrong, and say each thing that they do.

function Write-Step {
    param([Parameter(Mandatory)] [string] $Text)
    Write-Host "ntmem: $Text"
}

# Fails unless the shell is an administrator's.
function Assert-Administrator {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal $identity
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'This needs an elevated PowerShell: "Run as administrator".'
    }
}

# Runs a program, shows what it prints, and fails with it.
function Invoke-Program {
    param(
        [Parameter(Mandatory)] [string] $Program,
        [Parameter(Mandatory)] [string[]] $Arguments,
        [int[]] $Success = @(0)
    )
    Write-Host "> $Program $($Arguments -join ' ')"
    & $Program @Arguments | Out-Host
    if ($Success -notcontains $LASTEXITCODE) {
        throw "$Program ended with status $LASTEXITCODE."
    }
}

# Whether Secure Boot is on; a guest without UEFI has none.
function Test-SecureBoot {
    try {
        return Confirm-SecureBootUEFI
    }
    catch [System.PlatformNotSupportedException] {
        return $false
    }
}

# A file of the package, which must be there.
function Get-PackageFile {
    param(
        [Parameter(Mandatory)] [string] $Folder,
        [Parameter(Mandatory)] [string] $Name
    )
    $path = Join-Path (Resolve-Path $Folder).Path $Name
    if (-not (Test-Path $path -PathType Leaf)) {
        throw "$path is missing; make the package with 'cargo xtask package' and copy all of it."
    }
    return $path
}
