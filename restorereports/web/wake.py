"""Wake-ups to the workers: best effort, for what is due stands in the database and beat finds it."""

import logging
from typing import Any

logger = logging.getLogger(__name__)


def wake(task: Any, *args: Any) -> None:
    """Send the task's message; a broker that is down costs seconds of waiting, not the page."""
    try:
        task.apply_async(args, retry=False)
    except Exception:
        logger.warning("could not wake %s; beat will find what is due", task.name, exc_info=True)
