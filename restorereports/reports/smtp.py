"""SMTP that remembers which recipients the server refused while it took the message for the others."""

from __future__ import annotations

from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends import smtp
from django.core.mail.message import sanitize_address


class SmtpBackend(smtp.EmailBackend):
    """Django's backend throws that answer of the server away; `refused` keeps it, address by address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.refused: dict[str, tuple[int, bytes]] = {}

    def _send(self, email_message: EmailMessage) -> bool:
        encoding = email_message.encoding or "utf-8"
        sender = sanitize_address(email_message.from_email, encoding)
        recipients = [sanitize_address(address, encoding) for address in email_message.recipients()]
        message: Any = email_message.message()
        if self.connection is None:
            raise RuntimeError("Django opens the connection before it sends")
        self.refused = self.connection.sendmail(sender, recipients, message.as_bytes(linesep="\r\n"))
        return True
