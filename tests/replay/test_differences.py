"""What differs between then and now is named, if it bears on numbers; a hostile record breaks nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.replay import differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = ["environment", "packages", "package_digests", "editable", "numerics", "libraries", "cpu", "variables", "python"]
RECORDS = st.fixed_dictionaries(
    {}, optional={"environment": JSON | st.dictionaries(st.sampled_from(KEYS), JSON), "plugins": JSON}
)


def named(then, now, *stages):
    return {(each.what, each.name) for each in differences({"environment": then}, {"environment": now}, *stages)}


def test_equal_environments_differ_in_nothing():
    here = {"packages": {"numpy": "2"}, "numerics": [{"internal_api": "openblas", "architecture": "Haswell"}]}
    assert named(here, here, [], []) == set()


def test_what_bears_on_numbers_is_named():
    then = {
        "vmforensics": {"version": "0.1.0", "source_sha256": "a"},
        "packages": {"numpy": "2.2", "pytest": "8"},
        "numerics": [{"internal_api": "openblas", "version": "0.3", "prefix": "x", "architecture": "Haswell"}],
        "libraries": {"media": {"ffmpeg": {"version": "8.0"}}},
        "variables": {"OMP_NUM_THREADS": "1", "LANG": "C"},
        "cpu": {"model": "one"},
        "locale": "C",
    }
    now = {
        "vmforensics": {"version": "0.2.0", "source_sha256": "b"},
        "packages": {"numpy": "2.3", "pytest": "9"},
        "numerics": [{"internal_api": "openblas", "version": "0.3", "prefix": "x", "architecture": "Zen"}],
        "libraries": {"media": {"ffmpeg": {"version": "8.1"}}},
        "variables": {"OMP_NUM_THREADS": "2", "LANG": "de_DE"},
        "cpu": {"model": "other"},
        "locale": "de_DE",
    }
    stage = {"kind": "denoiser", "name": "high-pass", "version": "1", "source_sha256": "a"}
    found = named(then, now, [stage], [{**stage, "source_sha256": "b"}])
    assert found == {
        ("program", "version"),
        ("program", "source"),
        ("stage", "denoiser high-pass source"),
        ("package", "numpy"),
        ("BLAS kernel", "openblas 0.3 (x)"),
        ("library", "media ffmpeg version"),
        ("processor", "model"),
        ("variable", "OMP_NUM_THREADS"),
    }


@settings(max_examples=100, deadline=None)
@given(
    RECORDS,
    RECORDS,
    st.lists(st.dictionaries(st.sampled_from(["kind", "name", "version", "distribution"]), JSON), max_size=2),
)
def test_a_hostile_record_breaks_nothing(then, now, stages):
    for each in differences(then, now, stages, []):
        assert str(each)
