"""Images of an archive for `medcnn screen --from`, and results back to it."""

import sys
from dataclasses import dataclass
from pathlib import Path

from medcnn.cli.console import progress_bar, say
from medcnn.cli.open_model import open_model
from medcnn.cli.options import EngineChoice
from medcnn.dicom_out import Codes
from medcnn.errors import ReadError
from medcnn.isolation import SafeReader
from medcnn.outputs import make_folder
from medcnn.pacs import Spool, Station
from medcnn.pacs.fetching import fetch
from medcnn.pacs.spool import State
from medcnn.pacs.station import Settings
from medcnn.pacs.web import WebArchive, base_url, parse_query

__all__ = ["FromArchive"]

_BESIDE = ".archive"
"""A run leaves its own output folder out, so what is fetched lies beside it."""


@dataclass
class FromArchive:
    """A search in an archive.

    Attributes:
        url: dicomweb+https://HOST/PATH.
        query: KEYWORD=VALUE&...
        output: The run's output folder; fetched files lie beside it, in its name with
            ".archive" behind.
        most: Most series.
        quiet: Whether nothing is said.
    """

    url: str
    query: str
    output: Path
    most: int
    quiet: bool

    def __post_init__(self) -> None:
        self._archive = WebArchive(base_url(self.url))
        self._wanted = parse_query(self.query)
        folder = self.output.absolute()
        folder = folder.with_name(folder.name + _BESIDE)
        make_folder(folder)
        # the search is what bounds it: what was fetched before waits here for ever
        self._spool = Spool(folder, most_waiting=sys.maxsize)

    def fetched(self) -> Path:
        """Fetch what matches and return the folder with it.

        Raises:
            ArchiveError: If the archive cannot be searched.
            ReadError: If there is nothing.
        """
        with progress_bar("Fetching", unit="series", quiet=self.quiet) as advance:
            found = fetch(
                self._archive,
                self._wanted,
                self._spool,
                most=self.most,
                progress=advance,
            )
        for problem in found.problems:
            say(f"not fetched: {problem}")
        if found.series == self.most:
            say(f"only the first {self.most} series were asked for: see --most")
        folder = self._spool.folder / "received"
        if not any(folder.iterdir()):
            msg = f"no image: {found.series} series match {self.query!r}"
            raise ReadError(msg, hint="Widen the --query.")
        return folder

    def send_back(self, model: str, *, engine: EngineChoice, device: str) -> int:
        """Store results of all that was fetched; return how many series have none.

        Raises:
            OutputError: If results cannot be written.
        """
        with SafeReader() as reader:
            opened = open_model(model, engine=engine, device=device, quiet=True)
            settings = Settings(self._archive, 0.0, Codes())
            tell = (lambda _: None) if self.quiet else say
            station = Station(self._spool, opened, reader, settings=settings, tell=tell)
            while station.step():
                pass
        states = [entry.state for entry in self._spool.entries()]
        return sum(state in {State.MADE, State.FAILED} for state in states)
