"""How long a fault of a store is waited out, and the attempts: jittered exponential backoff, as with the server."""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from batch.stores.faults import Fault, Kind, StoreError

_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 5.0
_UNTOLD_S = 2.0  # of faults on end, before the user is told what is waited for

_Result = TypeVar("_Result")


@dataclass
class Patience:
    """When a store has failed for too long.

    Attributes:
        timeout: for how many seconds on end a request may fail.
        notify: told in one line what is waited for, once until it works again.
    """

    timeout: float = 60.0
    notify: Callable[[str], None] = field(default=lambda _: None, compare=False)
    _is_told: bool = field(default=False, init=False, repr=False, compare=False)

    async def outlast(
        self, what: str, attempt: Callable[[], Awaitable[_Result]], judge: Callable[[Exception], Fault]
    ) -> _Result:
        """Make attempts until one succeeds, or fails for good.

        Args:
            what: a URL, for messages.
            attempt: the request.
            judge: what its exceptions mean.

        Raises:
            StoreError: faults that may pass did not, within the timeout.
            Exception: the attempt's own, for any other fault.
        """
        import asyncio  # noqa: PLC0415 - a run without URLs starts without it

        since = None
        failures = 0
        while True:
            try:
                result = await attempt()
            except Exception as error:
                fault = judge(error)
                if fault.kind is not Kind.PASSING:
                    raise
                now = time.monotonic()
                since = now if since is None else since
            else:
                self._is_told = False
                return result
            failures += 1
            longest = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2**failures)
            pause = random.uniform(0, longest)  # noqa: S311 - no secret
            remaining = since + self.timeout - now
            if remaining <= pause:
                raise StoreError(f"gave up after {self.timeout:g} s of faults: {what}: {fault.name}", Kind.PASSING)
            if not self._is_told and now - since > _UNTOLD_S:
                self._is_told = True
                self.notify(f"waiting for {what}: {fault.name}; trying again for {remaining:.0f} s")
            await asyncio.sleep(pause)
