"""Where a webhook may go: nothing inside our network, whatever it is called."""

import asyncio
import ssl
from uuid import uuid4

import pytest

from apps.governance.errors import WebhookAddressRefused
from apps.governance.webhooks.addresses import check_address, checked_target
from apps.governance.webhooks.sending import Message, send
from apps.governance.webhooks.signing import new_secret
from tests.governance.webhooks.receiver import receiving

PUBLIC = "93.184.215.14"
NAMES = {
    "hooks.example.com": [PUBLIC],
    "inside.example.com": ["10.0.0.7"],
    "both.example.com": [PUBLIC, "127.0.0.1"],
    "metadata.example.com": ["169.254.169.254"],
    "six.example.com": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "mapped.example.com": ["::ffff:10.0.0.1"],
}
asked: list[str] = []


def names(host: str, port: int) -> list[str]:
    """A resolver of ours."""
    asked.append(host)
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


@pytest.fixture(autouse=True)
def resolver(django_db_setup, settings):
    settings.WEBHOOK_RESOLVER = f"{__name__}.names"
    asked.clear()


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9",
        "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192",
        "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
        "64:ff9b:1::1", "2002:7f00:1::1", "2002:808:808::1", "2001:0:53aa:64c::1", "2001:db8::1", "3fff::1",
        "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "5f00::1",
        "2606:4700::200:5efe:7f00:1", "2606:4700::5efe:a00:1", "", "127.1", "0x7f000001", "2130706433",
    ],
)  # fmt: skip
def test_an_address_that_is_not_on_the_public_internet_is_refused(address):
    with pytest.raises(WebhookAddressRefused):
        check_address(address)


@pytest.mark.parametrize("address", ["8.8.8.8", PUBLIC, "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"])
def test_a_public_address_is_taken(address):
    assert check_address(address) is None


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example.com", "http://hooks.example.com/", "ftp://hooks.example.com/", "file:///etc/passwd",
        "gopher://hooks.example.com/", "javascript:alert(1)", "//hooks.example.com/", "https:hooks.example.com",
        "https:///hooks.example.com", "https://", "https://hooks.example.com:22/", "https://hooks.example.com:80/",
        "https://hooks.example.com:0/", "https://hooks.example.com:99999/", "https://hooks.example.com:/",
        "https://user@hooks.example.com/", "https://user:pw@hooks.example.com/", "https://:pw@hooks.example.com/",
        "https://hooks.example.com@127.0.0.1/", "https://127.0.0.1\\@hooks.example.com/",
        "https://hooks.example.com\\.inside/", "https://hooks.example.com/#there", "https://hooks.example.com/#",
        "https://hooks.example.com/a b", "https://hooks.example.com/\r\nx: y", "https://hooks.example.com/\tx",
        "https://hooks.example.com\x00.inside/", "https://hooks.example.com%2f.inside/", "https://localhost/",
        "https://localhost:8443/", "https://a.localhost/", "https://intranet/", "https://127.0.0.1/",
        "https://127.1/", "https://0/", "https://0x7f.1/", "https://0x7f000001/", "https://2130706433/",
        "https://017700000001/", "https://0177.0.0.1/", "https://127.0.0.1./", "https://hooks.example.com./",
        "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1%25eth0]/", "https://[::]/", "https://::1/", "https://[v1.x]/", "https://[127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/", "https://１２７.0.0.1/", "https://ⓛocalhost/",
        "https://hooks.exämple.com/", "https://inside.example.com/", "https://both.example.com/",
        "https://metadata.example.com/", "https://mapped.example.com/", "https://nowhere.example.com/",
        "https://-bad.example.com/", "https://a..example.com/", f"https://{'a' * 64}.example.com/",
        f"https://hooks.example.com/{'x' * 500}",
    ],
)  # fmt: skip
def test_a_url_that_leads_or_might_lead_inside_is_refused(url):
    with pytest.raises(WebhookAddressRefused):
        checked_target(url)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example.com", ("https://hooks.example.com:443/", (PUBLIC,))),
        ("HTTPS://Hooks.Example.COM:8443/a/b?c=d@e", ("https://hooks.example.com:8443/a/b?c=d@e", (PUBLIC,))),
        (f"https://{PUBLIC}/x", (f"https://{PUBLIC}:443/x", (PUBLIC,))),
        ("https://six.example.com/", ("https://six.example.com:443/", (NAMES["six.example.com"][0],))),
        (
            "https://[2606:4700:4700::1111]/",
            ("https://[2606:4700:4700::1111]:443/", ("2606:4700:4700::1111",)),
        ),
    ],
)
def test_a_public_https_address_is_taken_apart_once(url, target):
    found = checked_target(url)

    assert (found.url, found.addresses) == target


def test_a_port_or_network_that_the_operator_allows_is_taken_but_never_metadata(settings):
    settings.WEBHOOK_PORTS = [443, 9000]
    settings.WEBHOOK_PRIVATE_NETWORKS = ["10.0.0.0/8", "169.254.0.0/16"]

    assert checked_target("https://inside.example.com:9000/").addresses == ("10.0.0.7",)
    with pytest.raises(WebhookAddressRefused):
        checked_target("https://metadata.example.com/")


def test_the_development_setting_allows_this_machine_and_nothing_else(settings):
    settings.WEBHOOK_ALLOW_LOCAL = True
    NAMES["localhost"] = ["127.0.0.1"]

    assert checked_target("http://localhost:5000/x").url == "http://localhost:5000/x"
    assert checked_target("http://127.0.0.1:5000/").addresses == ("127.0.0.1",)
    for url in (
        "http://hooks.example.com/",
        "http://10.0.0.7/",
        "http://inside.example.com/",
        "http://0.0.0.0/",
    ):
        with pytest.raises(WebhookAddressRefused):
            checked_target(url)


def message(url):
    return Message(uuid4(), url, "evt_1", b"{}", [new_secret()])


def test_a_name_that_leads_inside_by_the_time_of_delivery_is_refused_and_nothing_arrives():
    with receiving() as receiver:
        NAMES["turning.example.com"] = [PUBLIC]
        url = f"https://turning.example.com:8443/?port={receiver.port}"
        checked_target(url)
        NAMES["turning.example.com"] = ["127.0.0.1"]

        outcome = asyncio.run(send(message(url)))

        assert outcome.status is None
        assert "127.0.0.1 is not an address on the public internet" in outcome.error
        assert receiver.got == []


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(settings):
    """The name answers with an allowed address once and with a forbidden one ever after."""
    settings.WEBHOOK_ALLOW_LOCAL = True
    with receiving() as receiver:
        NAMES["localhost"] = ["127.0.0.1"]
        asked.clear()

        outcome = asyncio.run(send(message(receiver.url)))

        assert (outcome.status, asked) == (200, ["localhost"])
        assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(settings, status):
    settings.WEBHOOK_ALLOW_LOCAL = True
    NAMES["localhost"] = ["127.0.0.1"]
    with receiving() as inside, receiving(status=status, headers={"location": inside.url}) as receiver:
        outcome = asyncio.run(send(message(receiver.url)))

        assert (outcome.status, outcome.was_accepted) == (status, False)
        assert "redirects are not followed" in outcome.error
        assert (len(receiver.got), inside.got) == (1, [])


def test_a_certificate_that_is_not_the_names_is_refused(settings, tmp_path):
    settings.WEBHOOK_ALLOW_LOCAL = True
    NAMES["localhost"] = ["127.0.0.1"]
    with receiving(tls=_server_context(tmp_path)) as receiver:
        outcome = asyncio.run(send(message(receiver.url.replace("http:", "https:"))))

        assert outcome.status is None
        assert "certificate" in outcome.error.lower()
        assert receiver.got == []


def test_an_answer_without_end_is_cut_to_an_excerpt_without_control_characters(settings):
    settings.WEBHOOK_ALLOW_LOCAL = True
    NAMES["localhost"] = ["127.0.0.1"]
    with receiving(status=500, body=b"\x1b[31mno\r\n" + b"x" * 5_000_000) as receiver:
        outcome = asyncio.run(send(message(receiver.url)))

        assert outcome.status == 500
        assert outcome.excerpt.startswith("[31mno xxx")
        assert len(outcome.excerpt) == 500


def _server_context(folder):
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
