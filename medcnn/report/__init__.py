"""A screening run as one page that opens offline."""

from medcnn.report.page import REPORT, write_report

__all__ = ["REPORT", "write_report"]
