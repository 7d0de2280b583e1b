"""The package of docs/extending.md, installed as a stranger would, found, run, compared and reported."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from balora_audit.probes import PROBES
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow


def install(place: Path, target: Path, files: dict[str, str]) -> None:
    place.mkdir()
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--target", str(target), str(place)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extension")
    blocks = dict(re.findall(r"^## (\S+\.(?:toml|py))\n\n```\w+\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL))
    assert set(blocks) == {"pyproject.toml", "audit_shouting.py"}
    install(folder / "good", folder / "site", blocks)
    broken = blocks["pyproject.toml"].replace("audit-shouting", "audit-broken").replace("audit_shouting", "audit_broken")
    broken = broken.replace('shouting = "', 'noise = "').replace('vowel_drop = "', 'broken = "')
    install(folder / "bad", folder / "site", {"pyproject.toml": broken, "audit_broken.py": "raise ImportError('its own dependency')\n"})
    return folder / "site"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    command = [sys.executable, "-m", "balora_audit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


def test_an_installed_package_is_listed_run_compared_and_reported(installed, tmp_path):
    assert "shouting\tanswers that change" in run(installed, "ls", "probes").stdout
    assert "vowel_drop\ta vowel is missing" in run(installed, "ls", "perturbations").stdout
    config = tmp_path / "audit.yaml"
    config.write_text(
        "preset: smoke\nmodels: [base, lora]\nconditions: [clean]\nprobes: [noise, shouting]\ntrain_rows: 48\ntest_rows: 48\n"
        "training: {epochs: 1}\nresamples: 200\nnoise: {kinds: [vowel_drop], severities: [5]}\nmargins: {shouting_flip_rate: 0.05}\n"
        "claims:\n- {metric: shouting_flip_rate, candidate: lora, probe: shouting}\n",
        encoding="utf-8",
    )
    out = tmp_path / "out"
    done = run(installed, "compare", "--config", str(config), "--out", str(out), "--quiet")
    assert done.returncode == 0, done.stderr
    audit = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    rows = [row for row in audit["measurements"] if row["probe"] == "shouting"]
    assert [(row["method"], row["metric"]) for row in rows] == [("base", "shouting_flip_rate"), ("lora", "shouting_flip_rate")]
    assert all(row["value"] is not None and row["ci_low"] <= row["value"] <= row["ci_high"] for row in rows)
    claim = next(row for row in audit["comparisons"] if row["probe"] == "shouting")
    assert (claim["n_items"], claim["margin"]) == (48, 0.05)
    assert claim["verdict"] in ("supported", "contradicted", "equivalent", "inconclusive")
    assert any(row["slice"] == "vowel_drop@5" and row["metric"] == "realised_rate" and row["value"] > 0 for row in audit["measurements"])
    about = audit["provenance"]["extensions"]["shouting"]
    assert (about["package"], about["version"], about["title"]) == ("audit-shouting", "0.1.0", "Shouting")
    assert any("'noise'" in warning and "audit-broken" in warning for warning in audit["warnings"])
    again = subprocess.run(
        [sys.executable, "-m", "balora_audit", "render", str(out)], capture_output=True, text=True, check=False, timeout=120
    )
    assert again.returncode == 0, again.stderr  # where the package is not installed
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Shouting" in page
    assert "flips under capital letters" in page


def test_a_probe_that_fails_while_measuring_is_recorded_and_the_others_go_on(tmp_path, small_config, monkeypatch):
    class Failing:
        name = "failing"
        summary = "fails"

        def requests(self, context):
            return []

        def measure(self, context, scores, base):
            raise ZeroDivisionError("nobody is perfect")

    monkeypatch.setitem(PROBES, "failing", Failing())
    config = small_config(models=("base",), conditions=("clean",), probes=("drift", "failing"))
    record = execute(make_plan(config), tmp_path / "run")
    assert record.status == "incomplete"
    assert [failure.message for failure in record.errors] == ["the probe 'failing' failed: ZeroDivisionError: nobody is perfect"]
    assert any(row.probe == "drift" and row.value is not None for row in record.measurements)


def test_a_broken_extension_is_an_error_only_where_it_is_asked_for(installed, tmp_path):
    done = run(installed, "plan", "--preset", "smoke", "--probes", "broken", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "audit-broken" in done.stderr
    assert "its own dependency" in done.stderr
    assert "Traceback" not in done.stderr
