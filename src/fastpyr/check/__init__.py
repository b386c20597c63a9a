"""Is a delivery of rasters fit for a pyramid: signatures, readability, georeferencing, every block, the whole area."""

from .delivery import check_delivery, delivered_rasters
from .report import FileReport, Finding, Report

__all__ = ["FileReport", "Finding", "Report", "check_delivery", "delivered_rasters"]
