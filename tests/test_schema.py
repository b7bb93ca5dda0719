"""The committed JSON Schema is the one that the shipped stages generate."""

from pathlib import Path

from vmforensics.case import dumps_schema
from vmforensics.plugins import Registry

COMMITTED = Path(__file__).resolve().parents[1] / "casefiles" / "schema" / "case.schema.json"


def test_schema_is_up_to_date():
    registry = Registry()
    assert registry.broken == []
    shipped = [found.stage for found in registry.stages() if found.provider.distribution == "vmforensics"]
    assert COMMITTED.read_text("utf-8") == dumps_schema(shipped), f"{COMMITTED} is out of date; run: make schema"
