"""Mail without a mail server: each message becomes one `.eml` file, as RFC 5322 has it on the wire."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends import filebased


class EmlBackend(filebased.EmailBackend):
    """Writes into EMAIL_FILE_PATH; a file is there whole or not at all."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            self._write(message)
        return len(email_messages)

    def _write(self, email_message: EmailMessage) -> None:
        message: Any = email_message.message()
        sent_at = parsedate_to_datetime(message["Date"])
        path = Path(self.file_path) / f"{sent_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.eml"
        draft = path.with_suffix(".part")
        draft.write_bytes(message.as_bytes(linesep="\r\n"))
        draft.replace(path)
