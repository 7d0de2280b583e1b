"""Progress without a terminal: plain lines, also when the first step takes long."""

import io
import time

from balora_audit.interface.terminal import progress_for


def test_progress_says_nothing_before_the_first_item_and_divides_by_no_zero(monkeypatch):
    stream, clock = io.StringIO(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with progress_for(stream, quiet=False) as progress:
        progress.stage("training", 4, "steps")
        clock[0] += 1000
        progress.advance(0)
        progress.advance(1)
        clock[0] += 1000
        progress.advance(3)
    lines = stream.getvalue().splitlines()
    assert lines == ["training: 4 steps", "training: 1 of 4 steps, about 3000 s left"]
