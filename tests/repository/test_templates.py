"""What holds for every template and style of the portal."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.conf import settings
from django.template import Context
from django.template.loader import get_template
from django.test import RequestFactory

from config.templatetags.vocabulary import ICONS, TONE_OF

ROOT = Path(settings.BASE_DIR)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
PORTAL = [path for path in TEMPLATES if "operator" not in path.parts and "admin" not in path.parts]
STYLES = sorted((ROOT / "static/lockstep/css").glob("*.css"))
TOKEN = re.compile(r"--([\w-]+):\s*light-dark\((#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\)")


def _name(path):
    return str(path.relative_to(ROOT / "templates"))


@pytest.mark.parametrize("path", PORTAL, ids=_name)
def test_a_template_compiles(path):
    assert get_template(_name(path))


@pytest.mark.parametrize("path", PORTAL, ids=_name)
def test_nothing_is_inline_so_that_the_strict_policy_holds(path):
    source = path.read_text()

    assert not re.search(r"\sstyle\s*=|<style|javascript:|\son[a-z]+\s*=\s*[\"']", source)
    for script in re.findall(r"<script[^>]*>", source):
        assert "src=" in script or 'type="application/json"' in script
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", source)


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_styles_load_nothing_from_elsewhere(path):
    assert not re.search(r"@import|url\(", path.read_text())


@pytest.mark.parametrize("path", PORTAL, ids=_name)
def test_what_is_pressed_is_a_button_and_what_leads_is_a_link(path):
    source = path.read_text()

    assert not re.search(r"<(?:div|span)[^>]*\s(?:role=\"button\"|tabindex=\"0\"[^>]*data-)", source)
    for button in re.findall(r"<button[^>]*>", source):
        assert "type=" in button


def test_the_icons_that_are_named_are_the_icons_that_are_drawn():
    drawing = ElementTree.parse(ROOT / "static/lockstep/icons.svg")

    drawn = {symbol.get("id") for symbol in drawing.iter("{http://www.w3.org/2000/svg}symbol")}

    assert drawn - {"mark"} == ICONS


def test_the_words_for_states_are_lower_case_and_unique():
    assert all(word == word.lower() for word in TONE_OF)


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_an_error_page_needs_nothing_that_may_be_broken(status):
    source = (ROOT / f"templates/{status}.html").read_text()

    assert "{%" not in source
    assert "{{" not in source


def _luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _palette():
    source = (ROOT / "static/lockstep/css/tokens.css").read_text()
    return {name: (light, dark) for name, light, dark in TOKEN.findall(source)}


GROUNDS = ("ground", "surface", "sunken", "hover")
TEXT = [(ink, ground) for ink in ("ink", "ink-2", "ink-3", "accent") for ground in GROUNDS] + [
    ("accent", "accent-wash"),
    ("on-accent", "accent-fill"),
    ("on-accent", "accent-fill-hover"),
    ("on-danger", "danger-fill"),
    ("on-danger", "danger-fill-hover"),
    *((tone, ground) for tone in ("good", "warn", "bad") for ground in ("surface", "ground", f"{tone}-wash")),
    *(("ink", f"{tone}-wash") for tone in ("good", "warn", "bad", "accent")),
]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_stands_out_from_its_ground(ink, ground, theme):
    palette = _palette()

    assert _contrast(palette[ink][theme], palette[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("mark", ["s1", "s2", "s3", "s4", "s5", "s6", "control", "accent-fill", "reserved"])
def test_marks_and_borders_of_controls_stand_out(mark, theme):
    palette = _palette()

    assert _contrast(palette[mark][theme], palette["surface"][theme]) >= 3


def test_a_chosen_theme_is_in_the_first_byte_of_the_page():
    request = RequestFactory().get("/")
    request.COOKIES["theme"] = "dark"

    html = get_template("base/document.html").template.render(Context({"request": request}))

    assert '<html lang="en" data-theme="dark">' in html
