import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.custody.dsse import PAYLOAD_TYPE, Envelope, parse_envelope, pre_authentication, signed
from vmforensics.custody.keys import holds_private_key, new_key, parse_public_key, read_private_key, read_public_keys
from vmforensics.errors import KeyFileError, OutputError


def no_passphrase() -> bytes:
    raise AssertionError("the key isn't encrypted")


def test_a_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "examiner.key"
    before = os.umask(0)
    try:
        public = new_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_public_keys(tmp_path / "examiner.key.pub") == (public,)
    content = path.read_bytes()
    with pytest.raises(OutputError, match="never overwritten"):
        new_key(path)
    (tmp_path / "second.key.pub").write_text("")
    with pytest.raises(OutputError, match="never overwritten"):
        new_key(tmp_path / "second.key")
    assert not (tmp_path / "second.key").exists()
    (tmp_path / "third.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        new_key(tmp_path / "third.key")
    assert path.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "examiner.key",
        "examiner.key.pub",
        "second.key.pub",
        "third.key",
    ]


def test_the_private_key_is_never_shown(tmp_path: Path) -> None:
    new_key(tmp_path / "k")
    key = read_private_key(tmp_path / "k", no_passphrase)
    secret = (tmp_path / "k").read_text().splitlines()[1]
    assert secret not in repr(key) + str(key)


def test_openssl_reads_the_keys_and_gives_the_same_fingerprint(tmp_path: Path) -> None:
    public = new_key(tmp_path / "k", b"open sesame")
    subprocess.run(
        ["openssl", "pkey", "-in", "k", "-passin", "pass:open sesame", "-pubout", "-out", "by-openssl"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    assert (tmp_path / "by-openssl").read_bytes() == (tmp_path / "k.pub").read_bytes()
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", "k.pub", "-outform", "DER"], cwd=tmp_path, check=True, capture_output=True
    )
    assert hashlib.sha256(der.stdout).hexdigest() == public.fingerprint
    made = tmp_path / "made"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", made], check=True)
    made.chmod(0o600)
    key = read_private_key(made, no_passphrase)
    assert key.public.verifies(key.sign(b"x"), b"x")


def test_a_passphrase_is_asked_for_only_where_there_is_one(tmp_path: Path) -> None:
    public = new_key(tmp_path / "k", b"open sesame")
    assert b"ENCRYPTED" in (tmp_path / "k").read_bytes()
    assert read_private_key(tmp_path / "k", lambda: b"open sesame").public == public
    with pytest.raises(KeyFileError, match="passphrase is wrong") as caught:
        read_private_key(tmp_path / "k", lambda: b"guess")
    assert "guess" not in str(caught.value)


def test_what_is_no_such_key_is_refused(tmp_path: Path) -> None:
    new_key(tmp_path / "k")
    for command in (["-algorithm", "ed448"], ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]):
        subprocess.run(["openssl", "genpkey", *command, "-out", tmp_path / "other"], check=True, capture_output=True)
        subprocess.run(
            ["openssl", "pkey", "-in", tmp_path / "other", "-pubout", "-out", tmp_path / "other.pub"], check=True
        )
        (tmp_path / "other").chmod(0o600)
        with pytest.raises(KeyFileError, match="another kind"):
            read_private_key(tmp_path / "other", no_passphrase)
        with pytest.raises(KeyFileError, match="another kind"):
            read_public_keys(tmp_path / "other.pub")
    with pytest.raises(KeyFileError, match="private key where public"):
        read_public_keys(tmp_path / "k")
    (tmp_path / "k.pub").chmod(0o600)
    with pytest.raises(KeyFileError, match="no private key"):
        read_private_key(tmp_path / "k.pub", no_passphrase)
    assert [holds_private_key(tmp_path / name) for name in ("k", "k.pub")] == [True, False]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").write_bytes(b"x" * (2**20 + 1))
    for name, why in (("none", "No such file"), ("pipe", "regular"), ("huge", "larger"), (".", "can't be read")):
        with pytest.raises(KeyFileError, match=why):
            read_public_keys(tmp_path / name)
    for mode in (0o640, 0o604, 0o620):
        (tmp_path / "k").chmod(mode)
        with pytest.raises(KeyFileError, match="others than its owner"):
            read_private_key(tmp_path / "k", no_passphrase)


def test_a_file_of_trusted_keys_holds_several_with_comments(tmp_path: Path) -> None:
    keys = [new_key(tmp_path / name) for name in "ab"]
    together = b"\n".join(b"# key %d\n%s" % (k, key.pem) for k, key in enumerate(keys))
    (tmp_path / "trusted").write_bytes(together)
    assert read_public_keys(tmp_path / "trusted") == tuple(keys)
    broken = together.replace(b"MCow", b"MCox")
    (tmp_path / "trusted").write_bytes(broken)
    with pytest.raises(KeyFileError, match="can't be read"):
        read_public_keys(tmp_path / "trusted")


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300))
def test_no_bytes_break_the_readers(data: bytes) -> None:
    for reader in (parse_public_key, parse_envelope):
        with pytest.raises(ValueError):
            reader(data)


@settings(max_examples=50, deadline=None)
@given(payload=st.binary(max_size=300))
def test_an_envelope_reads_back_and_has_one_form(tmp_path_factory: pytest.TempPathFactory, payload: bytes) -> None:
    path = tmp_path_factory.mktemp("key") / "k"
    new_key(path)
    key = read_private_key(path, no_passphrase)
    envelope = signed(payload, key)
    assert parse_envelope(envelope.to_bytes()) == envelope
    assert key.public.verifies(envelope.signature, pre_authentication(PAYLOAD_TYPE, payload))
    assert not key.public.verifies(envelope.signature, payload)
    for other in (envelope.to_bytes()[:-1], envelope.to_bytes() + b"\n", envelope.to_bytes().replace(b":", b": ", 1)):
        with pytest.raises(ValueError):
            parse_envelope(other)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"payload":"QQ=="', '"payload":"QR=="'),  # the same bytes, written otherwise
        lambda text: text.replace('"payload":"QQ=="', '"payload":"Q Q=="'),
        lambda text: text.replace("vnd.in-toto", "vnd.other"),
        lambda text: text.replace('"signatures":[', '"signatures":[{"keyid":"x","sig":""},'),
        lambda text: text.replace("{", '{"more":1,', 1),
        lambda text: text.replace("QQ==", "\udc00"),
        lambda text: "[" * 100_000,
    ],
)
def test_other_forms_of_an_envelope_are_refused(change: object) -> None:
    text = Envelope(b"A", "k", b"s").to_bytes().decode()
    with pytest.raises(ValueError):
        parse_envelope(change(text).encode("utf-8", "surrogatepass"))  # type: ignore[operator]
