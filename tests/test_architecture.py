"""The layers, read off the syntax tree: imports point downward only, and the light parts stay light."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import balora_audit

PACKAGE = Path(balora_audit.__file__).resolve().parent
NAME = "balora_audit"

# From the bottom up; a module or package may import from its own layer and from those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("cells", "errors", "extensions", "files", "metric", "processes", "progress", "records", "resources", "slices"),
    ("config", "data", "metrics", "penalties", "regularizers", "stats"),
    ("harness", "models"),
    ("scoring", "training"),
    ("methods",),
    ("probes",),
    ("comparison",),
    ("run",),
    ("export", "report"),
    ("__init__", "__main__", "interface"),
)
LAYER_OF = {part: number for number, parts in enumerate(LAYERS) for part in parts}

ENTRY = re.compile(r"(?P<module>[a-z_]\w*(?:\.\w+)+):[A-Za-z_]\w*")
MAX_LINES = 400
PURE_DATA = {"data/biography_parts.py"}


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, its line, whether it is imported as soon as the file is, or only named in a table."""

    module: str
    line: int
    eager: bool
    in_table: bool = False


def imports(source: str, *, package: str = NAME) -> Iterator[Import]:
    """Yield every import of a source text; ``from a import b`` counts as ``a`` and as ``a.b``."""

    def visit(node: ast.AST, eager: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield Import(base, node.lineno, eager)
            yield from (Import(f"{base}.{alias.name}", node.lineno, eager) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (entry := ENTRY.fullmatch(node.value)) is not None:
            yield Import(entry["module"], node.lineno, eager, in_table=True)  # the tables of things to choose from name what they hold so
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from visit(child, False)
            for child in node.orelse:
                yield from visit(child, eager)
        else:
            inside = eager and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, inside)

    yield from visit(ast.parse(source), True)


def part_of(path: Path) -> str:
    """Return the first name below the package: ``cli`` for cli.py, ``probes`` for probes/noise.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def upward(source: str, part: str, *, package: str = NAME) -> list[str]:
    """Return the imports of a source text that lies in `part` which point to a higher layer."""
    found = []
    for entry in imports(source, package=package):
        names = entry.module.split(".")
        target = names[1] if names[0] == NAME and len(names) > 1 else None
        if target in LAYER_OF and LAYER_OF[target] > LAYER_OF[part]:
            found.append(f"line {entry.line}: {part} (layer {LAYER_OF[part]}) imports {entry.module} (layer {LAYER_OF[target]})")
    return found


def importers(parts: set[str], forbidden: set[str], *, eager_only: bool = False) -> list[str]:
    """Return where the given parts of the package import one of the forbidden top-level packages."""
    return [
        f"{path.relative_to(PACKAGE)}:{entry.line} imports {entry.module}"
        for path in FILES
        if part_of(path) in parts
        for entry in imports(path.read_text(encoding="utf-8"), package=package_of(path))
        if entry.module.split(".")[0] in forbidden and (entry.eager or not eager_only)
    ]


def package_of(path: Path) -> str:
    """Return the package that relative imports of a file start from."""
    return ".".join([NAME, *path.relative_to(PACKAGE).parts[:-1]])


FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)


def test_every_module_has_a_layer():
    unplaced = sorted({part_of(path) for path in FILES} - LAYER_OF.keys())
    assert not unplaced, f"give these modules a layer in LAYERS: {unplaced}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_downward(path):
    assert upward(path.read_text(encoding="utf-8"), part_of(path), package=package_of(path)) == []


@pytest.mark.parametrize(
    ("part", "package", "source"),
    [
        ("records", NAME, "from balora_audit.metrics import nc1"),
        ("metrics", f"{NAME}.metrics", "def late():\n    from balora_audit import probes"),
        ("stats", f"{NAME}.stats", "from ..run import execute"),
        ("models", f"{NAME}.models", "if TYPE_CHECKING:\n    import balora_audit.training.loop"),
        ("run", f"{NAME}.run", "from ..report import render"),
    ],
)
def test_an_upward_import_is_found(part, package, source):
    assert len(upward(source, part, package=package)) >= 1


@pytest.mark.parametrize(
    ("part", "source"),
    [("run", "from balora_audit.run import plan, store"), ("interface", "import balora_audit.report"), ("records", "import json")],
)
def test_a_downward_or_sideways_import_is_fine(part, source):
    assert upward(source, part) == []


def test_the_report_stands_on_the_two_lowest_layers():
    allowed = {*LAYERS[0], *LAYERS[1], "report"}
    strayed = [
        f"{path.relative_to(PACKAGE)}:{entry.line} imports {entry.module}"
        for path in FILES
        if part_of(path) == "report"
        for entry in imports(path.read_text(encoding="utf-8"), package=package_of(path))
        if entry.module.startswith(f"{NAME}.") and entry.module.split(".")[1] not in allowed
    ]
    assert strayed == []


def circles(sources: dict[str, tuple[str, str]]) -> list[str]:
    """Return an import circle of files {module: (source, package of its relative imports)}; imports for types count, too."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for module, (source, package) in sources.items():
        entries = imports(source, package=package)
        needed = {entry.module for entry in entries if entry.module in sources and not entry.in_table} - {module}
        # ``from a import b`` needs the file a/b.py; the package a only leads there.
        sorter.add(module, *(name for name in needed if not any(other.startswith(f"{name}.") for other in needed)))
    try:
        sorter.prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def modules_of_the_package() -> dict[str, tuple[str, str]]:
    return {
        ".".join([NAME, *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): (
            path.read_text(encoding="utf-8"),
            package_of(path),
        )
        for path in FILES
    }


def test_no_files_import_each_other_in_a_circle():
    assert circles(modules_of_the_package()) == []


def test_a_circle_of_imports_is_found():
    one, two = f"{NAME}.one", f"{NAME}.two"
    back = "if TYPE_CHECKING:\n    from .one import One"
    assert len(circles({one: ("from .two import Two", NAME), two: (back, NAME)})) == 1
    assert circles({one: ("from .two import Two", NAME), two: ("import json", NAME)}) == []


def test_report_metrics_and_statistics_need_no_torch():
    assert importers({"report", "metrics", "stats"}, {"torch", "transformers"}) == []


def test_the_lowest_layer_needs_no_torch_at_all_and_no_pandas_to_be_imported():
    assert importers(set(LAYERS[0]), {"torch"}) == []
    assert importers(set(LAYERS[0]), {"transformers", "pandas"}, eager_only=True) == []


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("balora_audit.interface.cli", {"torch", "transformers", "matplotlib", "pandas"}),
        ("balora_audit.report", {"torch", "transformers"}),
        ("balora_audit.metrics, balora_audit.stats", {"torch", "transformers"}),
    ],
)
def test_importing_it_leaves_heavy_packages_out(module, forbidden):
    code = f"import sys, {module}; print(*sorted({forbidden!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_files_stay_readable():
    long = {
        path.relative_to(PACKAGE).as_posix(): lines
        for path in FILES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert {name: lines for name, lines in long.items() if name not in PURE_DATA} == {}
