from dataclasses import replace

import pytest

from balora_audit.data.prompts import BARE_PROMPT, DEFAULT_PROMPT, check_prompt, fill
from balora_audit.errors import DataError


@pytest.mark.parametrize("template", [BARE_PROMPT, DEFAULT_PROMPT, "{text}", "Say {it}: {text} {", "{{text}}"])
def test_a_template_has_one_place_and_nothing_else_that_is_read(template):
    assert check_prompt(template) == template
    assert fill(template, "a {text} b") == template.replace("{text}", "a {text} b")


@pytest.mark.parametrize("template", ["", "no place", "{text} and {text}", "{Text}"])
def test_a_template_without_one_place_is_refused_and_shown(template):
    with pytest.raises(DataError, match=r"^the prompt template needs exactly one \{text\}, got ") as raised:
        check_prompt(template)
    assert repr(template) in str(raised.value)
    with pytest.raises(DataError, match=r"^task x: the prompt template"):
        check_prompt(template, where="task x")


def test_a_data_set_has_a_template_that_works(dataset):
    with pytest.raises(DataError, match="exactly one"):
        replace(dataset, prompt="no place")
    assert replace(dataset, prompt="<{text}>").render("{text}") == "<{text}>"
