"""What a report prints of a chain, as an option of the command line: LENGTH:HASH."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from restorereports.audit.verification import Anchor

_STATE = re.compile(r"(\d{1,18}):([0-9a-fA-F]{64})")


def chain_state(chain: str) -> Callable[[str], Anchor]:
    """For argparse: reads the option's text; `chain` is what its error calls the chain."""

    def read(text: str) -> Anchor:
        found = _STATE.fullmatch(text)
        if not found:
            raise argparse.ArgumentTypeError(
                f"“{text[:120]}” is no state of {chain}; write it as a report prints it: length, a colon, 64 hex digits"
            )
        return Anchor(int(found[1]), found[2].lower(), f"--expect {found[1]}")

    return read
