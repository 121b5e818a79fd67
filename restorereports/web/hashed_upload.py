"""An uploaded file is hashed while it comes in and kept nowhere: neither in memory nor on disk."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

MOST_BYTES: Final = 100_000_000  # a report of 1,000,000 rows has half of it; beyond it nothing is read


class HashedFile(UploadedFile):
    """What is known of an upload afterwards: how long it was and its SHA-256."""

    def __init__(self, name: str, size: int, sha256: str) -> None:
        super().__init__(None, name, size=size)
        self.sha256 = sha256


class HashingHandler(FileUploadHandler):
    """Takes the first file of a form; too much of it ends the reading, `too_big` says so."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.too_big = False
        self._files = 0
        self._size = 0
        self._sha256 = hashlib.sha256()

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._files += 1
        if self._files > 1:
            raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._size += len(raw_data)
        if self._size > MOST_BYTES:
            self.too_big = True
            raise StopUpload(connection_reset=True)
        self._sha256.update(raw_data)

    def file_complete(self, file_size: int) -> HashedFile:
        return HashedFile(self.file_name or "", self._size, self._sha256.hexdigest())
