"""Cases out: to YAML that reads back to the equal case."""

from __future__ import annotations

import re

import yaml

from vmforensics.case.document import DECIMAL
from vmforensics.case.model import Case

_HEADER = "# Durations are in seconds, rates in hertz, the region in pixels; null means that nobody stated it.\n"


class _Dumper(yaml.SafeDumper):
    """PyYAML's, quoting also what only this program's reader would take for a number or a truth value."""

    def ignore_aliases(self, _: object) -> bool:
        """Write everything out; aliases save bytes and cost readers."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Text of several lines as a block, as people write it."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^(?:{DECIMAL.pattern})$"), list("-+.0123456789"))


def dump_case(case: Case, *, leave_out_defaults: bool = False) -> str:
    """Write a case as YAML; the same case gives the same text.

    Parameters
    ----------
    case
        The case.
    leave_out_defaults
        Whether to leave out what says the same when it isn't there, as a person would.

    Returns
    -------
    str
        YAML in the model's order, with numbers in full precision; `parse_case` reads the equal case from it.
    """
    content = case.model_dump(mode="json", exclude_defaults=leave_out_defaults)
    text: str = yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False
    )
    return _HEADER + text
