"""The report's texts: one file a language, found under `texts/`; a translation is a file."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from vmforensics.errors import ParameterError
from vmforensics.report.text import visible

_FOLDER = Path(__file__).parent / "texts"
DEFAULT_LANGUAGE = "en"


class Catalogue:
    """The texts of one language by dotted name, as `answer.signal.title`.

    Parameters
    ----------
    language : str
        A language that has a file, by its tag (BCP 47).
    texts : mapping
        The texts by name. They are trusted: they may hold inline markup, and `{name}` where a value goes.
    """

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    @property
    def names(self) -> frozenset[str]:
        """Every text's name."""
        return frozenset(self._texts)

    def __call__(self, name: str, /, **values: object) -> Markup:
        """A text with its values put in, their markup escaped and their unprintable characters written out.

        Raises
        ------
        KeyError
            There is no such text, or it wants a value that isn't given.
        """
        text = Markup(self._texts[name])  # noqa: S704 our own file
        return text.format(**{key: visible(value) for key, value in values.items()}) if values else text

    def named(self, name: str, otherwise: object) -> object:
        """A text for a word of a closed vocabulary, or the word itself where the catalogue doesn't know it."""
        return self(name) if name in self._texts else otherwise


def languages() -> list[str]:
    """The languages that there are texts in."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@functools.cache
def catalogue(language: str = DEFAULT_LANGUAGE) -> Catalogue:
    """Read the texts of a language.

    Raises
    ------
    ParameterError
        There are none in that language.
    """
    if language not in languages():
        raise ParameterError(
            f"there is no report in the language {language!r}",
            hint=f"there is one in: {', '.join(languages())}",
        )
    content = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return Catalogue(language, dict(_flat(content, "")))


def _flat(content: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    """Nested texts by dotted name."""
    found: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value).strip())]
    return found
