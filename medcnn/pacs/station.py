"""Screens the series in a spool, one after the other, and sends their results.

Each step ends in one durable change of a row. Killed at any moment, the step is done
again: results are the same, byte for byte, and so are their identifiers.
"""

import shutil
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from medcnn.dicom_out import Codes, case_of, read_source, results_of, save_result
from medcnn.errors import MedcnnError, OutputError, ReadError
from medcnn.explanation import Explainer
from medcnn.image import Image
from medcnn.io.dicom.parse import parse
from medcnn.isolation import SafeReader
from medcnn.model import Model
from medcnn.outputs import make_folder
from medcnn.pacs.peers import Peer
from medcnn.pacs.sending import Sent, send
from medcnn.pacs.spool import Entry, Spool, State, name_by_hash

__all__ = ["Destination", "PeerDestination", "Settings", "Station"]

_MOST_TRIES = 3
_SET_ASIDE = (
    f"this process ended {_MOST_TRIES} times while the series was screened: it is set"
    " aside. Sent again, it is tried again."
)


class Destination(Protocol):
    """Where results go."""

    def deliver(self, files: Sequence[Path]) -> Sent:
        """Deliver results; what is there already is fine."""


@dataclass(frozen=True)
class PeerDestination:
    """A DICOM peer.

    Attributes:
        peer: The peer.
        title: The own AE title.
        tls: How the connection is secured; None for none.
    """

    peer: Peer
    title: str
    tls: ssl.SSLContext | None = None

    def deliver(self, files: Sequence[Path]) -> Sent:
        """Send results to the peer."""
        return send(files, self.peer, title=self.title, tls=self.tls)


@dataclass(frozen=True)
class Settings:
    """How a station works.

    Attributes:
        destination: Where results go; None keeps them in the spool.
        quiet_s: For so long nothing new must have come of a series.
        codes: A site's codes.
    """

    destination: Destination | None = None
    quiet_s: float = 10.0
    codes: Codes = field(default_factory=Codes)


class Station:
    """Works through a spool.

    Args:
        spool: What was received.
        model: An open model.
        reader: Reads untrusted files.
        settings: How it works.
        tell: Is told in words what happened; never whose it was.
    """

    def __init__(
        self,
        spool: Spool,
        model: Model,
        reader: SafeReader,
        *,
        settings: Settings | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._spool = spool
        self._model = model
        self._reader = reader
        self._settings = settings or Settings()
        self._tell = tell
        self._away_until = 0.0
        """Until then nothing is sent: each try may take half a minute."""

    def step(self) -> bool:
        """Do what waits longest, if anything does.

        Returns:
            Whether there was something.

        Raises:
            OutputError: If results cannot be written.
        """
        waiting = self._spool.waiting(self._settings.quiet_s)
        if time.monotonic() < self._away_until:
            waiting = [one for one in waiting if one.state is State.RECEIVING]
        if not waiting:
            return False
        entry = waiting[0]
        if entry.state is State.RECEIVING:
            self._make(entry)
        else:
            self._send(entry)
        return True

    def _make(self, entry: Entry) -> None:
        """Make the results of a series, unless it ended this process too often.

        Raises:
            OutputError: If they cannot be written.
        """
        if entry.tries >= _MOST_TRIES:
            self._settle(entry, State.FAILED, 0, _SET_ASIDE)
            return
        self._spool.begin(entry)
        try:
            self._settle(entry, *self._screen(entry))
        except BaseException as error:
            # a full disk or somebody who stops it: the series is not to blame
            if isinstance(error, OutputError) or not isinstance(error, Exception):
                self._spool.take_back(entry)
            raise

    def _screen(self, entry: Entry) -> tuple[State, int, str]:
        """Make the results of a series; return what became of it, how many, and why.

        Raises:
            OutputError: If they cannot be written.
        """
        folder = self._spool.results(entry.key)
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        try:
            study = self._reader.load_study(self._spool.received(entry.key))
        except OutputError:
            raise
        except MedcnnError as error:
            return State.FAILED, 0, str(error)[:2000]
        made, failed = 0, False
        reasons = [reason for _, reason in study.problems]
        for image in study.images:
            reason = self._not_for(image)
            if reason:
                reasons.append(reason)
                continue
            try:
                for _ in self._results(entry, image, folder):
                    made += 1
            except OutputError:
                raise
            except MedcnnError as error:  # the series' other images have theirs
                failed = True
                reasons.append(str(error))
        state = State.MADE if made else State.FAILED if failed else State.SKIPPED
        return state, made, "; ".join(dict.fromkeys(reasons))[:2000]

    def _settle(self, entry: Entry, state: State, made: int, words: str) -> None:
        """Note what became of a series, and tell it."""
        if self._spool.settle(entry, state, words):
            what = f"{made} results" if made else f"no result: {words}"
            self._tell(f"series {entry.key[:8]}: {what}")

    def _not_for(self, image: Image) -> str:
        """Say why a model is not for an image at all; "" if it may be."""
        spec = self._model.spec
        if image.dims != spec.input.dims:
            return f"the model takes {spec.input.dims}-D images, this is {image.dims}-D"
        wanted = spec.gate.modalities
        if wanted and image.modality and image.modality not in wanted:
            return f"the model is for {', '.join(wanted)}, not {image.modality}"
        return ""

    def _results(self, entry: Entry, image: Image, folder: Path) -> Iterator[Path]:
        """Write the results of one image and yield their files."""
        place = self._spool.received(entry.key)
        source = read_source(place, image, identify_patient=True)
        explained = Explainer(self._model).explain(image, self._model.labels[:1])
        case = case_of(self._model, image, source, explained, self._settings.codes)
        usable = not explained.answered.out_of_scope
        for result in results_of(case, ("sr", "sc", "pm") if usable else ("sr",)):
            uid = name_by_hash(str(result.dataset.SOPInstanceUID))
            path = folder / f"{uid}.{result.kind}.dcm"
            save_result(result, path)
            yield path

    def _send(self, entry: Entry) -> None:
        """Send the results of a series, or note when to try again."""
        files = sorted(self._spool.results(entry.key).glob("*.dcm"))
        if self._settings.destination is None:
            self._spool.settle(entry, State.DONE, entry.words)
            return
        if not files or not all(map(_is_dicom, files)):
            self._tell(f"series {entry.key[:8]}: results are lost, they are made again")
            self._spool.again(entry.key)
            return
        began = time.monotonic()
        sent = self._settings.destination.deliver(files)
        name = f"series {entry.key[:8]}"
        if sent.failed:
            wait = self._spool.postpone(entry, sent.failed)
            if sent.is_away:
                now = time.monotonic()  # at least half of the time is for screening
                self._away_until = now + max(wait, now - began)
            self._tell(f"{name}: {sent.failed}; tried again in {wait:.0f} s")
            return
        refused = "; ".join(sent.refused)
        state = State.FAILED if len(sent.refused) == len(files) else State.DONE
        made = "" if entry.tries else entry.words  # what of the series had no result
        self._spool.settle(entry, state, "; ".join(filter(None, (made, refused))))
        self._tell(f"{name}: sent" + (f", but {refused}" if refused else ""))


def _is_dicom(file: Path) -> bool:
    """Say whether a result can be read; a disk may have lost it."""
    try:
        parse(file, header_only=True)
    except ReadError:
        return False
    return True
