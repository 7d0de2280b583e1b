"""Blocks → HTML, through the packaged templates. Everything from outside is escaped; nothing but the CSS is trusted."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from balora_audit.files import write_atomic
from balora_audit.records import AuditRecord, read
from balora_audit.report.numbers import visible
from balora_audit.report.rows import Reader
from balora_audit.report.sections import build
from balora_audit.resources import templates_path

__all__ = ["render", "render_html"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FOOTER = '\n@page {{ @bottom-left {{ content: "balora-audit · audit {audit_id}"; font: 8pt sans-serif; color: #4a5563; }} }}\n'
"""The foot of every printed page; CSS is the only place that can put it into the margin."""


def render(run_dir: Path, out: Path | None = None) -> Path:
    """Render ``RUN/audit.json`` and return the path of the HTML (``RUN/report.html`` by default).

    Raises
    ------
    StoreError
        There is no valid ``audit.json``.
    """
    source = run_dir / "audit.json" if run_dir.is_dir() else run_dir
    record = read(source)
    target = out if out is not None else source.parent / "report.html"
    write_atomic(target, render_html(record, audit_sha256=hashlib.sha256(source.read_bytes()).hexdigest()))
    return target


def render_html(record: AuditRecord, *, audit_sha256: str) -> str:
    """Return the report: one self-contained document, the same bytes for the same record.

    Raises
    ------
    ValueError
        `audit_sha256` is not a SHA-256 in lower-case hexadecimal digits.
    """
    if not _SHA256.fullmatch(audit_sha256):
        raise ValueError(f"audit_sha256 must be 64 lower-case hexadecimal digits, got {audit_sha256!r}")
    audit_id = audit_sha256[:12]
    templates = templates_path()
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    style = (templates / "style.css").read_text(encoding="utf-8").strip() + _FOOTER.format(audit_id=audit_id)
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return environment.get_template("report.html.j2").render(
        style=Markup(style),  # our own packaged file and hexadecimal digits, named by their hash in the policy
        style_hash=digest,
        audit_id=audit_id,
        created=record.created.replace("T", " ").removesuffix("Z"),
        version=str(record.tool.get("version", "unknown")),
        sections=build(Reader(record, audit_sha256=audit_sha256)),
    )


def _finalize(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
