"""How many examples the randomised tests draw: a tenth in `make test`, all in `make soak`."""

import os

SOAK = bool(os.environ.get("SOAK"))


def examples(number: int) -> int:
    return number * 10 if SOAK else number
