"""Running a native call on every vector path of the machine."""

from fastpyr import _native

PATHS = [
    path for path in ("generic", "avx2", "avx512", "avx512icl", "neon") if path in _native.cpu_paths(available=True)
]


def on_every_path(call):
    """Results of call() on each path; uint8 results must be the same bytes."""
    live, results = _native.cpu_paths(), []
    try:
        for path in PATHS:
            _native.set_cpu_paths([path])
            results.append(call())
    finally:
        _native.set_cpu_paths(live)
    return results
