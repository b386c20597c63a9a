"""Build of the native core: one extension, flags chosen by the compiler's kind.

Switches (environment): ``FASTPYR_DEBUG=1`` builds without optimisation and with debug information,
``FASTPYR_SANITIZE=1`` adds AddressSanitizer and UndefinedBehaviorSanitizer (gcc or clang; run Python with
the sanitizer's library preloaded).
"""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("FASTPYR_DEBUG") == "1"
SANITIZE = os.environ.get("FASTPYR_SANITIZE") == "1"


class BuildExt(build_ext):
    """Adds the flags of the compiler that was found; no flag names an instruction set: dispatch is at run time."""

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            compile_args = ["/Od", "/Zi", "/std:c11"] if DEBUG else ["/O2", "/std:c11"]
            link_args = []
        else:
            compile_args = ["-O0", "-g"] if DEBUG else ["-O3", "-g0"]
            # Products and sums are rounded one by one, as the reference does: no fused contraction behind our back.
            compile_args += ["-std=c11", "-fvisibility=hidden", "-ffp-contract=off"]
            link_args = []
            if SANITIZE:
                sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
                compile_args += [*sanitize, "-g", "-fno-omit-frame-pointer"]
                link_args += sanitize
        for extension in self.extensions:
            extension.extra_compile_args = compile_args
            extension.extra_link_args = link_args
        super().build_extensions()


native = Extension(
    "fastpyr._native",
    sources=["ext/_native.pyx", *sorted(glob("ext/fp_*.c"))],
    depends=sorted([*glob("ext/*.h"), *glob("ext/*.pxi"), *glob("ext/*.pxd")]),
    include_dirs=["ext"],
)

setup(
    ext_modules=cythonize(
        [native],
        build_dir="build/cython",
        include_path=["ext"],
        language_level=3,
        compiler_directives={
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "embedsignature": True,
            "freethreading_compatible": True,
        },
    ),
    cmdclass={"build_ext": BuildExt},
)
