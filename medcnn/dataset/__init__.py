"""A table or folders of labelled images: cases, and splits that share no patient."""

from medcnn.dataset.cases import LEFT_OUT, SPLITS, Case, CaseTable
from medcnn.dataset.folds import TEST, assign_folds, fold_table
from medcnn.dataset.leaks import (
    Leaks,
    contradictions,
    find_leaks,
    leave_out_copies,
    name_patients,
    refuse_leaks,
)
from medcnn.dataset.looks import Look, Looks, look_at, read_looks, write_looks
from medcnn.dataset.place_columns import boxes_cell
from medcnn.dataset.places import Box, Place
from medcnn.dataset.split import (
    assign_splits,
    content_hashes,
    data_sha256,
)
from medcnn.dataset.table import read_cases
from medcnn.dataset.twins import Twin, find_twins, joined

__all__ = [
    "LEFT_OUT",
    "SPLITS",
    "TEST",
    "Box",
    "Case",
    "CaseTable",
    "Leaks",
    "Look",
    "Looks",
    "Place",
    "Twin",
    "assign_folds",
    "assign_splits",
    "boxes_cell",
    "content_hashes",
    "contradictions",
    "data_sha256",
    "find_leaks",
    "find_twins",
    "fold_table",
    "joined",
    "leave_out_copies",
    "look_at",
    "name_patients",
    "read_cases",
    "read_looks",
    "refuse_leaks",
    "write_looks",
]
