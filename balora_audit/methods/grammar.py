"""Methods with more or fewer penalties, by name: any initialisation with any penalties (METHODS §1–2).

::

    NAME   = METHOD                  as it is listed: lora, balora
           | METHOD "[" change "]"
    change = ("+" TERM)+             with these penalties too: lora[+cr], pissa[+cr+dr]
           | ("-" TERM)+             without these: balora[-cr], balora[-cr-dr]
           | TERM ("+" TERM)*        with only these of its own: balora[svdr], balora[cr+dr]
    TERM   = a penalty's abbreviation: cr, dr, svdr

A method can be given only what it has not, and left without only what it has; a term stands in a name once. The order of terms changes
the name and nothing else. ``balora`` is ``pissa[+cr+dr+svdr]``, so ``balora[-dr]`` is ``pissa[+cr+svdr]``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from balora_audit.errors import ConfigurationError, near
from balora_audit.methods.tuned import TunedMethod
from balora_audit.penalties import PENALTIES

__all__ = ["ABBREVIATIONS", "SPELLINGS", "Spelling", "are_one_model", "parse", "spelled"]

ABBREVIATIONS = {penalty.abbreviation: name for name, penalty in PENALTIES.items()}
"""Penalty by the abbreviation that names of methods call it by: ``lora[+cr]``, ``balora[-svdr]``."""

_TERMS = ", ".join(f"{abbreviation} ({name})" for abbreviation, name in ABBREVIATIONS.items())
SPELLINGS = {
    "lora[+cr]": f"any method that is trained here with penalties, as in pissa[+cr+dr]; the terms are {_TERMS}",
    "balora[-cr]": "a method without some of its penalties, or with only some of them, as in balora[cr+dr]",
}
"""What can be made of the methods that are listed, by example, for ``ls methods`` and messages."""

_BRACKETED = re.compile(r"(?P<method>[^\[\]]+)\[(?P<change>[^\[\]]*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A name in its parts, as the user wrote them; whether the method can take them is told by :meth:`of`.

    Parameters
    ----------
    method : str
        What stands in front of the brackets.
    changes : tuple of (str, str)
        A sign, ``+`` or ``-``, and the name of a penalty; the first sign is empty where only these terms are kept.
    """

    method: str
    changes: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.method}[{''.join(sign + PENALTIES[term].abbreviation for sign, term in self.changes)}]"

    def of(self, method: TunedMethod) -> TunedMethod:
        """Return a method with more or fewer penalties, which goes by this name.

        Raises
        ------
        ConfigurationError
            Terms are added and left out at once; the method has what is added, or has not what is left out or kept.

        Examples
        --------
        >>> from balora_audit.methods.balora import BALORA
        >>> method = parse("balora[-cr]").of(BALORA)
        >>> method.title, method.start, sorted(method.terms)
        ('BA-LoRA without consistency', 'pissa', ['diversity', 'spectral'])
        """
        signs, named = zip(*self.changes, strict=True)
        kind = signs[0]
        if "-" in signs and {*signs} != {"-"}:
            raise ConfigurationError(f"{str(self)!r} adds terms and leaves some out at once; {self._way_out(method)}")
        if kind == "+" and (present := [term for term in named if term in method.terms]):
            raise ConfigurationError(
                f"{str(self)!r}: {method.name!r} has {_short(present)} already; {_has(method)}: add only what it has not"
            )
        if kind != "+" and (absent := [term for term in named if term not in method.terms]):
            what = f"has no {_short(absent)} to {'leave out' if kind else 'keep'}"
            raise ConfigurationError(f"{str(self)!r}: {method.name!r} {what}; {_has(method)}. Terms are added with '+', as in lora[+cr]")
        terms = {"+": method.terms | {*named}, "-": method.terms - {*named}}.get(kind, frozenset(named))
        listed, plural = _listed(name for name in PENALTIES if name in named), "s" if len(named) > 1 else ""
        title, summary = {"+": ("+", "plus"), "-": ("without", "without")}.get(kind, ("with only", "with only"))
        return replace(
            method,
            name=str(self),
            title=f"{method.title} {title} {listed}",
            summary=f"{method.title} {summary} the {listed} term{plural}",
            plain=method.start,
            terms=terms,
        )

    def _way_out(self, method: TunedMethod) -> str:
        if method.terms and method.start == method.name:
            return "start from a method that has no penalties, and add to it, as in lora[+cr]"
        terms = set(method.terms) if self.changes[0][0] else set()
        for sign, term in self.changes:
            (terms.discard if sign == "-" else terms.add)(term)
        return f"name what the method has in the end: {spelled(method.start, terms)}"


def parse(name: str) -> Spelling | None:
    """Return the parts of a method's name; None where it has no brackets.

    Raises
    ------
    ConfigurationError
        The brackets do not stand at the end, hold no term, a term that no penalty has, or one term twice.

    Examples
    --------
    >>> parse("lora[+dr+cr]")
    Spelling(method='lora', changes=(('+', 'diversity'), ('+', 'consistency')))
    >>> parse("lora") is None
    True
    >>> parse("lora[+cr+cr]")
    Traceback (most recent call last):
    balora_audit.errors.ConfigurationError: 'lora[+cr+cr]' names cr twice; once is enough
    """
    if not {"[", "]"} & {*name}:
        return None
    parts = _BRACKETED.fullmatch(name)
    if parts is None:
        raise ConfigurationError(f"{name!r}: terms stand in one pair of brackets behind a method's name, as in lora[+cr] or balora[-cr]")
    change = parts["change"]
    signs = ["", *re.findall(r"[+-]", change)]
    terms = re.split(r"[+-]", change)
    if len(terms) > 1 and not terms[0]:
        signs, terms = signs[1:], terms[1:]
    for term in terms:
        if term not in ABBREVIATIONS:
            meant = f" — did you mean {PENALTIES[term].abbreviation!r}?" if term in PENALTIES else near(term, ABBREVIATIONS)
            raise ConfigurationError(
                f"{name!r}: the terms are {', '.join(ABBREVIATIONS)}, as in lora[+cr+dr], balora[-cr] or balora[cr+dr]; "
                f"{term!r} is none of them{meant}"
            )
    if repeated := [term for term in ABBREVIATIONS if terms.count(term) > 1]:
        raise ConfigurationError(f"{name!r} names {_listed(repeated)} twice; once is enough")
    changes = tuple((sign, ABBREVIATIONS[term]) for sign, term in zip(signs, terms, strict=True))
    return Spelling(method=parts["method"], changes=changes)


def spelled(start: str, terms: Collection[str]) -> str:
    """Return the plainest name of an initialisation with some penalties, these in their own order.

    Examples
    --------
    >>> spelled("pissa", {"spectral", "consistency"}), spelled("lora", ())
    ('pissa[+cr+svdr]', 'lora')
    """
    changes = tuple(("+", name) for name in PENALTIES if name in terms)
    return str(Spelling(method=start, changes=changes)) if changes else start


def are_one_model(first: TunedMethod, second: TunedMethod) -> bool:
    """Whether two methods differ in what they are called alone.

    Examples
    --------
    >>> from balora_audit.methods.pissa import PISSA
    >>> from balora_audit.methods.balora import BALORA
    >>> are_one_model(parse("pissa[+svdr+dr+cr]").of(PISSA), BALORA), are_one_model(PISSA, BALORA)
    (True, False)
    """
    bare_first, bare_second = (replace(method, name="", title="", summary="", plain=None) for method in (first, second))
    return bare_first == bare_second


def _has(method: TunedMethod) -> str:
    own = [name for name in PENALTIES if name in method.terms]
    return f"it has {_short(own)}" if own else "it has no penalties"


def _short(names: Iterable[str]) -> str:
    return _listed(PENALTIES[name].abbreviation for name in names)


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
