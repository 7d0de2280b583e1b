"""The wheel: what it carries, what it leaves out, and that it finds its own files away from the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def shipped(folder: str) -> list[str]:
    """Return the files of a folder of the repository, as paths relative to it."""
    place = ROOT / folder
    found = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
    return [name for name in found if "__pycache__" not in name]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel once, without the network: no build isolation, no dependencies."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--wheel-dir", str(out), str(ROOT)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    place = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    return place


@pytest.mark.parametrize(
    ("folder", "inside", "essential"),
    [
        ("balora_audit", "balora_audit", ".py"),
        ("tasks", "balora_audit/_data/tasks", ".yaml"),
        ("reports/templates", "balora_audit/_data/templates", ".j2"),
        ("balora_audit/assets/tiny-llama", "balora_audit/assets/tiny-llama", ".safetensors"),
    ],
)
def test_the_wheel_carries_every_file_of(wheel, folder, inside, essential):
    expected = {f"{inside}/{name}" for name in shipped(folder)}
    assert any(name.endswith(essential) for name in expected), f"{folder} has no {essential} file"
    assert expected <= wheel_names(wheel)


def test_the_wheel_carries_the_schema_and_the_type_marker(wheel):
    assert {"balora_audit/assets/audit.schema.json", "balora_audit/py.typed"} <= wheel_names(wheel)


def test_the_wheel_carries_the_package_and_nothing_beside_it(wheel):
    names = wheel_names(wheel)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"balora_audit"}
    assert not [name for name in names if "tests" in Path(name).parts or "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_carries_the_licence_and_the_command(wheel):
    names = wheel_names(wheel)
    (licence,) = (name for name in names if name.endswith("dist-info/licenses/LICENSE"))
    (commands,) = (name for name in names if name.endswith("dist-info/entry_points.txt"))
    with zipfile.ZipFile(wheel) as archive:
        assert "Apache License" in archive.read(licence).decode()
        assert "balora-audit = balora_audit.interface.cli:main" in archive.read(commands).decode()


def run_from_wheel(unpacked, cwd, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_finds_its_files_from_any_folder(unpacked, tmp_path):
    code = "from balora_audit import resources as r; print(r.tasks_path(), r.templates_path(), r.TINY_MODEL_PATH, r.SCHEMA_PATH, sep='\\n')"
    found = [Path(line) for line in run_from_wheel(unpacked, tmp_path, "-c", code).splitlines()]
    assert len(found) == 4
    assert all(path.exists() and path.is_relative_to(unpacked) for path in found), found


def test_the_package_runs_as_a_module(unpacked, tmp_path):
    assert "compare" in run_from_wheel(unpacked, tmp_path, "-m", "balora_audit", "--help")
