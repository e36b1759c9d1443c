"""Networks and addresses."""

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.keys.addresses import is_within, normalise_networks, parse_network
from apps.keys.errors import InvalidNetwork


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        (" 203.0.113.7/24 ", "203.0.113.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        # Wider than all v4-mapped addresses, so it stays what it is.
        ("::/0", "::/0"),
        ("::/95", "::/95"),
    ],
)
def test_a_network_is_stored_as_what_it_means(written: str, meant: str) -> None:
    assert str(parse_network(written)) == meant


@pytest.mark.parametrize(
    "written",
    ["", "x", "10.0.0.0/33", "10.0.0/8/8", "10.0.0.256", "010.0.0.1", "::1%lo", "fe80::1%eth0/64",
     "1.2.3.4/0.0.0.255x", "10.0.0.1-10.0.0.9", "localhost", "٣.1.1.1", "10.0.0.0/-1", "\x00"],
)  # fmt: skip
def test_what_is_no_network_is_refused_by_name(written: str) -> None:
    with pytest.raises(InvalidNetwork) as refused:
        parse_network(written)

    assert refused.value.code == "invalid_network"


def test_networks_are_kept_once_and_in_order() -> None:
    assert normalise_networks(["2001:db8::/32", "10.1.2.3/8", "::ffff:10.0.0.0/104", "9.9.9.9"]) == [
        "9.9.9.9/32", "10.0.0.0/8", "2001:db8::/32",
    ]  # fmt: skip


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_v4_address_and_its_mapped_form_are_in_the_same_networks(address: IPv4Address, length: int) -> None:
    network = ip_network((int(address), length), strict=False)
    mapped_network = parse_network(f"::ffff:{network.network_address}/{96 + length}")

    assert mapped_network == network
    for form in (str(address), f"::ffff:{address}"):
        assert is_within(form, [network])
        assert not is_within(form, [ip_network("2001:db8::/32")])


def test_no_network_is_everywhere_and_no_address_is_nowhere() -> None:
    assert is_within("", [])
    assert is_within("192.0.2.1", [])
    assert not is_within("", [ip_network("0.0.0.0/0"), ip_network("::/0")])
    assert not is_within("unix:", [ip_network("0.0.0.0/0")])
