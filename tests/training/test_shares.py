"""States on the way are ordinary adapters, and training takes no notice of their being written."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from balora_audit.methods import METHODS
from balora_audit.methods.adapter import ADAPTER, adapted_layers
from balora_audit.training.shares import share_steps

SHARES = (0.25, 0.5)  # 6 steps: after the second (1.5 is rounded to even) and the third
RATES = (1e-3, 1e-2)


def tensors(folder):
    return {key: value for path in sorted(folder.glob("*.safetensors")) for key, value in load_file(path).items()}


def same(one, two):
    found, expected = tensors(one), tensors(two)
    return found.keys() == expected.keys() and all(torch.equal(value, expected[key]) for key, value in found.items())


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, {}), (2, {0.1: 1}), (3, {0.1: 1, 0.5: 2}), (10, {0.1: 1, 0.5: 5, 0.99: 9}), (1000, {0.1: 100, 0.5: 500, 0.99: 990})],
)
def test_a_share_is_reached_within_training_and_never_twice(steps, expected):
    assert share_steps((0.1, 0.5, 0.99, 1.0), steps) == expected


@pytest.mark.parametrize("name", ["lora", "balora", "dora", "full"])
def test_one_training_is_bitwise_the_same_with_shares(tiny, open_workshop, job, name):
    method, workshop = METHODS[name], open_workshop()
    plain, kept = job("plain"), job("kept", shares=SHARES)
    expected, found = method.make(workshop, plain), method.make(workshop, kept)
    assert found.curves == expected.curves
    assert same(kept.output.folder, plain.output.folder)
    folders = [*(kept.output.share(share) for share in SHARES), kept.output.folder]
    assert len({tuple(sorted(path.name for path in folder.iterdir())) for folder in folders}) == 1
    assert not same(folders[0], folders[1])
    assert not same(folders[1], folders[2])
    for folder in folders:
        with method.place(tiny, folder):
            pass
    assert tiny.current_weights() == tiny.weights


@pytest.mark.parametrize("name", ["lora", "balora"])
def test_trainings_abreast_are_bitwise_the_same_with_shares(open_workshop, job, under, name):
    method, workshop = METHODS[name], open_workshop()
    plain = [job(f"plain{rate}", under(learning_rate=rate)) for rate in RATES]
    kept = [job(f"kept{rate}", under(learning_rate=rate), shares=SHARES) for rate in RATES]
    expected, found = method.make_together(workshop, plain), method.make_together(workshop, kept)
    assert [made.curves for made in found] == [made.curves for made in expected]
    for one, two in zip(kept, plain, strict=True):
        assert same(one.output.folder, two.output.folder)
        assert not same(one.output.share(0.5), one.output.folder)
    assert not same(kept[0].output.share(0.5), kept[1].output.share(0.5))


@pytest.mark.parametrize("name", ["lora", "balora"])
def test_a_share_is_the_state_of_its_step_and_the_fast_forward_stays(open_workshop, job, monkeypatch, name):
    """Anchored adapters store twice the rank that is trained; the rest is where they started."""
    seen, method = [], METHODS[name]
    original = method.attach

    def attach(self, workshop, seed):
        attached = original(workshop, seed)
        snapshot = attached.snapshot

        def look(folder):
            snapshot(folder)
            fast = all("forward" in layer.__dict__ for layer in adapted_layers(attached.model).values())
            seen.append((folder, fast, {key: value.detach().clone() for key, value in attached.parameters.items()}))

        attached.snapshot = look
        return attached

    monkeypatch.setattr(type(method), "attach", attach)
    method.make(open_workshop(), job("kept", shares=SHARES))
    assert len(seen) == len(SHARES)
    for folder, fast, parameters in seen:
        assert fast
        stored = {key.removeprefix("base_model.model."): value for key, value in tensors(folder).items()}
        for key, value in parameters.items():
            whole = stored[key.removeprefix("base_model.model.").replace(f".{ADAPTER}", "")]
            assert torch.equal(whole[: value.shape[0], : value.shape[1]], value)


@pytest.mark.parametrize(("missing", "first"), [(False, 4), (True, 1)])
@pytest.mark.parametrize("together", [False, True])
def test_an_interrupted_training_goes_on_only_where_no_share_is_missing(open_workshop, job, under, monkeypatch, missing, first, together):
    """Checkpoints come after steps 2 and 4, shares after 2 and 3; the interruption is in the fifth step."""
    method, workshop = METHODS["lora"], open_workshop()
    make = method.make_together if together else lambda workshop, jobs: [method.make(workshop, jobs[0])]
    rates = RATES if together else RATES[:1]
    whole, cut = ([job(f"{name}{rate}", under(learning_rate=rate), shares=SHARES) for rate in rates] for name in ("whole", "cut"))
    expected, steps = make(workshop, whole), []

    def advance(count):
        steps.append(count)
        if len(steps) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(workshop.progress, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        make(workshop, cut)
    if missing:
        shutil.rmtree(cut[-1].output.share(0.5))
    steps.clear()
    monkeypatch.setattr(workshop.progress, "advance", steps.append)
    found = make(workshop, cut)
    assert steps[0] == first
    assert sum(steps) == 6
    for one, two, a, b in zip(cut, whole, found, expected, strict=True):
        assert a.curves == b.curves
        folders = [(one.output.share(share), two.output.share(share)) for share in SHARES]
        assert all(same(*pair) for pair in [(one.output.folder, two.output.folder), *folders])


def test_a_share_at_which_nothing_was_learned_is_noted_and_not_written(open_workshop, job, monkeypatch):
    from balora_audit.methods.adapter import Attached

    changes = iter([0.0, 1.0, 1.0])
    monkeypatch.setattr(Attached, "change_norm", lambda _: next(changes))
    kept = job("kept", shares=SHARES)
    METHODS["lora"].make(open_workshop(), kept)
    assert list(kept.output.skipped) == [0.25]
    assert "nothing was learned" in kept.output.skipped[0.25]
    assert not kept.output.share(0.25).exists()
    assert kept.output.share(0.5).is_dir()
