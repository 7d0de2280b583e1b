import hashlib
import os
from pathlib import Path

import pytest

from balora_audit.files import cache_dir, hash_files, sha256_of, write_atomic


@pytest.mark.parametrize("data", ["é\n", b"\x00\xff"])
def test_a_file_is_written_whole_into_a_folder_that_need_not_be_there(tmp_path, data):
    path = tmp_path / "a" / "b"
    write_atomic(path, data)
    assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_atomic(path, "old")

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_hashed_by_content_and_folders_are_left_out(tmp_path):
    for name in ("b", "a", "folder/c"):
        write_atomic(tmp_path / name, name)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"a").hexdigest()
    assert list(hash_files(tmp_path).items()) == [(name, hashlib.sha256(name.encode()).hexdigest()) for name in ("a", "b")]


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"BALORA_CACHE": "~/x", "XDG_CACHE_HOME": "/y"}, Path.home() / "x"),
        ({"XDG_CACHE_HOME": "/y"}, Path("/y/balora-audit")),
        ({}, Path.home() / ".cache" / "balora-audit"),
        ({"BALORA_CACHE": "", "XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "balora-audit"),
    ],
)
def test_the_cache_is_where_the_environment_says(monkeypatch, variables, folder):
    for name in ("BALORA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_dir() == folder
