from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.recordings.sigv4 import Signer

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
VALUES = st.lists(PRINTABLE, min_size=1, max_size=3).map("  ".join)


@given(
    access_key_id=PRINTABLE,
    secret=st.text(max_size=60),
    region=st.sampled_from(["auto", "eu-west-1"]),
    method=st.sampled_from(["PUT", "GET"]),
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    values=st.dictionaries(st.sampled_from(["content-md5", "content-type", "x-amz-meta-a", "content-length"]), VALUES),
)
def test_the_signature_is_the_one_that_botocore_makes(
    access_key_id: str, secret: str, region: str, method: str, key: str, values: dict[str, str]
) -> None:
    path = f"/bucket/{quote(key, safe='/~')}"
    request = AWSRequest(method=method, url=f"https://store.example:9000{path}", headers=values)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    S3SigV4Auth(Credentials(access_key_id, secret), "s3", region).add_auth(request)
    at_s = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    signed = Signer(access_key_id, secret, region).signed(method, path, {**values, "host": "store.example:9000"}, at_s + 0.9)
    del signed["host"]  # which botocore adds at the very end
    assert signed == {name.lower(): value for name, value in request.headers.items()}


@given(st.lists(st.integers(0, 4_000_000_000), min_size=2, max_size=5))
def test_a_signer_that_has_signed_before_signs_alike(times: list[int]) -> None:
    signer = Signer("key", "secret", "auto")
    headers = {"host": "store"}
    for at_s in times:
        assert signer.signed("PUT", "/b/k", headers, at_s) == Signer("key", "secret", "auto").signed(
            "PUT", "/b/k", headers, at_s
        )
