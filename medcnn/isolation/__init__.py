"""Untrusted files are read in worker processes, with limits on what they may cost."""

from medcnn.isolation.arrays import pack, unpack
from medcnn.isolation.crew import Answer, Crew
from medcnn.isolation.limits import Limits
from medcnn.isolation.safe_reader import SafeReader
from medcnn.isolation.safe_slide import open_slide_safely
from medcnn.isolation.values import is_out_of_memory
from medcnn.isolation.wire import Failure, Message
from medcnn.isolation.worker import (
    TOO_MUCH_MEMORY,
    Answering,
    Tell,
    foreign_failure,
)

__all__ = [
    "TOO_MUCH_MEMORY",
    "Answer",
    "Answering",
    "Crew",
    "Failure",
    "Limits",
    "Message",
    "SafeReader",
    "Tell",
    "foreign_failure",
    "is_out_of_memory",
    "open_slide_safely",
    "pack",
    "unpack",
]
