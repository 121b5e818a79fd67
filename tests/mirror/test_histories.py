"""Random histories of syncs, full syncs, changes, faults and kills against the stand-in EM.

30 histories in `make test`, 300 with SOAK=1; on PostgreSQL, where `make test` runs the mirror's tests again, 10 and
100 others. `HISTORY_SEED=n` plays that one history alone. The seeds of `make test` are always the same, those of
`make soak` are drawn anew; each is printed when its history begins, and again with all that happened when one fails.
"""

import os
import random
import time

import pytest
from django.db import connection

from tests.sizes import SOAK, examples

from .histories import History

CHUNKS = 10
ON_POSTGRESQL = 1_000_000  # seeds from here on
ONE = os.environ.get("HISTORY_SEED")


def seeds(chunk: int) -> list[int]:
    if ONE:
        return [int(ONE)]
    postgresql = connection.vendor == "postgresql"
    count = examples(1 if postgresql else 3)
    if SOAK:
        return [random.SystemRandom().randrange(10**9) for _ in range(count)]
    first = chunk * count + (ON_POSTGRESQL if postgresql else 0)
    return list(range(first, first + count))


@pytest.mark.django_db
@pytest.mark.parametrize("chunk", range(1 if ONE else CHUNKS))
def test_whatever_happens_nothing_is_lost_and_every_gap_is_told(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, syncs, steps = time.monotonic(), 0, 0
    played = seeds(chunk)
    for seed in played:
        print(f"HISTORY_SEED={seed}")
        history = History(seed, monkeypatch)
        history.play()
        syncs += history.syncs
        steps += len(history.told)
    took = (time.monotonic() - began) / len(played)
    print(f"{len(played)} histories, {steps} steps, {syncs} syncs, {took:.2f} s each")
