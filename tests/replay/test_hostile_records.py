"""A record that was forged so that its chain holds is refused or repeated, and never breaks the program."""

import shutil
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.custody import RunFolder, verify
from vmforensics.errors import VmforensicsError
from vmforensics.exchange import read_subject
from vmforensics.exchange.case_uco import to_case_uco
from vmforensics.exchange.ro_crate import to_ro_crate
from vmforensics.replay import read_record

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6) | st.just("recovery"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PATHS = st.sampled_from(["clip.mkv", "../../../etc/passwd", "\0", "x" * 5000, "/dev/zero", ".", "", "a\nb"])
MATERIAL = st.fixed_dictionaries(
    {"path": PATHS, "sha256": st.just("ab" * 32)},
    optional={"relative_path": PATHS | JSON, "id": JSON, "files": JSON},
)
CASES = st.sampled_from(
    [
        b"version: 1\ncase: {id: x}\nevidence: [{path: clip.mkv}]\ncamera: {shutter: global}\n",
        b"version: 1\ncase: {id: x}\nevidence: [{path: ../../../etc/passwd}]\ncamera: {shutter: global}\n",
        b"!!python/object/apply:os.system ['touch broken']\n",
        b"&a [*a, *a]\n",
        b"\xff\xfe",
        b"",
    ]
)


@settings(max_examples=40, deadline=None)
@given(
    fields=st.dictionaries(st.sampled_from(["run", "case", "environment", "plugins"]), JSON),
    materials=st.lists(MATERIAL, max_size=2),
    implementation=JSON,
    case=CASES,
)
def test_it_is_read_or_refused(tmp_path_factory, fields, materials, implementation, case):
    path = tmp_path_factory.mktemp("forged") / "001"
    folder = RunFolder.create(path, evidence=[])
    with folder.record(**{"run": "recovery", **fields}) as ledger:
        for name in ("case.yaml", "case.resolved.yaml"):
            ledger.published(folder.write(name, case))
        ledger.append("evidence-digested", materials=materials)
        with ledger.step("denoiser", implementation=implementation):
            pass
    try:
        record = read_record(path)
        assert record.evidence_sha256 == "ab" * 32
        assert record.stages == [implementation] if isinstance(implementation, dict) else record.stages == []
    except VmforensicsError:
        pass
    assert verify(path, evidence=False).status is not None
    subject = read_subject(path)
    assert to_case_uco(subject)
    assert to_ro_crate(subject, {})
    assert not Path("broken").exists()
    shutil.rmtree(path)
