"""YAML text as plain values that remember where they stand.

A reader of its own on PyYAML's parser, for PyYAML's loader guesses where evidence allows no guess: it reads 010 as
8, 1:30 as 90, on as true and 1e-3 as text, and lets the second of two equal keys win. Here

- only true, false, null (~) and plain decimal numbers (12, 0.5, 1e-3) are special, and numbers keep their text;
- everything else is text: 010, 0x1F, 1_000, 1:30, on, yes, 2026-03-01, .inf;
- keys are text, each once; a key without a value is an error (null says that nothing is meant);
- an alias repeats what its anchor holds; tags, merge keys and further documents are refused;
- size, depth and number of values are bounded, aliases counted as what they expand to.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from vmforensics.case.fields import LARGEST_INTEGER, Loc, check_characters, show

LARGEST_FILE = 2**20
"""Bytes a case file may have."""

DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")

_LARGEST_DEPTH = 32
_LONGEST_MESSAGE = 200  # PyYAML quotes some words whole
_MOST_VALUES = 20_000
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")


class WrittenInt(int):
    """An integer that knows its text, for fields that want text."""

    source: str


class WrittenFloat(float):
    """A decimal number that knows its text, for fields that want text."""

    source: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, both counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where."""

    mark: Mark
    loc: Loc
    message: str


@dataclass(slots=True)
class Node:
    """A value with the place where it starts, its key if it has one.

    Parameters
    ----------
    mark
        Where its key stands in a mapping; where it starts otherwise.
    content
        A scalar's value, or the nodes a mapping or a list holds.
    size
        Number of values in it, itself included, aliases expanded.
    height
        Levels of nesting below it.
    """

    mark: Mark
    content: object | dict[str, Node] | list[Node]
    size: int = 1
    height: int = 0

    @property
    def value(self) -> object:
        """The node as plain values."""
        if isinstance(self.content, dict):
            return {key: node.value for key, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.value for node in self.content]
        return self.content

    def find(self, loc: Loc) -> Node:
        """The node at a place, or the nearest one above it.

        A list position is passed over where the case has a single item without its list.
        """
        node = self
        for step in loc:
            if isinstance(node.content, dict) and step in node.content:
                node = node.content[str(step)]
            elif isinstance(node.content, list) and isinstance(step, int) and step < len(node.content):
                node = node.content[step]
            elif not isinstance(step, int) or isinstance(node.content, list):
                break
        return node


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: its root, if there is one, and all that is wrong with it as YAML."""

    root: Node | None
    problems: list[Problem]


class _Stop(Exception):
    """The text can't be read on."""

    def __init__(self, mark: Mark, message: str) -> None:
        self.problem = Problem(mark, (), message)


def parse(text: bytes) -> Document:
    """Read a YAML document; what is wrong with it is returned, never raised."""
    composer = _Composer()
    try:
        return Document(composer.compose(_decode(text)), composer.problems)
    except _Stop as stop:
        return Document(None, [*composer.problems, stop.problem])


def scalar(text: str) -> object:
    """What an unquoted word means.

    Examples
    --------
    >>> [scalar(word) for word in ("12", "1e-3", "true", "~", "on", "010", "1:30", "2026-03-01")]
    [12, 0.001, True, None, 'on', '010', '1:30', '2026-03-01']
    """
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if text in ("null", "Null", "NULL", "~", ""):
        return None
    number: WrittenInt | WrittenFloat
    if _INTEGER.fullmatch(text) and len(text) < 20 and abs(int(text)) <= LARGEST_INTEGER:
        number = WrittenInt(text)
    elif not _INTEGER.fullmatch(text) and DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        number = WrittenFloat(text)
    else:
        return text
    number.source = text
    return number


def _decode(text: bytes) -> str:
    if len(text) > LARGEST_FILE:
        raise _Stop(Mark(1, 1), f"the file is larger than {LARGEST_FILE} bytes; is it a case file?")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Stop(Mark(1, 1), "the file is UTF-16; save it as UTF-8")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8-sig")
        mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _Stop(mark, f"byte 0x{text[error.start]:02X} isn't UTF-8; save the file as UTF-8") from error


def _events(text: str) -> Iterator[Event]:
    """PyYAML's parser, its errors as ours; it keeps no recursion, so depth is checked by the composer."""
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = Mark(place.line + 1, place.column + 1) if place else Mark(1, 1)
        message = f"not valid YAML: {', '.join(part for part in (error.problem, error.context) if part)}"
        hint = "; indent with spaces" if "'\\t'" in message else ""
        raise _Stop(mark, message[:_LONGEST_MESSAGE] + hint) from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _Stop(mark, f"the control character U+{ord(text[error.position]):04X} isn't allowed") from error
    except (ValueError, OverflowError) as error:  # an escape such as "\UFFFFFFFF", %YAML 1.<thousands of digits>
        raise _Stop(Mark(1, 1), f"not valid YAML: a number or an escape is out of range ({error})") from error


@dataclass(slots=True)
class _Composer:
    """Builds nodes from events, and goes on after what is wrong but unmistakable."""

    problems: list[Problem] = field(default_factory=list)
    _anchors: dict[str, Node] = field(default_factory=dict)

    def compose(self, text: str) -> Node | None:
        events = _events(text)
        documents = 0
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._report(_mark(event), (), "a second document starts here; a case is one document")
                    break
                root = self._node(next(events), events, ())
        return root

    def _report(self, mark: Mark, loc: Loc, message: str) -> None:
        self.problems.append(Problem(mark, loc, message))

    def _node(self, event: Event, events: Iterator[Event], loc: Loc, key_mark: Mark | None = None) -> Node:
        mark = key_mark or _mark(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, mark, loc)
        assert isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent)  # noqa: S101
        if event.tag is not None:
            self._report(mark, loc, f"the tag {show(event.tag)} isn't allowed; to make it text, put it in quotes")
        self._check_depth(len(loc), mark)
        if isinstance(event, ScalarEvent):
            node = Node(mark, self._scalar(event, mark, loc))
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(events, loc, mark)
        else:
            node = self._mapping(events, loc, mark)
        if event.anchor is not None:
            if event.anchor in self._anchors:
                self._report(mark, loc, f"the anchor {show(event.anchor)} is taken by an earlier one")
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: AliasEvent, mark: Mark, loc: Loc) -> Node:
        if event.anchor not in self._anchors:  # an anchor counts once its value is complete, so none holds itself
            raise _Stop(_mark(event), f"the alias {show(event.anchor)} has no anchor before it")
        target = self._anchors[event.anchor]
        self._check_depth(len(loc) + target.height, mark)
        return Node(mark, target.content, target.size, target.height)

    def _check_depth(self, depth: int, mark: Mark) -> None:
        if depth > _LARGEST_DEPTH:
            raise _Stop(mark, f"nests too deeply; at most {_LARGEST_DEPTH} levels are allowed")

    def _scalar(self, event: ScalarEvent, mark: Mark, loc: Loc) -> object:
        try:
            check_characters(event.value)
        except ValueError as error:
            self._report(mark, loc, str(error))
            return ""
        if event.style is not None:  # quoted or block: text
            return event.value
        if event.value == "":
            self._report(mark, loc, "has no value; write one, or leave the whole line out")
        return scalar(event.value)

    def _sequence(self, events: Iterator[Event], loc: Loc, mark: Mark) -> Node:
        items: list[Node] = []
        node = Node(mark, items)
        while not isinstance(event := next(events), SequenceEndEvent):
            self._add(node, item := self._node(event, events, (*loc, len(items))))
            items.append(item)
        return node

    def _mapping(self, events: Iterator[Event], loc: Loc, mark: Mark) -> Node:
        items: dict[str, Node] = {}
        node = Node(mark, items)
        while not isinstance(event := next(events), MappingEndEvent):
            key_mark = _mark(event)
            key = self._key(event, loc)
            item = self._node(next(events), events, (*loc, "?" if key is None else key), key_mark)
            self._add(node, item)
            if key is None:
                continue
            if key in items:
                self._report(key_mark, (*loc, key), f"the key appears twice, first on line {items[key].mark.line}")
            else:
                items[key] = item
        return node

    def _key(self, event: Event, loc: Loc) -> str | None:
        mark = _mark(event)
        if not isinstance(event, ScalarEvent):
            raise _Stop(mark, "a key must be a word")
        if event.tag is not None or event.anchor is not None:
            self._report(mark, loc, "a key can't have a tag or an anchor")
        elif event.style is None and event.value in ("<<", "", "="):
            merge = event.value == "<<"
            self._report(mark, loc, "merge keys aren't allowed; write the keys out" if merge else "a key is missing")
        else:
            try:
                return check_characters(event.value)
            except ValueError as error:
                self._report(mark, loc, f"a key {error}")
        return None

    def _add(self, node: Node, item: Node) -> None:
        node.size += item.size
        node.height = max(node.height, item.height + 1)
        if node.size > _MOST_VALUES:
            raise _Stop(item.mark, f"more than {_MOST_VALUES} values (aliases count as what they repeat)")


def _mark(event: Event) -> Mark:
    place = event.start_mark
    assert place is not None  # noqa: S101  (a parser's events have a place)
    return Mark(place.line + 1, place.column + 1)
