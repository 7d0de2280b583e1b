"""Entry points that no package has to be installed for."""

import importlib.metadata

import pytest


@pytest.fixture
def installed(monkeypatch):
    """Return a function that lets things be found: kind → name → thing; a later call replaces the earlier one."""

    def install(**kinds):
        points = {f"balora_audit.{kind}s": [_Point(name, thing) for name, thing in things.items()] for kind, things in kinds.items()}
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: points.get(group, []))

    return install


class _Point:
    """An entry point of the package ``stranger`` 1.2; a thing that is an error is what loading it raises."""

    class dist:
        name, version = "stranger", "1.2"

    def __init__(self, name, thing):
        self.name = self.value = name
        self._thing = thing

    def load(self):
        if isinstance(self._thing, Exception):
            raise self._thing
        return self._thing
