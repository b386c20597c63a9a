"""The benchmark: whole jobs against rivals and against the floor, in one run. ``python -m bench --help``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SOURCES = [str(ROOT / "src")] if any((ROOT / "src" / "fastpyr").glob("_native*.so")) else []
"""Where the fastpyr to measure is found first: the checkout's when it is built in place, else the installed one."""

sys.path[:0] = [folder for folder in SOURCES if folder not in sys.path]
