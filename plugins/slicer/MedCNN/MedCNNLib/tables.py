"""Columns of values shown in a panel's table."""

from collections.abc import Mapping, Sequence
from typing import Any

import qt

__all__ = ["fill_table"]


def fill_table(table: Any, columns: Mapping[str, Sequence[Any]]) -> None:
    """Show columns in a QTableWidget; numbers with three digits, None as nothing."""
    table.setRowCount(max((len(values) for values in columns.values()), default=0))
    table.setColumnCount(len(columns))
    table.setHorizontalHeaderLabels(list(columns))
    for place, values in enumerate(columns.values()):
        for row, value in enumerate(values):
            table.setItem(row, place, qt.QTableWidgetItem(_text(value)))
    table.resizeColumnsToContents()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
