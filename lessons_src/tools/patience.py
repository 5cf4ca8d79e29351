"""Ask again, with a limit and growing pauses, whoever was busy.

Only who asks patiently imports this, and pays for `tenacity`.
"""

from typing import Any, Protocol

from tenacity import (
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)


class Askable(Protocol):
    """What can be asked, and raises a `ConnectionError` while it is busy."""

    def ask(self) -> Any:
        """Return an answer."""


@retry(
    retry=retry_if_exception_type(ConnectionError),
    stop=stop_after_attempt(4),
    wait=wait_exponential(multiplier=0.01),
    reraise=True,
)
def ask_patiently(line: Askable) -> Any:
    """Ask `line`; while it is busy, pause 0.01 s, then twice as long, up to 4 tries."""
    return line.ask()
