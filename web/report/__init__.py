"""The report of a sale as one page: to be sent as a file, or shown in the console."""

from web.report.page import STYLESHEET, render

__all__ = ["STYLESHEET", "render"]
