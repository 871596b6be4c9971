"""A screening run, or an evaluation, as one page that opens offline.

The evaluation's page is `medcnn.report.evaluation_page`: it loads matplotlib, which a
screening run has no need of.
"""

from medcnn.report.page import REPORT, write_report

__all__ = ["REPORT", "write_report"]
