"""Content credentials are read: an unknown signer is no tampering, a hash that doesn't match is."""

import datetime
import json
from pathlib import Path

import pytest

from vmforensics.credentials import read_credentials
from vmforensics.testing import Camera, simulate, write_clip

c2pa = pytest.importorskip("c2pa", reason="the extra c2pa isn't installed")


def certificates() -> tuple[bytes, bytes]:
    """A signer's certificate chain under an authority that nobody knows, and its key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text), x509.NameAttribute(NameOID.COMMON_NAME, f"{text} 1")]
        )

    def usage(**said: bool) -> x509.KeyUsage:
        none = dict.fromkeys(
            ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"], False
        )
        other = {"encipher_only": False, "decipher_only": False, "digital_signature": False, "key_cert_sign": False}
        return x509.KeyUsage(**(none | other | said))

    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    made = []
    for subject, key, authority in (("Maker", keys[1], False), ("Root", keys[0], True)):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("Root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage(**{"key_cert_sign" if authority else "digital_signature": True}), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
        )
        if not authority:
            purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purposes, critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return b"".join(made), keys[1].private_bytes(*form)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    simulation = simulate(Camera(width=64, height=48, fps=30, frames=10), sound="silence")
    return write_clip(simulation, tmp_path_factory.mktemp("clips") / "plain.mp4", codec="libx264")


@pytest.fixture(scope="module")
def signed(plain) -> Path:
    chain, key = certificates()
    information = c2pa.C2paSignerInfo("es256", chain, key, b"")
    information.ta_url = None  # no time stamp
    action = {
        "action": "c2pa.created",
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
    }
    claim = {
        "claim_generator_info": [{"name": "camera", "version": "1"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    path = plain.with_name("signed.mp4")
    with c2pa.Signer.from_info(information) as signer, c2pa.Builder(claim) as builder:
        builder.sign_file(plain, path, signer)
    return path


def test_an_unknown_signer_is_no_tampering(signed):
    found = read_credentials(signed)
    assert found["state"] == "valid-untrusted-signer"
    assert "no sign of tampering" in found["meaning"]
    assert (found["signer"], found["certificate_issuer"]) == ("Maker 1", "Maker")
    assert found["software"] == ["camera 1"]
    assert found["actions"] == ["c2pa.created"]
    json.dumps(found)


def test_a_changed_picture_is(signed, tmp_path):
    data = bytearray(signed.read_bytes())
    data[data.find(b"mdat") + 100] ^= 1
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(data)
    found = read_credentials(changed)
    assert found["state"] == "invalid"
    assert any(failure.startswith("assertion.bmffHash.mismatch") for failure in found["failures"])


def test_none_is_none(plain):
    assert read_credentials(plain)["state"] == "none"


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"no video"])
def test_whatever_a_file_holds_nothing_breaks(tmp_path, content):
    for name in ("a.mp4", "b.txt", "c.avi"):
        (tmp_path / name).write_bytes(content)
        assert read_credentials(tmp_path / name)["state"] in ("none", "unreadable", "unsupported")


def test_a_cut_file_is_unreadable(signed, tmp_path):
    (tmp_path / "cut.mp4").write_bytes(signed.read_bytes()[:1500])
    assert read_credentials(tmp_path / "cut.mp4")["state"] in ("unreadable", "none", "invalid")


def test_a_folder_holds_none(tmp_path):
    assert read_credentials(tmp_path) is None
