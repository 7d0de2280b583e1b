"""Parts of the data and cells by name: what is printed is read back as the same."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora_audit.cells import CellId
from balora_audit.data.conditions import parse
from balora_audit.slices import ALL, CLEAN, Slice

TASK = "balora_bias_pairs (version 1.0, 0 shots, strict-match)"


@given(st.text())
def test_every_text_is_a_slice_that_prints_as_it_is(text):
    assert str(Slice.parse(text)) == text


@pytest.mark.parametrize("kind", ["class", "group", "layer", "module", "flips"])
@given(name=st.text())
def test_a_named_part_keeps_its_name_whatever_it_is(kind, name):
    slice = Slice(kind, name)
    assert Slice.parse(str(slice)) == slice
    assert slice.name == name
    assert not slice.whole


@pytest.mark.parametrize(
    ("text", "slice", "title"),
    [
        ("all", ALL, "all"),
        ("clean", CLEAN, "clean"),
        ("typo@5", Slice("noise", "typo", 5), "typo, severity 5"),
        ("class=a@b", Slice("class", "a@b"), "a@b"),
        ("class=clean", Slice("class", "clean"), "clean"),
        ("group=x=y", Slice("group", "x=y"), "x=y"),
        ("flips=noise:0.3", Slice("flips", "noise:0.3"), "noise:0.3"),
        ("typo@05", Slice("part", "typo@05"), "typo@05"),
        (TASK, Slice("task", TASK), TASK),
    ],
)
def test_forms_are_told_apart(text, slice, title):
    assert Slice.parse(text) == slice
    assert slice.title == title


def test_only_what_was_asked_as_a_whole_is_compared_unasked():
    assert [slice.whole for slice in (ALL, CLEAN, Slice("task", TASK), Slice("noise", "typo", 1), Slice("part", "typo"))] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), [("part", "all"), ("part", "typo@3"), ("part", "class=x"), ("task", "arc_easy"), ("noise", "a=b")]
)
def test_a_name_that_would_be_read_as_another_part_is_refused(kind, name):
    with pytest.raises(ValueError, match="read as another"):
        Slice(kind, name, 3 if kind == "noise" else None)


@given(
    method=st.from_regex(r"[a-z0-9]+(\[-?[a-z]+\])?", fullmatch=True),
    doses=st.dictionaries(st.sampled_from(["noise", "correlate", "imbalance"]), st.sampled_from([0.5, 0.75, 0.999]), max_size=3),
    seed=st.integers(0, 2**31 - 1),
)
def test_a_cells_folder_is_legal_everywhere_and_leads_back_to_it(method, doses, seed):
    doses = {kind: 20 * dose if kind == "imbalance" else dose for kind, dose in doses.items()}
    condition = str(parse("+".join(f"{kind}:{dose}" for kind, dose in doses.items()) or "clean"))
    cell = CellId(method, condition, seed)
    assert CellId.of_folder(PurePosixPath("adapters") / cell.folder) == cell
    assert not set(str(cell.folder) + cell.file_stem) & set('<>:"|?*\\')
    assert str(cell) == f"{method}, {condition}, seed {seed}"
