"""Talk to a medcnn worker: the one client of every viewer.

Standard library and NumPy alone, nothing of medcnn: 3D Slicer and other viewers have a
Python of their own. docs/worker.md of medcnn describes every call.

    with Worker(python="/opt/medcnn/bin/python") as worker:
        result = worker.classify(Image(array, affine), "chest-xray")
        print(result.top, result.heatmaps)
"""

from MedCNNLib.client.client import Client
from MedCNNLib.client.errors import WorkerError
from MedCNNLib.client.handshake import API
from MedCNNLib.client.jobs import Job
from MedCNNLib.client.records import Heatmap, Image, Result
from MedCNNLib.client.remote import Remote
from MedCNNLib.client.worker import Worker

__all__ = [
    "API",
    "Client",
    "Heatmap",
    "Image",
    "Job",
    "Remote",
    "Result",
    "Worker",
    "WorkerError",
]
