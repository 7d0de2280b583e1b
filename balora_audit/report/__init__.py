"""The report: ``audit.json`` → blocks → one HTML file. Needs no model and no torch.

``rows`` looks measurements up, ``sections`` turn them into ``blocks``, ``figures`` draw, ``html`` prints through the templates.
"""

from __future__ import annotations

from balora_audit.report.html import render, render_html

__all__ = ["render", "render_html"]
