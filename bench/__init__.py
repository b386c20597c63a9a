"""The benchmark: whole jobs against rivals and against the floor, in one run. ``python -m bench --help``."""
