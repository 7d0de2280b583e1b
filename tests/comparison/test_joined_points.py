"""Which candidates a frontier joins."""

from typing import cast

import numpy as np
import pytest

from balora_audit.comparison.frontiers import Candidate, joined
from balora_audit.probes import PROBES, Context, Findings
from balora_audit.probes.skill import ACCURACY
from balora_audit.slices import CLEAN
from balora_audit.stats import ItemScores

IDS = tuple(map(str, range(100)))


def candidate(rate, share, right):
    """Return a candidate that answers so many of 100 items correctly."""
    skill = ItemScores.mean_of(IDS, (np.arange(100) < right).astype(float))
    found = Findings(cast(Context, None), PROBES["skill"], scores={("accuracy", CLEAN): skill})
    return Candidate(
        method="lora",
        setting=f"learning_rate={rate:g}",
        place=(0,),
        rate=rate,
        others=(),
        found={0: {"skill": found}},
        chosen=False,
        share=share,
    )


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        # the highest rate is too hot for the whole training, and best after a quarter of it
        ({1e-4: (50, 60), 1e-3: (60, 80), 1e-2: (70, 65)}, {(1e-4, 0.25), (1e-4, 1), (1e-3, 0.25), (1e-3, 1)}),
        # too hot after a quarter, and not at the end: each share has its own branch
        ({1e-4: (50, 60), 1e-3: (60, 70), 1e-2: (55, 80)}, {(1e-4, 0.25), (1e-3, 0.25), (1e-4, 1), (1e-3, 1), (1e-2, 1)}),
    ],
)
def test_a_share_is_joined_on_its_own_branch_and_only_with_its_end(right, expected):
    found = [candidate(rate, share, value) for rate, values in right.items() for share, value in zip((0.25, 1), values, strict=True)]
    assert {(one.rate, one.share) for one in joined(found, (0,), ACCURACY)} == expected


def test_candidates_with_the_same_numbers_are_still_two():
    one, two = candidate(1e-3, 0.5, 60), candidate(1e-3, 1, 60)
    assert one in [one]
    assert one not in [two]
