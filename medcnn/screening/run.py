"""`screen`: many files, one durable row each."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from medcnn.bundle import Precision
from medcnn.engines import EngineName
from medcnn.errors import ReadError
from medcnn.model import Model
from medcnn.outputs import make_folder
from medcnn.results import CaseResult
from medcnn.screening.crew import Crew
from medcnn.screening.drifting import earlier_samples, note_earlier
from medcnn.screening.flow import Flow
from medcnn.screening.lock import FolderLock
from medcnn.screening.opener import Opener
from medcnn.screening.options import Heatmaps, Limits, Options
from medcnn.screening.places import Files, files_of
from medcnn.screening.publish import describe_run, is_published, publish, version_of
from medcnn.screening.signals import StopAsked, listening
from medcnn.screening.store import Store
from medcnn.screening.whose import Whose, settle_whose
from medcnn.worklist import HEATMAPS, RUN, THUMBNAILS, RunRecord, read_run

if TYPE_CHECKING:
    from medcnn.screening.cluster import RayFlow

__all__ = ["Screening", "screen"]

ProgressCall = Callable[[int, int | None], None]

_FIRST_BURST_S, _BURST_S = 0.3, 2.0
_WINDOW_BYTES = 128 << 20
_WINDOW = 64
_ENGINE = "engine"
_SAME = "Use the model and options of that run, or choose another --output."


def screen(  # noqa: PLR0913 - the main entry; all but two have a default
    paths: Iterable[str | Path] | str | Path,
    *,
    output: str | Path,
    model: Model | str | Path = "chest-xray",
    engine: EngineName = "auto",
    device: str = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    heatmaps: Heatmaps = "flagged",
    report: bool = True,
    identify: bool = False,
    retry_errors: bool = False,
    compare_with: Sequence[str | Path] = (),
    limits: Limits | None = None,
    cluster: Literal["ray"] | None = None,
    address: str | None = None,
    progress: ProgressCall | None = None,
) -> "Screening":
    """Give every image in files and folders a durable row in a ranked worklist.

    Everything is checked here; the work is done by going through the result, case by
    case, or by its `run()`. Whatever ends it early, nothing finished is lost: the same
    call goes on where it stopped and skips what is done.

    Args:
        paths: Files and folders; or one URL that fsspec knows, such as s3://bucket/films.
        output: The folder for worklist.csv, report.html and the rest.
        model: An open model, a shipped one's name, or a bundle's directory.
        engine: What runs the network, if `model` is not open yet.
        device: Where, if `model` is not open yet.
        precision: "int8" for its 8-bit network, if `model` is not open yet.
        workers: Reader processes; None takes one for each processor, at most 16.
        heatmaps: Which images in scope get one: "flagged", "all" or "none".
        report: Whether report.html is written at the end.
        identify: Whether patients' numbers are kept, and the report may hold them and
            DICOM UIDs. Without it pseudonyms take the numbers' place everywhere.
        retry_errors: Whether files that could not be read earlier are tried again.
        compare_with: Output folders of earlier runs of the same model; run.json and the
            report say what moved since, see docs/drift.md.
        limits: What one file may cost; None is 60 s and 4 GiB.
        cluster: "ray" hands the files to the machines of a Ray cluster; `workers` are
            then all that run at once. Each must see the paths.
        address: HOST:PORT of the cluster's head; None starts one on this machine.
        progress: Called with (finished, found); found is None while still looking.

    Raises:
        ReadError: If a path does not exist, or there is no file in any.
        BundleError: If the model is not as it should be.
        DataError: If an earlier run to compare with is none, or of another model.
        OutputError: If the output cannot be written, is in use, or holds a run with
            another model or other options.
        ValueError: If an option has no meaning.

    Examples:
        >>> import medcnn
        >>> for case in medcnn.screen(["films"], output="out"):  # doctest: +SKIP
        ...     print(case.path, case.band)
    """
    options = Options(
        workers=workers,
        heatmaps=heatmaps,
        report=report,
        identify=identify,
        retry_errors=retry_errors,
        compare_with=tuple(Path(folder) for folder in compare_with),
        limits=limits or Limits(),
        cluster=cluster,
        address=address,
    )
    wanted = [paths] if isinstance(paths, str | Path) else list(paths)
    opener = Opener(model, engine, device, precision)
    return Screening(
        wanted,
        Path(output),
        opener=opener,
        options=options,
        progress=progress,
    )


class Screening:
    """A run that is checked and ready: go through its cases, or call `run()`.

    Args:
        paths: Files and folders.
        output: The output folder.
        opener: Opens the model when it is needed.
        options: How it is done.
        progress: Called with (finished, found).

    Raises:
        ReadError: If a path does not exist, or there is no file in any.
        DataError: If an earlier run to compare with is none.
        OutputError: If the output cannot be used.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        output: Path,
        *,
        opener: Opener,
        options: Options,
        progress: ProgressCall | None,
    ) -> None:
        self._named = paths
        self._output = output
        self._opener = opener
        self._options = options
        self._whose = Whose()
        self._progress = progress
        thresholds = {one.label: one.flag for one in opener.spec.operating_points}
        self._earlier = earlier_samples(options.compare_with, opener.sha256, thresholds)
        self._source = files_of(paths, output, retries=options.retry_errors)
        make_folder(output)
        with FolderLock(output), Store(output) as store:
            self._claim(store)

    def __repr__(self) -> str:
        return (
            f"<Screening of {len(self._named)} paths into {self._output}: "
            "go through it, or call run()>"
        )

    def run(self) -> RunRecord:
        """Work to the end and return what run.json says.

        SIGINT and SIGTERM end it after what is in hand is saved.

        Raises:
            OutputError: If the output fills up or fails; what is finished stays.
            MedcnnError: If reader processes or the engine cannot be started.
        """
        asked = StopAsked()
        with listening(asked):
            for _ in self._cases(asked, only_new=True):
                pass
        asked.deliver()
        return read_run(self._output / RUN)

    def __iter__(self) -> Iterator[CaseResult]:
        """Yield every case in the order of the files, each after it is safe on disk.

        Those that an earlier session finished are among them. At the end the final
        files are written. A SIGINT or SIGTERM while it works, not while its caller
        does, ends it after what is in hand is saved.

        Raises:
            OutputError: If the output fills up or fails; what is finished stays.
            MedcnnError: If reader processes or the engine cannot be started.
        """
        asked = StopAsked()
        yield from self._cases(asked)
        asked.deliver()

    # ------------------------------------------------------------------ helpers

    def _cases(
        self, asked: StopAsked, *, only_new: bool = False
    ) -> Iterator[CaseResult]:
        """Yield every case, and write the final files unless asked to stop."""
        with ExitStack() as open_things:
            open_things.enter_context(FolderLock(self._output))
            store = open_things.enter_context(Store(self._output))
            self._claim(store)
            for folder in (HEATMAPS, THUMBNAILS):
                make_folder(self._output / folder)
            yield from self._work(store, asked, only_new=only_new)
            if not asked:
                self._finish(store)

    def _claim(self, store: Store) -> None:
        """Make sure that the store is this run's.

        Raises:
            OutputError: If it is another's.
        """
        spec, sha256 = self._opener.spec, self._opener.sha256
        settings = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
        facts = {
            "model": f"{spec.name} {spec.version}",
            "model weights": sha256,
            "model settings": settings,
            "heatmaps": self._options.heatmaps,
            "medcnn": version_of("medcnn-imaging") or "unknown",
        }
        # noted once it runs: one that cannot be opened must not bind the run to it
        if store.fact(_ENGINE) is not None:
            facts[_ENGINE] = self._engine_in_words()
        store.claim(facts, hint=_SAME)
        self._whose = settle_whose(store, identify=self._options.identify)
        if store.fact("root") is None:
            store.note({"root": self._source.root})

    def _work(
        self, store: Store, asked: StopAsked, *, only_new: bool
    ) -> Iterator[CaseResult]:
        """Yield all cases, committing each burst of them before it is yielded.

        Raises:
            ReadError: If where the files are cannot be reached any more.
        """
        began = time.monotonic()
        session = store.begin_session(datetime.now(UTC).isoformat(timespec="seconds"))
        counter = _Counter(self._source, self._progress)
        with ExitStack() as workers:
            flow = self._flow(store, workers, only_new=only_new)
            seconds = _FIRST_BURST_S
            while not flow.is_over and not asked:
                with listening(asked):
                    cases, fresh = flow.burst(seconds, stopped=lambda: bool(asked))
                    fresh = [replace(x, case=self._whose.of(x.case)) for x in fresh]
                    fresh, gone = self._source.sift(fresh)
                    if fresh:
                        store.commit(fresh, session, time.monotonic() - began)
                        seconds = _BURST_S
                if gone is not None:
                    raise gone
                counter.advance(len(cases) + self._source.done.take_skipped())
                yield from map(self._whose.of, cases)
        ended = "stopped" if asked else "done"
        store.end_session(session, ended, time.monotonic() - began)

    def _flow(
        self, store: Store, workers: ExitStack, *, only_new: bool
    ) -> "Flow | RayFlow":
        """Return what turns files into cases, here or on a cluster."""
        if self._options.cluster is not None:
            return self._ray_flow(store, workers)
        crew = workers.enter_context(
            Crew(self._options.processes, self._opener.spec, self._options.limits)
        )
        taken = self._opener.spec.input
        bytes_each = 4 * taken.channels
        for size in taken.shape:
            bytes_each *= size
        return Flow(
            self._source.items(store, only_new=only_new),
            crew,
            lambda: self._model(store),
            output=self._output,
            window=max(4, min(_WINDOW, _WINDOW_BYTES // bytes_each)),
            heatmaps=self._options.heatmaps,
        )

    def _ray_flow(self, store: Store, workers: ExitStack) -> "RayFlow":
        # a single machine must not load what only a cluster needs
        from medcnn.screening.cluster import RayFlow
        from medcnn.screening.ray_cluster import connect

        options = self._options
        cluster = workers.enter_context(
            connect(
                options.address,
                processors=options.processes,
                model_bytes=self._opener.size_bytes,
            )
        )
        return workers.enter_context(
            RayFlow(
                (item for item in self._source.items(store) if item is not None),
                cluster,
                lambda: self._model(store),
                output=self._output,
                options=options,
            )
        )

    def _model(self, store: Store) -> Model:
        """Open the model and note what runs it."""
        model = self._opener.model()
        store.claim({_ENGINE: self._engine_in_words()}, hint=_SAME)
        describe_run(
            store,
            model,
            root=str(store.fact("root")),
            paths=self._source.names,
            options=self._options.noted(),
        )
        return model

    def _engine_in_words(self) -> str:
        name, device = self._opener.runs_in()
        return f"{name} on {device}"

    def _finish(self, store: Store) -> None:
        """Write the final files, unless they hold everything already."""
        self._source.forget_mended_folders(store)
        if self._earlier:
            note_earlier(store, self._earlier)
        report, identify = self._options.report, self._options.identify
        if is_published(self._output, store, report=report, identify=identify):
            return
        if store.fact("setting") is None:  # nothing was readable: say what would be run
            self._model(store)
        publish(self._output, store, report=report, identify=identify)


class _Counter:
    """Tell how far it is; how many files there are is found out on the side."""

    def __init__(self, source: Files, progress: ProgressCall | None) -> None:
        self._progress = progress
        self._done = 0
        self._found: int | None = None
        if progress is not None:
            threading.Thread(target=self._count, args=(source,), daemon=True).start()

    def advance(self, more: int) -> None:
        self._done += more
        if self._progress is not None:
            self._progress(self._done, self._found)

    def _count(self, source: Files) -> None:
        try:
            self._found = source.count()
        except ReadError:  # it went away; the run itself will say so
            return
