# Vector paths: names, and the switch that tests use.

import os
import warnings

_CPU_PATHS = (("avx2", FP_CPU_AVX2), ("avx512", FP_CPU_AVX512), ("avx512icl", FP_CPU_AVX512ICL), ("neon", FP_CPU_NEON))


def cpu_paths(*, bint available=False):
    flags = fp_cpu_available() if available else fp_cpu_live()
    return ("generic", *(name for name, flag in _CPU_PATHS if flags & flag))


def set_cpu_paths(names):
    cdef uint32_t flags = 0
    known = dict(_CPU_PATHS, generic=0)
    for name in names:
        if name not in known:
            raise ValueError(f"unknown CPU path {name!r}: expected some of {', '.join(known)}")
        flags |= known[name]
    # AVX paths build on one another, so the highest one named brings those below it.
    if flags & FP_CPU_AVX512ICL:
        flags |= FP_CPU_AVX512
    if flags & FP_CPU_AVX512:
        flags |= FP_CPU_AVX2
    fp_cpu_set_live(flags)


def _disable_cpu_paths(text):
    """Applies a FASTPYR_DISABLE_CPU value: comma-separated names, or ``all``. A path takes those above it along."""
    disabled = {word.strip().lower() for word in text.split(",") if word.strip()}
    unknown = disabled - {name for name, _ in _CPU_PATHS} - {"all"}
    if unknown:
        warnings.warn(f"FASTPYR_DISABLE_CPU: unknown CPU path {', '.join(sorted(unknown))}", RuntimeWarning, stacklevel=2)
    cdef uint32_t flags = fp_cpu_available()
    if "all" in disabled:
        flags = 0
    if "neon" in disabled:
        flags &= ~FP_CPU_NEON
    if "avx2" in disabled:
        flags &= ~(FP_CPU_AVX2 | FP_CPU_AVX512 | FP_CPU_AVX512ICL)
    if "avx512" in disabled:
        flags &= ~(FP_CPU_AVX512 | FP_CPU_AVX512ICL)
    if "avx512icl" in disabled:
        flags &= ~FP_CPU_AVX512ICL
    fp_cpu_set_live(flags)


_disable_cpu_paths(os.environ.get("FASTPYR_DISABLE_CPU", ""))
