"""One core for viewers: models, load, classify, evaluate, plan, train; jobs of these.

No science of its own: it calls medcnn's public functions, tells how they go, and stops
them. `medcnn.worker` gives the same to other processes.
"""

from medcnn.service.jobs import Job, Jobs, Outcome
from medcnn.service.places import Places
from medcnn.service.records import HeatmapFacts, Result
from medcnn.service.service import Service
from medcnn.service.shelf import Shelf, models_folder
from medcnn.service.watch import Cancel, Progress, Watch

__all__ = [
    "Cancel",
    "HeatmapFacts",
    "Job",
    "Jobs",
    "Outcome",
    "Places",
    "Progress",
    "Result",
    "Service",
    "Shelf",
    "Watch",
    "models_folder",
]
