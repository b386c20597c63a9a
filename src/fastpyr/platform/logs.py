"""Logs of checks and executions: one file each, one line per message, read by pages."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

__all__ = ["Log"]


class Log:
    """Lines as the platform writes them: ``2026-07-02 06:05:20,353INFO||<module>||<line>||<message>``.

    Several processes may append to one: a line is one write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def say(self, message: str, level: str = "INFO", module: str = "fastpyr", line: int = 0) -> None:
        """Append a message; line breaks in it become blanks."""
        text = f"{_stamp()}{level}||{module}||{line}||{' '.join(message.split())}\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            os.write(file, text.encode("utf-8", "replace"))
        finally:
            os.close(file)

    def lines(self) -> list[str]:
        """All whole lines; none when there is no log."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        whole, _, _ = data.rpartition(b"\n")
        return whole.decode("utf-8", "replace").split("\n") if whole else []

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def _stamp() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
