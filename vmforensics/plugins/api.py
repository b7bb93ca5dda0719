"""The version of the interface between program and plugins, and who may load with whom.

The interface is what a plugin may import: `vmforensics.stages`, `data`, `hookspecs`, `numerics`, `units`, `errors` and
`testing`. Its version is MAJOR.MINOR. MINOR rises when something is added, MAJOR when something that a plugin may rely
on changes or goes; each change stands in the changelog, and what is to go is said one MINOR ahead. A plugin states the
version it is written for, VMFORENSICS_API = "1.0" in the module that its entry point names, and loads where MAJOR is
the same and MINOR isn't beyond the program's. One that states none counts as written for the first version, 1.0.
"""

from __future__ import annotations

import re

from vmforensics.errors import PluginError

API_VERSION = "1.0"
"""The version that this program offers."""

STATEMENT = "VMFORENSICS_API"
"""Name of the attribute by which a plugin's module states its version."""

FIRST = "1.0"
"""What a plugin counts as written for that states nothing."""

_FORM = re.compile(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")


def check_api(stated: object) -> str:
    """The version that a plugin states, if this program can load it.

    Parameters
    ----------
    stated
        The value of the plugin's statement.

    Returns
    -------
    str
        The same.

    Raises
    ------
    PluginError
        It is no version, or not one that goes with this program's.

    Examples
    --------
    >>> check_api("1.0")
    '1.0'
    >>> check_api("2.0")
    Traceback (most recent call last):
    vmforensics.errors.PluginError: it is written for API 2.0; this program offers 1.0 (install ...)
    """
    form = _FORM.fullmatch(stated) if isinstance(stated, str) else None
    if form is None:
        raise PluginError(f"{STATEMENT} is {stated!r}; it must be MAJOR.MINOR as text, such as {API_VERSION!r}")
    major, minor = (int(part) for part in API_VERSION.split("."))
    if int(form[1]) != major or int(form[2]) > minor:
        newer = (int(form[1]), int(form[2])) > (major, minor)
        raise PluginError(
            f"it is written for API {form[0]}; this program offers {API_VERSION}",
            hint="install a newer vmforensics" if newer else "install a version of the plugin for this API",
        )
    return form[0]
