"""The stream from files to finished cases: reading beside inference, order kept."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from medcnn.model import Answer, Model
from medcnn.outputs import write_whole
from medcnn.results import Band, CaseResult, Status
from medcnn.screening.copies import digest_of
from medcnn.screening.crew import Crew
from medcnn.screening.heat import HeatPainter
from medcnn.screening.names import picture_stem
from medcnn.screening.store import Fingerprint, Finished
from medcnn.screening.wire import Failure, Place, Reading
from medcnn.worklist import HEATMAPS, THUMBNAILS

__all__ = ["Flow", "Item", "failed"]

_IDLE_S = 0.2
_MOST_OF_A_BURST = 128


@dataclass(eq=False)
class Item:
    """One file on its way.

    Attributes:
        name: Its name in the run.
        path: Where it is.
        fingerprint: Its state before it was read.
        case: What became of it, if an earlier session finished it.
        reading: What its reader process found, once it did.
    """

    name: str
    path: Path | Place
    fingerprint: Fingerprint
    case: CaseResult | None = None
    reading: Reading | None = None

    def take_known(self, known: Finished | None, *, retries: bool) -> None:
        """Take over what an earlier session made of the same file.

        Args:
            known: What the store holds of it.
            retries: Whether files that could not be read are tried again.
        """
        if known is None or known.fingerprint != self.fingerprint:
            return
        if not (retries and known.case.status is Status.ERROR):
            self.case = known.case

    @property
    def is_ready(self) -> bool:
        """Whether it waits for nothing more than its turn."""
        return self.case is not None or self.reading is not None

    @property
    def tensor(self) -> npt.NDArray[np.float32] | None:
        """What the network is to see; None if there is nothing to see."""
        return None if self.reading is None else self.reading.tensor


class Flow:
    """Turn items into finished cases, a burst at a time.

    Args:
        items: In the order in which results are wanted; drawn as room appears. None
            among them lets a burst end before the next is drawn.
        crew: Reads their files.
        model: Called once, when the first file is being read.
        output: Folder whose picture folders are there already.
        window: Most items that are held at once.
        heatmaps: Which cases in scope get one: "flagged", "all" or "none".
    """

    def __init__(
        self,
        items: Iterable[Item | None],
        crew: Crew,
        model: Callable[[], Model],
        *,
        output: Path,
        window: int,
        heatmaps: str,
    ) -> None:
        self._source = iter(items)
        self._crew = crew
        self._open_model = model
        self._model: Model | None = None
        self._painter: HeatPainter | None = None
        self._output = output
        self._size = window
        self._heatmaps = heatmaps
        self._window: deque[Item] = deque()
        self._reading: dict[int, Item] = {}
        self._number = 0
        self._is_dry = False

    @property
    def is_over(self) -> bool:
        """Whether every item was finished."""
        return self._is_dry and not self._window

    def burst(
        self, seconds: float, *, stopped: Callable[[], bool]
    ) -> tuple[list[CaseResult], list[Finished]]:
        """Work for so long, and return once all that was begun is finished.

        Args:
            seconds: How long new items are taken in.
            stopped: Asked before each item whether to take in no more.

        Returns:
            All cases in order, and those among them that are new.

        Raises:
            OutputError: If a picture cannot be written.
        """
        ends = time.monotonic() + seconds
        cases: list[CaseResult] = []
        fresh: list[Finished] = []
        # products this small cost BLAS's threads more in waiting than in computing, and
        # one thread gives the same bits on every machine
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(4) as hands:
            writing: list[Future[None]] = []
            for item, answer in self._answered(ends, stopped):
                case = item.case
                if case is None:
                    case = self._conclude(item, answer)
                    digest = digest_of(item.tensor)
                    fresh.append(Finished(case, item.fingerprint, digest))
                    if case.thumbnail:
                        writing.append(hands.submit(self._draw, case, item, answer))
                cases.append(case)
            for done in writing:
                done.result()
        return cases, fresh

    # ---------------------------------------------------------------- streaming

    def _answered(
        self, ends: float, stopped: Callable[[], bool]
    ) -> Iterator[tuple[Item, Answer | None]]:
        """Yield ready items in order, each with the network's answer if it has one."""
        waiting: deque[Item] = deque()

        def tensors() -> Iterator[npt.NDArray[np.float32]]:
            for item in self._ready(ends, stopped):
                waiting.append(item)
                if item.tensor is not None:
                    yield item.tensor

        for answer in self._answers(tensors()):
            while waiting[0].tensor is None:
                yield waiting.popleft(), None
            yield waiting.popleft(), answer
        while waiting:
            yield waiting.popleft(), None

    def _answers(self, tensors: Iterator[npt.NDArray[np.float32]]) -> Iterator[Answer]:
        first = next(tensors, None)
        if first is not None:
            yield from self._need_model().stream(chain([first], tensors))

    def _ready(self, ends: float, stopped: Callable[[], bool]) -> Iterator[Item]:
        """Yield items as they come to the head of the window, until it is time."""
        for _ in range(_MOST_OF_A_BURST):
            self._fill()
            while self._window and not self._window[0].is_ready:
                arrived = self._crew.poll(_IDLE_S)
                for number, reading in arrived:
                    self._reading.pop(number).reading = reading
                if stopped() or not arrived or time.monotonic() > ends:
                    break
            if not self._window or not self._window[0].is_ready or stopped():
                return
            yield self._window.popleft()
            if time.monotonic() > ends:
                return

    def _fill(self) -> None:
        """Draw items until the window is full, and have new files read."""
        while not self._is_dry and len(self._window) < self._size:
            try:
                item = next(self._source)
            except StopIteration:
                self._is_dry = True
                return
            if item is None:
                break
            self._window.append(item)
            if not item.is_ready:
                self._reading[self._number] = item
                self._crew.submit(self._number, item.path)
                self._number += 1
        if self._crew.started:
            self._need_model()  # its start and the readers' go on side by side

    def _need_model(self) -> Model:
        if self._model is None:
            self._model = self._open_model()
            self._painter = HeatPainter(self._model)
        return self._model

    # --------------------------------------------------------------- concluding

    def _conclude(self, item: Item, answer: Answer | None) -> CaseResult:
        """Say what became of an item; its pictures are still to be drawn."""
        reading = item.reading or Reading()
        if reading.failure is not None:
            return failed(item.name, reading.failure)
        stem = picture_stem(item.name)
        thumbnail = f"{THUMBNAILS}/{stem}.jpg" if reading.pictures else ""
        prediction = None if answer is None else answer.prediction
        reason = reading.reason if prediction is None else prediction.out_of_scope
        if prediction is None or reason:
            return CaseResult(
                path=item.name,
                status=Status.OUT_OF_SCOPE,
                prediction=prediction,
                reason=reason,
                identity=reading.identity,
                thumbnail=thumbnail,
                acquisition=reading.acquisition,
            )
        band = self._need_model().band(prediction)
        wanted = {"all": set(Band), "flagged": {Band.FLAG}, "none": set()}
        has_places = answer is not None and answer.has_places
        is_painted = band in wanted[self._heatmaps] and has_places
        return CaseResult(
            path=item.name,
            status=Status.OK,
            band=band,
            prediction=prediction,
            identity=reading.identity,
            heatmap=f"{HEATMAPS}/{stem}.jpg" if is_painted else "",
            thumbnail=thumbnail,
            acquisition=reading.acquisition,
        )

    def _draw(self, case: CaseResult, item: Item, answer: Answer | None) -> None:
        """Write the pictures of a case."""
        reading = item.reading
        if reading is None:
            return
        place = len(reading.pictures) // 2
        levels = None
        wants_levels = case.heatmap or len(reading.pictures) > 1
        has_places = answer is not None and answer.has_places
        if wants_levels and answer and has_places and self._painter is not None:
            levels = self._painter.levels(answer.features, reading)
            if levels.any():
                place = int(levels.max(axis=(0, 1)).argmax())
        picture = reading.pictures[place]
        write_whole(self._output / case.thumbnail, picture)
        if case.heatmap and levels is not None and self._painter is not None:
            painted = self._painter.paint(picture, levels[..., place])
            write_whole(self._output / case.heatmap, painted)


def failed(name: str, failure: Failure) -> CaseResult:
    """Return the error row of a file."""
    return CaseResult(
        path=name,
        status=Status.ERROR,
        reason=failure.error,
        stage=failure.stage,
        hint=failure.hint,
    )
