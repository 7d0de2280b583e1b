"""What decides a unit is what its modules import: tried on a copy of the package whose files are changed."""

import shutil
from pathlib import Path

import pytest

import balora_audit
from balora_audit.methods import METHODS
from balora_audit.run.code import code_hash, hash_sources, source_files
from balora_audit.scoring import KINDS
from balora_audit.training import teacher

PACKAGE = Path(balora_audit.__file__).resolve().parent
PLACES = {"balora_audit": PACKAGE}
ROOTS = {
    **{f"method {name}": method.modules for name, method in METHODS.items()},
    **{f"kind {name}": (kind.module,) for name, kind in KINDS.items()},
    "teacher": (teacher.__name__,),
}
UNRELATED = ("comparison", "config", "export", "interface", "probes", "records", "report", "run")


@pytest.fixture
def copied(tmp_path):
    """A copy of the package's sources, as `places`."""
    folder = tmp_path / "balora_audit"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__", "assets", "_data"))
    return {"balora_audit": folder}


def change(places, name, text="\n# another line\n"):
    path = places["balora_audit"] / name
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.trains])
def test_what_trains_is_all_there(name):
    needed = {
        "data.dataset", "errors", "methods.tuned", "models.encode", "models.forward", "models.load", "regularizers", "training.fused",
        "training.loop", "training.objective", "training.teacher", "training.workshop",
    }  # fmt: skip
    assert {f"balora_audit.{module}" for module in needed} <= set(source_files(METHODS[name].modules, PLACES))


def test_each_start_is_in_the_closure_of_its_own_method_alone():
    found = {name: set(source_files(METHODS[name].modules, PLACES)) for name in ("lora", "pissa", "balora")}
    assert "balora_audit.methods.lora" in found["lora"]
    assert "balora_audit.methods.pissa" not in found["lora"]
    assert "balora_audit.methods.pissa" in found["pissa"] & found["balora"]


@pytest.mark.parametrize("root", ROOTS)
def test_no_setting_claim_or_page_is_in_any_closure(root):
    strayed = [
        module for module in source_files(ROOTS[root], PLACES) if module.startswith(tuple(f"balora_audit.{part}" for part in UNRELATED))
    ]
    assert strayed == []


def test_a_new_flag_margin_or_report_change_retrains_and_rescores_nothing(copied):
    before = {name: hash_sources(root, copied) for name, root in ROOTS.items()}
    for part in UNRELATED:
        folder = copied["balora_audit"] / part
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
        assert files
        for path in files:
            change(copied, path.relative_to(copied["balora_audit"]))
    assert {name: hash_sources(root, copied) for name, root in ROOTS.items()} == before


@pytest.mark.parametrize(
    ("file", "changes", "keeps"),
    [
        ("training/loop.py", "method lora", "kind labels"),
        ("regularizers.py", "method balora", "kind labels"),
        ("models/encode.py", "kind labels", None),
        ("models/forward.py", "method full", None),
        ("methods/pissa.py", "method pissa", "method lora"),
        ("scoring/labels.py", "kind labels", "kind texts"),
        ("training/teacher.py", "teacher", "kind responses"),
        ("metrics/weights.py", "kind weights", "kind labels"),
    ],
)
def test_a_changed_file_changes_what_it_decides(copied, file, changes, keeps):
    before = {name: hash_sources(root, copied) for name, root in ROOTS.items()}
    change(copied, file)
    after = {name: hash_sources(root, copied) for name, root in ROOTS.items()}
    assert after[changes] != before[changes]
    assert keeps is None or after[keeps] == before[keeps]


@pytest.mark.parametrize(
    "added",
    [
        "\nfrom balora_audit.metrics.geometry import nc1\n",
        "\nfrom balora_audit.metrics import nc1\n",
        "\nimport balora_audit.metrics.geometry\n",
        "\n\ndef late():\n    from balora_audit.metrics import nc1\n",
        "\nif TYPE_CHECKING:\n    pass\nelse:\n    from ..metrics.geometry import nc1\n",
    ],
)
def test_an_added_import_brings_the_imported_file_in(copied, added):
    root = METHODS["lora"].modules
    assert "balora_audit.metrics.geometry" not in source_files(root, copied)
    change(copied, "training/loop.py", added)
    assert "balora_audit.metrics.geometry" in source_files(root, copied)
    assert "balora_audit.metrics.bias" not in source_files(root, copied)
    before = hash_sources(root, copied)
    change(copied, "metrics/geometry.py")
    assert hash_sources(root, copied) != before


def test_an_import_for_types_alone_decides_nothing(copied):
    change(copied, "training/loop.py", "\nif TYPE_CHECKING:\n    from balora_audit.metrics.geometry import nc1\n")
    assert "balora_audit.metrics.geometry" not in source_files(METHODS["lora"].modules, copied)


def test_a_module_of_another_package_counts_with_what_it_imports_here_and_there(tmp_path, monkeypatch):
    package = tmp_path / "elsewhere"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "start.py").write_text(
        "import json\nfrom .numbers import ONE\nfrom balora_audit.methods.lora import LORA\n", encoding="utf-8"
    )
    (package / "numbers.py").write_text("ONE = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = source_files(("elsewhere.start",), {**PLACES, "elsewhere": package})
    assert {"elsewhere.start", "elsewhere.numbers", "balora_audit.methods.lora", "balora_audit.training.loop"} <= set(found)
    before = code_hash("elsewhere.start")
    code_hash.cache_clear()
    (package / "numbers.py").write_text("ONE = 2\n", encoding="utf-8")
    assert code_hash("elsewhere.start") != before


def test_a_module_without_a_source_file_is_refused():
    with pytest.raises(ModuleNotFoundError, match=r"no source file of 'balora_audit\.nothing'"):
        source_files(("balora_audit.nothing",), PLACES)
