"""A table or folders of labelled images: cases, and splits that share no patient."""

from medcnn.dataset.cases import SPLITS, Case, CaseTable
from medcnn.dataset.folds import TEST, assign_folds, fold_table
from medcnn.dataset.split import (
    assign_splits,
    content_hashes,
    data_sha256,
    refuse_leakage,
)
from medcnn.dataset.table import read_cases

__all__ = [
    "SPLITS",
    "TEST",
    "Case",
    "CaseTable",
    "assign_folds",
    "assign_splits",
    "content_hashes",
    "data_sha256",
    "fold_table",
    "read_cases",
    "refuse_leakage",
]
