"""The same work on many machines: Ray Data hands out files and retries lost workers.

Each worker runs the very code of a single machine: reader processes with limits, one
image to a request. What it finds comes back as a row with its pictures, and the process
that was started by hand writes them into the one store.
"""

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

from medcnn.bundle import SPEC
from medcnn.errors import EngineError
from medcnn.model import Model
from medcnn.outputs import write_whole
from medcnn.results import CaseResult
from medcnn.screening.cluster_worker import Task, Worker, is_there
from medcnn.screening.flow import Item, failed
from medcnn.screening.options import Options
from medcnn.screening.publish import version_of
from medcnn.screening.ray_cluster import Cluster
from medcnn.screening.store import Finished, case_of

__all__ = ["RayFlow"]

_AT_ONCE = 20_000
"""Files of one data set: what bounds memory, and how often workers start anew."""

_BLOCK = 16
"""Files that are handed out together: what is done again if a worker is lost."""

_SHARE = 0.5
"""What a worker asks for of a processor. There is one worker for each processor, so
that half of what the machines have is free: workers that a lost machine took along
start again on the others, which a full cluster could not let them."""

_MOST_OF_A_BURST = 256
_IDLE_S = 0.2
_PATIENCE_S = 60.0
"""How long no machine may be left before the run ends."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_OURS = re.compile(r"^\s*medcnn\.errors\.\w+: (.+)$", re.MULTILINE)
_RAISED = re.compile(r"^\s*([\w.]*(?:Error|Exception|Interrupt): .+)$", re.MULTILINE)
"""How a trace ends; the first of several is what it began with."""

_AGAIN = "Run it again: what is finished is kept."


class RayFlow:
    """Turn items into finished cases on a cluster; the counterpart of `Flow`.

    Args:
        items: In the order in which results are wanted.
        cluster: Where.
        model: Called once, when the first file is about to be sent off.
        output: Folder whose picture folders are there already.
        options: How it is done.
    """

    def __init__(
        self,
        items: Iterable[Item],
        cluster: Cluster,
        model: Callable[[], Model],
        *,
        output: Path,
        options: Options,
    ) -> None:
        self._source = enumerate(items)
        self._cluster = cluster
        self._open_model = model
        self._output = output
        self._options = options
        self._task: Any = None
        self._waiting: dict[int, Item] = {}
        self._ready: dict[int, CaseResult] = {}
        self._next = 0
        self._rows: queue.Queue[Mapping[str, Any] | BaseException | None] = queue.Queue(
            4 * _MOST_OF_A_BURST
        )
        self._is_running = False
        self._is_dry = False
        self._is_left = threading.Event()
        self._seen_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_left.set()

    @property
    def is_over(self) -> bool:
        """Whether every item was finished."""
        return self._is_dry and not self._waiting and not self._ready

    def burst(
        self, seconds: float, *, stopped: Callable[[], bool]
    ) -> tuple[list[CaseResult], list[Finished]]:
        """Take in what arrives for so long.

        Args:
            seconds: How long.
            stopped: Asked whether to take in no more.

        Returns:
            The cases that are next in the order of the files; and all that are new,
            in the order in which they arrived.

        Raises:
            OutputError: If a picture cannot be written.
            EngineError: If the cluster gave up, or does not see the files.
        """
        ends = time.monotonic() + seconds
        fresh: list[Finished] = []
        while not stopped() and len(fresh) < _MOST_OF_A_BURST:
            if not self._is_running:
                fresh += self._begin()
            if self._is_running:
                fresh += self._take_in()
            if time.monotonic() > ends or (self._is_dry and not self._waiting):
                break
        return list(self._in_order()), fresh

    # ----------------------------------------------------------------- sending

    def _begin(self) -> list[Finished]:
        """Draw items, finish those that need no reading, and send off the others."""
        fresh = []
        tasks = []
        drawn = list(islice(self._source, _AT_ONCE))
        self._is_dry = len(drawn) < _AT_ONCE
        for number, item in drawn:
            if item.case is not None:
                self._ready[number] = item.case
            elif item.reading is not None and item.reading.failure is not None:
                case = failed(item.name, item.reading.failure)
                self._ready[number] = case
                fresh.append(Finished(case, item.fingerprint))
            else:
                self._waiting[number] = item
                place = os.fsencode(_place(item))  # a name need not be UTF-8
                tasks.append({"number": number, "name": item.name, "place": place})
        if tasks:
            if self._task is None:
                self._task = self._cluster.ray.put(self._make_task())
            self._is_running = True
            self._seen_at = time.monotonic()
            threading.Thread(target=self._feed, args=(tasks,), daemon=True).start()
        return fresh

    def _make_task(self) -> Task:
        """Open the model, so that what it would refuse is refused here, and pack it."""
        model = self._open_model()
        bundle = model.bundle
        engine, _, precision = model.engine.name.partition(" ")
        return Task(
            files={
                name: (bundle.path / name).read_bytes()
                for name in (SPEC, *bundle.spec.files)
            },
            engine=engine,
            device=model.engine.device,
            precision="int8" if precision == "int8" else "fp32",
            heatmaps=self._options.heatmaps,
            limits=self._options.limits,
            version=version_of("medcnn-imaging"),
        )

    def _feed(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Have a data set worked through; put what arrives into the queue."""
        data: Any = self._cluster.ray.data
        try:
            blocks = -(-len(tasks) // _BLOCK)
            workers = self._options.workers or max(1, self._cluster.processors)
            rows = data.from_items(list(tasks), override_num_blocks=blocks).map_batches(
                Worker,
                fn_constructor_args=(self._task,),
                batch_size=_BLOCK,
                batch_format="numpy",
                num_cpus=_SHARE,
                compute=data.ActorPoolStrategy(
                    min_size=1, max_size=max(1, min(workers, blocks))
                ),
            )
            for row in rows.iter_rows():
                if not self._put(row):
                    return
            self._put(None)
        except Exception as error:  # noqa: BLE001 - it goes to the thread that waits
            self._put(error)

    def _put(self, row: Mapping[str, Any] | BaseException | None) -> bool:
        """Hand a row over; False if nobody waits for it any more."""
        while not self._is_left.is_set():
            try:
                self._rows.put(row, timeout=_IDLE_S)
            except queue.Full:
                continue
            return True
        return False

    # --------------------------------------------------------------- taking in

    def _take_in(self) -> list[Finished]:
        """Take in one row, if one arrives in time.

        Raises:
            EngineError: If the cluster gave up.
        """
        try:
            row = self._rows.get(timeout=_IDLE_S)
        except queue.Empty:
            self._look_for_machines()
            return []
        self._seen_at = time.monotonic()
        if row is None:
            self._is_running = False
            return []
        if isinstance(row, BaseException):
            msg = f"the cluster gave up: {_cause(row)}"
            raise EngineError(msg, hint=_AGAIN) from row
        item = self._waiting.pop(int(row["number"]), None)
        if item is None:  # of a block that was done again after a loss
            return []
        return [self._keep(int(row["number"]), item, row)]

    def _keep(self, number: int, item: Item, row: Mapping[str, Any]) -> Finished:
        """Write the pictures of a row and note its case.

        Raises:
            EngineError: If the file is here, but not where it was to be read.
        """
        if row["is_unseen"] and is_there(_place(item)):
            msg = f"a machine of the cluster does not see {item.name}, which is here"
            hint = (
                "Every machine must see the files under the same path: use a shared "
                "drive, or a URL such as s3://bucket/films."
            )
            raise EngineError(msg, hint=hint)
        case = case_of(row["record"])
        for name in ("thumbnail", "heatmap"):
            if getattr(case, name):
                write_whole(self._output / getattr(case, name), bytes(row[name]))
        self._ready[number] = case
        return Finished(case, item.fingerprint, row["digest"])

    def _look_for_machines(self) -> None:
        """End a run that waits for machines which are all gone.

        Raises:
            EngineError: If there has been none for a while.
        """
        if time.monotonic() - self._seen_at < _PATIENCE_S:
            return
        if self._cluster.processors:
            self._seen_at = time.monotonic()
            return
        msg = "the cluster has no machine left that works"
        raise EngineError(msg, hint=_AGAIN)

    def _in_order(self) -> Iterator[CaseResult]:
        """Yield the cases whose turn it is."""
        while self._next in self._ready:
            yield self._ready.pop(self._next)
            self._next += 1


def _place(item: Item) -> str:
    """Return where a file is, for another process in another folder."""
    if isinstance(item.path, Path):
        return os.path.abspath(item.path)  # noqa: PTH100 - links stay as they are
    return item.path.text


def _cause(error: BaseException) -> str:
    """Return what an error that came from another machine with its traces is about."""
    text = _COLOURS.sub("", str(error))
    told = _OURS.findall(text)[:1] or _RAISED.findall(text)[:1] or [text.strip()]
    return f"{type(error).__name__}: {told[0][:500]}"
