"""When people restore: office hours, few at night and at weekends, one bad week. Times are UTC."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from restorereports.emulator.stamps import DAY, SECOND, from_us

HISTORY_DAYS = 91  # 13 weeks, EM's default retention
BAD_WEEK_STARTS = 49  # days before the epoch
_HOUR = 3600 * SECOND
_BY_HOUR = (1, 1, 1, 1, 1, 2, 6, 14, 20, 22, 20, 16, 12, 18, 20, 16, 10, 6, 4, 3, 2, 2, 1, 1)


class Rhythm:
    """Spreads numbers 0..count over the 13 weeks before an epoch; a greater number is never earlier."""

    def __init__(self, *, epoch_us: int) -> None:
        self._start_us = epoch_us - HISTORY_DAYS * DAY
        weights = [self._weight(self._start_us + hour * _HOUR, epoch_us) for hour in range(HISTORY_DAYS * 24)]
        self._cumulated = [0, *accumulate(weights)]

    def moment_us(self, share: float) -> int:
        """The time at which this share (0 to 1) of all restores has begun."""
        target = share * self._cumulated[-1]
        hour = bisect_right(self._cumulated, target) - 1
        begin, end = self._cumulated[hour], self._cumulated[hour + 1]
        return self._start_us + int((hour + (target - begin) / (end - begin)) * _HOUR)

    def _weight(self, hour_us: int, epoch_us: int) -> int:
        moment = from_us(hour_us)
        weight = _BY_HOUR[moment.hour] * (8 if moment.weekday() < 5 else 1)
        return weight * 2 if in_bad_week(hour_us, epoch_us=epoch_us) else weight


def in_bad_week(moment_us: int, *, epoch_us: int) -> bool:
    """Whether a restore began in the one week of the history in which many failed."""
    return BAD_WEEK_STARTS - 7 < (epoch_us - moment_us) / DAY <= BAD_WEEK_STARTS
