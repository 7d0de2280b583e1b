"""The package of docs/extending.md, installed as a stranger would, found, run, compared and reported."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from balora_audit.metric import Metric
from balora_audit.probes import PROBES, Measure, Probe
from balora_audit.probes.drift.general import GeneralText
from balora_audit.records import read
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow


def install(place: Path, target: Path, files: dict[str, str]) -> None:
    place.mkdir()
    for name, text in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--target", str(target), str(place)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extension")
    blocks = dict(re.findall(r"^## (\S+\.(?:toml|py))\n\n```\w+\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL))
    modules = {f"audit_shouting/{name}.py" for name in ("__init__", "measures", "method", "page")}
    assert set(blocks) == {"pyproject.toml", *modules}
    install(folder / "good", folder / "site", blocks)
    broken = blocks["pyproject.toml"].replace("audit-shouting", "audit-broken").replace("audit_shouting", "audit_broken")
    broken = broken.replace('shouting = "', 'noise = "audit_broken:NOISE"\nbroken = "')
    install(
        folder / "bad", folder / "site", {"pyproject.toml": broken, "audit_broken/__init__.py": "raise ImportError('its own dependency')\n"}
    )
    return folder / "site"


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    command = [sys.executable, "-m", "balora_audit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


def test_an_installed_package_is_listed_run_compared_and_reported(site, tmp_path):
    assert "shouting\tanswers that change" in run(site, "ls", "probes").stdout
    assert "vowel_drop\ta vowel is missing" in run(site, "ls", "perturbations").stdout
    assert "normal_lora\tlow-rank update, normal A" in run(site, "ls", "methods").stdout
    config = tmp_path / "audit.yaml"
    config.write_text(
        "preset: smoke\nmodels: [base, lora, normal_lora]\nconditions: [clean]\nprobes: [noise, shouting]\ntrain_rows: 48\ntest_rows: 48\n"
        "training: {epochs: 1}\nresamples: 200\nnoise: {kinds: [vowel_drop], severities: [5]}\nmargins: {shouting_flip_rate: 0.05}\n"
        "claims:\n- {metric: shouting_flip_rate, candidate: lora, probe: shouting}\n",
        encoding="utf-8",
    )
    out = tmp_path / "out"
    done = run(site, "compare", "--config", str(config), "--out", str(out), "--quiet")
    assert done.returncode == 0, done.stderr
    audit = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    rows = [row for row in audit["measurements"] if row["probe"] == "shouting"]
    assert [(row["method"], row["metric"]) for row in rows] == [(name, "shouting_flip_rate") for name in ("base", "lora", "normal_lora")]
    assert all(row["value"] is not None and row["ci_low"] <= row["value"] <= row["ci_high"] for row in rows)
    claim = next(row for row in audit["comparisons"] if row["probe"] == "shouting")
    assert (claim["n_items"], claim["margin"]) == (48, 0.05)
    assert claim["verdict"] in ("supported", "contradicted", "equivalent", "inconclusive", "not comparable")
    assert any(row["slice"] == "vowel_drop@5" and row["metric"] == "realised_rate" and row["value"] > 0 for row in audit["measurements"])
    sure = [row for row in audit["measurements"] if (row["probe"], row["metric"]) == ("noise", "confidence")]
    assert {row["slice"] for row in sure} == {"clean"}
    assert any(row["metric"] == "confidence" and row["delta"] is not None for row in audit["comparisons"])
    origin = {"package": "audit-shouting", "version": "0.1.0"}
    about = audit["provenance"]["extensions"]
    assert about == {
        "probe": {"shouting": origin}, "measure": {"confidence": origin}, "perturbation": {"vowel_drop": origin},
        "method": {"normal_lora": origin},
    }  # fmt: skip
    assert "Shouted texts" in (out / "report.html").read_text(encoding="utf-8")
    known = {metric["name"]: metric for metric in audit["metrics"]}
    assert known["shouting_flip_rate"]["title"] == "flips under capital letters"
    (probe,) = (row for row in audit["probes"] if row["name"] == "shouting")
    assert (probe["title"], probe["metrics"]) == ("Shouting", ["shouting_flip_rate"])
    assert any("'noise'" in warning and "audit-broken" in warning for warning in audit["warnings"])
    again = subprocess.run(
        [sys.executable, "-m", "balora_audit", "render", str(out)], capture_output=True, text=True, check=False, timeout=120
    )
    assert again.returncode == 0, again.stderr  # where the package is not installed
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Shouting" in page
    assert "Shouted texts" not in page  # the section was the package's; its probe stands in tables now
    assert "flips under capital letters" in page


class Numbers(Measure):
    """Measures a number by a name that can mean anything; fails where it is told to."""

    def __init__(self, title, *, fails=False):
        self.metrics = (
            Metric(name="strange", title=title, unit="number", higher_is_better=True, meaning=title, source="here", margin=0.1),
        )
        self.fails = fails

    def headlines(self, dataset, condition):
        return ("strange",)

    def measure(self, context, scores, beside, findings):
        if self.fails and context.method == "lora":
            raise ZeroDivisionError("nobody is perfect")
        ids = [example.id for example in context.dataset.test]
        findings.mean("strange", np.arange(len(ids)) / 7, ids)


def foreign(name, title, **more):
    return {name: Probe(name=name, title=title, summary=title, measures=(Numbers(title, **more),))}


def test_a_probe_that_fails_is_recorded_its_claims_are_errors_and_the_others_go_on(tmp_path, small_config, installed):
    installed(probe=foreign("failing", "fails", fails=True))
    config = small_config(models=("base", "lora"), conditions=("clean",), probes=("noise", "failing"))
    record = execute(make_plan(config), tmp_path / "run")
    assert record.status == "incomplete"
    message = "the probe 'failing' failed: ZeroDivisionError: nobody is perfect"
    assert [(failure.method, failure.message) for failure in record.errors] == [("lora", message)]
    (claim,) = (row for row in record.comparisons if row.claim is not None and row.probe == "failing")
    assert (claim.verdict, claim.reason) == ("error", f"failed: lora under clean, seed 0 ({message})")
    assert any(row.probe == "noise" and row.delta is not None for row in record.comparisons)


def test_a_built_in_probe_fails_alike(tmp_path, small_config, monkeypatch):
    def fail(self, *given):
        raise ZeroDivisionError("nobody is perfect")

    monkeypatch.setattr(GeneralText, "measure", fail)
    record = execute(make_plan(small_config(models=("base", "lora"), conditions=("clean",), probes=("noise", "drift"))), tmp_path / "run")
    assert record.status == "incomplete"
    assert {failure.message for failure in record.errors} == {"the probe 'drift' failed: ZeroDivisionError: nobody is perfect"}
    verdicts = {row.probe: row.verdict for row in record.comparisons if row.claim is not None}
    assert verdicts.keys() == {"skill", "noise"}
    assert any(row.probe == "noise" and row.value is not None for row in record.measurements)


def test_two_audits_in_one_process_can_mean_different_things_by_one_name(tmp_path, small_config, installed):
    settings = {"models": ("base", "lora"), "conditions": ("clean",)}
    records = {}
    for name, title in (("first", "one meaning"), ("second", "another meaning")):
        installed(probe=foreign(name, title))
        records[name] = execute(make_plan(small_config(**settings, probes=("drift", name))), tmp_path / name)
    said = {name: {metric.name: metric.title for metric in record.metrics}["strange"] for name, record in records.items()}
    assert said == {"first": "one meaning", "second": "another meaning"}
    installed()
    later = execute(make_plan(small_config(**settings, probes=("drift",))), tmp_path / "later")
    assert "strange" not in {metric.name for metric in later.metrics}
    assert [probe.name for probe in later.probes] == list(PROBES)
    for name in records:  # the records of the earlier ones still tell what was meant
        again = read(tmp_path / name)
        assert {metric.name: metric.title for metric in again.metrics}["strange"] == said[name]
        assert [row.verdict for row in again.comparisons if row.metric == "strange" and row.claim] == ["equivalent"]


def test_what_is_swapped_is_told_in_the_metrics_and_their_sentences(tmp_path, small_config):
    terms = tmp_path / "religion.csv"
    terms.write_text("she,they\nhe,it\n", encoding="utf-8")
    texts = {}
    for name, swaps in (("own", str(terms)), ("built in", None)):
        config = small_config(models=("base", "lora"), conditions=("clean",), probes=("imbalance",), swaps=swaps)
        record = execute(make_plan(config), tmp_path / name)
        known = {metric.name: metric for metric in record.metrics}
        texts[name] = [
            *(known[metric].meaning for metric in ("counterfactual_flip_rate", "counterfactual_shift")),
            known["counterfactual_flip_rate"].sentence.form,
            *(table.title for table in record.samples if "→" in table.title and "swapped" in table.title),
        ]
    assert len(texts["own"]) == len(texts["built in"]) == 4
    assert all("an identity term of religion.csv" in text and "gender" not in text for text in texts["own"])
    assert all("the person's gender" in text for text in texts["built in"])


def test_a_broken_extension_is_an_error_only_where_it_is_asked_for(site, tmp_path):
    done = run(site, "plan", "--preset", "smoke", "--probes", "broken", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "audit-broken" in done.stderr
    assert "its own dependency" in done.stderr
    assert "Traceback" not in done.stderr
