"""Requests in one line each, for the tests of scoring."""

from contextlib import nullcontext

from balora_audit.models.encode import Encoder
from balora_audit.models.placed import Placed
from balora_audit.scoring import Reader, ScoreRequest, score


class Scorer:
    """Scores with one model in place; ``encoder`` counts over all calls."""

    def __init__(self, loaded, *, limit_tokens, disabled=nullcontext, advance=lambda _: None):
        self.encoder = Encoder(loaded.tokenizer, limit_tokens)
        self._reader = Reader(placed=Placed(base=loaded, disabled=disabled), encoder=self.encoder, advance=advance)

    def _ask(self, kind, texts, **more):
        ids = tuple(map(str, range(len(texts))))
        return score(ScoreRequest(key="set", kind=kind, ids=ids, texts=tuple(texts), **more), self._reader)

    def labels(self, texts, answers=(), **more):
        """Labels are named without the space that stands before an answer."""
        assert all(answer.startswith(" ") for answer in answers)
        return self._ask("labels", texts, labels=tuple(answer[1:] for answer in answers), **more)

    def numbers(self, texts, **more):
        return self._ask("numbers", texts, **more)

    def responses(self, prompts, responses, **more):
        return self._ask("responses", prompts, responses=tuple(responses), **more)

    def texts(self, texts):
        return self._ask("texts", texts)

    def write(self, prompts, *, max_new_tokens, stop=()):
        return self._ask("answers", prompts, settings=(("max_new_tokens", max_new_tokens), ("stop", tuple(stop))))
