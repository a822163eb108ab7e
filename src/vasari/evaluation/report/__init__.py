"""The report: one HTML page with the figures, the pictures and everything needed to repeat them."""

from vasari.evaluation.report.build import write_report
from vasari.evaluation.report.inputs import ReportInput
from vasari.evaluation.report.people import sampled_cases, shown_recommendations

__all__ = ["ReportInput", "sampled_cases", "shown_recommendations", "write_report"]
