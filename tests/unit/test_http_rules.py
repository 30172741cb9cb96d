"""Which http(s) inputs are allowed: hosts by pattern, addresses by what they are."""

from ipaddress import ip_network

import pytest

from infra.errors import ConfigurationError, StorageRefusedError
from infra.http_rules import HttpRules, Url
from infra.settings import load_settings


def rules(*hosts, networks=()):
    return HttpRules(hosts, tuple(ip_network(x) for x in networks), 1000)


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        (["example.org"], "https://example.org/x"),
        (["example.org"], "http://EXAMPLE.org./x"),
        (["Example.ORG"], "https://example.org:443/x"),
        (["*.example.org"], "https://a.b.example.org/"),
        (["nothing", "example.org:8080"], "http://example.org:8080"),
        (["example.org:*"], "https://example.org:9/x"),
        (["*"], "https://anything.test"),
        (["10.0.0.1:81"], "http://10.0.0.1:81/"),
        (["::1"], "http://[::1]/"),
        (["[::1]:8080"], "http://[::1]:8080/"),
        (["xn--bcher-kva.example"], "https://bücher.example/x"),
    ],
)
def test_allowed_hosts(hosts, url):
    """Case, a final dot, the scheme's own port and other spellings of a name make no difference."""
    rules(*hosts).check(Url.parse(url), "it")


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        ([], "https://example.org/"),
        (["example.org"], "https://evil.example.org/"),
        (["example.org"], "https://example.org.evil.test/"),
        (["example.org"], "https://example.orgevil.test/"),
        (["*.example.org"], "https://example.org/"),
        (["example.org"], "http://example.org:443/"),
        (["example.org"], "https://example.org:22/"),
        (["example.org:8080"], "https://example.org/"),
        (["example.org"], "http://evil.test/?@example.org"),
        (["example.org"], "http://evil.test#@example.org/"),
        (["example.org"], "http://evil.test/example.org"),
        (["127.0.0.1"], "http://2130706433/"),
    ],
)
def test_refused_hosts(hosts, url):
    """What only looks like an allowed host, or is it at another port, is refused with what to do."""
    with pytest.raises(StorageRefusedError, match="SISYPHUS_HTTP_HOSTS"):
        rules(*hosts).check(Url.parse(url), "it")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/x", "file:///etc/passwd", "https://", "https:///x", "//example.org/x", "x"),
        *("http://u@example.org/", "http://u:p@example.org/", "http://example.org\\@evil.test/"),
        *("http://[::1", "http://example.org:x/", "http://example.org:99999/", "http://example.org:0/", "http://a..b/"),
        f"http://{'a' * 64}.test/",
    ],
)
def test_what_is_no_url_is_refused(url):
    """Nothing is guessed about a URL that can be read in two ways."""
    with pytest.raises(StorageRefusedError):
        Url.parse(url)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("https://h", "/"),
        ("https://h?q=1/2", "/?q=1/2"),
        ("https://h/a b/ü?x=%20&y=ä#part", "/a%20b/%C3%BC?x=%20&y=%C3%A4"),
        ("https://h/100%25/;a=1,b", "/100%25/;a=1,b"),
        ("https://h/a\r\nX: y", "/aX:%20y"),
    ],
)
def test_the_request_line_holds_nothing_but_a_target(text, target):
    """What is encoded stays so, everything else is encoded, and no line can be added."""
    assert Url.parse(text).target == target


def test_redirects_are_read_relative_to_where_they_come_from():
    """Relative, absolute and without a scheme; a way from https to http is none."""
    url = Url.parse("https://h:8443/a/b?x=1")
    assert str(url.moved("c")) == "https://h:8443/a/c"
    assert str(url.moved("/c?d")) == "https://h:8443/c?d"
    assert str(url.moved("//other/c")) == "https://other/c"
    assert str(Url.parse("http://h/").moved("https://h/x")) == "https://h/x"
    for there in ("http://h/", "ftp://h/", "file:///etc/passwd"):
        with pytest.raises(StorageRefusedError):
            url.moved(there)


PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::1"]
INSIDE = [
    *(
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.1.2.3",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.88.99.1",
    ),
    *("192.0.2.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1"),
    *("2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "fc00::1", "fd00:ec2::254", "fe80::1"),
    *("fe80::1%eth0", "fec0::1", "ff02::1", "3fff::1", "not an address"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address):
    """Without further settings."""
    assert rules("*").reachable(Url.parse("http://h"), [address], "it") == [address]


@pytest.mark.parametrize("address", INSIDE)
def test_other_addresses_are_not(address):
    """Private, loopback, link-local, multicast, reserved and wrapped ones; the sentence says what would allow them."""
    with pytest.raises(StorageRefusedError, match="SISYPHUS_HTTP_NETWORKS"):
        rules("*").reachable(Url.parse("http://h"), [address], "it")


def test_only_the_allowed_addresses_of_a_host_are_used():
    """A name with a public and a private address is reached at the public one; a mapped address is what it maps."""
    allowed = rules("*", networks=["10.1.0.0/16", "fd00::/8"])
    found = ["10.2.0.1", "10.1.0.1", "1.1.1.1", "1.1.1.1", "::ffff:10.1.0.9", "fd00::1", "fe80::1", "127.0.0.1"]
    assert allowed.reachable(Url.parse("http://h"), found, "it") == [
        "10.1.0.1",
        "1.1.1.1",
        "::ffff:10.1.0.9",
        "fd00::1",
    ]


def test_settings_give_the_rules(monkeypatch):
    """Lists as everywhere; a network that is none is named."""
    assert HttpRules.of(load_settings()).hosts == ()
    monkeypatch.setenv("SISYPHUS_HTTP_HOSTS", "example.org, *.test:8080")
    monkeypatch.setenv("SISYPHUS_HTTP_NETWORKS", "10.1.0.0/16,fd00::/8")
    monkeypatch.setenv("SISYPHUS_HTTP_LIMIT_MB", "3")
    networks = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert HttpRules.of(load_settings()) == HttpRules(("example.org", "*.test:8080"), networks, 3 * 1_048_576)
    monkeypatch.setenv("SISYPHUS_HTTP_NETWORKS", "10.1.0.0/8")
    with pytest.raises(ConfigurationError, match="SISYPHUS_HTTP_NETWORKS"):
        load_settings()
