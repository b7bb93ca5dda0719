"""Time stamps, by a local authority: `openssl ts` behind a small HTTP server."""

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from vmforensics.custody.dsse import parse_envelope
from vmforensics.custody.findings import FindingKind
from vmforensics.custody.seal import ENVELOPE_NAME, SEALS_NAME, STAMP_NAME, seal
from vmforensics.custody.seal_check import Trust
from vmforensics.custody.timestamp import check_address, read_authorities, read_stamp, request_stamp
from vmforensics.custody.verify import verify
from vmforensics.errors import ExtraMissing, KeyFileError, TimeStampError

pytest.importorskip("rfc3161_client")

CONFIGURATION = """
[tsa]
default_tsa = local
[local]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
[stamping]
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[req]
distinguished_name = name
[name]
"""


def openssl(folder: Path, *arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=folder, input=data, check=True, capture_output=True).stdout


@dataclass
class Authority:
    """A time-stamping authority, and ways to have it misbehave."""

    folder: Path
    address: str = ""
    asked: list[bytes] = field(default_factory=list)
    answer: bytes | None = None

    def reply(self, query: bytes) -> bytes:
        self.asked.append(query)
        if self.answer is not None:
            return self.answer
        (self.folder / "query").write_bytes(query)
        return openssl(self.folder, "ts", "-reply", "-config", "ts.cnf", "-queryfile", "query")

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"


def certify(folder: Path, name: str) -> None:
    """A root, and an authority's certificate by it."""
    (folder / "ts.cnf").write_text(CONFIGURATION)
    (folder / "serial").write_text("01\n")
    for who in ("root", "tsa"):
        openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{who}.key")
    openssl(
        folder, "req", "-x509", "-new", "-key", "root.key", "-subj", f"/CN={name} root", "-days", "30", "-config",
        "ts.cnf", "-extensions", "root", "-out", "root.pem",
    )  # fmt: skip
    openssl(folder, "req", "-new", "-key", "tsa.key", "-subj", f"/CN={name}", "-config", "ts.cnf", "-out", "tsa.csr")
    openssl(
        folder, "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days",
        "30", "-extfile", "ts.cnf", "-extensions", "stamping", "-out", "tsa.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    authority = Authority(tmp_path_factory.mktemp("tsa"))
    certify(authority.folder, "local")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            answer = authority.reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        authority.address = f"http://127.0.0.1:{http.server_port}/"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield authority
        http.shutdown()
        thread.join()


@pytest.fixture
def authority(server: Authority) -> Iterator[Authority]:
    yield server
    server.answer = None
    server.asked.clear()


@pytest.fixture
def sealed(case: Any, authority: Authority) -> Any:
    made = seal(case.root, case.key, actor="J. Doe", purpose="handed over", authority=authority.address)
    return case.seen_by(case.key, made.sha256)


def kinds(result: Any) -> list[tuple[FindingKind, str]]:
    return [(each.kind, each.where) for each in result.all_findings()]


def authority_signature(sealed: Any) -> bytes:
    """What the last seal's stamp is over."""
    return parse_envelope((sealed.root / SEALS_NAME / "003" / ENVELOPE_NAME).read_bytes()).signature


STAMP = f"{SEALS_NAME}/003/{STAMP_NAME}"


def test_a_seal_is_stamped_and_checked(sealed: Any, authority: Authority) -> None:
    result = verify(sealed.root, trust=Trust(authorities=read_authorities(authority.root)), expected=[sealed.noted])
    assert kinds(result) == []
    stamped = result.seals[-1]
    assert stamped.stamp_vouched
    assert stamped.stamped is not None
    assert stamped.stamped[:11] == stamped.sealed[:11]
    assert any("but for the time stamps" in limit for limit in result.limits)
    alone = verify(sealed.root)
    assert alone.ok
    assert (alone.seals[-1].stamped, alone.seals[-1].stamp_vouched) == (stamped.stamped, False)


def test_openssl_alone_checks_the_stamp(sealed: Any, authority: Authority) -> None:
    place = sealed.root / SEALS_NAME / "003"
    shell = r"""sed 's/.*"sig":"\([^"]*\)".*/\1/' seal.dsse.json | openssl base64 -d -A > signature"""
    subprocess.run(["bash", "-ec", shell], cwd=place, check=True)
    told = openssl(place, "ts", "-verify", "-in", STAMP_NAME, "-data", "signature", "-CAfile", str(authority.root))
    assert b"OK" in told
    assert hashlib.sha256((place / "signature").read_bytes()).digest() in authority.asked[0]  # and nothing else is sent
    assert len(authority.asked[0]) < 100


def test_a_stamp_taken_out_put_in_or_changed_is_found(sealed: Any, authority: Authority) -> None:
    trust = Trust(authorities=read_authorities(authority.root))
    path = sealed.root / STAMP
    whole = path.read_bytes()
    path.unlink()
    assert kinds(verify(sealed.root, trust=trust)) == [(FindingKind.MISSING, STAMP)]
    when = read_stamp(whole, authority_signature(sealed), trust.authorities)
    unsigned = []  # a few fields, such as version numbers, aren't covered by the authority's signature
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        result = verify(sealed.root, evidence=False, trust=trust)
        if result.ok:
            unsigned.append(position)
            assert result.seals[-1].stamped == when.time
        else:
            assert kinds(result) == [(FindingKind.TIME_STAMP, STAMP)], position
    assert len(unsigned) <= 4
    for junk in (b"", whole[:-1], whole + b"\0", b"\0" * 2000, whole * 2):
        path.write_bytes(junk)
        assert kinds(verify(sealed.root, trust=trust)) == [(FindingKind.TIME_STAMP, STAMP)]
    path.write_bytes(b"\0" * (2**20 + 1))
    assert kinds(verify(sealed.root, trust=trust)) == [(FindingKind.UNREADABLE, STAMP)]
    path.write_bytes(request_stamp(authority.address, b"another signature"))
    (finding,) = verify(sealed.root).findings
    assert (finding.kind, finding.message) == (
        FindingKind.TIME_STAMP, "the time stamp is of something else than this signature"
    )  # fmt: skip
    path.write_bytes(whole)
    (sealed.root / SEALS_NAME / "002" / STAMP_NAME).write_bytes(whole)
    assert (FindingKind.ADDED, f"{SEALS_NAME}/002/{STAMP_NAME}") in kinds(verify(sealed.root))


def test_another_authoritys_stamp_is_not_vouched_for(sealed: Any, tmp_path: Path) -> None:
    certify(tmp_path, "other")
    (finding,) = verify(sealed.root, trust=Trust(authorities=read_authorities(tmp_path / "root.pem"))).findings
    assert (finding.kind, finding.where) == (FindingKind.TIME_STAMP, STAMP)
    assert "isn't of an authority that is trusted" in finding.message
    for content in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        (tmp_path / "junk.pem").write_bytes(content)
        with pytest.raises(KeyFileError, match="no certificate"):
            read_authorities(tmp_path / "junk.pem")
    with pytest.raises(KeyFileError, match="can't be read"):
        read_authorities(tmp_path / "none.pem")


def test_nothing_is_sealed_without_the_stamp_that_was_asked_for(case: Any, authority: Authority) -> None:
    def refused(address: str, why: str) -> None:
        with pytest.raises(TimeStampError, match=why):
            seal(case.root, case.key, actor="J. Doe", purpose="handed over", authority=address)
        assert sorted(p.name for p in (case.root / SEALS_NAME).iterdir()) == ["001", "002"]
        assert verify(case.root).ok

    authority.answer = authority.reply(b"no request")  # openssl answers with a refusal
    refused(authority.address, "refused")
    authority.answer = b"hello"
    refused(authority.address, "can't be read as one")
    authority.answer = None
    authority.answer = request_stamp(authority.address, b"something")
    refused(authority.address, "another request|something else")
    authority.answer = b"x" * (2**21)
    refused(authority.address, "can't be read as one")
    refused("http://127.0.0.1:1/", "can't be reached")
    assert any("seal 003 was to be made" in note for note in verify(case.root).notes)


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "ftp://x/", "tsa.example.com", "", "http://", "https://me:secret@tsa.example.com/"],
)
def test_addresses_are_checked_and_hold_no_secret(address: str) -> None:
    with pytest.raises(TimeStampError) as caught:
        check_address(address)
    assert "secret" not in str(caught.value)


def test_without_the_extra_it_says_what_is_missing(sealed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(ExtraMissing, match="optional extra"):
        read_stamp(b"", b"", ())
    result = verify(sealed.root)
    assert result.ok
    assert any("wasn't looked at" in note for note in result.notes)
