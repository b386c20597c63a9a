"""Runs a command and says what it took: wall, CPU of it and its children, peak memory.

Also a program of its own: ``python -S -E measure.py REPORT SECONDS -- COMMAND...``. A small process starts the command,
because the peak that the kernel reports for a process begins with that of the one that started it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "measure", "measure_together"]

_TIMEOUT = 3600


@dataclass(frozen=True)
class Usage:
    """What a process took. ``cpu`` is user + system seconds with children; ``rss`` the peak of its largest process.

    ``code`` is the exit status, negative for a signal; ``text`` the end of what it wrote when that is not 0.
    """

    wall: float
    cpu: float
    rss: int
    code: int
    text: str = ""


def measure(command: Sequence[str], env: Mapping[str, str] | None = None, timeout: int = _TIMEOUT) -> Usage:
    """Run one command to its end, killed after ``timeout`` seconds."""
    return measure_together([command], env, timeout)[0]


def measure_together(
    commands: Sequence[Sequence[str]], env: Mapping[str, str] | None = None, timeout: int = _TIMEOUT
) -> list[Usage]:
    """Run commands at the same time, each measured on its own."""
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for number, command in enumerate(commands):
            report, log = Path(folder) / f"{number}.json", Path(folder) / f"{number}.log"
            launch = [sys.executable, "-S", "-E", __file__, str(report), str(timeout), "--", *command]
            with log.open("wb") as out:
                process = subprocess.Popen(launch, stdout=out, stderr=out, env={**os.environ, **(env or {})})
            runs.append((process, report, log))
        return [_collect(*run) for run in runs]


def _collect(process: subprocess.Popen[bytes], report: Path, log: Path) -> Usage:
    process.wait()
    text = log.read_text(errors="replace")[-2000:]
    if not report.exists():
        return Usage(0.0, 0.0, 0, process.returncode or 1, text)
    facts = json.loads(report.read_text())
    return Usage(**facts, text=text if facts["code"] else "")


def _main(report: str, seconds: str, command: Sequence[str]) -> None:
    start = time.perf_counter()
    child = subprocess.Popen(command, start_new_session=True)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child.pid, signal.SIGKILL))
    signal.alarm(int(seconds))
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    signal.alarm(0)
    child.returncode = os.waitstatus_to_exitcode(status)
    facts = {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "code": child.returncode,
    }
    Path(report).write_text(json.dumps(facts))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], sys.argv[4:])
