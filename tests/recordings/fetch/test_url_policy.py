from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tether_rt.errors import BadRequest, ConfigError
from tether_rt.recordings.fetch.url_policy import MAX_URL_CHARS, is_public, judge_url, listed_hosts

CORPUS = json.loads(Path(__file__).with_name("ssrf_corpus.json").read_text("utf-8"))
REFUSED = [(kind, url) for kind, urls in CORPUS["urls"].items() for url in urls]


@pytest.mark.parametrize(("kind", "url"), REFUSED)
def test_the_corpus_is_refused_in_one_plain_sentence(kind: str, url: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        judge_url(url)
    sentence = str(refusal.value)
    assert sentence.startswith("recording ")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("url", "connect_to", "ask_for"),
    [
        ("http://vendor.example/a.mp3", ("http", "vendor.example", 80), ("vendor.example", "/a.mp3")),
        ("https://vendor.example", ("https", "vendor.example", 443), ("vendor.example", "/")),
        ("HTTPS://Vendor.Example.:443/A?b=C#d", ("https", "vendor.example", 443), ("vendor.example", "/A?b=C")),
        ("http://vendor.example:8080/?x=%2F&y", ("http", "vendor.example", 8080), ("vendor.example:8080", "/?x=%2F&y")),
        ("https://vendor.example:/x", ("https", "vendor.example", 443), ("vendor.example", "/x")),
        ("https://bücher.example/ä ö?ü=ß", ("https", "xn--bcher-kva.example", 443), (
            "xn--bcher-kva.example", "/%C3%A4%20%C3%B6?%C3%BC=%C3%9F")),
        ("http://93.184.216.34:8443/x", ("http", "93.184.216.34", 8443), ("93.184.216.34:8443", "/x")),
        ("http://[2606:4700:4700:0::1111]/x", ("http", "2606:4700:4700::1111", 80), ("[2606:4700:4700::1111]", "/x")),
        ("http://[64:ff9b::8.8.8.8]:8080/", ("http", "64:ff9b::808:808", 8080), ("[64:ff9b::808:808]:8080", "/")),
        ("https://r2.example/b/k.mp3?X-Amz-Signature=a%2Bb&e=600", ("https", "r2.example", 443), (
            "r2.example", "/b/k.mp3?X-Amz-Signature=a%2Bb&e=600")),
        ("https://vendor.example/?next=http://127.0.0.1/@x", ("https", "vendor.example", 443), (
            "vendor.example", "/?next=http://127.0.0.1/@x")),
    ],
)  # fmt: skip
def test_what_is_connected_to_and_asked_for(url: str, connect_to: tuple[str, str, int], ask_for: tuple[str, str]) -> None:
    target = judge_url(url)
    assert (target.scheme, target.host, target.port) == connect_to
    assert (target.host_header, target.path) == ask_for
    assert judge_url(target.url) == target, "its own URL is judged alike"


def test_a_url_may_be_8192_characters_long() -> None:
    longest = "http://vendor.example/".ljust(MAX_URL_CHARS, "x")
    assert len(judge_url(longest).path) > 8000
    with pytest.raises(BadRequest, match="more than 8192 characters"):
        judge_url(longest + "x")


def test_a_listed_host_is_reached_on_its_port_and_no_other() -> None:
    listed = listed_hosts(["127.0.0.1:9000", "LocalHost:9001", "[0:0::1]:9002", "minio.internal:443"])
    for url in ("http://127.0.0.1:9000/", "http://localhost:9001/", "http://LOCALHOST.:9001/", "http://[::1]:9002/",
                "https://minio.internal/"):  # fmt: skip
        assert judge_url(url, listed).is_listed, url
    for url in ("http://127.0.0.1:9001/", "http://127.0.0.1/", "http://127.0.0.2:9000/", "http://[::1]:9000/",
                "http://[::ffff:127.0.0.1]:9000/", "http://2130706433:9000/", "http://user@127.0.0.1:9000/"):  # fmt: skip
        with pytest.raises(BadRequest):
            judge_url(url, listed)
    assert not judge_url("http://minio.internal/", listed).is_listed


@pytest.mark.parametrize("pair", ["", "localhost", ":80", "127.1:80", "a b:80", "host:port", "user@host:80"])
def test_a_wrong_pair_of_the_operator_is_reported(pair: str) -> None:
    with pytest.raises(ConfigError, match="TETHER_PRIVATE_RECORDING_HOSTS"):
        listed_hosts([pair])


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "169.253.0.1",
     "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1",
     "::ffff:8.8.8.8", "64:ff9b::808:808"],
)  # fmt: skip
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_each_edge_of_the_forbidden_networks() -> None:
    for text in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
                 "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"):  # fmt: skip
        network = IPv4Network(text)
        for address in (network[0], network[-1]):
            assert not is_public(address)
            assert not is_public(IPv6Address(f"::ffff:{address}"))
            assert not is_public(IPv6Address(f"64:ff9b::{address}"))
            assert not is_public(IPv6Address(f"::{address}"))
            assert not is_public(IPv6Address(int(IPv6Address("2002::")) | int(address) << 80))


@given(st.ip_addresses(v=4))
@example(IPv4Address("192.0.0.9"))
def test_what_python_takes_for_no_global_address_is_not_public(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(address)


@given(st.ip_addresses(v=6))
def test_the_same_for_ipv6(address: IPv6Address) -> None:
    translated = address.ipv4_mapped is not None or address in IPv6Network("64:ff9b::/96")
    if not translated and (not address.is_global or address.is_multicast or address.is_reserved):
        assert not is_public(address)


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://", "http://[", "http://127.0.0.1"]))
def test_any_text_is_refused_or_has_a_public_target(text: str, prefix: str) -> None:
    try:
        target = judge_url(prefix + text)
    except BadRequest:
        return
    assert target.scheme in ("http", "https")
    assert target.port in (80, 443, 8080, 8443)
    assert target.address is None or is_public(target.address)
    request = f"GET {target.path} HTTP/1.1\r\nHost: {target.host_header}"
    assert request.isascii()
    assert len(request.splitlines()) == 2
    assert len(request.splitlines()[0].split(" ")) == 3


def test_a_lone_surrogate_is_refused() -> None:
    for url in ("http://vendor.example/\ud800", "http://\ud800.example/"):
        with pytest.raises(BadRequest):
            judge_url(url)
