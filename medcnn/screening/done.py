"""What earlier sessions finished of a run: taken over, or left out and counted."""

from collections.abc import Iterator

from medcnn.results import Status
from medcnn.screening.flow import Item
from medcnn.screening.store import Fingerprint, Store

__all__ = ["Done"]


class Done:
    """Look up items in the store of their run.

    Args:
        retries: Whether files that could not be read earlier are tried again.
    """

    def __init__(self, *, retries: bool) -> None:
        self._retries = retries
        self._skipped = 0

    def known(
        self, items: list[Item], store: Store, *, only_new: bool
    ) -> Iterator[Item | None]:
        """Yield items with what was made of them, or only those that are new.

        Args:
            items: Some hundred.
            store: Knows what was made of them.
            only_new: Whether what is finished is left out and only counted, which
                needs none of its records. None comes last then, so that looking
                through what is done can be stopped, and its progress be told.
        """
        names = [item.name for item in items]
        if only_new:
            states = store.states(names)
            new = [item for item in items if not self._is_done(item, states)]
            self._skipped += len(items) - len(new)
            yield from new
            yield None
            return
        known = store.find(names)
        for item in items:
            item.take_known(known.get(item.name), retries=self._retries)
            yield item

    def take_skipped(self) -> int:
        """Return how many items were left out since this was asked last."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def _is_done(
        self, item: Item, states: dict[str, tuple[Fingerprint, Status]]
    ) -> bool:
        """Say whether an earlier session finished the same file."""
        fingerprint, status = states.get(item.name, (None, None))
        if fingerprint != item.fingerprint:
            return False
        return not (self._retries and status is Status.ERROR)
