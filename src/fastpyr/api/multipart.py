"""Files that arrive as multipart/form-data, written while they arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import BinaryIO

from ..errors import RequestError
from ..platform.files import write_all

__all__ = ["FilePart", "receive_file"]

_WRITE = 1 << 20
_MAX_HEADERS = 16 << 10
_MAX_PARTS = 100


class FilePart:
    """Callbacks of the parser: keeps the bytes of the part ``file`` until they are taken."""

    def __init__(self) -> None:
        self.filename: str | None = None
        self.found = False
        self.ended = False
        self.pieces: list[bytes] = []
        self.waiting = 0
        self._wanted = False
        self._parts = 0
        self._header = 0
        self._name = b""
        self._value = b""
        self._disposition = b""

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_header_field": self._field,
            "on_header_value": self._text,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise RequestError(f"multipart: more than {_MAX_PARTS} parts")
        self._disposition, self._header, self._wanted = b"", 0, False

    def _grow(self, count: int) -> None:
        self._header += count
        if self._header > _MAX_HEADERS:
            raise RequestError("multipart: the headers of a part are too long")

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._grow(end - start)
        self._name += data[start:end]

    def _text(self, data: bytes, start: int, end: int) -> None:
        self._grow(end - start)
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        kind, options = parse_options_header(self._disposition)
        self._wanted = kind == b"form-data" and options.get(b"name") == b"file"
        if not self._wanted:
            return
        if self.found:
            raise RequestError("multipart: several parts are named file")
        self.found = True
        name = options.get(b"filename")
        self.filename = None if name is None else name.decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self.pieces.append(data[start:end])
            self.waiting += end - start

    def _end(self) -> None:
        self.ended = True


async def receive_file(content_type: str, stream: AsyncIterator[bytes], file: BinaryIO, most: int) -> FilePart:
    """Write the part ``file`` of a body to ``file`` and return what is known of it.

    Raises RequestError for another kind of body, one that ends early, one without that part, and a file of more than
    ``most`` bytes.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect

    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
        raise RequestError("expected a body of type multipart/form-data with a boundary, and in it a part named file")
    part = FilePart()
    size = 0
    try:
        parser = MultipartParser(boundary, part.callbacks())  # type: ignore[arg-type]
        async for chunk in stream:
            parser.write(chunk)
            if part.waiting >= _WRITE:
                size += await run_in_threadpool(_write, file, part)
            if size + part.waiting > most:
                raise RequestError(f"the file is larger than the {most} bytes that are taken")
        parser.finalize()
    except (FormParserError, ClientDisconnect, ValueError) as error:
        raise RequestError(f"multipart: {' '.join(str(error).split()) or 'the body ended early'}") from error
    if not part.found:
        raise RequestError("multipart: no part is named file")
    if not part.ended:
        raise RequestError("multipart: the body ended early")
    await run_in_threadpool(_write, file, part)
    return part


def _write(file: BinaryIO, part: FilePart) -> int:
    """Write what is waiting, and say how much it was."""
    count, data = part.waiting, b"".join(part.pieces)
    part.pieces.clear()
    part.waiting = 0
    write_all(file, data)
    return count
