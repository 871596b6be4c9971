"""A screening run, or an evaluation, as one page that opens offline."""

from medcnn.report.evaluation_page import write_evaluation_report
from medcnn.report.page import REPORT, write_report

__all__ = ["REPORT", "write_evaluation_report", "write_report"]
