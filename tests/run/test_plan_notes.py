import pytest

from balora_audit.config import resolve
from balora_audit.run.plan import make_plan

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"train_rows": 20, "test_rows": 8}, []),
        (
            {},
            [
                "30 of the 320 training rows asked for: reviews.csv has no more besides the test rows",
                "10 of the 160 test rows asked for: reviews.csv has no test split, and at most a quarter of its 40 different texts "
                "is set aside",
            ],
        ),
    ],
)
def test_a_plan_warns_where_the_data_have_fewer_rows_than_asked_for(tmp_path, rows, expected):
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n" + "".join(f"the film number {i},{i % 2}\n" for i in range(40)), encoding="utf-8")
    plan = make_plan(resolve({"preset": "smoke", "data": str(path), "conditions": ("clean",), **rows}, environment={}))
    assert [warning for warning in plan.warnings if "asked for" in warning] == expected


def test_the_built_in_data_bring_no_such_warning():
    assert make_plan(resolve({"preset": "smoke"}, environment={})).warnings == ()
