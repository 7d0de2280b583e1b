"""Which source files decide a result: those that its modules import, read off the syntax trees and hashed.

An import counts wherever it stands, at the top of a file or inside a function; only what stands under ``if TYPE_CHECKING:``
decides nothing. ``from package import name`` means the module in which the name is defined, so that a package whose
``__init__`` offers many names brings in no more than the one that is used. A string in the notation of entry points, ``module:object``,
is an import too: that is how the tables of `balora_audit.extensions.built_in` name what they hold.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

__all__ = ["code_hash", "hash_sources", "source_files"]

_ENTRY = re.compile(r"(?P<module>[a-z_]\w*(?:\.\w+)+):(?P<object>[A-Za-z_]\w*)")
_PACKAGE = Path(__file__).resolve().parents[1]


@cache
def code_hash(*modules: str) -> str:
    """Return the SHA-256 over the source of these modules and of all that they import of this package or of their own.

    Examples
    --------
    >>> code_hash("balora_audit.training.teacher") == code_hash("balora_audit.training.teacher")
    True
    """
    places = {_PACKAGE.name: _PACKAGE, **{top: _place(top) for top in {module.partition(".")[0] for module in modules} - {_PACKAGE.name}}}
    return hash_sources(modules, places)


def hash_sources(modules: tuple[str, ...], places: Mapping[str, Path]) -> str:
    """Return the SHA-256 over what :func:`source_files` gives: names and contents."""
    digest = hashlib.sha256()
    for module, path in sorted(source_files(modules, places).items()):
        digest.update(f"{module}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def source_files(modules: tuple[str, ...], places: Mapping[str, Path]) -> dict[str, Path]:
    """Return module → file for these modules and all that they import, directly or not.

    Parameters
    ----------
    modules : tuple of str
        Dotted names to start from.
    places : mapping
        Top-level package → its folder, or the file of a module that is none; imports of other packages are left out.
    """
    found: dict[str, Path] = {}
    todo = [_file(module, places) for module in modules]
    while todo:
        module, path = todo.pop()
        if module in found:
            continue
        found[module] = path
        todo += [_file(name, places) for name in _imported(module, path, places)]
    return found


def _place(top: str) -> Path:
    found = importlib.util.find_spec(top)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the package {top!r} has no source file to tell its version by")
    origin = Path(found.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _file(module: str, places: Mapping[str, Path]) -> tuple[str, Path]:
    path = _lookup(module, places)
    if path is None:
        raise ModuleNotFoundError(f"there is no source file of {module!r}")
    return module, path


def _lookup(module: str, places: Mapping[str, Path]) -> Path | None:
    """Return the file of a module, None where the name is no module."""
    top, *parts = module.split(".")
    place = places[top]
    if place.suffix == ".py":
        return None if parts else place
    path = place.joinpath(*parts)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def _imported(module: str, path: Path, places: Mapping[str, Path]) -> Iterator[str]:
    for base, name in _statements(module, path):
        if base.partition(".")[0] in places:
            yield from (base,) if name is None else _defining(base, name, places)


def _defining(package: str, name: str, places: Mapping[str, Path]) -> Iterator[str]:
    """Yield the module that ``from package import name`` means: a submodule, or where the package has the name from."""
    if _lookup(f"{package}.{name}", places) is not None:
        yield f"{package}.{name}"
        return
    _, path = _file(package, places)
    if path.name == "__init__.py":
        for base, offered in _statements(package, path):
            if offered == name and base != package and base.partition(".")[0] in places:
                yield from _defining(base, name, places)
                return
    yield package


@cache
def _statements_of(source: bytes, package: str) -> tuple[tuple[str, str | None], ...]:
    """Return (module, None) for ``import module``, (package, name) for ``from package import name`` and ``package:name``."""
    found: list[tuple[str, str | None]] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            parents = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found.extend((base, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (entry := _ENTRY.fullmatch(node.value)) is not None:
            found.append((entry["module"], entry["object"]))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.orelse:
                visit(statement)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(ast.parse(source))
    return tuple(found)


def _statements(module: str, path: Path) -> tuple[tuple[str, str | None], ...]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _statements_of(path.read_bytes(), package)
