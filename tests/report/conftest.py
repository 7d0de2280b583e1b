import lxml.html
import pytest
import synthetic_audit as synthetic
from synthetic_audit import SHA256, parse
from synthetic_tuning import tuned

from balora_audit.report import render_html


@pytest.fixture(scope="session")
def audit():
    return tuned(synthetic.record(models=("base", "lora", "balora")))


@pytest.fixture(scope="session")
def html(audit):
    return render_html(audit, audit_sha256=SHA256)


@pytest.fixture(scope="session")
def page(html):
    return lxml.html.document_fromstring(html)


@pytest.fixture(scope="session")
def hostile_text():
    return " ".join(synthetic.HOSTILE.values())


@pytest.fixture(scope="session")
def hostile_page(hostile_text):
    return parse(synthetic.hostile(hostile_text))
