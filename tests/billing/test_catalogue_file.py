"""Reading a catalogue file: all that is wrong with it, each with its line."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.ai_usage.types import QuantityClass
from apps.billing.catalogue.reading import read_catalogue
from apps.billing.errors import InvalidCatalogue
from tests.factories.selling import CATALOGUE, NOW, SECRETS


def read(text):
    return read_catalogue(text, resolve=SECRETS.get, now=NOW)


def problems(text):
    with pytest.raises(InvalidCatalogue) as refused:
        read(text)
    return [(one.line, one.where, one.reason) for one in refused.value.problems]


def changed(before, after):
    assert CATALOGUE.count(before) >= 1
    return CATALOGUE.replace(before, after, 1)


def test_the_contracts_form_is_read_to_the_last_value():
    file = read(CATALOGUE)

    [provider], [route], [price] = file.entries.providers, file.entries.routes, file.entries.prices
    assert (provider.name, provider.dialect, provider.base_url) == (
        "north",
        "openai",
        "https://north.example/v1",
    )
    assert (provider.credential_source, provider.secret) == ("env:NORTH_KEY", "sk-north-1")
    assert (provider.region, provider.retention_days, provider.trains_on_data) == ("eu", 30, False)
    assert (route.connect_timeout, route.first_byte_timeout, route.total_timeout) == (2.0, 30.0, 600.0)
    assert (route.attempts, route.retry_seconds) == (3, 60.0)
    assert price.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert {name: str(terms.cost) for name, terms in price.rates.items()} == {
        QuantityClass.INPUT: "0.15",
        QuantityClass.CACHE_READ: "0.075",
        QuantityClass.OUTPUT: "0.60",
    }
    solo = file.plans[0].terms
    assert (solo.price_per_month, solo.markup_percent) == (Decimal("20.00"), Decimal(20))
    assert solo.limits == {"requests_per_minute": 60, "keys": 5, "members": 5, "spend_per_month": "50.00"}
    assert "sk-north-1" not in repr(file)


def test_a_number_without_quotes_is_read_from_its_text_and_never_through_a_float():
    file = read(changed('input: "0.15"', "input: 0.100000"))

    assert str(file.entries.prices[0].rates[QuantityClass.INPUT].cost) == "0.100000"


def test_now_and_a_time_with_a_zone_are_moments_too():
    assert read(changed("valid_from: 2026-01-01", "valid_from: now")).entries.prices[0].valid_from == NOW
    assert read(changed("valid_from: 2026-01-01", 'valid_from: "2026-03-01T02:00:00+02:00"')).entries.prices[
        0
    ].valid_from == datetime(2026, 3, 1, tzinfo=UTC)


def test_every_problem_of_a_file_is_told_at_once_and_in_the_order_of_lines():
    text = (
        CATALOGUE.replace("dialect: openai", "dialect: cohere")
        .replace('"0.075"', '"-1"')
        .replace("keys: 5,", "seats: 5,")
    )

    found = problems(text)

    assert [(line, where) for line, where, _ in found] == [
        (3, "providers, north"),
        (18, "prices, north-small-1, cost_per_million"),
        (26, "plans, solo, limits"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "line", "reason"),
    [
        ("region: eu", "regoin: eu", 6, "`regoin` is not known here"),
        (
            "region: eu",
            "region: no",
            6,
            "`region` is a bool (no) where another kind of value belongs; put it in quotes",
        ),
        ("dialect: openai", "dialect: openai\n    dialect: openai", 4, "`dialect` is given twice"),
        ("    dialect: openai\n", "", 2, "`dialect` is missing"),
        (
            "env:NORTH_KEY",
            "sk-in-the-file",
            5,
            "`credential` must be env:NAME or file:PATH; a secret is never written in the file itself",
        ),
        ("env:NORTH_KEY", "env:NO_SUCH", 5, "`credential` the environment variable NO_SUCH is not there"),
        (
            "env:NORTH_URL",
            "ftp://north.example",
            4,
            "`base_url` must be an http or https address without user, query or fragment",
        ),
        (
            "env:NORTH_URL",
            "https://me:pw@north.example",
            4,
            "`base_url` must be an http or https address without user, query or fragment",
        ),
        (
            "{retention_days: 30,",
            "{retention_days: soon,",
            7,
            "`retention_days` must be a whole number from 0 to 36500, not soon",
        ),
        (
            "trains_on_data: false",
            "trains_on_data: maybe",
            7,
            "`trains_on_data` is a str (maybe) where another kind of value belongs",
        ),
        ("connect: 2", "connect: 0", 12, "`connect` must be more than 0 and at most 86400 seconds"),
        ("attempts: 3", "attempts: 99", 13, "`attempts` must be a whole number from 1 to 10, not 99"),
        (
            "      - {provider: north, model: north-small-1, priority: 1, weight: 1}\n",
            "",
            10,
            "`targets` must name at least one target",
        ),
        ('input: "0.15"', 'input: "0.1500001"', 18, "`input` has more than 6 decimals: 0.1500001"),
        ('input: "0.15"', "input: 1e-1", 18, "`input` must be a plain decimal number, not 1e-1"),
        ('input: "0.15"', "input: .nan", 18, "`input` must be a plain decimal number, not .nan"),
        ('input: "0.15"', 'input: "999999999999999"', 18, "`input` is too large: 999999999999999"),
        (
            'input: "0.15"',
            'prompt: "0.15"',
            18,
            "`prompt` is no quantity class; those are input, cache_read, cache_write_5m, "
            "cache_write_1h, audio_input, image_input, output, audio_output, requests, reasoning",
        ),
        (
            'cache_read: "0.075"',
            'cache_write: "1", cache_write_5m: "1"',
            18,
            "`cache_write_5m` is another name of cache_write_5m, which is given as well",
        ),
        (
            "valid_from: 2026-01-01",
            "valid_from: 2026-13-01",
            17,
            "`valid_from` must be a date like 2026-01-31 or a time like 2026-01-31T12:00:00Z, not 2026-13-01",
        ),
        (
            "valid_from: 2026-01-01",
            "valid_from: 2026-01-01T10:00:00",
            17,
            "`valid_from` needs a time zone, for example 2026-01-01T10:00:00Z",
        ),
        ("currency: USD", "currency: usd", 22, "`currency` must be three capital letters, not usd"),
        ('"20.00"', '"20.005"', 21, "`price_per_month` has more than 2 decimals: 20.005"),
        (
            'markup_percent: "20"',
            'markup_percent: "-101"',
            23,
            "`markup_percent` cannot be less than -100: -101",
        ),
        (
            "features: {sso: false}",
            "features: {sso: sure}",
            25,
            "`sso` is a str (sure) where another kind of value belongs",
        ),
        (
            "requests_per_minute: 60,",
            "requests_per_minute: -60,",
            26,
            "`requests_per_minute` must be a whole number from 0 to 1000000000000, not -60",
        ),
        ("models: [north-small]", "models: north-small", 24, "`models` must be a list"),
        ("models: [north-small]", "models: [north-small, north-small]", 24, "`models` names a model twice"),
        ("  - name: team", "  - name: solo", 27, "plan solo is described twice"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_reason(before, after, line, reason):
    found = problems(changed(before, after))

    assert (line, reason) in [(at, why) for at, _, why in found]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "must be a mapping of names to values"),
        ("providers: [\n", "is not YAML"),
        ("a: &x [1]\nb: *x\n", "may not use YAML aliases"),
        ("a: !!python/object:os.system x\n", "may not use YAML aliases"),
        ("\x00", "is not YAML"),
        ("models: []\n", "`models` is not known here"),
        ("providers: yes\n", "must be a list"),
        ("providers: [just text]\n", "must be a mapping"),
        ("[" * 1500, "is not YAML"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_words(text, reason):
    found = problems(text)

    assert any(reason in why for _, _, why in found), found
