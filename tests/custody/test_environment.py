import getpass
import json
import platform
import time
from pathlib import Path

import pytest
import rfc8785

import vmforensics
from vmforensics.custody.digest import source_digest
from vmforensics.custody.environment import environment


def test_it_says_what_bears_on_the_result() -> None:
    found = environment({"ffmpeg": {"libavcodec": "62.11.100"}})
    rfc8785.dumps(found)
    assert found["vmforensics"] == {
        "version": vmforensics.__version__,
        "source_sha256": source_digest(Path(vmforensics.__file__).parent),
    }
    assert found["python"]["version"] == platform.python_version()
    assert found["packages"]["numpy"]
    assert list(found["packages"]) == sorted(found["packages"], key=str.lower)
    assert set(found["editable"]) <= set(found["packages"])
    assert any(library["user_api"] == "blas" and library["num_threads"] >= 1 for library in found["numerics"])
    assert found["cpu"]["model"]
    assert found["time_zone"]["name"] == time.tzname[0]
    assert found["ffmpeg"] == {"libavcodec": "62.11.100"}


def test_it_says_nothing_of_the_user_or_the_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USER", "LOGNAME", "HOSTNAME", "PYTHONPATH", "API_TOKEN"):
        monkeypatch.setenv(name, "/home/jane-roe-secret")
    assert getpass.getuser() == "/home/jane-roe-secret"
    text = json.dumps(environment())
    assert "jane-roe-secret" not in text
    assert str(Path(vmforensics.__file__).parent) not in text
    if len(platform.node()) > 3:
        assert platform.node() not in text


def test_variables_are_those_that_bear_on_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    variables = environment()["variables"]
    assert variables["OMP_NUM_THREADS"] == "3"
    assert "OPENBLAS_CORETYPE" not in variables


def test_it_is_the_same_twice() -> None:
    assert environment() == environment()
