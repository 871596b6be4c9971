"""A screening run, or an evaluation, as one page that opens offline.

The evaluation's page is `medcnn.report.evaluation_page`: it loads matplotlib, which a
screening run has no need of.
"""

from medcnn.report.page import write_report
from medcnn.worklist import REPORT

__all__ = ["REPORT", "write_report"]
