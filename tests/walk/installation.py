"""An installation of its own in a folder of its own, driven by its command line, as an operator would."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from restorereports.emulator.server import StandInServer
from tests.expected import Row

ROOT = Path(__file__).parent.parent.parent
INHERITED = ("PATH", "HOME", "LANG", "DATABASE_URL")


class Installation:
    """Settings are what is given and nothing of the tests' own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        inherited |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
        self.environment = inherited | {"VAR_DIR": str(folder), "LOG_LEVEL": "INFO"} | environment

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), *arguments]

    def manage(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        """Run one command to its end; its standard output. The exit code must be as expected."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,  # a machine may be slow
            check=False,
        )
        assert (done.returncode != 0) == fails, (
            f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def start(self, *command: str, log: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{log}.log").open("ab") as out:
            return subprocess.Popen(command, env=self.environment, cwd=ROOT, stdout=out, stderr=out)

    def add_em(self, server: StandInServer, name: str = "em-north") -> None:
        self.manage(
            *("add_em", name, server.url, "--username", "mirror", "--password-env", "EM_PASSWORD"),
            *("--pin", server.fingerprint_sha256),
            EM_PASSWORD="mirror",
        )

    def export(self, *filters: str) -> list[Row]:
        text = self.manage("export_sessions", *filters, "-o", "-")
        return list(csv.DictReader(text.splitlines(keepends=True)))


def assert_equal(found: list[Row], expected: list[Row]) -> None:
    """Row by row, whatever the order of equal starts; a difference names the first rows on either side."""
    by_uid = {row["uid"]: row for row in found}
    assert len(by_uid) == len(found), "a restore session stands twice in the export"
    wrong = [(by_uid.get(row["uid"]), row) for row in expected if by_uid.get(row["uid"]) != row]
    assert not wrong, f"{len(wrong)} rows differ; found and expected of the first: {wrong[0]}"
    assert len(found) == len(expected)
    starts = [row["started_at"] for row in found]
    assert starts == sorted(starts)
