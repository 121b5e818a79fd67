"""One walk on PostgreSQL and Redis with gunicorn, two workers and beat as separate processes, and real SMTP."""

from __future__ import annotations

import email
import io
import os
import re
import signal
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
import requests
from aiosmtpd.controller import Controller
from pypdf import PdfReader

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests import servers
from tests.expected import rows_of
from tests.walk.installation import Installation, assert_equal

pytestmark = pytest.mark.processes

SET_UP = """
from restorereports.models import Grant, ReportSchedule, User
from datetime import date
auditor = User.objects.create_user("auditor", password="a long password", role="auditor")
Grant.objects.create(user=auditor)
ReportSchedule.objects.create(
    name="Monthly", recipients="auditor@example.test", organisation="Example AG", zone="Europe/Berlin", hour=0,
    first_month=(date.today().replace(day=1) - __import__("datetime").timedelta(days=1)).replace(day=1))
"""


class Mailbox:
    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


def wait_for(true, what: str, seconds: float = 240):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.25)
    return found


def log_in(address: str, username: str, password: str) -> requests.Session:
    http = requests.Session()
    page = http.get(f"{address}/login/", timeout=60).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    form = {"csrfmiddlewaretoken": token, "username": username, "password": password}
    assert (
        http.post(f"{address}/login/", data=form, headers={"Referer": address}, timeout=60).status_code == 200
    )
    return http


def test_from_em_to_page_and_mail_over_postgresql_and_redis(tmp_path: Path) -> None:
    mailbox = Mailbox()
    smtp = Controller(mailbox, hostname="127.0.0.1", port=servers.free_port())
    world = World(sessions=3000, servers=3, seed=7, now=ManualClock(datetime.now(UTC)), collect_interval=0)
    port = servers.free_port()
    smtp.start()
    try:
        with servers.postgres() as database, servers.redis() as broker, StandInServer(world) as em:
            installation = Installation(
                tmp_path,
                DATABASE_URL=database,
                CELERY_BROKER_URL=broker,
                EMAIL_URL=f"smtp://127.0.0.1:{smtp.port}",
                PORT=str(port),
                WAKE_UP_SECONDS="1",
            )
            installation.manage("migrate", "-v", "0")
            installation.manage("shell", "-c", SET_UP)
            installation.add_em(em)
            em.faults.slow(2, path="format=Entities", nth=3, count=1)
            running = installation.start(*installation.command("run"), log="run")
            try:
                walk(installation, world, em, mailbox, f"http://127.0.0.1:{port}")
            finally:
                servers.end(running, sign=signal.SIGTERM)
    finally:
        smtp.stop()

    assert running.returncode == 0, (tmp_path / "run.log").read_text()
    assert "no process is left" in (tmp_path / "run.log").read_text()
    assert not [pid for pid in family(tmp_path) if pid != os.getpid()]


def walk(installation: Installation, world: World, em: StandInServer, mailbox: Mailbox, address: str) -> None:
    """Sync, kill the worker in the middle, sync again; page, CSV and mail show the same."""
    wait_for(
        lambda: sum("format=Entities" in str(request.query) for request in list(em.requests)) >= 3,
        "the third page",
    )
    kill_sync_worker(installation.folder)
    expected = rows_of(world.visible_sessions(), "em-north")
    wait_for(lambda: len(installation.export()) == len(expected), "the sync after the kill", seconds=300)
    assert_equal(installation.export(), expected)

    http = log_in(address, "auditor", "a long password")
    page = http.get(f"{address}/?period=all", timeout=60)
    assert page.status_code == 200
    assert "em-north" in page.text
    download = http.get(f"{address}/restore-sessions.csv?period=all", timeout=60)
    assert download.text.count("urn:veeam:RestoreSession:") == len(expected)

    message = wait_for(lambda: mailbox.messages and mailbox.messages[0], "the mail")
    [pdf] = [part for part in message.iter_attachments() if part.get_content_type() == "application/pdf"]
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.get_content())).pages)
    assert "Example AG" in text
    assert len(mailbox.messages) == 1


def family(folder: Path) -> list[int]:
    """Ids of the processes that belong to the installation in this folder."""
    mark = f"VAR_DIR={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def kill_sync_worker(folder: Path) -> None:
    for pid in family(folder):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"worker" in command and b"sync@%h" in command:
            os.kill(pid, signal.SIGKILL)
            return
    raise AssertionError("no sync worker runs")
