"""A plugin says which API it is written for, and loads only where that goes."""

from __future__ import annotations

import pytest

from vmforensics.errors import PluginError
from vmforensics.plugins import API_VERSION, check_api
from vmforensics.plugins.api import FIRST

MAJOR, MINOR = (int(part) for part in API_VERSION.split("."))


@pytest.mark.parametrize("stated", [API_VERSION, f"{MAJOR}.0", FIRST])
def test_the_same_major_and_no_later_minor_goes(stated: str) -> None:
    assert check_api(stated) == stated


@pytest.mark.parametrize(
    ("stated", "hint"),
    [
        (f"{MAJOR}.{MINOR + 1}", "newer vmforensics"),
        (f"{MAJOR + 1}.0", "newer vmforensics"),
        (f"{MAJOR - 1}.9", "version of the plugin"),
    ],
)
def test_another_major_or_a_later_minor_is_refused(stated: str, hint: str) -> None:
    with pytest.raises(PluginError, match=f"written for API {stated}; this program offers {API_VERSION}") as error:
        check_api(stated)
    assert hint in str(error.value.hint)


@pytest.mark.parametrize("stated", [1, 1.0, None, "1", "1.0.0", "v1.0", "", "01.0", " 1.0"])
def test_what_is_no_version_is_refused(stated: object) -> None:
    with pytest.raises(PluginError, match=r"VMFORENSICS_API is .*; it must be MAJOR\.MINOR"):
        check_api(stated)
