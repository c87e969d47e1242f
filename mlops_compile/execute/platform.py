"""The platform: what of this machine the bits of a trained model can depend on."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from mlops_compile.ir.value import Map

# Instruction sets by which OpenBLAS, numpy and the C library choose their kernels.
_FEATURES = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_bf16",
    "asimd",
    "sve",
)


def this_platform() -> Map:
    """OS, architecture, CPU features, C library, and OpenBLAS's choice if it is forced."""
    libc, version = platform.libc_ver()
    return Map(
        {
            "os": sys.platform,
            "architecture": platform.machine(),
            "cpu": _cpu_features(),
            "libc": f"{libc} {version}".strip(),
            "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE", ""),
        }
    )


def machine() -> Map:
    """Where a run took place: for the record, never for a key."""
    return Map(
        {
            **this_platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count() or 1,
        }
    )


def _cpu_features() -> tuple[str, ...]:
    try:
        text = Path("/proc/cpuinfo").read_text("ascii", errors="replace")
    except OSError:
        return (platform.processor(),)
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            have = set(value.split())
            return tuple(feature for feature in _FEATURES if feature in have)
    return ()
